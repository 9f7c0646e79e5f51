"""Parts that the LTX-2.3 IC-LoRA workflows share beside ltx2_parts: the IC-LoRA, a source video, reference, stages."""

from __future__ import annotations

from typing import NamedTuple

from . import ltx2_parts as parts
from .builder import Graph, Model
from .ltx2_parts import ENCODER_NOTE, TINY_UPSCALER, UPSCALER_MODELS, Link, decode, hand_over, load_upscaler

__all__ = ["ENCODER_NOTE", "TINY_UPSCALER", "UPSCALER_MODELS", "decode", "hand_over", "load_upscaler"]

TINY = {**parts.TINY, "ic_lora.lora_name": parts.TINY_IC_LORA}
TINY_MODELS = ["ltx-2.3", "gemma-3", "ic-lora-ltx-2.3"]
save = parts.write_file


class Models(NamedTuple):
    """`model` without the IC-LoRA, for stage 2; `factors` are what the IC-LoRA says about references."""

    model: Link
    vae: Link
    audio_vae: Link
    clip: Link
    ic_model: Link
    factors: Link


class Source(NamedTuple):
    images: Link
    audio: Link
    fps: Link


def model_files(repository: str, lora: str) -> dict[str, Model]:
    """Download links of the nodes that load_models makes; `repository` of the IC-LoRA, after the model's name."""
    url = f"https://huggingface.co/Lightricks/LTX-2.3-22b-IC-LoRA-{repository}/resolve/main/{lora}"
    return {**parts.model_files(parts.DISTILLED), "ic_lora.lora_name": Model(url, "loras")}


def load_models(g: Graph, lora: str) -> Models:
    """Nodes model, text_encoder, ic_lora."""
    models = parts.load_models(g, parts.DISTILLED)
    return Models(*models, *parts.load_ic_lora(g, models.model, lora))


def load_video(g: Graph, id: str, file: str, title: str) -> Source:
    """Nodes `id`, `id`_frames."""
    # The frontend shows a preview and queues its empty value.
    video = g.node("LoadVideo", id, title=title, file=file, **{"video-preview": ""})
    split = g.node("GetVideoComponents", f"{id}_frames", title=f"{title}: frames and sound", video=video.out(0))
    return Source(split.out(0), split.out(1), split.out(2))


def encode_prompt(g: Graph, clip: Link, fps: Link, text: str) -> tuple[Link, Link]:
    """Positive and negative prompt with the frame rate; nodes prompt, frame_rate. Only the positive one is used."""
    return parts.encode_prompts(g, clip, fps, text)


def empty(g: Graph, size: tuple[Link, Link, Link], fps: Link, stages: str, audio: bool) -> Link:
    """Node size."""
    return parts.set_size(g, fps, stages, *size, audio=audio)


def refer(g: Graph, models: Models, prompts: tuple[Link, Link], video: Link, latent: Link) -> tuple[Link, Link]:
    """Positive prompt and latent with a reference video; node reference."""
    node = g.node(
        "OnerLTXReferenceVideo",
        "reference",
        title="Show the guide to the model",
        positive=prompts[0],
        negative=prompts[1],
        vae=models.vae,
        video=video,
        latent=latent,
        strength=1.0,
        attention_strength=1.0,
        iclora_parameters=models.factors,
    )
    return node.out(0), node.out(2)


def sample(g: Graph, model: Link, positive: Link, latent: Link, stage: int, sampler: str = "euler") -> Link:
    """Nodes noise_N, guider_N, sampler_N, sigmas_N, stage_N."""
    guider = parts.plain_guider(g, model, positive, stage)
    chosen = g.node("KSamplerSelect", f"sampler_{stage}", sampler_name=sampler).out(0)
    return parts.sample(g, guider, chosen, parts.distilled_sigmas(g, stage), latent, stage)


def each_clip(g: Graph, latent: Link) -> Link:
    """The clips of a batch one by one, without sound, each for a file of its own; node output."""
    node = g.node("OnerLTXStageOutput", "output", title="Each clip alone", latent=latent, audio_source="last stage")
    return node.out(0)


def stage_group(stage: int) -> list[str]:
    return [f"{name}_{stage}" for name in ("noise", "guider", "sampler", "sigmas", "stage")]
