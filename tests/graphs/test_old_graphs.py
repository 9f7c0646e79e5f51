"""A graph in the form that ComfyUI-LTXVideo's users share, executed without that pack."""

from __future__ import annotations

import copy
import re

import av
import pytest
import torch

from harness.pack import ROOT
from harness.schemas import node_list
from harness.server import WorkflowError
from tiny import write_models
from workflows import load


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


EXR = {
    "image": node("EmptyImage", width=32, height=16, batch_size=2, color=0xFF8040),
    "hdr": node(
        "LTXVHDRDecodePostprocess",
        image=["image", 0],
        exposure=1.0,
        save_exr=True,
        output_dir="output/hdr_exr",
        filename_prefix="frame",
        half_precision=True,
    ),
    "show": node("PreviewImage", images=["hdr", 0]),
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


def old_retake():
    """The shipped retake with old nodes: the prompt written by Gemma, the window by time, grain on the frames."""
    prompt = load("LTX_2.3_Retake").tiny_prompt()
    prompt["words"] = prompt.pop("prompt")
    prompt["written"] = node(
        "LTXVGemmaEnhancePrompt",
        clip=["text_encoder", 0],
        prompt="a red ball",
        system_prompt="",
        max_tokens=32,
        bypass_i2v=False,
        seed=42,
    )
    prompt["words"]["inputs"]["text"] = ["written", 0]
    prompt["frame_rate"]["inputs"] |= {"positive": ["words", 0], "negative": ["words", 0]}
    prompt["window"] = node(
        "LTXVSetAudioVideoMaskByTime",
        av_latent=["join", 0],
        positive=["frame_rate", 0],
        negative=["frame_rate", 1],
        model=["model", 0],
        vae=["model", 1],
        audio_vae=["model", 2],
        start_time=0.2,
        end_time=0.5,
        video_fps=["source_parts", 2],
        mask_video=True,
        mask_audio=True,
        mask_init_value_video=0.0,
        mask_init_value_audio=0.0,
        slope_len=3,
    )
    prompt["guider"]["inputs"]["conditioning"] = ["window", 0]
    prompt["stage"]["inputs"]["latent_image"] = ["window", 2]
    prompt["noise"]["inputs"]["noise_seed"] = ["seed", 0]
    prompt["seed"] = node("LTXFloatToInt", a=9.6)
    prompt["grain"] = node("LTXVFilmGrain", images=["cpu", 0], grain_intensity=0.01, saturation=0.5)
    prompt["cpu"] = node("ImageToCPU", image=["decode_video", 0])
    prompt["video"]["inputs"]["images"] = ["grain", 0]
    return prompt


def test_an_old_retake_makes_what_lies_in_its_window_anew(executor):
    result = executor.run(old_retake())
    assert result.output("seed") == 10
    before, after = (result.output(name)["samples"].unbind() for name in ("join", "stage"))
    made = result.output("window", 3)
    assert 0 in made
    assert any(made)
    for frame, weight in enumerate(made):
        kept = torch.allclose(before[0][:, :, frame], after[0][:, :, frame], atol=1e-5)
        assert kept == (weight == 0)
    assert torch.allclose(before[1][:, :, :5], after[1][:, :, :5], atol=1e-5)
    assert not torch.allclose(before[1][:, :, 5:12], after[1][:, :, 5:12], atol=1e-1)
    assert (result.output("grain") - result.output("cpu")).std() > 0.001
    for file in result.files:
        file.unlink()


def test_a_node_that_is_refused_does_not_stand_in_the_way_of_a_branch_that_is_taken(executor):
    file = load("LTX_2.3_Retake").tiny_prompt()["model"]["inputs"]["model_name"]
    online = node("GemmaAPITextEncode", api_key="secret", prompt="a ball", enhance_prompt=True, ckpt_name=file)
    switch = node("ComfySwitchNode", switch=False, on_false=["other", 0], on_true=["online", 0])
    show = node("PreviewAny", source=["switch", 0])
    prompt = {"online": online, "other": node("PrimitiveString", value="own"), "switch": switch, "show": show}
    assert executor.run(prompt).output("switch") == "own"
    switch["inputs"]["switch"] = True
    with pytest.raises(WorkflowError, match="online service, which Oner does not: encode the prompt with") as error:
        executor.run(prompt)
    assert "secret" not in str(error.value)


def test_an_old_hdr_graph_saves_its_linear_light(executor):
    result = executor.run(EXR)
    assert [file.relative_to(executor.base / "output").as_posix() for file in result.files] == [
        "hdr_exr/frame_00001.exr",
        "hdr_exr/frame_00002.exr",
    ]
    linear = result.output("hdr", 1)
    for file, frame in zip(result.files, linear, strict=True):
        with av.open(str(file)) as read:
            planes = next(read.decode(video=0)).planes
        green, blue, red = (
            torch.frombuffer(bytearray(plane), dtype=torch.float32).view(16, -1)[:, :32] for plane in planes
        )
        torch.testing.assert_close(torch.stack([red, green, blue], dim=-1), frame)
        file.unlink()
    assert linear.max() > 1


def test_an_old_hdr_graph_with_a_place_elsewhere_is_refused_before_it_runs(executor):
    prompt = copy.deepcopy(EXR)
    prompt["hdr"]["inputs"]["output_dir"] = "D:/renders"
    with pytest.raises(
        WorkflowError,
        match=r"validation failed .*: output_dir - output_dir 'D:/renders' starts with 'D:', a drive of Windows",
    ):
        executor.run(prompt)


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
