"""Wan 2.2 text to video: a film of several shots, made here or on several machines at once."""

from . import wan_parts as wan
from . import windows
from .builder import Graph

NAME = "Wan_2.2_Film_of_Shots"
TITLE = "Wan 2.2: a film of several shots, on one machine or many"
DESCRIPTION = (
    "A plan with cuts: shots begin without memory and do not depend on one another. Shot prompts writes an API prompt for "
    "each, to be queued on as many servers as you like."
)
HOW_TO = f"""Write the shots; `[/new_shot]` cuts. To make the film here, run. For several machines, select **Shot prompts** and
choose *Queue Selected Output Nodes*: it writes a file for each shot; send each to the queue API of a server, and make
one file of the results with *Join Videos*.

{windows.NOTE}

{wan.ENCODER_NOTE}"""

HIGH = "wan2.2_t2v_high_noise_14B_fp8_scaled.safetensors"
LOW = "wan2.2_t2v_low_noise_14B_fp8_scaled.safetensors"
PROMPTS = """0s: a lighthouse on a cliff at dusk, seen from the sea, waves roll in
8s: [/new_shot] the lamp room of the lighthouse from inside, the keeper lights the lamp
14s: [/new_shot] a ship in heavy sea at night, the beam of the lighthouse sweeps over it"""


def build(g: Graph) -> None:
    vae = wan.load_vae(g)
    high, low = wan.load_experts(g, HIGH, LOW, 5.0)
    positive, negative = wan.write_prompts(g, "a lighthouse, photographed on film")
    guider = wan.guide_experts(g, [high, low], positive.out(0), negative.out(0), (3.5, 3.5))
    plan = windows.plan(g, PROMPTS, "22s", fps=16.0, grid="wan", window=81, overlap=9)
    g.node("OnerShotPrompts", "shots", title="Shot prompts", plan=plan.out(0), filename_prefix="oner/lighthouse_shot")
    windows.sample(
        g,
        "wan-2.2-lighthouse",
        832,
        480,
        noise=g.node("RandomNoise", "noise", noise_seed=43).out(0),
        guider=guider,
        sampler=g.node("KSamplerSelect", "sampler", sampler_name="euler").out(0),
        sigmas=g.node("OnerWanScheduler", "sigmas", schedule="flow", steps=20, shift=5.0, denoise=1.0).out(0),
        plan=plan.out(0),
        vae=vae.out(0),
        clip=g.nodes["text_encoder"].out(0),
        drift=windows.drift(g).out(0),
    )


GROUPS = {
    "Models": [*wan.EXPERTS, "vae"],
    "Prompt": wan.TEXT,
    "Plan": ["plan", "drift", "shots"],
    "Film": ["noise", "guider", "sampler", "sigmas", "film"],
}
MODELS = wan.expert_files(HIGH, LOW)
TINY = {
    **wan.tiny_experts("t2v-a14b"),
    **wan.TINY_FILES,
    "plan.prompts": "0s: a cat\n1s: [/new_shot] a dog",
    "plan.length": "34",
    "plan.window": 17,
    "plan.overlap": 5,
    **windows.TINY,
    "sigmas.steps": 4,
}
TINY_MODELS = ["wan-t2v-a14b-high", "wan-t2v-a14b-low", *wan.TINY_BASE]
TINY_RESULT = wan.tiny_result(length=34)
