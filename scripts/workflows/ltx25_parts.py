"""Parts of the LTX-2.5 workflows that differ from LTX-2.3's (ltx2_parts): files, sampler, sizes, decoding.

Source of sigmas, samplers, strengths and tiles: ComfyUI's templates video_ltx2_5_t2v, _i2v and _flf2v.
"""

from __future__ import annotations

from typing import Any

from . import ltx2_parts as parts
from .builder import Graph, Model
from .ltx2_parts import Link

CORE = "0.33.0"
TRANSFORMER = "ltx-2.5-22b-distilled-transformer-comfy-int8-convrot.safetensors"
VAE, AUDIO_VAE = "ltx-2.5-video-vae-bf16.safetensors", "ltx-2.5-audio-vae-bf16.safetensors"
ENCODER = "gemma4-12b-with-proj-ltx-2.5-comfy-int8-convrot.safetensors"
UPSCALER = "ltx-2.5-latent-spatial-upscaler-x2-bf16-1.0.safetensors"
IMAGE_CRF = 18

FILES_NOTE = """LTX-2.5 comes in parts: the transformer belongs into `models/diffusion_models`, both VAEs into `models/vae`, the text
encoder into `models/text_encoders`, the upscaler into `models/latent_upscale_models`. Agree to the licence at
`huggingface.co/Lightricks/LTX-2.5` before you download. An encoder in a folder (Gemma 4 with config.json) is read by
*Text Encoder Loader*; this graph has ComfyUI's own loader for the single file."""
DECODE_NOTE = """The decoder of LTX-2.5 is itself a diffusion model. **Decoder noise** sets its seed (0 is what ComfyUI has without that
node), **Decode video** its tiles: larger tiles need more memory and show fewer seams."""

_HUB = "https://huggingface.co/Lightricks/LTX-2.5/resolve/main"
MODELS = {
    "model.model_name": Model(f"{_HUB}/diffusion_models/{TRANSFORMER}", "diffusion_models"),
    "model.vae_name": Model(f"{_HUB}/vae/{VAE}", "vae"),
    "model.audio_vae_name": Model(f"{_HUB}/vae/{AUDIO_VAE}", "vae"),
    "text_encoder.clip_name": Model(f"{_HUB}/text_encoders/{ENCODER}", "text_encoders"),
}
UPSCALER_MODELS = {"upscaler.model_name": Model(f"{_HUB}/latent_upscale_models/{UPSCALER}", "latent_upscale_models")}

TINY = {
    "model.model_name": "tiny-ltx-2.5-transformer.safetensors",
    "model.vae_name": "tiny-ltx-2.5-video-vae.safetensors",
    "model.audio_vae_name": "tiny-ltx-2.5-audio-vae.safetensors",
}
TINY_SIZE = {**parts.TINY_SIZE, "decode_video.temporal_size": 16, "decode_video.temporal_overlap": 8}
TINY_UPSCALER = {"upscaler.model_name": "tiny-ltx-2.5-spatial-upscaler-x2.safetensors"}
# ComfyUI's loader of the single file knows the encoder in its released size of 12 billion weights alone.
TINY_NODES = {
    "text_encoder": (
        "OnerTextEncoderLoader",
        {
            "folder": "tiny-gemma-4",
            "type": "ltx-2",
            "projection": "tiny-gemma-4-with-proj-ltx-2.5.safetensors",
            "device": "default",
        },
    )
}
TINY_MODELS = ["ltx-2.5", "ltx-2.5-vae", "ltx-2.5-audio-vae", "ltx-2.5-projection", "gemma-4"]


def load_models(g: Graph) -> parts.Models:
    """Nodes model, text_encoder."""
    file = g.node(
        "OnerLTXModelLoader",
        "model",
        title="Model and VAEs",
        model_name=TRANSFORMER,
        vae_name=VAE,
        audio_vae_name=AUDIO_VAE,
    )
    encoder = g.node("CLIPLoader", "text_encoder", clip_name=ENCODER, type="ltxv", device="default")
    return parts.Models(file.out(0), file.out(1), file.out(2), encoder.out(0))


def load_upscaler(g: Graph) -> Link:
    """Node upscaler."""
    return g.node("LatentUpscaleModelLoader", "upscaler", title="Latent upscaler", model_name=UPSCALER).out(0)


def load_image(g: Graph, id: str, file: str) -> Link:
    """An image, compressed as LTX-2.5 was trained to see images; nodes `id`, `id`_compressed."""
    return parts.load_image(g, id, file, IMAGE_CRF)


def ancestral(g: Graph, exact: bool = False) -> Link:
    """Node sampler; `exact` for content given with a strength between 0 and 1."""
    if not exact:
        return g.node("KSamplerSelect", "sampler", sampler_name="euler_ancestral").out(0)
    options = {"method": "euler ancestral", "method.eta": 1.0, "method.s_noise": 1.0, "method.step_seed": 10010}
    return g.node("OnerLTXEulerSampler", "sampler", **options).out(0)


def stage_2_sigmas(g: Graph) -> Link:
    """Node sigmas_2."""
    return g.node("OnerLTXSigmaPreset", **parts.numbered("sigmas", 2), preset="LTX-2.5 stage 2").out(0)


def set_size(g: Graph, fps: Link, stages: str) -> Link:
    """Node size."""
    return parts.set_size(g, fps, stages, width=1280, height=704)


def save_video(g: Graph, models: parts.Models, fps: Link, sampled: Link, name: str) -> None:
    """Nodes output, decode_noise, decode_video, decode_audio, video, save."""
    output = g.node("OnerLTXStageOutput", "output", title="Split", latent=sampled, audio_source="last stage")
    seeded = g.node("OnerLTXDecodeSettings", "decode_noise", title="Decoder noise", vae=models.vae, seed=0)
    tiles: dict[str, Any] = {"tile_size": 512, "overlap": 64, "temporal_size": 64, "temporal_overlap": 16}
    frames = g.node("VAEDecodeTiled", "decode_video", samples=output.out(0), vae=seeded.out(0), **tiles)
    sound = g.node("LTXVAudioVAEDecode", "decode_audio", samples=output.out(1), audio_vae=models.audio_vae)
    parts.write_file(g, frames.out(0), fps, sound.out(0), name)


SAVE_GROUP = ["output", "decode_noise", "decode_video", "decode_audio", "video", "save"]
