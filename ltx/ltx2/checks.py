"""What LTX-2 nodes refuse before any work, in words that name the number and the remedy."""

from __future__ import annotations

from ...samplers.fitting import input_width, need_fitting_prompts
from ...utils.core import need
from ..checks import need_no_appended_frames
from ..latents import AUDIO_LATENTS_PER_SECOND, SPATIAL, TEMPORAL
from .state import State

_extension = need("comfy.patcher_extension", "WrappersMP.DIFFUSION_MODEL")


def need_audio_video_model(model) -> None:
    """Raise ValueError unless the ModelPatcher holds an LTX-2 model."""
    network = model.model.diffusion_model
    if not hasattr(network, "audio_patchify_proj"):
        raise ValueError(
            f"model is {type(model.model).__name__}; this node needs an LTX-2, LTX-2.3 or LTX-2.5 model. For LTX-Video "
            "0.9.x use its own guider"
        )


def need_prompts(model, **prompts: list) -> None:
    """Raise ValueError unless CONDITIONINGs are as wide as what the model's text connectors read.

    The projection of another generation gives another width, and core finds out in the first step alone.
    """
    network = model.model.diffusion_model
    if network.caption_proj_before_connector:
        widths = {network.cross_attention_dim + network.audio_cross_attention_dim}
        own = input_width(network.caption_projection if hasattr(network, "caption_projection") else None)
        widths |= {own} if own else set()
    else:
        widths = {2 * network.caption_channels, network.video_embeddings_connector.inner_dim}
    need_fitting_prompts(prompts, widths, f"this {type(model.model).__name__}")


def need_sampled_prompts(model, shapes: list, mask, **prompts: list) -> None:
    """The same at the start of a run; and ValueError if the prompts tell of appended frames that the latent lacks.

    Also for ComfyUI's RescaleCFG and sound: it takes the deviation over dimensions that the two as one tensor lack;
    and for its EasyCache without, which reads a second tensor.
    """
    need_prompts(model, **prompts)
    changed = getattr(model.model_options.get("sampler_cfg_function"), "__qualname__", "")
    if len(shapes) > 1 and changed.startswith("RescaleCFG."):
        raise ValueError(
            "ComfyUI's RescaleCFG cannot rescale a latent with sound: take it out, and use the rescale of LTX Guidance"
        )
    if len(shapes) == 1 and model.get_wrappers(_extension.WrappersMP.DIFFUSION_MODEL, "easycache"):
        raise ValueError(
            "ComfyUI's EasyCache wants video and sound of an LTX-2 model, and the latent is video alone: take it out, "
            "or add audio with LTX Empty Latent"
        )
    if mask is None:
        need_no_appended_frames({name: [options for _, options in prompt] for name, prompt in prompts.items()})


def need_audio_vae(vae, name: str) -> None:
    """Raise ValueError unless a VAE is an audio VAE of LTX-2; `name` is the input it came through."""
    if not hasattr(vae.first_stage_model, "preprocessor"):
        raise ValueError(f"{name} is {type(vae.first_stage_model).__name__}: load an LTX-2 audio VAE")


def need_blocks(model, name: str, blocks: tuple[int, ...]) -> None:
    """Raise ValueError if a block number is not in the model."""
    count = len(model.model.diffusion_model.transformer_blocks)
    wrong = [block for block in blocks if not 0 <= block < count]
    if wrong:
        raise ValueError(f"{name} names block {wrong[0]}; the model has blocks 0 to {count - 1}")


def need_audio(state: State, what: str) -> None:
    """Raise ValueError if the latent has no audio."""
    if state.audio is None:
        raise ValueError(f"{what} needs an audio-video latent; this one is video only: add audio with LTX Empty Latent")


def need_window(state: State, start_seconds: float, end_seconds: float, fps: float) -> None:
    """Raise ValueError if a time window is empty or not within the clip."""
    seconds = clip_seconds(state, fps)
    if end_seconds <= start_seconds:
        raise ValueError(f"the window ends at {end_seconds:g} s, its start is {start_seconds:g} s: set a later end")
    if start_seconds >= seconds or end_seconds > seconds + 1 / AUDIO_LATENTS_PER_SECOND:
        raise ValueError(
            f"the window is {start_seconds:g} to {end_seconds:g} s; the clip is {seconds:.3f} s long at {fps:g} fps: "
            "set a window within it"
        )


def clip_length(state: State) -> int:
    """Pixel frames of the clip."""
    return (state.clip_frames - 1) * TEMPORAL + 1


def clip_seconds(state: State, fps: float) -> float:
    """Seconds of the clip."""
    return clip_length(state) / fps


def need_no_guides(state: State, what: str) -> None:
    """Raise ValueError if keyframes or references were appended already."""
    if state.guide_frames:
        raise ValueError(
            f"{what} comes before keyframes and references; this latent has {state.guide_frames} appended frames: move "
            "the node in front of them"
        )


def need_shrinkable(state: State, downscale: int) -> None:
    """Raise ValueError if the clip's size does not divide by the downscale factor of a reference."""
    height, width = state.video.clean.shape[3:]
    if height % downscale or width % downscale:
        raise ValueError(
            f"the clip is {width * SPATIAL}x{height * SPATIAL} pixels; a reference shrunk {downscale} times needs "
            f"multiples of {SPATIAL * downscale}"
        )
