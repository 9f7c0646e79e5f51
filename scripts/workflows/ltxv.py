"""What the LTX-Video 0.9.x workflows share: models, prompts, frame rate and the way to the saved file."""

from __future__ import annotations

from comfy_execution.graph_utils import Node

from .builder import Graph, Model
from .ltx2_parts import OWN_VAES

HUB = "https://huggingface.co/Lightricks/LTX-Video/resolve/main/"
UPSCALER = "ltxv-spatial-upscaler-0.9.8.safetensors"
ENCODER = "t5-v1_1-xxl-encoder-bf16"
NEGATIVE = "worst quality, inconsistent motion, blurry, jittery, distorted"
ENCODER_NOTE = (
    "- `text_encoders`: a folder with T5 v1.1 XXL as on Hugging Face (`city96/t5-v1_1-xxl-encoder-bf16`): config.json, "
    "tokenizer and safetensors. A single-file encoder works too: replace **Text encoder** by *Load CLIP*, type ltxv."
)
PROMPT_GROUP = ["prompt", "negative", "fps", "frame_rate"]


def models(checkpoint: str, **others: str) -> dict[str, Model]:
    """Download links: the checkpoint of the node "model", and node -> file of latent upscale models."""
    links = {"model.model_name": Model(HUB + checkpoint, "checkpoints")}
    return links | {f"{node}.model_name": Model(HUB + file, "latent_upscale_models") for node, file in others.items()}


def load(g: Graph, checkpoint: str) -> tuple[Node, Node]:
    """The checkpoint (model 0, vae 1) and the text encoder."""
    model = g.node("OnerLTXModelLoader", "model", title="Model and VAE", model_name=checkpoint, **OWN_VAES)
    encoder = g.node(
        "OnerTextEncoderLoader", "text_encoder", folder=ENCODER, type="ltx-video", projection="none", device="default"
    )
    return model, encoder


def prompts(g: Graph, encoder: Node, text: str, fps: float) -> tuple[Node, Node]:
    """Positive (0) and negative (1) with their frame rate, and the frame rate."""
    positive = g.node("CLIPTextEncode", "prompt", clip=encoder.out(0), text=text)
    negative = g.node("CLIPTextEncode", "negative", title="Negative prompt", clip=encoder.out(0), text=NEGATIVE)
    rate = g.node("PrimitiveFloat", "fps", title="Frames a second", value=fps)
    timed = g.node(
        "LTXVConditioning",
        "frame_rate",
        title="Tell the model the frame rate",
        positive=positive.out(0),
        negative=negative.out(0),
        frame_rate=rate.out(0),
    )
    return timed, rate


def preset(g: Graph, id: str, title: str, model: Node, conds: Node, name: str, stage: str) -> Node:
    """Guider (0), sampler (1) and sigmas (2) of a pipeline stage."""
    return g.node(
        "OnerLTXVPreset",
        id,
        title=title,
        model=model.out(0),
        positive=conds.out(0),
        negative=conds.out(1),
        preset=name,
        stage=stage,
        lookup="reference",
        mode="attention values",
        image_noise=0.15,
    )


def sample(g: Graph, id: str, title: str, seed: int, guider, sampler, sigmas, latent) -> Node:
    """SamplerCustomAdvanced with a noise node of its own, `noise_<id>`."""
    noise = g.node("RandomNoise", f"noise_{id}", title=f"Noise for {title.lower()}", noise_seed=seed)
    return g.node(
        "SamplerCustomAdvanced",
        id,
        title=title,
        noise=noise.out(0),
        guider=guider,
        sampler=sampler,
        sigmas=sigmas,
        latent_image=latent,
    )


def decode(g: Graph, model: Node, latent, tone_map: float = 0.0) -> Node:
    """Frames, decoded at the pipeline's noise level with a seed, in tiles."""
    vae = g.node(
        "OnerLTXVDecodeSettings",
        "decode_settings",
        vae=model.out(1),
        timestep=0.05,
        noise_scale=0.025,
        seed=42,
        tone_map=tone_map,
    )
    return g.node(
        "VAEDecodeTiled",
        "decode",
        samples=latent,
        vae=vae.out(0),
        tile_size=768,
        overlap=64,
        temporal_size=4096,
        temporal_overlap=8,
    )


def save(g: Graph, frames, fps, name: str) -> None:
    video = g.node("CreateVideo", "video", images=frames, fps=fps, bit_depth=8)
    g.node(
        "SaveVideo",
        "save",
        video=video.out(0),
        filename_prefix=f"oner/{name}",
        format="mp4",
        codec="h264",
        **{"codec.encoding": "auto"},
    )
