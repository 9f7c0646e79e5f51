"""Tiny LTX checkpoints: LTX-2.3 and LTX-2.0 whole files, LTX-2.5 in its parts, LTX-Video 0.9.x whole files, upsamplers.

Sizes fit the tiny text encoders: Gemma 3 and 4 of width 32 with 2 layers (3 hidden states), T5 of width 32.
The VAEs keep the real geometry, 128 latent channels, 32x in space and 8x in time, 25 audio latents per second.
"""

from __future__ import annotations

import json
from inspect import signature

import torch

from .weights import random_state, random_tensor

TEXT_WIDTH = 32
HIDDEN_STATES = 3  # embedding and two layers

Checkpoint = tuple[dict[str, torch.Tensor], dict[str, str]]

_ROPE = {
    "positional_embedding_theta": 10000.0,
    "positional_embedding_max_pos": [20, 2048, 2048],
    "causal_temporal_positioning": True,
    "timestep_scale_multiplier": 1000,
}

LTX2_TRANSFORMER = {
    **_ROPE,
    "in_channels": 128,
    "audio_in_channels": 128,
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "audio_num_attention_heads": 2,
    "audio_attention_head_dim": 16,
    "cross_attention_dim": 64,
    "audio_cross_attention_dim": 32,
    "caption_channels": TEXT_WIDTH,
    "num_layers": 3,
    "audio_positional_embedding_max_pos": [20],
    "use_middle_indices_grid": True,
    "av_ca_timestep_scale_multiplier": 1000,
    "rope_type": "split",
    "frequencies_precision": "float64",
    "connector_num_attention_heads": 2,
    "connector_attention_head_dim": 16,
    "connector_num_layers": 1,
}

LTX23_TRANSFORMER = {
    **LTX2_TRANSFORMER,
    "apply_gated_attention": True,
    "cross_attention_adaln": True,
    "caption_proj_before_connector": True,
    "caption_projection_first_linear": False,
    "connector_attention_head_dim": 32,
    "audio_connector_num_attention_heads": 2,
    "audio_connector_attention_head_dim": 16,
    "connector_apply_gated_attention": True,
}

LTX25_TRANSFORMER = {
    **LTX23_TRANSFORMER,
    "ff_bias": False,
    "audio_ff_bias": True,
    "use_prompt_adaln_single": True,
    "use_keyframes_abs_pos_embedding": True,
}

LTXV_TRANSFORMER = {
    **_ROPE,
    "in_channels": 128,
    "out_channels": 128,
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "cross_attention_dim": 64,
    "caption_channels": TEXT_WIDTH,
    "num_layers": 3,
}

_VAE = {
    "_class_name": "CausalVideoAutoencoder",
    "dims": 3,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 128,
    "encoder_base_channels": 4,
    "decoder_base_channels": 4,
    "scaling_factor": 1.0,
    "norm_layer": "pixel_norm",
    "patch_size": 4,
    "latent_log_var": "uniform",
    "use_quant_conv": False,
    "causal_decoder": False,
}

# Since 0.9.5 blocks widen the network as they compress; LTX-2 keeps that and drops the timestep.
VAE = {
    **_VAE,
    "encoder_blocks": [
        ["res_x", {"num_layers": 1}],
        ["compress_space_res", {"multiplier": 2}],
        ["compress_time_res", {"multiplier": 2}],
        ["compress_all_res", {"multiplier": 2}],
        ["compress_all_res", {"multiplier": 2}],
        ["res_x", {"num_layers": 1}],
    ],
    "decoder_blocks": [
        ["res_x", {"num_layers": 1, "inject_noise": False}],
        ["compress_all", {"residual": True, "multiplier": 2}],
        ["compress_all", {"residual": True, "multiplier": 2}],
        ["compress_all", {"residual": True, "multiplier": 2}],
        ["res_x", {"num_layers": 1, "inject_noise": False}],
    ],
    "timestep_conditioning": False,
}

TIMESTEP_VAE = {**VAE, "timestep_conditioning": True}

# 0.9.0: one list of blocks for both directions.
FIRST_VAE = {
    **_VAE,
    "encoder_base_channels": 8,
    "decoder_base_channels": 8,
    "blocks": [
        ["res_x", 1],
        ["compress_all", 1],
        ["res_x_y", 1],
        ["compress_all", 1],
        ["res_x_y", 1],
        ["compress_all", 1],
        ["res_x", 1],
    ],
}

# LTX-2.5: the encoder as before, a decoder that predicts pixels from noise by attention to the nearest neighbours.
DIFFUSION_VAE = {
    "_class_name": "CausalDiffusionVAE",
    "dims": 3,
    "model_output_type": "x0",
    "encoder": {
        "dims": 3,
        "in_channels": 3,
        "out_channels": 128,
        "blocks": VAE["encoder_blocks"],
        "patch_size": 4,
        "latent_log_var": "constant",
        "norm_layer": "pixel_norm",
        "base_channels": 4,
        "spatial_padding_mode": "zeros",
    },
    "decoder": {
        "in_channels": 128,
        "out_channels": 3,
        "patch_size": 4,
        "head_dim": 16,
        "stage_channels": [128, 64, 32, 32, 16],
        "stage_depths": [1, 1, 1, 1, 1],
        "stage_kernels": [[3, 3, 3]] * 5,
        "upsamples": [[[1, 2, 2], 2], [[2, 1, 1], 2], [[2, 2, 2], 1], [[2, 2, 2], 2]],
        "stage5_kernel": [3, 3, 3],
        "t_emb_dim": 32,
        "timestep_scale_multiplier": 1000.0,
        "default_num_inference_steps": 1,
    },
}

_AUDIO_BLOCKS = {
    "double_z": True,
    "mel_bins": 64,
    "z_channels": 8,
    "resolution": 256,
    "downsample_time": False,
    "in_channels": 2,
    "out_ch": 2,
    "ch": 8,
    "ch_mult": [1, 2, 4],
    "num_res_blocks": 1,
    "attn_resolutions": [],
    "dropout": 0.0,
    "mid_block_add_attention": False,
    "norm_type": "pixel",
    "causality_axis": "height",
}

AUDIO_VAE = {
    "model": {"params": {"ddconfig": _AUDIO_BLOCKS, "sampling_rate": 16000}},
    "preprocessing": {"stft": {"filter_length": 1024, "hop_length": 160}},
}

_RESBLOCKS = {"resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3, 5]], "stereo": True}

# 2.0: HiFi-GAN, 160 mel samples at 16 kHz become 240 at 24 kHz.
VOCODER = {
    **_RESBLOCKS,
    "upsample_rates": [6, 5, 4, 2],
    "upsample_kernel_sizes": [16, 11, 8, 4],
    "upsample_initial_channel": 32,
    "resblock": "1",
}

_BIG_VGAN = {
    **_RESBLOCKS,
    "upsample_initial_channel": 32,
    "resblock": "AMP1",
    "activation": "snakebeta",
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
}

# 2.3: 16 kHz first, then bandwidth extension to 48 kHz.
VOCODER_BWE = {
    "vocoder": {**_BIG_VGAN, "upsample_rates": [5, 4, 4, 2], "upsample_kernel_sizes": [11, 8, 8, 4]},
    "bwe": {
        **_BIG_VGAN,
        "upsample_rates": [6, 5, 4, 2],
        "upsample_kernel_sizes": [12, 11, 8, 4],
        "input_sampling_rate": 16000,
        "output_sampling_rate": 48000,
        "hop_length": 80,
        "n_fft": 256,
        "num_mels": 64,
    },
}


def ltx23_checkpoint(seed: int | str = 0, layers: int = 3) -> Checkpoint:
    """LTX-2.3 in one file: transformer with connectors, both VAEs, 48 kHz vocoder, dual text projection."""
    transformer = {**LTX23_TRANSFORMER, "num_layers": layers}
    config = {"transformer": transformer, "vae": VAE, "audio_vae": AUDIO_VAE, "vocoder": VOCODER_BWE}
    state = _ltx2_state(config, seed) | _dual_projection(seed)
    return state, _metadata(config, model_version="2.3.0")


def ltx25_transformer(seed: int | str = 0, layers: int = 3) -> Checkpoint:
    """LTX-2.5's transformer with connectors, in a file of its own as released; the same on every ComfyUI."""
    from comfy.ldm.lightricks.av_model import LTXAVModel

    transformer = {**LTX25_TRANSFORMER, "num_layers": layers}
    state = _transformer(LTXAVModel, transformer, seed)
    # A ComfyUI that is too old for LTX-2.5 builds LTX-2.3's network from this configuration.
    state = {key: value for key, value in state.items() if not _is_bias_of_feed_forward(key)}
    marker = "model.diffusion_model.keyframes_abs_pos_embedding"
    width = transformer["num_attention_heads"] * transformer["attention_head_dim"]
    state[marker] = 5 * random_tensor(marker, (1, width), seed)  # else hardly seen among the tokens
    return state, _metadata({"transformer": transformer}, model_version="2.5.0")


def _is_bias_of_feed_forward(key: str) -> bool:
    return ".transformer_blocks." in key and ".ff." in key and key.endswith(".bias")


def ltx25_projection(seed: int | str = 0) -> Checkpoint:
    """The projection of LTX-2.5's text encoder file, which names its Gemma in its metadata."""
    from .text import GEMMA_4

    return _dual_projection(seed), {"gemma_config": json.dumps(GEMMA_4)}


def diffusion_vae(seed: int | str = 0) -> Checkpoint:
    """LTX-2.5's video VAE, whose decoder is a diffusion model."""
    from comfy.ldm.lightricks.vae.na_diffusion_decoder import CausalDiffusionVAE

    state = random_state(lambda: CausalDiffusionVAE(config=DIFFUSION_VAE), seed)
    return state, _metadata({"vae": DIFFUSION_VAE}, model_version="2.5.0")


def audio_vae(seed: int | str = 0) -> Checkpoint:
    """LTX-2.5's audio VAE with its 48 kHz vocoder."""
    config = {"audio_vae": AUDIO_VAE, "vocoder": VOCODER_BWE}
    return _audio_vae(config, seed), _metadata(config, model_version="2.5.0")


def _dual_projection(seed: int | str) -> dict[str, torch.Tensor]:
    """Of three hidden states to the widths of video and audio."""
    state = {}
    for name, width in (("video", 64), ("audio", 32)):
        key = f"text_embedding_projection.{name}_aggregate_embed"
        state[f"{key}.weight"] = random_tensor(f"{key}.weight", (width, TEXT_WIDTH * HIDDEN_STATES), seed)
        state[f"{key}.bias"] = random_tensor(f"{key}.bias", (width,), seed)
    return state


def ltx20_checkpoint(seed: int | str = 0, layers: int = 3) -> Checkpoint:
    """LTX-2.0 in one file: transformer with connectors, both VAEs, 24 kHz vocoder, single text projection."""
    transformer = {**LTX2_TRANSFORMER, "num_layers": layers}
    config = {"transformer": transformer, "vae": VAE, "audio_vae": AUDIO_VAE, "vocoder": VOCODER}
    state = _ltx2_state(config, seed)
    key = "text_embedding_projection.aggregate_embed.weight"
    state[key] = random_tensor(key, (TEXT_WIDTH, TEXT_WIDTH * HIDDEN_STATES), seed)
    return state, _metadata(config, model_version="2.0")


def ltxv_checkpoint(seed: int | str = 0, vae: dict = FIRST_VAE, blocks: int = 3) -> Checkpoint:
    """LTX-Video 0.9.x in one file: transformer and VAE; TIMESTEP_VAE makes it the later, timestep-conditioned kind.

    The 13B model has 48 blocks, the 2B model 28; guidance that names blocks needs as many.
    """
    from comfy.ldm.lightricks.model import LTXVModel

    transformer = {**LTXV_TRANSFORMER, "num_layers": blocks}
    config = {"transformer": transformer, "vae": vae}
    state = _transformer(LTXVModel, transformer, seed) | _video_vae(vae, seed)
    return state, _metadata(config)


def video_vae(config: dict, seed: int | str = 0) -> Checkpoint:
    """A video VAE alone, with the weights that it has in a whole file of the same seed."""
    state = {key.removeprefix("vae."): value for key, value in _video_vae(config, seed).items()}
    return state, _metadata({"vae": config})


def upsampler(
    seed: int | str = 0, spatial_scale: float = 2.0, rational_resampler: bool = False, temporal: bool = False
) -> Checkpoint:
    """A latent upsampler for [B,128,F,H,W]: x2 or x1.5 (rational) in height and width, or frames from F to 2F-1."""
    import comfy.ops
    from comfy.ldm.lightricks.latent_upsampler import LatentUpsampler

    config = {
        "_class_name": "LatentUpsampler",
        "in_channels": 128,
        "mid_channels": 32,  # GroupNorm has 32 groups
        "num_blocks_per_stage": 1,
        "dims": 3,
        "spatial_upsample": not temporal,
        "temporal_upsample": temporal,
        "spatial_scale": spatial_scale,
        "rational_resampler": rational_resampler,
    }
    # ComfyUI 0.27 and older take no operations here.
    operations = (
        [comfy.ops.disable_weight_init] if "operations" in signature(LatentUpsampler.from_config).parameters else []
    )
    state = random_state(lambda: LatentUpsampler.from_config(config, *operations), seed)
    return state, {"config": json.dumps(config)}


def _ltx2_state(config: dict, seed: int | str) -> dict[str, torch.Tensor]:
    from comfy.ldm.lightricks.av_model import LTXAVModel

    return (
        _transformer(LTXAVModel, config["transformer"], seed)
        | _video_vae(config["vae"], seed)
        | _audio_vae(config, seed)
    )


def _transformer(model_class: type[torch.nn.Module], config: dict, seed: int | str) -> dict[str, torch.Tensor]:
    import comfy.ops

    operations = comfy.ops.disable_weight_init
    prefix = "model.diffusion_model."
    return random_state(lambda: model_class(**config, dtype=torch.float32, operations=operations), seed, prefix)


def _video_vae(config: dict, seed: int | str) -> dict[str, torch.Tensor]:
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

    return random_state(lambda: VideoVAE(config=config), seed, "vae.")


def _audio_vae(config: dict, seed: int | str) -> dict[str, torch.Tensor]:
    """The keys `audio_vae.*` and `vocoder.*`; core calls the former `autoencoder.*`."""
    from comfy.ldm.lightricks.vae.audio_vae import AudioVAE

    state = random_state(lambda: AudioVAE({"config": config}), seed)
    state = {key.replace("autoencoder.", "audio_vae.", 1): value for key, value in state.items()}
    for key in state:
        if key.endswith("conv_post.weight"):  # at full gain the clamp behind it would hide every difference
            state[key] *= 0.02 if "bwe" in config["vocoder"] else 0.1
    if "bwe" in config["vocoder"]:
        state |= mel_bases(config["vocoder"]["bwe"])
    return state


def mel_bases(bwe: dict) -> dict[str, torch.Tensor]:
    """The constants that a bandwidth-extending vocoder stores: Hann-windowed Fourier basis and Slaney mel filters."""
    import torchaudio

    n_fft, mels, rate = bwe["n_fft"], bwe["num_mels"], bwe["input_sampling_rate"]
    bins = n_fft // 2 + 1
    fourier = torch.fft.fft(torch.eye(n_fft))[:bins] * torch.hann_window(n_fft)
    filters = torchaudio.functional.melscale_fbanks(bins, 0.0, rate / 2, mels, rate, norm="slaney", mel_scale="slaney")
    return {
        "vocoder.mel_stft.stft_fn.forward_basis": torch.cat([fourier.real, fourier.imag]).unsqueeze(1),
        "vocoder.mel_stft.mel_basis": filters.T.contiguous(),
    }


def _metadata(config: dict, **entries: str) -> dict[str, str]:
    return {"config": json.dumps(config), **entries}
