"""A LoRA finds the same layers whatever its keys look like; what does not fit is counted, listed or refused."""

import logging

import comfy.sd
import pytest
import torch
from safetensors.torch import save_file

from oner.samplers.lora_files import add_lora, read_lora, read_patches
from tiny import loras, ltx

PREFIX = "diffusion_model."


@pytest.fixture(scope="module")
def model():
    with torch.inference_mode():
        state, metadata = ltx.ltx23_checkpoint()
        state = {key: value for key, value in state.items() if key.startswith("model.diffusion_model.")}
        return comfy.sd.load_diffusion_model_state_dict(state, {"dtype": torch.float32}, metadata=metadata)


@pytest.fixture(scope="module")
def lora():
    return loras.ltx2_lora()[0]


def weights(model, names):
    return {name: model.patch_weight_to_device(name, return_weight=True) for name in names}


def dotted(prefix):
    return lambda key: prefix + key.removeprefix(PREFIX)


def underscored(prefix):
    def write(key):
        layer, part = key.removeprefix(PREFIX).rsplit(".lora_", 1)
        return f"{prefix}{layer.replace('.', '_')}.lora_{ {'A': 'down', 'B': 'up'}[part[0]] }.weight"

    return write


STYLES = {
    **{
        prefix or "no prefix": dotted(prefix)
        for prefix in (
            "",
            PREFIX,
            "transformer.",
            "base_model.model.",
            "model.diffusion_model.",
            "base_model.model.transformer.",
            "base_model.model.model.diffusion_model.",
        )
    },
    **{prefix: underscored(prefix) for prefix in ("lora_unet_", "lora_unet__", "lora_transformer_")},
    "PEFT with adapter names": lambda key: dotted("base_model.model.")(key).replace(".weight", ".default.weight"),
    "diffusers' old suffix": lambda key: (
        dotted("transformer.")(key).replace(".lora_A.", ".lora.down.").replace(".lora_B.", ".lora.up.")
    ),
}


@pytest.mark.parametrize("style", STYLES)
def test_every_prefix_gives_the_very_weights_of_comfyuis_own_loader(model, lora, style):
    core, _ = comfy.sd.load_lora_for_models(model, None, dict(lora), 0.7, 0)
    renamed = {STYLES[style](key): tensor for key, tensor in lora.items()}
    ours, report = add_lora(model, renamed, 0.7)
    assert core.patches.keys() == ours.patches.keys()
    assert len(ours.patches) == len(lora) // 2 == len(report.layers)
    assert report.rest() == []
    assert report.ranks == {loras.RANK}
    names = list(ours.patches)[::9]
    for name, weight in weights(core, names).items():
        assert torch.equal(weight, weights(ours, [name])[name]), name
        assert not torch.equal(weight, model.model_state_dict()[name]), name


def test_what_finds_no_layer_is_listed_and_logged(model, lora, caplog):
    odd = {f"{PREFIX}blocks.{i}.self_attn.q.lora_A.weight": torch.ones(4, 64) for i in range(10)}
    with caplog.at_level(logging.WARNING, logger="oner"):
        _, report = add_lora(model, lora | odd, 1.0, name="mixed.safetensors")
    assert len(report.layers) == len(lora) // 2
    assert report.unmatched == list(odd)
    assert "10 keys without a layer in this model: diffusion_model.blocks.0.self_attn.q" in caplog.text
    assert "and 2 more" in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda key, t: (f"unet.{key[::-1]}", t), "none of the 204 keys of odd fits this model"),
        (lambda key, t: (key, t if "lora_B" in key else torch.cat([t, t], 1)), "102 layers of odd have other sizes"),
        (lambda key, t: (key, t if "lora_A" in key else torch.cat([t, t], 1)), "102 layers of odd have other sizes"),
        (lambda key, t: (key, t.flatten()), "102 layers of odd have other sizes than this model's, 0 fit"),
        (lambda key, t: (key.replace("lora_B", "lora_A"), t), "none of the 102 keys of odd fits"),
    ],
)
def test_a_lora_of_which_nothing_fits_is_refused(model, lora, change, sentence):
    odd = dict(change(key, tensor) for key, tensor in lora.items())
    with pytest.raises(ValueError, match=sentence):
        read_patches(model, odd, name="odd")


def test_other_sizes_are_named_with_both_shapes(model, lora):
    layer = "transformer_blocks.0.attn1.to_q"
    odd = {f"{PREFIX}{layer}.lora_A.weight": torch.ones(4, 99), f"{PREFIX}{layer}.lora_B.weight": torch.ones(64, 4)}
    with pytest.raises(ValueError, match=rf"{layer} \(file 64x99, model 64x64\)"):
        read_patches(model, odd)
    patches, report = read_patches(model, lora | odd)
    assert report.sizes == [f"{layer} (file 64x99, model 64x64)"]
    assert len(patches) == len(lora) // 2 - 1


def test_half_of_a_pair_is_left_out(model, lora):
    layer = f"{PREFIX}transformer_blocks.0.attn1.to_q"
    rest = {key: tensor for key, tensor in lora.items() if key != f"{layer}.lora_A.weight"}
    patches, report = read_patches(model, rest)
    assert len(patches) == len(lora) // 2 - 1
    assert report.unmatched == ["transformer_blocks.0.attn1.to_q (only one of the two matrices)"]


def factors(kind, out=64, inner=64):
    """A layer of 64x64 as LoHa, or as LoKr with a second factor in two."""
    shapes = {
        "hada": {"w1_a": (out, 4), "w1_b": (4, inner), "w2_a": (out, 2), "w2_b": (2, inner)},
        "lokr": {"w1": (8, 8), "w2_a": (out // 8, 2), "w2_b": (2, inner // 8)},
    }[kind]
    generator = torch.Generator().manual_seed(0)
    return {f"{kind}_{name}": torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("kind", ["hada", "lokr"])
def test_products_need_the_shape_of_their_weight(model, lora, kind):
    layer = f"{PREFIX}transformer_blocks.0.attn2.to_q"
    others = {key: tensor for key, tensor in lora.items() if not key.startswith(f"{layer}.")}

    def read(given):
        patches, report = read_patches(model, others | {f"{layer}.{name}": tensor for name, tensor in given.items()})
        return f"{layer}.weight" in patches, report

    assert read(factors(kind))[0]
    taken, report = read(factors(kind, inner=48))
    assert not taken
    assert len(report.sizes) == 1
    assert report.sizes[0].startswith("transformer_blocks.0.attn2.to_q (file ")
    assert report.sizes[0].endswith(", model 64x64)")
    half = {name: tensor for name, tensor in factors(kind).items() if not name.endswith("w2_b")}
    taken, report = read(half)
    assert not taken
    assert f"transformer_blocks.0.attn2.to_q (without {kind}_w2_b)" in report.unmatched


def test_differences_need_the_shape_of_their_weight(model, lora):
    name = f"{PREFIX}transformer_blocks.0.attn1.to_q"
    bias = model.model_state_dict()[f"{name}.bias"]
    odd = {f"{name}.diff": torch.ones(3, 3), f"{name}.diff_b": torch.ones_like(bias)}
    patches, report = read_patches(model, lora | odd)
    assert report.sizes == ["transformer_blocks.0.attn1.to_q (file 3x3, model 64x64)"]
    assert f"{name}.bias" in patches


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("end", ["safetensors", "pt"])
def test_tensors_that_are_no_numbers_are_named_once(lora, tmp_path, value, end):
    odd = {key: tensor.clone() for key, tensor in lora.items()}
    first, *_, last = sorted(odd)
    odd[first].view(-1)[-1] = odd[last].view(-1)[-1] = value
    path = tmp_path / f"odd.{end}"
    torch.save(odd, path) if end == "pt" else save_file(odd, path)
    with pytest.raises(ValueError, match=rf"odd\.{end}: 2 tensors hold NaN or infinite values \(first: {first}\)"):
        read_lora(path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: {"state_dict": x},
        lambda x: {"lora": x},
        lambda x: {"generator_lora": x, "critic_lora": {}, "step": 3},
    ],
)
def test_pickles_are_unwrapped(lora, tmp_path, wrap):
    torch.save(wrap(lora), tmp_path / "a.pt")
    assert read_lora(tmp_path / "a.pt")[0].keys() == lora.keys()
