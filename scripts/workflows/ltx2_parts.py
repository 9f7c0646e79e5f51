"""Parts that the LTX-2.3 workflows share: files, prompts, size, a sampling stage, hand-over, saving.

The ids of their nodes are the same in all workflows; a stage's end in its number, or in nothing where there is one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .builder import Graph, Model

Link = list[Any]  # an output of a node

DEV = "ltx-2.3-22b-dev-fp8.safetensors"
DISTILLED = "ltx-2.3-22b-distilled-fp8.safetensors"
OWN_VAES = {"vae_name": "of the model file", "audio_vae_name": "of the model file"}
UPSCALER = "ltx-2.3-spatial-upscaler-x2-1.1.safetensors"
DISTILLED_LORA = "ltx-2.3-22b-distilled-lora-384.safetensors"
ENCODER = "gemma-3-12b-it"

NEGATIVE = (
    "blurry, low contrast, distorted anatomy, flicker, frozen picture, subtitles, watermark, logo, muffled voice, "
    "distorted sound, echo"
)
ENCODER_NOTE = f"""The text encoder is the folder of Gemma 3 12B instruct as on Hugging Face (`google/gemma-3-12b-it`:
config.json, tokenizer and safetensors shards) in `models/text_encoders/{ENCODER}`. For a single-file encoder replace
**Text encoder** by ComfyUI's *Load LTXV Audio Text Encoder*."""
GENERATION_NOTE = """**For LTX-2 (19B)** choose its file in **Model and VAEs**. Guidance, steps and text projection follow the model that is
loaded. An upscaler and a LoRA, where there are any, must be made for it too."""

_HUB = "https://huggingface.co/Lightricks"
_CHECKPOINTS = {name: Model(f"{_HUB}/LTX-2.3-fp8/resolve/main/{name}", "checkpoints") for name in (DEV, DISTILLED)}
UPSCALER_MODELS = {"upscaler.model_name": Model(f"{_HUB}/LTX-2.3/resolve/main/{UPSCALER}", "latent_upscale_models")}
LORA_MODEL = Model(f"{_HUB}/LTX-2.3/resolve/main/{DISTILLED_LORA}", "loras")

TINY = {"model.model_name": "tiny-ltx-2.3.safetensors", "text_encoder.folder": "tiny-gemma-3"}
TINY_DEEP = {**TINY, "model.model_name": "tiny-ltx-2.3-deep.safetensors"}  # has the block that guidance perturbs
TINY_SIZE = {"size.width": 128, "size.height": 128, "size.length": 17}
TINY_UPSCALER = {"upscaler.model_name": "tiny-ltx-2.3-spatial-upscaler-x2.safetensors"}
TINY_LORA, TINY_IC_LORA = "tiny-ltx-2.3-distilled-lora.safetensors", "tiny-ltx-2.3-ic-lora.safetensors"


def model_files(checkpoint: str) -> dict[str, Model]:
    """Download links of the nodes that load_models makes."""
    return {"model.model_name": _CHECKPOINTS[checkpoint]}


class Models(NamedTuple):
    model: Link
    vae: Link
    audio_vae: Link
    clip: Link


def load_models(g: Graph, checkpoint: str) -> Models:
    """Nodes model, text_encoder."""
    file = g.node("OnerLTXModelLoader", "model", title="Model and VAEs", model_name=checkpoint, **OWN_VAES)
    encoder = g.node(
        "OnerTextEncoderLoader", "text_encoder", folder=ENCODER, type="ltx-2", projection=file.out(3), device="default"
    )
    return Models(file.out(0), file.out(1), file.out(2), encoder.out(0))


def load_upscaler(g: Graph) -> Link:
    """Node upscaler."""
    return g.node("LatentUpscaleModelLoader", "upscaler", title="Latent upscaler", model_name=UPSCALER).out(0)


def load_lora(g: Graph, model: Link, strength: float, id: str = "distilled_lora", title: str | None = None) -> Link:
    """The model with the distilled LoRA; node `id`."""
    title = title or "Distilled LoRA"
    return g.node(
        "LoraLoaderModelOnly", id, title=title, model=model, lora_name=DISTILLED_LORA, strength_model=strength
    ).out(0)


def set_fps(g: Graph) -> Link:
    """Node fps."""
    return g.node("PrimitiveFloat", "fps", title="Frames a second", value=24.0).out(0)


def set_size(
    g: Graph,
    fps: Link,
    stages: str,
    width: Any = 1536,
    height: Any = 1024,
    length: Any = 121,
    audio: bool = True,
    title: str = "Size and length",
) -> Link:
    """An empty latent for videos of this size; node size."""
    return g.node(
        "OnerLTXEmptyLatent",
        "size",
        title=title,
        width=width,
        height=height,
        length=length,
        fps=fps,
        batch_size=1,
        stages=stages,
        audio=audio,
    ).out(0)


class Source(NamedTuple):
    """`size`: width, height, length."""

    frames: Link
    mask: Link
    audio: Link
    fps: Link
    size: tuple[Link, Link, Link]


def load_video(
    g: Graph, file: str, stages: str, width: int = 0, height: int = 0, length: int = 0, **inputs: Any
) -> Source:
    """A video of a legal size and length, with its sound; nodes source, source_parts, fit. 0 = that of the video."""
    # the frontend queues its preview widget too
    video = g.node("LoadVideo", "source", title="Video", file=file, **{"video-preview": ""})
    split = g.node("GetVideoComponents", "source_parts", title="Frames, sound, frame rate", video=video.out(0))
    fit = g.node(
        "OnerLTXFitVideo",
        "fit",
        title="Size and length",
        video=split.out(0),
        width=width,
        height=height,
        length=length,
        stages=stages,
        if_too_short="refuse",
        **inputs,
    )
    return Source(fit.out(0), fit.out(1), split.out(1), split.out(2), (fit.out(2), fit.out(3), fit.out(4)))


SOURCE_GROUP = ["source", "source_parts", "fit"]


def load_ic_lora(g: Graph, model: Link, file: str) -> tuple[Link, Link]:
    """The model with an IC-LoRA, and the LoRA's parameters; node ic_lora."""
    node = g.node("OnerLTXICLoRALoader", "ic_lora", title="IC-LoRA", model=model, lora_name=file, strength=1.0)
    return node.out(0), node.out(1)


def follow(
    g: Graph, models: Models, video: Link, parameters: Link, positive: Link, latent: Link, stage: int, **inputs: Any
) -> tuple[Link, Link]:
    """Positive prompt and latent with a reference video; node reference."""
    values = {"strength": 1.0, "attention_strength": 1.0, "iclora_parameters": parameters, **inputs}
    node = g.node(
        "OnerLTXReferenceVideo",
        f"reference_{stage}",
        title=f"Follow the video {stage}",
        positive=positive,
        negative=positive,
        vae=models.vae,
        video=video,
        latent=latent,
        **values,
    )
    return node.out(0), node.out(2)


def size_of(g: Graph, source: Source) -> Link:
    """An empty latent for two stages as large and long as the source; node size."""
    width, height, length = source.size
    return set_size(g, source.fps, "two", width, height, length, title="Empty latent of that size")


def encode_audio(g: Graph, models: Models, audio: Link, length: Link, fps: Link) -> Link:
    """Node encode_audio."""
    return g.node(
        "OnerLTXEncodeAudio",
        "encode_audio",
        title="Encode the sound",
        audio=audio,
        audio_vae=models.audio_vae,
        length=length,
        fps=fps,
        if_too_short="continue with silence",
    ).out(0)


def join(g: Graph, video: Link, audio: Link) -> Link:
    """Node join."""
    return g.node("LTXVConcatAVLatent", "join", title="Join", video_latent=video, audio_latent=audio).out(0)


def freeze(g: Graph, latent: Link, keep: str, stage: int | None = None) -> Link:
    """Node keep."""
    return g.node("OnerLTXFreeze", **numbered("keep", stage), latent=latent, keep=keep).out(0)


def encode_prompts(g: Graph, clip: Link, fps: Link, text: str, negative: str | None = None) -> tuple[Link, Link]:
    """Positive and negative prompt with the frame rate; nodes prompt, frame_rate, and negative_prompt if given.

    Without a negative prompt the positive one is both, as core's node wants two.
    """
    positive = g.node("CLIPTextEncode", "prompt", clip=clip, text=text).out(0)
    other = positive if negative is None else g.node("CLIPTextEncode", "negative_prompt", clip=clip, text=negative)
    other = other if isinstance(other, list) else other.out(0)
    timed = g.node(
        "LTXVConditioning",
        "frame_rate",
        title="Tell the model the frame rate",
        positive=positive,
        negative=other,
        frame_rate=fps,
    )
    return timed.out(0), timed.out(1)


def load_image(g: Graph, id: str, file: str, crf: int = 33) -> Link:
    """An image, compressed as the model was trained to see images; nodes `id`, `id`_compressed."""
    image = g.node("LoadImage", id, image=file)
    title = g.titles[id] + ", compressed"
    prepared = g.node(
        "OnerLTXPrepareImage", f"{id}_compressed", title=title, image=image.out(0), crf=crf, width=0, height=0
    )
    return prepared.out(0)


def numbered(name: str, stage: int | None) -> dict[str, str]:
    """id and title of a node of a stage."""
    title = name.capitalize() + (f" {stage}" if stage else "")
    return {"id": f"{name}_{stage}" if stage else name, "title": title}


def plain_guider(g: Graph, model: Link, positive: Link, stage: int | None = None) -> Link:
    """Without guidance, for distilled models; node guider."""
    return g.node("BasicGuider", **numbered("guider", stage), model=model, conditioning=positive).out(0)


def multimodal_guider(
    g: Graph, model: Link, positive: Link, negative: Link, stage: int | None = None, **inputs: Any
) -> Link:
    """Guidance of the loaded model; node guider."""
    values = {"preset": "of the model", "negative_audio": "negative prompt", **inputs}
    return g.node(
        "OnerLTXMultimodalGuider",
        **numbered("guider", stage),
        model=model,
        positive=positive,
        negative=negative,
        **values,
    ).out(0)


def scheduled_sigmas(g: Graph, stage: int | None = None, steps: int = 0, **inputs: Any) -> Link:
    """The schedule of the full model; node sigmas. `inputs`: model where steps are 0, latent for a shift by size."""
    return g.node(
        "OnerLTXScheduler",
        **numbered("sigmas", stage),
        steps=steps,
        max_shift=2.05,
        base_shift=0.95,
        terminal=0.1,
        **inputs,
    ).out(0)


def distilled_sigmas(g: Graph, stage: int | None = None) -> Link:
    """The list for stage 1, also where it is the only stage, or 2; node sigmas."""
    return g.node("OnerLTXSigmaPreset", **numbered("sigmas", stage), preset=f"distilled stage {stage or 1}").out(0)


def euler(g: Graph, exact: bool = False) -> Link:
    """Node sampler; `exact` for content given with a strength between 0 and 1, and for weighted references."""
    if exact:
        return g.node("OnerLTXEulerSampler", "sampler", method="euler").out(0)
    return g.node("KSamplerSelect", "sampler", sampler_name="euler").out(0)


def sample(
    g: Graph, guider: Link, sampler: Link, sigmas: Link, latent: Link, stage: int | None = None, exact: bool = False
) -> Link:
    """Nodes noise, stage."""
    seed = {"noise_seed": 9 + (stage or 1)}
    if exact:
        noise = g.node("OnerLTXNoise", **numbered("noise", stage), **seed, sigmas=sigmas)
    else:
        noise = g.node("RandomNoise", **numbered("noise", stage), **seed)
    return g.node(
        "SamplerCustomAdvanced",
        numbered("stage", stage)["id"],
        title=f"Sample stage {stage}" if stage else "Sample",
        noise=noise.out(0),
        guider=guider,
        sampler=sampler,
        sigmas=sigmas,
        latent_image=latent,
    ).out(0)


def hand_over(g: Graph, models: Models, upscaler: Link, positive: Link, sampled: Link) -> tuple[Link, Link]:
    """Positive prompt and latent of stage 2; node hand_over."""
    node = g.node(
        "OnerLTXStageHandOver",
        "hand_over",
        title="Hand over to stage 2",
        positive=positive,
        latent=sampled,
        upscale_model=upscaler,
        vae=models.vae,
    )
    return node.out(0), node.out(1)


def crop(g: Graph, positive: Link, sampled: Link) -> Link:
    """The clip without keyframes and references; node crop."""
    return g.node(
        "OnerLTXCrop", "crop", title="Remove what was appended", positive=positive, negative=positive, latent=sampled
    ).out(2)


def decode(g: Graph, models: Models, latent: Link) -> Link:
    """Node decode_video."""
    return g.node(
        "VAEDecodeTiled",
        "decode_video",
        samples=latent,
        vae=models.vae,
        tile_size=768,
        overlap=64,
        temporal_size=4096,
        temporal_overlap=8,
    ).out(0)


def write_file(g: Graph, frames: Link, fps: Link, sound: Link, name: str) -> None:
    """Nodes video, save."""
    video = g.node("CreateVideo", "video", images=frames, fps=fps, audio=sound, bit_depth=8)
    g.node(
        "SaveVideo",
        "save",
        video=video.out(0),
        filename_prefix=f"oner/{name}",
        format="mp4",
        codec="h264",
        **{"codec.encoding": "auto"},
    )


def save_video(
    g: Graph,
    models: Models,
    fps: Link,
    sampled: Link,
    name: str,
    stage_1: Link | None = None,
    sound: Link | None = None,
    audio_source: str | None = None,
) -> None:
    """Nodes output, decode_video, decode_audio unless a `sound` is given, video, save.

    With `stage_1` the decoded audio is that of stage 1, unless `audio_source` says otherwise.
    """
    source = {"audio_source": audio_source or ("stage 1" if stage_1 else "last stage")}
    source |= {"stage_1": stage_1} if stage_1 else {}
    output = g.node("OnerLTXStageOutput", "output", title="Choose the audio", latent=sampled, **source)
    frames = decode(g, models, output.out(0))
    if sound is None:
        sound = g.node("LTXVAudioVAEDecode", "decode_audio", samples=output.out(1), audio_vae=models.audio_vae).out(0)
    write_file(g, frames, fps, sound, name)


SAVE_GROUP = ["output", "decode_video", "decode_audio", "video", "save"]
