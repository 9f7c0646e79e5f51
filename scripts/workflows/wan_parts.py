"""What the Wan workflows have in common: loaders, prompts, sampling and saving. No workflow itself."""

from __future__ import annotations

from typing import Any

from comfy_execution.graph_utils import Node

from harness.media import Clip, Video

from .builder import Graph, Model

REPACKAGED_21 = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files"
REPACKAGED_22 = "https://huggingface.co/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files"
VAE_21, VAE_22, CLIP_VISION = "wan_2.1_vae.safetensors", "wan2.2_vae.safetensors", "clip_vision_h.safetensors"
UMT5 = f"{REPACKAGED_21}/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors"
NEGATIVE = (
    "overexposed, static, blurred details, subtitles, worst quality, low quality, JPEG artifacts, ugly, extra fingers, "
    "deformed, motionless picture, cluttered background, walking backwards"
)
ENCODER_NOTE = f"""The text encoder is the folder of UMT5-XXL as Hugging Face publishes it (config.json, safetensors shards
and tokenizer: `text_encoder` and `tokenizer` of `Wan-AI/Wan2.1-T2V-14B-Diffusers`) in `models/text_encoders/umt5-xxl`. For
the [single file]({UMT5}) replace **Text encoder** by ComfyUI's *Load CLIP* with type wan."""
CLIP_NOTE = """**CLIP vision** gives the model the image a second way, as it was trained."""
NO_CLIP_NOTE = """The model also reads image features. None are connected to `clip_vision_output`, so **Conditioning** sends the
zero features it was trained with for videos without an image; leaving them out would be something else."""

TINY_FILES = {"vae.vae_name": "tiny-wan-2.1-vae.safetensors", "text_encoder.folder": "tiny-umt5"}
# ComfyUI fixes the widths of the Wan 2.2 VAE (705 M weights): tests run 5B models on the small autoencoder of its latents.
TINY_FILES_5B = {"vae.vae_name": "tiny-taew-2.2.safetensors", "text_encoder.folder": "tiny-umt5"}
TINY_BASE, TINY_BASE_5B = ["umt5", "wan-vae"], ["umt5", "taew-2.2"]
TINY_SIZE = {"conditioning.width": 64, "conditioning.height": 64, "conditioning.length": 9}
PICTURE = Clip(96, 64)

TEXT = ["text_encoder", "prompt", "negative"]
CLIP = ["clip_vision", "image_features"]
EXPERTS = ["model_high", "model_high_shift", "model_low", "model_low_shift"]
SAMPLING = ["noise", "sampler", "sigmas", "sample"]
VIDEO = ["decode", "video", "save"]

# widgets of Wan Fun Conditioning that a workflow seldom changes
CONDITIONING = {"batch_size": 1, "control_strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
# widgets at their defaults, where a phase plan stands in for them
PHASES = {"phases": 2, "threshold_1": 0.0, "threshold_2": 0.0, "low_from": "phase 2"}
# widgets of Wan Experts Guider beside phases and CFG
GUIDER = {
    "cfg_3": 1.0,
    "threshold_1": 0.0,
    "threshold_2": 0.0,
    "low_from": "phase 2",
    "zero_init_steps": 0,
    "cfg_zero_star": "",
    "apg": "",
    "slg": "",
    "slg_layers": "9",
    "slg_start_percent": 0.1,
    "slg_end_percent": 1.0,
}
VACE = {
    "batch_size": 1,
    "strength": 1.0,
    "strength_2": 0.5,
    "mask_grow": 0,
    "mask_negate": False,
    "mask_box": False,
    "keep_frames": "",
    "positions": "1",
    "outpaint": "",
}


def control_clip(fps: int = 16) -> Clip:
    return Clip(96, 64, 9, fps)


def tiny_result(fps: int = 16, width: int = 64, height: int = 64, length: int = 9) -> Video:
    return Video(width=width, height=height, length=length, fps=fps, audio=None)


def file_of(repository: str, folder: str, name: str) -> Model:
    return Model(f"{repository}/{folder}/{name}", folder)


def expert_files(high: str, low: str) -> dict[str, Model]:
    """Links of a Wan 2.2 pair and its VAE."""
    return {
        "model_high.unet_name": file_of(REPACKAGED_22, "diffusion_models", high),
        "model_low.unet_name": file_of(REPACKAGED_22, "diffusion_models", low),
        "vae.vae_name": file_of(REPACKAGED_22, "vae", VAE_21),
    }


def tiny_experts(name: str) -> dict[str, str]:
    """Widgets of the tiny pair `name`, such as fun-control-a14b."""
    return {f"model_{noise}.unet_name": f"tiny-wan-2.2-{name}-{noise}-noise.safetensors" for noise in ("high", "low")}


def load_model(g: Graph, id: str, file: str, shift: float, title: str | None = None) -> Node:
    """A diffusion model with the shift it is sampled at; nodes `id` and `id`_shift."""
    loaded = g.node("UNETLoader", id, title=title, unet_name=file, weight_dtype="default")
    return g.node("ModelSamplingSD3", f"{id}_shift", title="Shift", model=loaded.out(0), shift=shift)


def load_experts(g: Graph, high: str, low: str, shift: float) -> list[Any]:
    """The nodes of EXPERTS; both models with their shift."""
    files = {"high": high, "low": low}
    return [
        load_model(g, f"model_{noise}", file, shift, title=f"{noise.capitalize()}-noise expert").out(0)
        for noise, file in files.items()
    ]


def load_vae(g: Graph, file: str = VAE_21) -> Node:
    return g.node("VAELoader", "vae", title="VAE", vae_name=file)


def write_prompts(g: Graph, text: str, negative: str = NEGATIVE) -> tuple[Node, Node]:
    """Nodes text_encoder, prompt and negative."""
    encoder = g.node(
        "OnerTextEncoderLoader", "text_encoder", folder="umt5-xxl", type="wan", projection="none", device="default"
    )
    return (
        g.node("CLIPTextEncode", "prompt", clip=encoder.out(0), text=text),
        g.node("CLIPTextEncode", "negative", title="Negative prompt", clip=encoder.out(0), text=negative),
    )


def sample(
    g: Graph,
    guider: Any,
    latent: Any,
    *,
    steps: int,
    shift: float,
    schedule: str = "flow",
    solver: str = "",
    denoise: float = 1.0,
) -> Node:
    """The nodes of SAMPLING; the solver is the one the schedule is made for unless given."""
    solver = solver or {"flow": "euler", "unipc": "flow UniPC", "dpmpp": "flow DPM++ 2M"}[schedule]
    if solver == "euler":
        sampler = g.node("KSamplerSelect", "sampler", sampler_name="euler")
    else:
        sampler = g.node("OnerFlowSampler", "sampler", solver=solver, restart_below=0.0)
    return g.node(
        "SamplerCustomAdvanced",
        "sample",
        noise=g.node("RandomNoise", "noise", noise_seed=43).out(0),
        guider=guider,
        sampler=sampler.out(0),
        sigmas=g.node("OnerWanScheduler", "sigmas", schedule=schedule, steps=steps, shift=shift, denoise=denoise).out(
            0
        ),
        latent_image=latent,
    )


def save(g: Graph, latent: Any, vae: Node, name: str, fps: int = 16) -> None:
    """Nodes decode, video and save."""
    frames = g.node("VAEDecode", "decode", samples=latent, vae=vae.out(0))
    video = g.node("CreateVideo", "video", images=frames.out(0), fps=float(fps), bit_depth=8)
    g.node(
        "SaveVideo",
        "save",
        video=video.out(0),
        filename_prefix=f"oner/{name}",
        format="mp4",
        codec="h264",
        **{"codec.encoding": "auto"},
    )


def load_image(g: Graph, id: str, file: str, title: str | None = None) -> Node:
    return g.node("LoadImage", id, title=title, image=file)


def load_frames(g: Graph, id: str, file: str, title: str | None = None) -> Node:
    """A video's frames: nodes `id` and `id`_frames."""
    loaded = g.node("LoadVideo", id, title=title, file=file, **{"video-preview": ""})  # a widget of the frontend
    return g.node("GetVideoComponents", f"{id}_frames", video=loaded.out(0))


def cfg_guider(g: Graph, model: Any, positive: Any, negative: Any, cfg: float) -> Node:
    return g.node("CFGGuider", "guider", model=model, positive=positive, negative=negative, cfg=cfg)


def image_features(g: Graph, image: Any) -> Any:
    """The nodes of CLIP: features of an image, stretched to a square as in the reference.

    ComfyUI knows this encoder by its 32 layers of width 1280, so it cannot be tiny: tests leave both nodes out, and the
    conditioning sends zero features.
    """
    encoder = g.node("CLIPVisionLoader", "clip_vision", title="CLIP vision", clip_name=CLIP_VISION)
    return g.node("CLIPVisionEncode", "image_features", clip_vision=encoder.out(0), image=image, crop="none").out(0)


def guide_experts(
    g: Graph, models: list[Any], positive: Any, negative: Any, cfgs: tuple[float, ...], **widgets: Any
) -> Any:
    """Node guider: a phase for each CFG, changing at the trained boundary unless `widgets` say more."""
    values = {"phases": len(cfgs), **{f"cfg_{number}": cfg for number, cfg in enumerate(cfgs, 1)}}
    return g.node(
        "OnerWanExpertsGuider",
        "guider",
        model_high=models[0],
        model_low=models[1],
        positive=positive,
        negative=negative,
        **GUIDER | values | widgets,
    ).out(0)
