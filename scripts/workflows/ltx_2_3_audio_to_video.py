"""LTX-2.3, two stages with guidance: audio to video. Reference: ltx-pipelines A2VidPipelineTwoStage."""

from harness.media import Sound, Video

from . import ltx2_parts as parts
from .builder import Graph

NAME = "LTX_2.3_Audio_to_Video"
TITLE = "LTX-2.3: audio to video"
DESCRIPTION = (
    "A picture for your sound: music, speech, a performance. The sound is kept through both stages, and the file gets "
    "the original recording, not a decoded copy."
)
HOW_TO = f"""Choose **Sound** and where it **starts**, describe the picture in **Prompt**, set the size and **Length** (8k+1 frames;
121 at 24 frames a second are 5 s) and run. A sound longer than the clip is cut, a shorter one continued with silence.

**Audio guidance** is off, as the sound is given: only the picture is guided, and the negative prompt applies to the picture
alone.

{parts.GENERATION_NOTE}

{parts.ENCODER_NOTE}"""

PROMPT = (
    "A singer at a grand piano on an empty stage, one warm spotlight, slow orbiting camera. Her hands and lips follow "
    "the music."
)


def build(g: Graph) -> None:
    models = parts.load_models(g, parts.DEV)
    refined = parts.load_lora(g, models.model, 1.0)
    upscaler = parts.load_upscaler(g)
    file = g.node("LoadAudio", "sound", audio="sound.wav")
    sound = g.node(
        "TrimAudioDuration",
        "sound_start",
        title="Where the sound starts",
        audio=file.out(0),
        start_index=0.0,
        duration=60.0,
    ).out(0)

    fps = parts.set_fps(g)
    length = g.node("PrimitiveInt", "length", value=121).out(0)
    empty = parts.set_size(g, fps, stages="two", length=length, audio=False)
    positive, negative = parts.encode_prompts(g, models.clip, fps, PROMPT, parts.NEGATIVE)
    latent = parts.join(g, empty, parts.encode_audio(g, models, sound, length, fps))

    off = g.node(
        "OnerLTXGuidance",
        "audio_guidance",
        title="Audio guidance: off",
        cfg=1.0,
        stg=0.0,
        stg_blocks="",
        rescale=0.0,
        modality=1.0,
        skip_step=0,
        up_to_sigma=1.0,
    ).out(0)
    sampler = parts.euler(g)
    sampled_1 = parts.sample(
        g,
        guider=parts.multimodal_guider(
            g, models.model, positive, negative, stage=1, negative_audio="positive prompt", audio=off
        ),
        sampler=sampler,
        sigmas=parts.scheduled_sigmas(g, stage=1, model=models.model),
        latent=parts.freeze(g, latent, "audio", stage=1),
        stage=1,
    )

    positive, latent = parts.hand_over(g, models, upscaler, positive, sampled_1)
    sampled_2 = parts.sample(
        g,
        guider=parts.plain_guider(g, refined, positive, stage=2),
        sampler=sampler,
        sigmas=parts.distilled_sigmas(g, stage=2),
        latent=parts.freeze(g, latent, "audio", stage=2),
        stage=2,
    )
    parts.save_video(g, models, fps, sampled_2, "ltx-2.3-audio-to-video", sound=sound)


GROUPS = {
    "Models": ["model", "text_encoder", "distilled_lora", "upscaler"],
    "Sound": ["sound", "sound_start", "encode_audio", "join"],
    "Prompts": ["prompt", "negative_prompt"],
    "Size and length": ["fps", "length", "size", "frame_rate"],
    "Stage 1: half size, 30 steps with guidance": [
        "keep_1",
        "noise_1",
        "audio_guidance",
        "guider_1",
        "sampler",
        "sigmas_1",
        "stage_1",
    ],
    "Stage 2: full size, 3 steps": ["hand_over", "keep_2", "noise_2", "guider_2", "sigmas_2", "stage_2"],
    "Video": ["output", "decode_video", "video", "save"],
}
MODELS = {**parts.model_files(parts.DEV), **parts.UPSCALER_MODELS, "distilled_lora.lora_name": parts.LORA_MODEL}
TINY = {
    **parts.TINY_DEEP,
    **parts.TINY_UPSCALER,
    "size.width": 128,
    "size.height": 128,
    "length.value": 17,
    "distilled_lora.lora_name": parts.TINY_LORA,
    "sigmas_1.steps": 3,
}
TINY_MODELS = ["ltx-2.3-deep", "gemma-3", "upscaler-x2", "lora-ltx-2.3"]
TINY_RESULT = Video(width=128, height=128, length=17, fps=24)
INPUTS = {"sound.audio": Sound(1.5)}
