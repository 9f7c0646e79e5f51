"""Wan 2.2 text to video: one clip whose prompt changes on a time line."""

from . import wan_parts as wan
from .builder import Graph

NAME = "Wan_2.2_Prompt_Time_Line"
TITLE = "Wan 2.2: one clip, prompts at their own times"
DESCRIPTION = (
    "Each part of the prompt holds at its own time within one clip; where they meet, one goes over into the other."
)
HOW_TO = f"""Write what holds throughout, then the parts with their times: `[0s:2s]`, `[40%:70%]`, `[3s:]`. `length` is that of
the clip. Both experts read the same line.

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"
TEXT = """a lighthouse on a cliff, seen from the sea
[0s:2s] clear sky at dusk
[2s:3.5s] storm clouds gather, the light goes on
[3.5s:] heavy rain, waves break against the cliff"""


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high, low = wan.load_experts(g, HIGH, LOW, 5.0)
    encoder = g.node(
        "OnerTextEncoderLoader", "text_encoder", folder="umt5-xxl", type="wan", projection="none", device="default"
    )
    negative = g.node("CLIPTextEncode", "negative", title="Negative prompt", clip=encoder.out(0), text=wan.NEGATIVE)
    line = g.node(
        "OnerPromptTimeLine",
        "prompt",
        title="Prompts on a time line",
        model=high,
        clip=encoder.out(0),
        text=TEXT,
        fps=16.0,
        length=81,
        softness=1.0,
        strength=-8.0,
        first_frame=0,
        model_low=low,
    )
    guider = wan.guide_experts(g, [line.out(0), line.out(3)], line.out(1), negative.out(0), (3.5, 3.5))
    latent = g.node(
        "EmptyHunyuanLatentVideo", "latent", title="Size and length", width=832, height=480, length=81, batch_size=1
    )
    sampled = wan.sample(g, guider, latent.out(0), steps=20, shift=5.0)
    wan.save(g, sampled.out(0), vae, "wan-2.2-time-line")


GROUPS = {
    "Models": [*wan.EXPERTS, "vae"],
    "Prompts on the time line": ["text_encoder", "prompt", "negative"],
    "Sampling": ["latent", "guider", *wan.SAMPLING],
    "Video": wan.VIDEO,
}
MODELS = wan.expert_files(HIGH, LOW)
TINY = {
    **wan.tiny_experts("t2v-a14b"),
    **wan.TINY_FILES,
    "prompt.text": "a cat\n[0%:50%] asleep\n[50%:100%] awake",
    "prompt.length": 9,
    "latent.width": 64,
    "latent.height": 64,
    "latent.length": 9,
    "sigmas.steps": 4,
}
TINY_MODELS = ["wan-t2v-a14b-high", "wan-t2v-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result()
