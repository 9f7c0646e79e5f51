"""LongLive 2.0: several shots in one take. Reference: LongLive 2.0 configs/inference.yaml with multi_shot_sink."""

from .builder import Graph, Model
from .longlive import TEXT_ENCODER, rollout, schedule, settings, tiny_video

NAME = "LongLive_2.0_Multi-Shot"
TITLE = "LongLive 2.0: several shots"
DESCRIPTION = (
    "The 5B model cuts between shots: each cut pins the first block of the new shot in memory and moves positions on."
)
HOW_TO = f"""One line a shot in **Prompts**; the marker the model was trained with is put before every shot but the first. Frames are decoded
after the take here; connect the Wan 2.2 VAE to **Rollout** instead to see them while it runs.

Files: `LongLive-2.0-5B/model_bf16.pt` (renamed to `longlive_2_5b_bf16.pt`) goes to `models/diffusion_models`, the Wan 2.2 VAE to
`models/vae`. {TEXT_ENCODER}"""
PROMPTS = """0s: Wide shot of a lighthouse on a cliff at dawn, waves break below, slow push in.
4s: Inside, a keeper in a wool coat climbs a spiral staircase with a lantern.
8s: Close-up of the great lamp as it begins to turn, dust in the beam."""


def build(g: Graph) -> None:
    model = g.node(
        "OnerLongLiveLoader",
        "model",
        model_name="longlive_2_5b_bf16.pt",
        lora_name="none",
        strength=1.0,
        part="auto",
        weight_dtype="default",
        save_as="",
    )
    encoder = g.node(
        "OnerTextEncoderLoader", "text_encoder", folder="umt5-xxl", type="wan", projection="none", device="default"
    )
    vae = g.node("VAELoader", "vae", title="VAE", vae_name="wan2.2_vae.safetensors")
    chosen = settings(g, "LongLive 2.0, 4 steps")
    prompts = schedule(g, encoder, chosen, PROMPTS)
    take = rollout(g, model, prompts, chosen, 285, width=1280, height=704)
    frames = g.node("VAEDecode", "decode", samples=take.out(1), vae=vae.out(0))
    video = g.node("CreateVideo", "video", images=frames.out(0), fps=24.0, bit_depth=8)
    g.node(
        "SaveVideo",
        "save",
        video=video.out(0),
        filename_prefix="oner/longlive-2",
        format="mp4",
        codec="h264",
        **{"codec.encoding": "auto"},
    )


GROUPS = {
    "Models": ["model", "text_encoder", "vae"],
    "Prompts and settings": ["prompt", "settings"],
    "Take": ["rollout"],
    "Video": ["decode", "video", "save"],
}
MODELS = {
    "model.model_name": Model("", "diffusion_models"),
    "vae.vae_name": Model(
        "https://huggingface.co/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/vae/wan2.2_vae.safetensors",
        "vae",
    ),
}
TINY = {
    "model.model_name": "tiny-wan-2.2-ti2v-5b.safetensors",
    "text_encoder.folder": "tiny-umt5",
    "vae.vae_name": "tiny-taew-2.2.safetensors",
    "settings.window": 12,
    "settings.sink": 2,
    "settings.block": 2,
    "prompt.text": "0s: a red circle\n0.5s: a blue square\n1s: a green triangle",
    "rollout.width": 32,
    "rollout.height": 32,
    "rollout.length": 37,
}
TINY_MODELS = ["wan-5b", "taew-2.2", "umt5"]
TINY_RESULT = tiny_video(37, 24)
