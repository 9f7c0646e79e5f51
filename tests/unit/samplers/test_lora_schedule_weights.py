"""Scheduled LoRAs on weights that cannot be merged into: quantised, packed, and loaded by core's dynamic patcher."""

import comfy.model_management
import comfy.samplers
import pytest
import torch

from harness import wan_quantised, wan_tiny
from oner.samplers.lora_schedule import KEY, ScheduledLora, add_scheduled_lora
from oner.wan.lora_files import read_patches

SHAPE = (1, 16, 3, 4, 4)
PROMPTS = wan_tiny.prompts()
STRENGTH = 0.8


def lora_file(model, seed=1, rank=4):
    """A LoRA on every matrix of the blocks, with bias and norm differences, and a whole difference of one matrix."""
    generator = torch.Generator().manual_seed(seed)
    file = {}
    for name, weight in model.model.diffusion_model.named_parameters():
        layer = f"diffusion_model.{name.removesuffix('.weight')}"
        if name == "blocks.1.ffn.2.weight":
            file[f"{layer}.diff"] = torch.randn(weight.shape, generator=generator) * 0.02
        elif wan_quantised.is_matrix(name, weight):
            file[f"{layer}.lora_down.weight"] = torch.randn(rank, weight.shape[1], generator=generator) * 0.1
            file[f"{layer}.lora_up.weight"] = torch.randn(weight.shape[0], rank, generator=generator) * 0.1
            file[f"{layer}.diff_b"] = torch.randn(weight.shape[0], generator=generator) * 0.05
        if name.endswith(("norm_q.weight", "norm3.weight")) and name.startswith("blocks."):
            file[f"{layer}.diff"] = torch.randn(weight.shape, generator=generator) * 0.05
    return file


FILE = lora_file(wan_tiny.load())


def schedule(model, multiplier=str(STRENGTH)):
    patches, report = read_patches(model, FILE)
    assert report.unmatched == report.mismatched == []
    return add_scheduled_lora(model, ScheduledLora("test", patches, multiplier))


def sample(model, cfg=3.0):
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(PROMPTS.positive, PROMPTS.negative)
    guider.set_cfg(cfg)
    return guider.sample(
        wan_tiny.noise(SHAPE),
        torch.zeros(SHAPE),
        comfy.samplers.ksampler("euler"),
        torch.tensor([1.0, 0.5, 0.0]),
        disable_pbar=True,
        seed=0,
    )


def load(kind):
    return wan_quantised.packed() if kind == "packed" else wan_quantised.quantised(kind)


def stored(model):
    """The bytes of the file form of every weight."""
    return {name: tensor.detach().clone() for name, tensor in model.model.diffusion_model.state_dict().items()}


@pytest.mark.parametrize("kind", [*wan_quantised.FORMATS, "packed"])
def test_each_layer_gets_the_exact_change_and_keeps_its_weights(kind):
    model = load(kind)
    before = stored(model)
    scheduled = schedule(model)
    plain, changed = sample(model), sample(scheduled)
    assert not torch.allclose(plain, changed, atol=1e-2)

    comfy.model_management.load_models_gpu([scheduled])
    key, _ = scheduled.get_attachment(KEY)
    now = scheduled.injections[key][0].inject.__self__.now
    x = wan_tiny.noise((1, 6, 48), seed=9)
    for name in ("self_attn.q", "ffn.0"):
        layer = model.get_model_object(f"diffusion_model.blocks.0.{name}")
        now.strengths = None
        base = layer(x)
        now.strengths = [STRENGTH]
        written = f"diffusion_model.blocks.0.{name}"
        down, up = (FILE[f"{written}.lora_{part}.weight"] for part in ("down", "up"))
        expected = STRENGTH * (x @ down.T @ up.T + FILE[f"{written}.diff_b"])
        torch.testing.assert_close(layer(x) - base, expected, rtol=1e-4, atol=1e-4)
    now.strengths = None
    comfy.model_management.unload_all_models()
    assert all(torch.equal(tensor, before[name]) for name, tensor in stored(model).items())


@pytest.mark.parametrize("kind", wan_quantised.FORMATS)
def test_strength_0_is_bit_equal_on_quantised_weights(kind):
    model = load(kind)
    assert torch.equal(sample(schedule(model, "0")), sample(model))


class NoBuffer:
    """In place of comfy-aimdo's pinned host memory, which needs a GPU."""

    size = 0

    def __init__(self, *sizes):
        pass

    def truncate(self, *args, **kwargs):
        pass


def forwards(model):
    return {name: module.__dict__.get("forward") for name, module in model.model.named_modules()}


def test_dynamic_patcher_gives_the_same_and_leaves_every_forward_as_it_was(monkeypatch):
    host_buffer = pytest.importorskip("comfy_aimdo.host_buffer", reason="this ComfyUI has no dynamic VRAM")
    monkeypatch.setattr(host_buffer, "HostBuffer", NoBuffer)
    device = torch.device("cpu", 0)
    dynamic = wan_quantised.DynamicOnCPU(wan_tiny.load().model, device, torch.device("cpu"))
    before, plain = forwards(dynamic), sample(wan_tiny.load())
    expected = sample(schedule(wan_tiny.load()))
    scheduled = schedule(dynamic)
    assert scheduled.is_dynamic()
    for _ in range(2):
        assert torch.equal(sample(scheduled), expected)
        assert torch.equal(sample(dynamic), plain)  # the same weights without the schedule, between two runs with it
        assert torch.equal(sample(schedule(scheduled, "0")), expected)
        comfy.model_management.free_memory(1e30, device)
        assert forwards(dynamic) == before
