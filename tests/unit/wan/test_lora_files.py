"""LoRA files in every key style end up on the same layers with the same numbers."""

import pytest
import torch

from harness import wan_tiny
from oner.wan.lora_files import load_any_lora

LAYERS = ("blocks.0.self_attn.q", "blocks.1.ffn.0")
PAIR = {
    layer: (torch.randn(rows, 4, generator=torch.Generator().manual_seed(rows)), torch.randn(4, 48))
    for layer, rows in zip(LAYERS, (48, 96), strict=True)
}
STYLES = {
    "lora_unet__{}.lora_up.weight|lora_unet__{}.lora_down.weight": "_",
    "lora_unet_{}.lora_up.weight|lora_unet_{}.lora_down.weight": "_",
    "diffusion_model.{}.lora_B.weight|diffusion_model.{}.lora_A.weight": ".",
    "diffusion_model.{}.lora_B.default.weight|diffusion_model.{}.lora_A.default.weight": ".",
    "{}.lora_B.weight|{}.lora_A.weight": ".",
    "base_model.model.{}.lora_B.default.weight|base_model.model.{}.lora_A.default.weight": ".",
    "transformer.{}.lora.up.weight|transformer.{}.lora.down.weight": ".",
}


def file_in(style, alpha=None):
    up_name, down_name = style.split("|")
    file = {}
    for layer, (up, down) in PAIR.items():
        name = layer.replace(".", STYLES[style])
        file |= {up_name.format(name): up, down_name.format(name): down}
        if alpha is not None:
            file[up_name.format(name).split(".lora")[0] + ".alpha"] = torch.tensor(float(alpha))
    return file


def delta(model, layer):
    key = f"diffusion_model.{layer}.weight"
    return model.patch_weight_to_device(key, return_weight=True) - model.model_state_dict()[key]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (2, 0.5)])
def test_key_style(style, alpha, scale):
    model, report = load_any_lora(wan_tiny.load(), file_in(style, alpha), 0.8)
    assert report.layers == sorted(LAYERS)
    assert report.unmatched == []
    assert report.scales == {scale}
    for layer, (up, down) in PAIR.items():
        torch.testing.assert_close(delta(model, layer), 0.8 * scale * up @ down, rtol=1e-4, atol=1e-4)


def test_diffusers_names_are_understood():
    up, down = PAIR["blocks.0.self_attn.q"]
    file = {"transformer.blocks.0.attn1.to_q.lora_B.weight": up, "transformer.blocks.0.attn1.to_q.lora_A.weight": down}
    assert load_any_lora(wan_tiny.load(), file, 1.0)[1].layers == ["blocks.0.self_attn.q"]


def test_scale_of_files_without_alpha_may_be_set():
    style = "{}.lora_B.weight|{}.lora_A.weight"
    model, report = load_any_lora(wan_tiny.load(), file_in(style), 1.0, scale_without_alpha=0.5)
    up, down = PAIR[LAYERS[0]]
    torch.testing.assert_close(delta(model, LAYERS[0]), 0.5 * up @ down, rtol=1e-4, atol=1e-4)
    with_alpha = load_any_lora(wan_tiny.load(), file_in(style, 4), 1.0, scale_without_alpha=0.5)[1]
    assert report.scales == {0.5}
    assert with_alpha.scales == {1.0}


def test_report_names_what_did_not_fit():
    file = file_in("{}.lora_B.weight|{}.lora_A.weight")
    file |= {
        "blocks.0.cross_attn.k_img.lora_A.weight": torch.zeros(4, 48),
        "blocks.0.self_attn.k.lora_A.weight": torch.zeros(4, 99),
        "blocks.0.self_attn.k.lora_B.weight": torch.zeros(48, 4),
    }
    _, report = load_any_lora(wan_tiny.load(), file, 1.0)
    assert report.unmatched == ["blocks.0.cross_attn.k_img.lora_A.weight"]
    assert report.mismatched == ["blocks.0.self_attn.k"]
    assert "2 layers, rank 4" in report.text()
    assert "k_img" in report.text()


def test_a_lora_of_another_model_is_refused():
    with pytest.raises(ValueError, match="none of the 1 keys"):
        load_any_lora(wan_tiny.load(), {"double_blocks.0.img_attn.qkv.lora_A.weight": torch.zeros(4, 48)}, 1.0)
