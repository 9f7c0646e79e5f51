"""A graph in the form that ComfyUI-LTXVideo's users share, executed without that pack."""

from __future__ import annotations

import re

import pytest

from harness.pack import ROOT
from harness.schemas import node_list
from tiny import write_models


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


PROMPT = {
    "loader": node("LowVRAMCheckpointLoader", ckpt_name="tiny-ltx-video-13b-0.9.8.safetensors"),
    "encoder": node("OnerTextEncoderLoader", folder="tiny-t5", type="ltx-video", projection="none", device="default"),
    "positive": node("CLIPTextEncode", clip=["encoder", 0], text="a red ball"),
    "negative": node("CLIPTextEncode", clip=["encoder", 0], text="blurry"),
    "timed": node("LTXVConditioning", positive=["positive", 0], negative=["negative", 0], frame_rate=24.0),
    "empty": node("EmptyLTXVLatentVideo", width=96, height=64, length=9, batch_size=1),
    "image": node("EmptyImage", width=96, height=64, batch_size=1, color=0xFF0000),
    "given": node(
        "LTXVImgToVideoConditionOnly", vae=["loader", 2], image=["image", 0], latent=["empty", 0], strength=0.8
    ),
    "preset": node("STGAdvancedPresets", preset="13b Balanced"),
    "guider": node(
        "STGGuiderAdvanced",
        model=["loader", 0],
        positive=["timed", 0],
        negative=["timed", 1],
        skip_steps_sigma_threshold=0.998,
        cfg_star_rescale=True,
        sigmas="1.0",
        cfg_values="1",
        stg_scale_values="1",
        stg_rescale_values="1",
        stg_layers_indices="[14]",
        preset=["preset", 0],
        apply_apg=False,
        apg_cfg_scale=1.0,
        eta=1.0,
        norm_threshold=0.0,
    ),
    "noise": node("RandomNoise", noise_seed=7),
    "sampler": node("KSamplerSelect", sampler_name="gradient_estimation"),
    "sigmas": node("BasicScheduler", model=["loader", 0], scheduler="linear_quadratic", steps=4, denoise=1.0),
    "sampled": node(
        "SamplerCustomAdvanced",
        noise=["noise", 0],
        guider=["guider", 0],
        sampler=["sampler", 0],
        sigmas=["sigmas", 0],
        latent_image=["given", 0],
    ),
    "adain": node("LTXVAdainLatent", latents=["sampled", 0], reference=["empty", 0], factor=0.25),
    "decoder": node("Set VAE Decoder Noise", vae=["loader", 2], timestep=0.05, scale=0.025, seed=42),
    "decoded": node("VAEDecode", samples=["adain", 0], vae=["decoder", 0]),
    "save": node("SaveImage", images=["decoded", 0], filename_prefix="old"),
}


SAMPLING = {"guider": ["guider", 0], "sampler": ["sampler", 0], "sigmas": ["sigmas", 0], "noise": ["noise", 0]}
LONG = {
    **{id: PROMPT[id] for id in ("loader", "encoder", "positive", "negative", "timed", "image", "noise", "sigmas")},
    "sampler": node("KSamplerSelect", sampler_name="euler_ancestral"),
    "guider": node("CFGGuider", model=["loader", 0], positive=["timed", 0], negative=["timed", 1], cfg=2.0),
    "start": node(
        "LTXVBaseSampler",
        model=["loader", 0],
        vae=["loader", 2],
        width=96,
        height=64,
        num_frames=17,
        optional_cond_images=["image", 0],
        strength=0.9,
        crop="center",
        crf=35,
        blur=1,
        **SAMPLING,
    ),
    "extended": node(
        "LTXVExtendSampler",
        model=["loader", 0],
        vae=["loader", 2],
        latents=["start", 0],
        num_new_frames=16,
        frame_overlap=16,
        strength=0.5,
        **SAMPLING,
    ),
    "prompts": node("MultiPromptProvider", prompts="a red ball | a blue ball", clip=["encoder", 0]),
    "looped": node(
        "LTXVLoopingSampler",
        model=["loader", 0],
        vae=["loader", 2],
        latents=["extended", 0],
        temporal_tile_size=24,
        temporal_overlap=16,
        guiding_strength=1.0,
        temporal_overlap_cond_strength=0.5,
        cond_image_strength=1.0,
        horizontal_tiles=1,
        vertical_tiles=1,
        spatial_overlap=1,
        optional_guiding_latents=["extended", 0],
        adain_factor=0.25,
        optional_positive_conditionings=["prompts", 0],
        guiding_start_step=0,
        guiding_end_step=1000,
        optional_cond_image_indices="0",
        **SAMPLING,
    ),
    "tiled": node(
        "LTXVTiledSampler",
        model=["loader", 0],
        vae=["loader", 2],
        latents=["looped", 0],
        horizontal_tiles=2,
        vertical_tiles=1,
        overlap=1,
        latents_cond_strength=0.15,
        boost_latent_similarity=True,
        crop="disabled",
        optional_cond_indices="0",
        images_cond_strengths="0.9",
        **SAMPLING,
    ),
    "decoded": node(
        "LTXVSpatioTemporalTiledVAEDecode",
        vae=["loader", 2],
        latents=["tiled", 1],
        spatial_tiles=1,
        spatial_overlap=1,
        temporal_tile_length=2,
        temporal_overlap=1,
        last_frame_fix=True,
        working_device="auto",
        working_dtype="auto",
    ),
    "save": PROMPT["save"],
}


@pytest.mark.parametrize(("graph", "frames"), [(PROMPT, 9), (LONG, 33)], ids=["guidance", "samplers"])
def test_an_old_graph_runs_and_gives_the_same_twice(executor, graph, frames):
    write_models(executor.base / "models", ["ltxv-13b", "t5"])
    first, second = executor.run(graph), executor.run(graph)
    assert first.output("decoded").shape == (frames, 64, 96, 3)
    assert first.output("decoded").equal(second.output("decoded"))
    for file in first.files + second.files:
        file.unlink()


@pytest.mark.usefixtures("executor")
def test_comfyui_is_asked_to_replace_no_old_id():
    """It would fail as a whole on a prompt without titles, or without one of the inputs."""
    from server import PromptServer

    from oner.nodes.legacy_ltxvideo.shims import SHIMS

    assert not {shim.define_schema().node_id for shim in SHIMS} & set(
        PromptServer.instance.node_replace_manager.as_dict()
    )


@pytest.mark.usefixtures("executor")
def test_the_page_names_nodes_that_exist():
    """What stands in italics is the display name of a node of ours, or the id or name of one of ComfyUI."""
    import nodes

    known = set(nodes.NODE_CLASS_MAPPINGS) | set(nodes.NODE_DISPLAY_NAME_MAPPINGS.values())
    known |= {node.define_schema().display_name for node in node_list()}
    page = (ROOT / "docs" / "migration-ltxvideo.md").read_text().split("## Guidance")[1]
    assert set(re.findall(r"(?<!\*)\*([^*|]+)\*(?!\*)", page)) - known == set()
