"""Which LTX a file holds, from its header; LTX-2.5 and other models are refused."""

import pytest

from oner.ltx.generation import LTX_2, LTX_2_3, LTX_VIDEO, detect_generation, has_part, read_header
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
        (AUDIO_VIDEO, {"model_version": "2.5.0"}),
        ([key for key in AUDIO_VIDEO if not key.endswith("net.2.bias")], {}),
        ([*AUDIO_VIDEO, "keyframes_abs_pos_embedding"], {}),
        ([*AUDIO_VIDEO, "duration_head.linear.weight"], {}),
    ],
)
def test_ltx_2_5_is_refused_with_the_reason(keys, metadata):
    with pytest.raises(ValueError, match=r"LTX-2.5 model, whose text encoder.*use an LTX-2 or LTX-2.3 file"):
        detect_generation(prefixed(keys), metadata)


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="not an LTX model"):
        detect_generation(["head.modulation", "blocks.0.self_attn.q.weight"], {})


def test_real_files_are_recognised_by_their_header(tmp_path):
    paths = write_models(tmp_path, ["ltx-2.3", "ltx-2.0", "ltxv-0.9"])
    found = {name: detect_generation(*read_header(path)) for name, path in paths.items()}
    assert found == {"ltx-2.3": LTX_2_3, "ltx-2.0": LTX_2, "ltxv-0.9": LTX_VIDEO}
    keys, _ = read_header(paths["ltx-2.3"])
    assert has_part(keys, "vae.")
    assert has_part(keys, "audio_vae.")
    assert not has_part(keys, "clip.")
