"""LTX-2.3 IC-LoRA with an attention mask. Reference: ltx-pipelines ICLoraPipeline with --conditioning-attention-mask."""

from harness.media import Clip

from . import ltx_2_3_ic_lora as whole
from .builder import Graph

NAME = "LTX_2.3_IC-LoRA_Masked_Control_Video"
TITLE = "LTX-2.3 IC-LoRA: follow edges in a part of the picture"
DESCRIPTION = "As the IC-LoRA workflow, but the clip follows your video only where a mask is white; elsewhere the prompt alone decides."
HOW_TO = f"""Choose **Mask**: white where the clip follows the video, black where it does not, grey for in between, as large as
the video. One image holds for the whole clip; for a moving mask connect one mask a frame. `attention_strength` scales it.

{whole.HOW_TO}"""


def build(g: Graph) -> None:
    mask = g.node("LoadImageMask", "mask", title="Mask: white follows", image="mask.png", channel="red")
    whole.build(g, mask.out(0))


GROUPS = {**whole.GROUPS, "Control video": [*whole.GROUPS["Control video"], "mask"]}
MODELS, TINY, TINY_MODELS, TINY_RESULT = whole.MODELS, whole.TINY, whole.TINY_MODELS, whole.TINY_RESULT
INPUTS = {**whole.INPUTS, "mask.image": Clip(160, 120)}
