"""What the LongLive workflows share: model, text encoder, VAE and settings, and their tiny stand-ins."""

from __future__ import annotations

from comfy_execution.graph_utils import Node

from harness.media import Video

from .builder import Graph, Model

BASE, LORA = "longlive_base.pt", "longlive_lora.pt"
VAE = "wan_2.1_vae.safetensors"
REPACKAGED = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files"

TEXT_ENCODER = """The text encoder is a Hugging Face folder of UMT5-XXL (config.json, safetensors, tokenizer) in
`models/text_encoders/umt5-xxl`. For a single-file encoder replace **Text encoder** by ComfyUI's *Load CLIP* with type wan."""
FILES = f"""Files: `models/longlive_base.pt` and `models/lora.pt` (renamed to `longlive_lora.pt`) of
`Efficient-Large-Model/LongLive-1.3B` on Hugging Face go to `models/diffusion_models` and `models/loras`; the VAE is Wan 2.1's.
{TEXT_ENCODER}"""

MODELS = {
    "model.model_name": Model(
        f"https://huggingface.co/Efficient-Large-Model/LongLive-1.3B/resolve/main/models/{BASE}", "diffusion_models"
    ),
    "model.lora_name": Model("", "loras"),  # renamed: the published name says nothing
    "vae.vae_name": Model(f"{REPACKAGED}/vae/{VAE}", "vae"),
}
TINY = {
    "model.model_name": "tiny-wan-2.1-t2v-1.3b-causal.safetensors",
    "model.lora_name": "none",
    "text_encoder.folder": "tiny-umt5",
    "vae.vae_name": "tiny-wan-2.1-vae.safetensors",
    "rollout.width": 32,
    "rollout.height": 32,
}
TINY_MODELS = ["wan-causal", "wan-vae", "umt5"]


def tiny_video(length: int, fps: float = 16) -> Video:
    return Video(width=32, height=32, length=length, fps=fps, audio=None)


def models(g: Graph, preset: str = "LongLive 1.0") -> tuple[Node, Node, Node, Node]:
    """Model, text encoder, VAE and settings of LongLive 1.0."""
    model = g.node(
        "OnerLongLiveLoader",
        "model",
        model_name=BASE,
        lora_name=LORA,
        strength=1.0,
        part="auto",
        weight_dtype="default",
        save_as="",
    )
    encoder = text_encoder(g)
    vae = g.node("VAELoader", "vae", title="VAE", vae_name=VAE)
    return model, encoder, vae, settings(g, preset)


def text_encoder(g: Graph) -> Node:
    return g.node(
        "OnerTextEncoderLoader", "text_encoder", folder="umt5-xxl", type="wan", projection="none", device="default"
    )


def settings(g: Graph, preset: str) -> Node:
    return g.node(
        "OnerLongLiveSettings",
        "settings",
        preset=preset,
        window=0,
        sink=-1,
        block=0,
        steps=0,
        shift=0.0,
        positions="preset",
        fps=0,
    )


def schedule(g: Graph, encoder: Node, chosen: Node, text: str) -> Node:
    return g.node(
        "OnerLongLivePromptSchedule",
        "prompt",
        title="Prompts",
        clip=encoder.out(0),
        text=text,
        settings=chosen.out(0),
        format="lines",
        switch_frames="40, 80, 120, 160, 200",
        line=1,
        blocks_per_shot=4,
    )


OPTIONS = {
    "last_frames": 16,
    "checkpoint_blocks": 40,
    "cache_storage": "model",
    "cache_device": "gpu",
    "crf": 18,
    "compile": False,
    "cuda_graphs": False,
}


def rollout(g: Graph, model: Node, positive: Node, chosen: Node, length: int, **inputs) -> Node:
    """The rollout node with every widget set."""
    widgets = {
        "width": 832,
        "height": 480,
        "length": length,
        "seed": 1,
        "cfg": 1.0,
        "filename_prefix": "longlive",
        "batch_size": 1,
        "denoise": 1.0,
        **OPTIONS,
    }
    return g.node(
        "OnerLongLiveRollout",
        "rollout",
        model=model.out(0),
        positive=positive.out(0),
        settings=chosen.out(0),
        **{**widgets, **inputs},
    )
