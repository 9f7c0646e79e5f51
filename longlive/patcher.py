"""What a rollout takes from a ComfyUI MODEL and VAE, and what it refuses because it would have no effect.

A rollout runs the transformer's blocks itself; of what can be patched onto a model it honours weights (LoRA, fp8,
offload), transformer_options with the choice of attention, and nothing that replaces blocks or wraps core's sampler.
"""

from __future__ import annotations

import torch

from ..utils.core import need
from .decode import can_stream, history_elements
from .loader import is_causal
from .network import CausalNetwork

model_management = need("comfy.model_management", "load_models_gpu", "module_size", "get_torch_device")
WrappersMP = need("comfy.patcher_extension", "WrappersMP").WrappersMP

WRAPPED = ("OUTER_SAMPLE", "SAMPLER_SAMPLE", "PREDICT_NOISE", "CALC_COND_BATCH", "APPLY_MODEL", "DIFFUSION_MODEL")
OPTIONS = (
    "model_function_wrapper",
    "sampler_cfg_function",
    "sampler_post_cfg_function",
    "sampler_pre_cfg_function",
    "context_handler",
    "sampler_calc_cond_batch_function",
    "denoise_mask_function",
)


def check_model(model) -> None:
    """Raise ValueError if a model is not causal or carries patches that a rollout would pass over."""
    if not is_causal(model):
        raise ValueError(
            "the model is not causal: load LongLive, Self-Forcing or Causal-Forcing with LongLive Model Loader"
        )
    found = [name for name in OPTIONS if model.model_options.get(name)]
    options = model.model_options.get("transformer_options", {})
    found += [f"block replacement {key}" for key, value in options.get("patches_replace", {}).items() if value]
    found += [name for name, value in options.get("patches", {}).items() if value]
    for kind in WRAPPED:
        by_key = {**model.wrappers.get(getattr(WrappersMP, kind), {}), **options.get("wrappers", {}).get(kind, {})}
        found += [f"wrapper {key or kind}" for key, wrappers in by_key.items() if wrappers]
    if "model_sampling" in model.object_patches:
        found.append("model_sampling (set the shift in LongLive Settings instead)")
    if found:
        raise ValueError(f"the model carries {', '.join(found)}, which has no effect in a rollout: remove it")


def check_vae(vae, model) -> None:
    """Raise ValueError if a VAE is not the model's or cannot decode a stream."""
    channels = model.model.latent_format.latent_channels
    if vae.latent_channels != channels:
        names = {16: "the Wan 2.1 VAE", 48: "the Wan 2.2 VAE"}
        raise ValueError(
            f"the VAE has {vae.latent_channels} latent channels, the model {channels}: load {names[channels]}"
        )
    if not can_stream(vae.first_stage_model):
        raise ValueError(
            f"a {type(vae.first_stage_model).__name__} cannot decode a stream: use the full Wan VAE, or none and "
            "decode after"
        )


def work_bytes(model, vae, block_shape: tuple[int, int, int, int, int], frames: int) -> int:
    """Core's estimate of a forward of up to `frames` latent frames and of the decoding that goes on beside it."""
    batch, channels, _, height, width = block_shape
    work = model.model.memory_required([batch, channels, frames, height, width])
    if vae is not None:
        work += vae.memory_used_decode((1, channels, 2, height, width), vae.vae_dtype) * batch
    return int(work)


def history_bytes(vae, batch: int, height: int, width: int) -> int:
    """What decoding carries from block to block, for latents of this size; 0 without a VAE."""
    if vae is None:
        return 0
    return history_elements(vae.first_stage_model) * batch * height * width * vae.vae_dtype.itemsize


def load(model, vae, device_bytes: int, block_shape: tuple[int, int, int, int, int], frames: int) -> None:
    """Have core load model and VAE with room for `device_bytes` and for forwards of up to `frames` latent frames."""
    patchers = [model] if vae is None else [model, vae.patcher]
    work = work_bytes(model, vae, block_shape, frames)
    model_management.load_models_gpu(patchers, memory_required=work + device_bytes)


def network_of(model, *, compiled: bool = False, cuda_graphs: bool = False) -> CausalNetwork:
    """The loaded transformer with the model's own options, in a copy that a rollout may write to."""
    dtype = model.model.get_dtype_inference()
    options = dict(model.model_options.get("transformer_options", {}))
    backend = "inductor" if compiled else None
    return CausalNetwork(model.model.diffusion_model, dtype, options, backend, cuda_graphs)


def spatial(model) -> int:
    """Pixels to a latent along height and width."""
    return model.model.latent_format.spacial_downscale_ratio


def device_of(model) -> torch.device:
    return model.load_device
