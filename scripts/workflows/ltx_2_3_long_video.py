"""LTX-2.3: two minutes with sound in two stages, window by window, prompts on a time line."""

from harness.media import Video

from . import ltx2_parts as parts
from . import windows
from .builder import Graph

NAME = "LTX_2.3_Long_Video"
TITLE = "LTX-2.3: two minutes with sound, prompts on a time line"
DESCRIPTION = (
    "A film of any length with its sound, window by window: each is made at half size, enlarged and refined before the "
    "next begins, and is given the last second of picture and sound of the one before."
)
HOW_TO = f"""Write what is seen and heard when into **Window plan**, and set the size in **Windowed sampler** (multiples of 64).

{windows.NOTE}

The strength of **Distilled LoRA** is that of stage 2 alone.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPTS = """0s: Morning in a harbour market: a fishmonger lays out the catch on crushed ice and calls out prices, gulls cry.
30s: The market fills, voices and footsteps, the fishmonger wraps a fish in paper and laughs with a customer.
60s: [/new_shot] The harbour basin at noon, masts sway, ropes creak, a small boat leaves with a chugging engine.
90s: The boat passes the breakwater into open water, the engine grows faint, wind and waves take over."""


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    refined = parts.load_lora(g, models.model, 1.0)
    upscaler = parts.load_upscaler(g)
    fps = parts.set_fps(g)
    positive, negative = parts.encode_prompts(g, models.clip, fps, "a harbour, filmed by hand", parts.NEGATIVE)
    sampler = parts.euler(g)
    second = g.node(
        "OnerWindowStage",
        "window_stage",
        title="Stage 2 of each window",
        noise=g.node("RandomNoise", "noise_2", title="Noise 2", noise_seed=11).out(0),
        guider=parts.plain_guider(g, refined, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        upscale_model=upscaler,
        audio_source="stage 1",
    )
    plan = windows.plan(g, PROMPTS, "120s", fps=fps, grid="ltx", window=121, overlap=25)
    windows.sample(
        g,
        "ltx-2.3-long-video",
        1536,
        1024,
        noise=g.node("RandomNoise", "noise_1", title="Noise 1", noise_seed=10).out(0),
        guider=parts.multimodal_guider(g, models.model, positive, negative, stage=1),
        sampler=sampler,
        sigmas=parts.scheduled_sigmas(g, stage=1, model=models.model),
        plan=plan.out(0),
        vae=models.vae,
        clip=models.clip,
        audio_vae=models.audio_vae,
        stage_2=second.out(0),
        drift=windows.drift(g).out(0),
    )


GROUPS = {
    "Models": ["model", "text_encoder", "distilled_lora", "upscaler"],
    "Prompts": ["prompt", "negative_prompt", "fps", "frame_rate"],
    "Plan": ["plan", "drift"],
    "Stage 1: half size, 30 steps with guidance": ["noise_1", "guider_1", "sampler", "sigmas_1"],
    "Stage 2: full size, 3 steps": ["noise_2", "guider_2", "sigmas_2", "window_stage"],
    "Film": ["film"],
}
MODELS = {**parts.model_files(parts.DEV), **parts.UPSCALER_MODELS, "distilled_lora.lora_name": parts.LORA_MODEL}
TINY = {
    **parts.TINY_DEEP,
    **parts.TINY_UPSCALER,
    **windows.TINY,
    "film.width": 128,
    "film.height": 128,
    "plan.prompts": "0s: a cat\n1s: a dog",
    "plan.length": "41",
    "plan.window": 25,
    "plan.overlap": 9,
    "distilled_lora.lora_name": parts.TINY_LORA,
    "sigmas_1.steps": 2,
}
TINY_MODELS = ["ltx-2.3-deep", "gemma-3", "upscaler-x2", "lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=41, fps=24)
