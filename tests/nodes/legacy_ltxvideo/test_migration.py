"""Old graphs: which foreign ids are registered when, what becomes of each, and that the old nodes do what they did."""

import asyncio
import re
import sys

import comfy.samplers
import comfy.sd
import folder_paths
import nodes as core_nodes
import pytest
import torch

import oner.nodes as pack_nodes
from harness.pack import ROOT
from harness.schemas import node_list, summary
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltxv.presets import PACK_PRESETS
from oner.nodes.legacy_ltxvideo import guidance as old_guidance
from oner.nodes.legacy_ltxvideo import latents as old_latents
from oner.nodes.legacy_ltxvideo import loaders as old_loaders
from oner.nodes.legacy_ltxvideo import migration
from oner.nodes.legacy_ltxvideo import samplers as old_samplers
from oner.nodes.legacy_ltxvideo import shims as old
from oner.nodes.ltxv.decode import LTXVDecodeSettings
from oner.nodes.ltxv.guidance import STGScheduleGuider
from tiny import write_models

IDS = [shim.define_schema().node_id for shim in old.SHIMS]


PACK = "from oner.nodes import comfy_entrypoint"  # as the root's __init__ has it, under the name that tests have
PEER = """
class Theirs:
    RETURN_TYPES, FUNCTION, CATEGORY = (), "run", "theirs"
NODE_CLASS_MAPPINGS = {"LTXVAdainLatent": Theirs, "LTXVOfTheirs": Theirs}
"""
BROKEN = "from comfy.ldm.lightricks.model import a_name_that_is_gone\n" + PEER


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(source, ...): ComfyUI's own loading of packs with these __init__ files, in order; the nodes it then has."""
    monkeypatch.setattr(core_nodes, "LOADED_MODULE_DIRS", {})
    monkeypatch.setattr(core_nodes, "NODE_CLASS_MAPPINGS", {"KSampler": core_nodes.KSampler})
    monkeypatch.setattr(core_nodes, "NODE_DISPLAY_NAME_MAPPINGS", {})
    monkeypatch.setattr(core_nodes, "EXTENSION_WEB_DIRS", {})
    modules = set(sys.modules)

    def load(*sources):
        for source in sources:
            folder = tmp_path / ("oner-pack" if source is PACK else "ComfyUI-LTXVideo")
            folder.mkdir()
            (folder / "__init__.py").write_text(source)
            loaded = asyncio.run(core_nodes.load_custom_node(str(folder), ignore={"KSampler"}))
            assert loaded == (source is not BROKEN)
        return core_nodes.NODE_CLASS_MAPPINGS

    yield load
    for name in {name for name in sys.modules if name.startswith(str(tmp_path).replace(".", "_x_"))} - modules:
        del sys.modules[name]


def ours(nodes):
    return {node_id for node_id in IDS if nodes.get(node_id) in old.SHIMS}


def test_old_ids_are_registered_where_the_pack_is_missing(load):
    assert ours(load(PACK)) == set(IDS)
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("order", [(BROKEN, PACK), (PACK, BROKEN)], ids=["before", "after"])
def test_old_ids_are_registered_where_the_pack_fails_to_load(load, order):
    assert ours(load(*order)) == set(IDS)


@pytest.mark.parametrize("order", [(PEER, PACK), (PACK, PEER)], ids=["before", "after"])
def test_the_packs_own_nodes_win_where_it_loads(load, order):
    nodes = load(*order)
    assert nodes["LTXVAdainLatent"].CATEGORY == nodes["LTXVOfTheirs"].CATEGORY == "theirs"
    assert ours(nodes) == set(IDS) - {"LTXVAdainLatent"}
    assert {node.define_schema().node_id for node in node_list()} <= set(nodes)


def test_widgets_of_old_nodes_stand_in_the_order_that_files_have_them():
    """The frontend puts optional ones last, wherever the schema names them."""
    for shim in old.SHIMS:
        optional = [bool(entry.optional) for entry in shim.define_schema().inputs if hasattr(entry, "default")]
        assert optional == sorted(optional), shim.define_schema().node_id


def test_widgets_of_the_base_sampler_are_those_of_shared_files():
    inputs = summary(old_samplers.BaseSampler)["inputs"]
    widgets = [entry["id"] for entry in inputs if entry["type"] in ("INT", "FLOAT", "STRING", "COMBO")]
    required = ["width", "height", "num_frames"]
    assert widgets == [*required, "optional_cond_indices", "strength", "crop", "crf", "blur"]


def test_old_nodes_are_marked_and_no_part_of_the_public_list():
    assert all(shim.define_schema().is_deprecated for shim in old.SHIMS)
    assert not {node.define_schema().node_id for node in node_list()} & set(IDS)


def test_a_fault_in_the_old_nodes_costs_only_them(monkeypatch, caplog):
    def fail():
        raise RuntimeError("core has changed")

    monkeypatch.setattr(migration, "legacy_nodes", fail)
    listed = asyncio.run(asyncio.run(pack_nodes.comfy_entrypoint()).get_node_list())
    assert {node.define_schema().node_id for node in node_list()} == {node.define_schema().node_id for node in listed}
    assert "nodes for old graphs are not available: core has changed" in caplog.text


# every id that the pack has registered, and those of its past that shared graphs still hold
PEER_IDS = """
LTXVApplySTG STGGuider STGGuiderNode STGGuiderAdvanced STGAdvancedPresets APGGuider GuiderParameters MultimodalGuider
LTXVBaseSampler LTXVExtendSampler LTXVInContextSampler LTXVNormalizingSampler LTXVLinearOverlapLatentTransition
LinearOverlapLatentTransition LTXVLoopingSampler MultiPromptProvider LTXVMultiPromptProvider LTXVTiledSampler
LTXVSelectLatents LTXVAddLatents LTXVSetVideoLatentNoiseMasks LTXVDilateLatent LTXVAddLatentGuide
LTXVImgToVideoConditionOnly LTXVSetAudioVideoMaskByTime LTXVAdainLatent LTXVStatNormLatent LTXVPerStepAdainPatcher
LTXVPerStepStatNormPatcher LTXVAddGuideAdvanced LTXVAddGuideAdvancedAttention LTXVImgToVideoAdvanced
LTXAddVideoICLoRAGuide LTXAddVideoICLoRAGuideAdvanced LTXICLoRALoaderModelOnly LTXVSetAudioRefTokens DynamicConditioning
LTXVPreprocessMasks LTXVDilateVideoMask LTXVInpaintPreprocess LTXVLaplacianPyramidBlend LTXVSparseTrackEditor
LTXVDrawTracks LTXVHDRDecodePostprocess LTXVTiledVAEDecode LTXVSpatioTemporalTiledVAEDecode LTXVPatcherVAE
LTXVGemmaCLIPModelLoader LTXVGemmaEnhancePrompt GemmaAPITextEncode LTXVSaveConditioning LTXVLoadConditioning
LTXVPromptEnhancerLoader LTXVPromptEnhancer LowVRAMCheckpointLoader LowVRAMAudioVAELoader
LowVRAMLatentUpscaleModelLoader LTXQ8Patch LTXVQ8LoraModelLoader LTXVAudioOnlyModel LTXVAudioOnlyEmptyVideoLatent
LTXFloatToInt ImageToCPU ModifyLTXModel LTXPerturbedAttention LTXAttnOverride LTXFetaEnhance AddLatentGuide
LTXForwardModelSamplingPred LTXReverseModelSamplingPred LTXRFForwardODESampler LTXRFReverseODESampler LTXAttentionBank
LTXPrepareAttnInjections LTXAttentioOverride LTXFlowEditCFGGuider LTXFlowEditSampler
LTXVLatentUpsamplerModelLoader LTXVFilmGrain LTXVLoader LTXVCLIPModelLoader LTXVModelConfigurator LTXVShiftSigmas
""".split()  # noqa: SIM905 - eight lines, not eighty
PEER_IDS += ["Set VAE Decoder Noise", "Add VAE Decoder Noise"]
REFUSED = ["GemmaAPITextEncode", "LTXVPromptEnhancerLoader", "LTXVPromptEnhancer"]


def table_of_the_page():
    """id -> how it migrates, as docs/migration-ltxvideo.md says; every id stands there once."""
    rows = [line.split("|") for line in (ROOT / "docs" / "migration-ltxvideo.md").read_text().splitlines()]
    listed = [(node_id, row[2].strip()) for row in rows if len(row) > 3 for node_id in row[1].strip().split(", ")]
    listed = [(node_id, how) for node_id, how in listed if node_id not in ("id", "---")]
    assert len(dict(listed)) == len(listed)
    return dict(listed)


def test_the_page_says_of_every_id_what_becomes_of_it():
    table = table_of_the_page()
    assert len(PEER_IDS) == 78 + 7
    assert set(table) == set(PEER_IDS)
    assert {node_id for node_id, how in table.items() if how in ("old id", "refused")} == set(IDS)
    assert {node_id for node_id, how in table.items() if how == "refused"} == set(REFUSED)
    assert set(table.values()) == {"old id", "refused", "by hand", "no"}


@pytest.mark.parametrize("node_id", REFUSED)
def test_a_node_that_cannot_work_here_opens_and_says_on_running_what_to_use(node_id):
    shim = next(shim for shim in old.SHIMS if shim.define_schema().node_id == node_id)
    assert "validate_inputs" not in vars(shim)  # it may stand on the branch of a switch that is not taken
    values = {entry.id: None for entry in shim.define_schema().inputs}
    with pytest.raises(ValueError, match=rf"^{node_id} .*, which Oner does not: (en|use )") as error:
        shim.execute(**values)
    named = set(re.findall(r"LTXAVTextEncoderLoader|Text Encoder Loader|Generate LTX2 Prompt", str(error.value)))
    assert named


# --- the old nodes ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = write_models(tmp_path_factory.mktemp("models"), ["ltxv-13b"])["ltxv-13b"]
    with torch.inference_mode():
        return comfy.sd.load_checkpoint_guess_config(str(path), output_vae=False, output_clip=False)[0]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def conds():
    options = {"attention_mask": torch.ones(1, 4, dtype=torch.int), "frame_rate": 24.0}
    return [[[draw(1, 4, 32, seed=seed), options]] for seed in (1, 2)]


def run(guider):
    samples = torch.zeros(1, 128, 2, 2, 2)
    sampler, sigmas = comfy.samplers.ksampler("euler"), torch.tensor([1.0, 0.99, 0.95, 0.7, 0.0])
    return guider.sample(draw(*samples.shape, seed=3), samples, sampler, sigmas, disable_pbar=True)


def test_old_presets_and_written_lists_give_the_same(model, conds):
    lists = {
        "sigmas": "1.0, 0.9933, 0.9850, 0.9767, 0.9008, 0.6180",
        "cfg_values": "1,6,8,6,1,1",
        "stg_scale_values": "0,4,4,4,2,1",
        "stg_rescale_values": "1,.5,.5,1,1,1",
        "stg_layers_indices": "[11,25,35,39],[22,35,39],[28],[28],[28],[28]",
    }
    preset = old_guidance.STGAdvancedPresets.execute("13b Dynamic").result[0]
    assert preset is PACK_PRESETS["13b Dynamic"]
    by_preset = old_guidance.STGGuiderAdvanced.execute(
        model, *conds, 0.5, False, **{**lists, "cfg_values": "1"}, preset=preset
    )
    by_lists = old_guidance.STGGuiderAdvanced.execute(model, *conds, 0.997, True, **lists)
    custom = old_guidance.STGAdvancedPresets.execute("Custom").result[0]
    by_custom = old_guidance.STGGuiderAdvanced.execute(model, *conds, 0.997, True, **lists, preset=custom)
    new = STGScheduleGuider.execute(
        model, *conds, *lists.values(), cfg_star_rescale=True, lookup="pack-compatible", skip_above=0.997
    )
    results = [run(node.result[0]) for node in (by_preset, by_lists, by_custom, new)]
    assert all(torch.equal(result, results[0]) for result in results)


def test_old_stg_takes_its_blocks_from_the_model(model, conds):
    marked = old_guidance.ApplySTG.execute(old_guidance.ApplySTG.execute(model, "14").result[0], "19").result[0]
    assert "skip_block_list" not in model.model_options["transformer_options"]
    for node in (old_guidance.OldSTGGuider, old_guidance.OldSTGGuiderNode):
        guider = node.execute(marked, *conds, 3.0, 1.0, 0.7).result[0]
        assert guider.schedule.perturbed_blocks() == {14, 19}
        assert torch.isfinite(run(guider)).all()
    with pytest.raises(ValueError, match="stg is 1 and no block is named: put LTXVApplySTG before it"):
        old_guidance.OldSTGGuider.execute(model, *conds, 3.0, 1.0, 0.7)


def test_apg_inside_stg_is_refused_with_the_way_out(model, conds):
    lists = ["1.0", "3", "1", "1", "[14]"]
    with pytest.raises(ValueError, match=r"apply_apg is on .* put ComfyUI's Adaptive Projected Guidance on the model"):
        old_guidance.STGGuiderAdvanced.execute(model, *conds, 0.998, True, *lists, apply_apg=True)


@pytest.mark.parametrize("cfg", [1.0, 2.0, 4.0])
def test_old_apg_adds_cfg_minus_one_times_the_projection(model, conds, cfg):
    def x0(guider):
        samples = torch.zeros(1, 128, 2, 2, 2)
        noise = draw(*samples.shape, seed=3)
        euler = comfy.samplers.ksampler("euler")
        return guider.sample(noise, samples, euler, torch.tensor([1.0, 0.0]), disable_pbar=True)

    def one_pass(cond):
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(cond, cond)
        return x0(guider)

    c, n = map(one_pass, conds)
    length = torch.linalg.vector_norm(c - n, dim=(2, 3, 4), keepdim=True)
    difference = (c - n) * (5.0 / length).clamp(max=1)
    unit = torch.nn.functional.normalize(c.flatten(2), dim=2).view_as(c)
    parallel = (difference * unit).sum((2, 3, 4), keepdim=True) * unit
    expected = c + (cfg - 1) * (difference - parallel + 0.3 * parallel)
    actual = x0(old_guidance.APGGuider.execute(model, *conds, cfg, 0.3, 5.0, -0.9).result[0])
    assert torch.allclose(actual, expected, atol=1e-4)


def test_old_latent_nodes_do_what_they_did():
    latent, other = {"samples": draw(1, 128, 5, 2, 2)}, {"samples": draw(1, 128, 2, 3, 3, seed=1) * 2 + 1}
    matched = old_latents.AdainLatent.execute(latent, other, 1.0).result[0]["samples"]
    assert torch.allclose(matched.mean((2, 3, 4)), other["samples"].mean((2, 3, 4)), atol=1e-5)
    normal = old_latents.StatNormLatent.execute(latent, 1.0, 2.0, 100.0, 1.0, False).result[0]["samples"]
    assert torch.allclose(normal.std((2, 3, 4)), torch.tensor(2.0), atol=1e-5)
    for start, end, kept in ((0, -1, [0, 1, 2, 3, 4]), (1, 2, [1, 2]), (-2, 9, [3, 4]), (-9, 0, [0])):
        chosen = old_latents.SelectLatents.execute(latent, start, end).result[0]["samples"]
        assert torch.equal(chosen, latent["samples"][:, :, kept])
        chosen.zero_()
    assert torch.equal(latent["samples"], draw(1, 128, 5, 2, 2))
    with pytest.raises(ValueError, match="start_index 3 lies behind end_index 1: swap them"):
        old_latents.SelectLatents.execute(latent, 3, 1)


def test_old_multimodal_guider_equals_ours(tmp_path):
    path = write_models(tmp_path, ["ltx-2.3"])["ltx-2.3"]
    ltx2 = comfy.sd.load_checkpoint_guess_config(str(path), output_vae=False, output_clip=False)[0]
    from comfy.nested_tensor import NestedTensor

    samples = NestedTensor([torch.zeros(1, 128, 2, 2, 2), torch.zeros(1, 8, 9, 16)])
    noise = NestedTensor([draw(1, 128, 2, 2, 2), draw(1, 8, 9, 16, seed=1)])
    conds = [[[draw(1, 4, 96, seed=seed), {"frame_rate": 24.0}]] for seed in (2, 3)]

    def sample(guider):
        sigmas = torch.tensor([1.0, 0.5, 0.0])
        return guider.sample(noise, samples, comfy.samplers.ksampler("euler"), sigmas, disable_pbar=True).tensors

    parameters = old_guidance.GuiderParameters.execute("VIDEO", 3.0, 1.0, True, 0.9, 3.0, 0, True).result[0]
    parameters = old_guidance.GuiderParameters.execute("AUDIO", 7.0, 1.0, False, 0.7, 1.0, 0, True, parameters).result[
        0
    ]
    ours = MultimodalGuider(
        ltx2, constant(Guidance(3.0, 1.0, (1,), 0.9, 3.0, 0)), constant(Guidance(7.0, 0.0, (1,), 0.7, 1.0, 0))
    )
    ours.set_conds(*conds)
    shim = old_guidance.OldMultimodalGuider.execute(ltx2, *conds, parameters, "1").result[0]
    for actual, expected in zip(sample(shim), sample(ours), strict=True):
        assert torch.equal(actual, expected)
    with pytest.raises(ValueError, match="skip_blocks is empty and stg is on"):
        old_guidance.OldMultimodalGuider.execute(ltx2, *conds, parameters, "")
    with pytest.raises(ValueError, match="cross_attn is off"):
        old_guidance.GuiderParameters.execute("VIDEO", 3.0, 1.0, True, 0.9, 3.0, 0, False)


def test_decode_noise_of_the_old_node_is_that_of_ours(tmp_path):
    path = write_models(tmp_path, ["ltxv-13b"])["ltxv-13b"]
    vae = comfy.sd.load_checkpoint_guess_config(str(path), output_model=False, output_clip=False)[2]
    latent = draw(1, 128, 2, 2, 2)
    expected = LTXVDecodeSettings.execute(vae, 0.06, 0.03, 7).result[0].decode(latent)
    actual = old_loaders.SetVAEDecoderNoise.execute(vae, timestep=0.06, scale=0.03, seed=7).result[0].decode(latent)
    assert torch.equal(actual, expected)
    assert not torch.equal(actual, vae.decode(latent))


def test_audio_only_switches_the_video_off_on_a_clone(model):
    alone = old_loaders.AudioOnlyModel.execute(model).result[0]
    options = alone.model_options["transformer_options"]
    assert [options[name] for name in ("run_vx", "a2v_cross_attn", "v2a_cross_attn")] == [False] * 3
    assert "run_vx" not in model.model_options["transformer_options"]
    assert old_loaders.AudioOnlyEmptyVideoLatent.execute().result[0]["samples"].shape == (1, 128, 1, 2, 2)


def test_a_gemma_file_without_a_folder_is_refused(tmp_path):
    encoders = ["text_encoders/gemma.safetensors", "text_encoders/gemma/model.safetensors"]
    for place in (*encoders, "checkpoints/ltx.safetensors"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
        folder = place.split("/")[0]
        folder_paths.add_model_folder_path(folder, str(tmp_path / folder))
    with pytest.raises(ValueError, match=r"gemma_path is gemma\.safetensors, a file without a folder of its own"):
        old_loaders.GemmaCLIPModelLoader.execute("gemma.safetensors", "ltx.safetensors", 1024)
    with pytest.raises(ValueError, match="max_length is 256; LTX-2 was trained with 1024"):
        old_loaders.GemmaCLIPModelLoader.execute("gemma/model.safetensors", "ltx.safetensors", 256)


def test_the_q8_patch_passes_the_model_and_says_so(model, caplog):
    assert old_loaders.Q8Patch.execute(model, use_fp8_attention=True, quantization_preset="0.9.8").result[0] is model
    assert "LTXQ8Patch: the model passes unchanged" in caplog.text
