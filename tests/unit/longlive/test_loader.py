import json

import comfy.sd
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.causal import wan_weights
from oner.longlive.loader import apply_lora, is_causal, load_patcher, load_reported, save_clean
from oner.longlive.patcher import check_model, check_vae
from oner.samplers.fingerprint import fingerprint

FP32 = {"dtype": torch.float32}


@pytest.fixture(scope="module")
def weights():
    return wan_weights()


def same(patcher, weights):
    state = patcher.model.diffusion_model.state_dict()
    return all(torch.equal(state[name], tensor) for name, tensor in weights.items())


def fsdp(name):
    return "model._fsdp_wrapped_module." + name.replace("blocks.0.", "blocks.0._fsdp_wrapped_module.")


@pytest.mark.parametrize("prefix", ["model.", "", "model.diffusion_model.", "_orig_mod.model."])
@pytest.mark.parametrize("wrapper", ["generator", "generator_ema", "model", "state_dict"])
def test_training_checkpoints_are_unwrapped(prefix, wrapper, weights, tmp_path):
    torch.save({wrapper: {prefix + name: t for name, t in weights.items()}, "step": 7}, tmp_path / "a.pt")
    patcher, report = load_reported(tmp_path / "a.pt", model_options=FP32)
    assert same(patcher, weights)
    assert is_causal(patcher)
    assert f"{len(weights)}/{len(weights)} tensors" in report


def test_the_part_of_a_checkpoint_can_be_chosen(weights, tmp_path):
    other = {fsdp(name): t + 1 for name, t in weights.items()}
    torch.save(
        {"generator": {"model." + name: t for name, t in weights.items()}, "generator_ema": other}, tmp_path / "a.pt"
    )
    assert same(load_patcher(tmp_path / "a.pt", model_options=FP32), weights)
    assert same(load_patcher(tmp_path / "a.pt", "generator_ema", FP32), {name: t + 1 for name, t in weights.items()})
    with pytest.raises(ValueError, match='no "state_dict"; it holds: generator, generator_ema'):
        load_patcher(tmp_path / "a.pt", "state_dict")


def test_missing_and_unexpected_keys_are_named(weights, tmp_path):
    broken = {name: t for name, t in weights.items() if name != "blocks.1.ffn.0.weight"} | {"extra": torch.zeros(1)}
    save_file(broken, str(tmp_path / "a.safetensors"))
    with pytest.raises(ValueError, match=r"1 keys are missing \(blocks.1.ffn.0.weight\) and 1 unexpected \(extra\)"):
        load_patcher(tmp_path / "a.safetensors")


def test_other_models_are_refused(weights, tmp_path):
    save_file({"conv.weight": torch.zeros(1)}, str(tmp_path / "other.safetensors"))
    with pytest.raises(ValueError, match="not a Wan model"):
        load_patcher(tmp_path / "other.safetensors")
    image = {**weights, "patch_embedding.weight": torch.zeros(128, 36, 1, 2, 2)}
    save_file(image, str(tmp_path / "i2v.safetensors"))
    with pytest.raises(ValueError, match="36 input channels"):
        load_patcher(tmp_path / "i2v.safetensors")


def test_48_channels_are_causal_too(tmp_path):
    save_file(wan_weights(channels=48), str(tmp_path / "5b.safetensors"))
    patcher = load_patcher(tmp_path / "5b.safetensors", model_options=FP32)
    assert is_causal(patcher)
    assert is_causal(patcher.clone())
    assert patcher.model.latent_format.latent_channels == 48


def test_a_model_can_be_loaded_anew_for_hooks_and_more_devices(model_file):
    patcher = load_patcher(model_file, model_options=FP32)
    factory, arguments = patcher.cached_patcher_init
    again = factory(*arguments, disable_dynamic=True)
    assert is_causal(again)
    assert same(again, load_file(str(model_file)))


def test_a_model_keeps_its_name_when_comfyui_casts_weights_that_are_loaded(model_file):
    patcher = load_patcher(model_file, model_options=FP32)
    patcher.model.manual_cast_dtype = torch.float16  # what it computes in
    before, block = fingerprint(patcher), patcher.model.diffusion_model.blocks[0]
    with torch.inference_mode():
        block.modulation = torch.nn.Parameter(block.modulation.half(), requires_grad=False)
        assert fingerprint(patcher) == before
        block.modulation = torch.nn.Parameter(block.modulation + 1, requires_grad=False)
        assert fingerprint(patcher) != before


def test_a_clean_file_is_causal_for_core(weights, tmp_path):
    torch.save({"generator": {"model." + name: t for name, t in weights.items()}}, tmp_path / "a.pt")
    assert save_clean(tmp_path / "a.pt", tmp_path / "a.safetensors") == len(weights)
    patcher = comfy.sd.load_diffusion_model(str(tmp_path / "a.safetensors"), FP32)
    assert type(patcher.model.diffusion_model).__name__ == "CausalWanModel"
    assert is_causal(patcher)
    assert same(patcher, weights)


def lora(names):
    parts = {}
    for name in names:
        parts[f"base_model.model.{name}.lora_A.weight"] = torch.ones(2, 128)
        parts[f"base_model.model.{name}.lora_B.weight"] = torch.ones(128, 2)
    return parts


@pytest.mark.parametrize("wrapped", [True, False])
def test_peft_loras_are_matched_and_counted(wrapped, patcher, tmp_path):
    parts = lora(["blocks.0.self_attn.q", "blocks.1.cross_attn.o", "blocks.9.self_attn.q"])
    content = {"generator_lora": parts, "critic_lora": {"x": torch.ones(1)}} if wrapped else parts
    torch.save(content, tmp_path / "lora.pt")
    model, report = apply_lora(patcher, tmp_path / "lora.pt", 0.5)
    assert "2/3 targets at strength 0.5" in report
    assert len(model.patches) == 2
    assert not patcher.patches


def test_a_lora_that_fits_nothing_is_an_error(patcher, tmp_path):
    save_file({"unet.down.lora_A.weight": torch.ones(2, 2)}, str(tmp_path / "lora.safetensors"))
    with pytest.raises(ValueError, match=r"none of the 1 keys of lora\.safetensors fits"):
        apply_lora(patcher, tmp_path / "lora.safetensors", 1.0)


def test_a_model_that_is_not_causal_is_refused(weights):
    plain = comfy.sd.load_diffusion_model_state_dict(
        dict(weights), FP32, metadata={"config": json.dumps({"transformer": {"text_dim": 16}})}
    )
    with pytest.raises(ValueError, match="not causal: load LongLive"):
        check_model(plain)


def test_patches_without_effect_are_refused_by_name(patcher):
    from comfy.patcher_extension import WrappersMP

    model = patcher.clone()
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "easycache", lambda *_: None)
    with pytest.raises(ValueError, match="wrapper easycache, which has no effect"):
        check_model(model)
    model = patcher.clone()
    model.set_model_patch_replace(lambda *_: None, "dit", "double_block", 0)
    with pytest.raises(ValueError, match="block replacement dit"):
        check_model(model)
    model = patcher.clone()
    model.add_object_patch("model_sampling", object())
    with pytest.raises(ValueError, match="set the shift in LongLive Settings"):
        check_model(model)
    model = patcher.clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = lambda *_: None
    check_model(model)


def test_the_wrong_vae_is_refused(vae, tmp_path):
    save_file(wan_weights(channels=48), str(tmp_path / "5b.safetensors"))
    with pytest.raises(ValueError, match="the VAE has 16 latent channels, the model 48"):
        check_vae(vae, load_patcher(tmp_path / "5b.safetensors", model_options=FP32))
