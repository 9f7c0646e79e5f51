"""LTX-2.3 distilled, two stages: a video that follows another. Reference: ltx-pipelines ICLoraPipeline."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from .builder import Graph, Model

NAME = "LTX_2.3_IC-LoRA_Control_Video"
TITLE = "LTX-2.3 IC-LoRA: a video that follows edges"
DESCRIPTION = (
    "A new video with sound that moves like yours: the union IC-LoRA follows edges, depth or pose. Stage 1 samples at "
    "half size with the LoRA, stage 2 refines without it."
)
HOW_TO = f"""Choose **Video**, write the new look and sound into **Prompt**, set **Size and length** (multiples of 128 with
this LoRA; 8k+1 frames, at most those of the video) and run. The frame rate is that of the video.

**Detect edges** makes the control video. For depth or pose put another detector there, or connect a finished control video
to **Follow the video**. Its `attention_strength` says how closely the clip follows; `strength` below 1 gives the
control video noisy, which is rarely wanted. The LoRA's file says how much smaller than the clip the reference is.

{parts.ENCODER_NOTE}"""

IC_LORA = "ltx-2.3-22b-ic-lora-union-control-ref0.5.safetensors"
PROMPT = (
    "The same scene as a stop-motion world of folded paper: paper people, paper trees, a paper sky lit by a lamp. "
    "Paper rustles with every move."
)


def build(g: Graph, mask: parts.Link | None = None) -> None:
    """`mask`: where the clip follows the video, everywhere without one."""
    models = parts.load_models(g, parts.DISTILLED)
    controlled, parameters = parts.load_ic_lora(g, models.model, IC_LORA)
    upscaler = parts.load_upscaler(g)
    masked = {} if mask is None else {"mask": mask}
    source = parts.load_video(
        g, "video.mp4", "two", width=1536, height=896, length=121, iclora_parameters=parameters, **masked
    )
    edges = g.node(
        "Canny", "edges", title="Detect edges", image=source.frames, low_threshold=0.1, high_threshold=0.3
    ).out(0)
    positive, _ = parts.encode_prompts(g, models.clip, source.fps, PROMPT)

    sampler = parts.euler(g, exact=True)
    reference = {} if mask is None else {"attention_mask": source.mask}
    positive, latent = parts.follow(
        g, models, edges, parameters, positive, parts.size_of(g, source), stage=1, **reference
    )
    sampled_1 = parts.sample(
        g,
        guider=parts.plain_guider(g, controlled, positive, stage=1),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=1),
        latent=latent,
        stage=1,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, models.model, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=latent,
        stage=2,
    )
    parts.save_video(g, models, source.fps, sampled_2, "ltx-2.3-ic-lora")


GROUPS = {
    "Models": ["model", "text_encoder", "ic_lora", "upscaler"],
    "Control video": [*parts.SOURCE_GROUP, "edges"],
    "Prompt": ["prompt", "frame_rate"],
    "Stage 1: half size, 8 steps": ["size", "reference_1", "noise_1", "guider_1", "sampler", "sigmas_1", "stage_1"],
    "Stage 2: full size, 3 steps": ["hand_over", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": parts.SAVE_GROUP,
}
MODELS = {
    **parts.model_files(parts.DISTILLED),
    **parts.UPSCALER_MODELS,
    "ic_lora.lora_name": Model(
        f"https://huggingface.co/Lightricks/LTX-2.3-22b-IC-LoRA-Union-Control/resolve/main/{IC_LORA}", "loras"
    ),
}
TINY = {
    **parts.TINY,
    **parts.TINY_UPSCALER,
    "fit.width": 128,
    "fit.height": 128,
    "fit.length": 17,
    "ic_lora.lora_name": parts.TINY_IC_LORA,
    "reference_1.attention_strength": 0.6,
}
TINY_MODELS = ["ltx-2.3", "gemma-3", "upscaler-x2", "ic-lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"source.file": Clip(160, 120, length=20)}
