"""LTX-2.3 distilled, two stages: new words for a speaker. Reference: ltx-pipelines DubItPipeline (earlier LipDub)."""

from harness.media import Clip, Video

from . import ltx2_parts as parts
from .builder import Graph, Model

NAME = "LTX_2.3_Lip_Dub"
TITLE = "LTX-2.3 lip dub: new words for a speaker"
DESCRIPTION = (
    "The speaker of your video says what the prompt says, with the same face and voice. The video is the reference of "
    "both stages; its sound lies before the clip in time, so that the voice is heard but not repeated."
)
HOW_TO = f"""Choose **Video**: one speaker, with sound. Write the new words into **Prompt** with the speaker's tone and language, set
the size of the result (multiples of 64) and run. With `length` at 0 the clip is as long as the video, cut to 8k+1 frames; the
frame rate is that of the video.

The IC-LoRA works in both stages. Stage 2 keeps the sound of stage 1 and hears it once more as reference; the file gets that sound.

{parts.ENCODER_NOTE}"""

IC_LORA = "ltx-2.3-22b-ic-lora-lipdub-0.9.safetensors"
PROMPT = (
    "The speaker looks into the camera and says in English, warmly and without haste: 'Good evening. The last train "
    "has left, but the kettle is on.'"
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DISTILLED)
    dubbing, parameters = parts.load_ic_lora(g, models.model, IC_LORA)
    upscaler = parts.load_upscaler(g)
    source = parts.load_video(g, "speaker.mp4", "two", width=1536, height=896, iclora_parameters=parameters)
    prompt, _ = parts.encode_prompts(g, models.clip, source.fps, PROMPT)

    sampler = parts.euler(g, exact=True)
    voice = parts.encode_audio(g, models, source.audio, source.size[2], source.fps)
    positive = listen(g, prompt, voice, stage=1)
    positive, latent = parts.follow(g, models, source.frames, parameters, positive, parts.size_of(g, source), stage=1)
    sampled_1 = parts.sample(
        g,
        guider=parts.plain_guider(g, dubbing, positive, stage=1),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=1),
        latent=latent,
        stage=1,
    )

    # Stage 2 hears the sound of stage 1 instead of the source's: its prompt starts from the bare one.
    _, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    positive = listen(g, prompt, latent, stage=2)
    latent = parts.freeze(g, latent, "audio", stage=2)
    positive, latent = parts.follow(g, models, source.frames, parameters, positive, latent, stage=2)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, dubbing, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=latent,
        stage=2,
    )
    cropped = parts.crop(g, positive, sampled_2)
    parts.save_video(g, models, source.fps, cropped, "ltx-2.3-lip-dub", stage_1=sampled_1)


def listen(g: Graph, prompt: parts.Link, sound: parts.Link, stage: int) -> parts.Link:
    """The prompt with a sound at negative time; node voice."""
    return g.node(
        "OnerLTXReferenceAudio",
        f"voice_{stage}",
        title=f"Hear the voice {stage}",
        positive=prompt,
        negative=prompt,
        audio_latent=sound,
    ).out(0)


GROUPS = {
    "Models": ["model", "text_encoder", "ic_lora", "upscaler"],
    "Video to dub": [*parts.SOURCE_GROUP, "encode_audio"],
    "Prompt": ["prompt", "frame_rate"],
    "Stage 1: half size, 8 steps": [
        "size",
        "voice_1",
        "reference_1",
        "noise_1",
        "guider_1",
        "sampler",
        "sigmas_1",
        "stage_1",
    ],
    "Stage 2: full size, 3 steps": [
        "hand_over",
        "voice_2",
        "keep_2",
        "reference_2",
        "noise_2",
        "guider_2",
        "sigmas_2",
        "stage_2",
    ],
    "Video": ["crop", *parts.SAVE_GROUP],
}
MODELS = {
    **parts.model_files(parts.DISTILLED),
    **parts.UPSCALER_MODELS,
    "ic_lora.lora_name": Model(
        f"https://huggingface.co/Lightricks/LTX-2.3-22b-IC-LoRA-LipDub/resolve/main/{IC_LORA}", "loras"
    ),
}
TINY = {
    **parts.TINY,
    **parts.TINY_UPSCALER,
    "fit.width": 128,
    "fit.height": 128,
    "ic_lora.lora_name": parts.TINY_IC_LORA,
}
TINY_MODELS = ["ltx-2.3", "gemma-3", "upscaler-x2", "ic-lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=25)
INPUTS = {"source.file": Clip(160, 120, length=20, fps=25, sound=True)}
