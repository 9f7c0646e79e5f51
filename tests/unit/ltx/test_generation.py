"""Which LTX a file holds, from its header; other models are refused, LTX-2.5 by a ComfyUI that lacks its parts."""

import pytest

from harness.pack import core_is_at_least
from oner.ltx import generation
from oner.ltx.generation import (
    LTX_2,
    LTX_2_3,
    LTX_2_5,
    LTX_VIDEO,
    detect_generation,
    has_part,
    is_ltx_2_5,
    need_core_for_2_5,
)
from oner.utils.core import offers
from oner.utils.files import read_header
from tiny import write_models

VIDEO = ["adaln_single.linear.weight", "transformer_blocks.0.ff.net.2.weight", "transformer_blocks.0.ff.net.2.bias"]
AUDIO_VIDEO = [*VIDEO, "audio_adaln_single.linear.weight"]


def prefixed(keys):
    return [f"model.diffusion_model.{key}" for key in keys]


@pytest.mark.parametrize("form", [list, prefixed])
def test_generations_are_told_apart_by_their_keys(form):
    assert detect_generation(form(VIDEO), {}) == LTX_VIDEO
    assert detect_generation(form(AUDIO_VIDEO), {}) == LTX_2
    assert detect_generation(form([*AUDIO_VIDEO, "prompt_adaln_single.linear.weight"]), {}) == LTX_2_3


@pytest.mark.parametrize(
    ("keys", "metadata"),
    [
        (AUDIO_VIDEO, {"model_version": "2.5-22b"}),
        (AUDIO_VIDEO, {"model_version": "2.4.0"}),
        ([key for key in AUDIO_VIDEO if not key.endswith("net.2.bias")], {}),
        ([*AUDIO_VIDEO, "keyframes_abs_pos_embedding"], {}),
        ([*AUDIO_VIDEO, "duration_head.linear.weight"], {}),
    ],
)
def test_ltx_2_5_is_recognised_by_each_of_its_marks(keys, metadata):
    assert detect_generation(prefixed(keys), metadata) == LTX_2_5


@pytest.mark.parametrize("version", ["", "2.3.0", "2.0", "0.9.8", "dev", "2.x", "1.9"])
def test_other_versions_are_not_ltx_2_5(version):
    assert not is_ltx_2_5(version)


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="not an LTX model"):
        detect_generation(["head.modulation", "blocks.0.self_attn.q.weight"], {})


def test_real_files_are_recognised_by_their_header(tmp_path):
    paths = write_models(tmp_path, ["ltx-2.3", "ltx-2.0", "ltxv-0.9", "ltx-2.5"])
    found = {name: detect_generation(*read_header(path)) for name, path in paths.items()}
    assert found == {"ltx-2.3": LTX_2_3, "ltx-2.0": LTX_2, "ltxv-0.9": LTX_VIDEO, "ltx-2.5": LTX_2_5}
    keys, _ = read_header(paths["ltx-2.3"])
    assert has_part(keys, "vae.")
    assert has_part(keys, "audio_vae.")
    assert not has_part(keys, "clip.")


def test_a_comfyui_before_0_33_is_told_to_be_updated_for_ltx_2_5():
    if core_is_at_least("0.33.0"):
        need_core_for_2_5("a.safetensors")
        return
    parts = "feed-forward layers without bias, keyframe embedding, diffusion video VAE, Gemma 4 for LTX"
    sentence = rf"a\.safetensors is for LTX-2\.5, .* lacks what it needs: {parts}\. Update ComfyUI to 0\.33\.0 or newer"
    with pytest.raises(ValueError, match=sentence):
        need_core_for_2_5("a.safetensors")


def test_the_parts_that_a_comfyui_lacks_are_named_alone(monkeypatch):
    parts = {"what is there": ("comfy.sd", "VAE.decode"), "what is not": ("comfy.sd", "VAE.dream")}
    monkeypatch.setattr(generation, "LTX_2_5_PARTS", parts)
    with pytest.raises(ValueError, match=r"lacks what it needs: what is not\. Update"):
        need_core_for_2_5("a.safetensors")


def test_what_core_offers_is_asked_for_by_module_name_and_parameter():
    assert offers("comfy.sd", "VAE.decode_tiled", "tile_x")
    assert not offers("comfy.sd", "VAE.decode_tiled", "tile_w")
    assert not offers("comfy.sd", "VAE.encode_slowly")
    assert not offers("comfy.no_such_module", "VAE")
