"""Images, keyframes, reference videos and reference sounds for LTX-2 latents, and their removal."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.latents import TEMPORAL
from ...ltx.ltx2 import conditioning
from ...ltx.ltx2.checks import clip_length, need_shrinkable
from ...ltx.ltx2.media import encode_frames
from ...ltx.ltx2.references import DOWNSCALE_FACTOR, TEMPORAL_FACTOR, iclora_factor, token_weights
from ...ltx.ltx2.state import State, parts_of, plain_latent, read_state, with_guides, write_state
from ...utils.latents import GUIDE_FRAMES
from ..node import Node
from ..types import ICLoRAParameters

CATEGORY = "Oner/conditioning"
LATENT_TIP = "video or audio-video latent"
STRENGTH_TIP = "how much of the image is kept, 0 to 1; below 1 use the LTX samplers and LTX Noise"


def prompts() -> list[io.Conditioning.Input]:
    return [
        io.Conditioning.Input("positive", tooltip="positive prompt; it carries where appended frames belong"),
        io.Conditioning.Input("negative", tooltip="negative prompt; give the positive one again if there is none"),
    ]


def share(name: str, tip: str) -> io.Float.Input:
    return io.Float.Input(name, default=1.0, min=0.0, max=1.0, step=0.01, tooltip=tip)


def conditioned(latent: bool = True) -> list[io.Output]:
    outputs = [
        io.Conditioning.Output(display_name="positive", tooltip="positive prompt with what was added"),
        io.Conditioning.Output(display_name="negative", tooltip="negative prompt with what was added"),
    ]
    return [*outputs, io.Latent.Output(display_name="latent", tooltip="latent to sample")] if latent else outputs


def read_conditioned(latent: dict, prompts: list) -> State:
    """The state of a latent whose appended frames `prompts` describe; ValueError if they do not fit together."""
    state = read_state(latent)
    return with_guides(latent, state, [conditioning.appended_frames(state, prompt) for prompt in prompts])


def crop_sampled(latent: dict, prompts: list) -> tuple[State, list]:
    """The clip of a sampled latent without appended frames, whose start is of no use any more, and the bare prompts."""
    counted = {key: value for key, value in latent.items() if key in ("samples", GUIDE_FRAMES)}
    return conditioning.crop(read_conditioned(counted, prompts), prompts)


class LTXImageToVideo(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXImageToVideo",
            display_name="LTX Image to Video",
            category=CATEGORY,
            description="Let the clip begin with an image, or continue a video of 8k+1 frames. The strength is exact "
            "with the LTX samplers, and attention is not touched.",
            search_aliases=[
                "LTXVImgToVideoInplace",
                "first frame",
                "start image",
                "i2v",
                "replace latent frame",
                "extend",
            ],
            inputs=[
                io.Vae.Input("vae", tooltip="LTX video VAE"),
                io.Image.Input(
                    "start_image", tooltip="one image, or the first 8k+1 frames; scaled to fill, then cropped"
                ),
                io.Latent.Input("latent", tooltip=LATENT_TIP),
                share("strength", STRENGTH_TIP),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="latent to sample")],
        )

    @classmethod
    def execute(cls, vae, start_image, latent, strength):
        state = read_state(latent)
        content = encode_frames(vae, start_image, state)
        return io.NodeOutput(write_state(latent, conditioning.replace_frames(state, content, 0, strength)))


class LTXKeyframe(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXKeyframe",
            display_name="LTX Keyframe",
            category=CATEGORY,
            description="Let the clip pass through an image at a frame. The image is appended to the latent: remove it "
            "after sampling with LTX Crop.",
            search_aliases=["LTXVAddGuide", "last frame", "end image", "first last frame", "interpolation", "guide"],
            inputs=[
                *prompts(),
                io.Vae.Input("vae", tooltip="LTX video VAE"),
                io.Image.Input("image", tooltip="one image; scaled to fill, then cropped"),
                io.Latent.Input("latent", tooltip=LATENT_TIP),
                io.Int.Input(
                    "frame",
                    default=0,
                    min=-100000,
                    max=100000,
                    tooltip="frame of the clip from 0; negative counts from the end, -1 is the last",
                ),
                share("strength", STRENGTH_TIP),
            ],
            outputs=conditioned(),
        )

    @classmethod
    def execute(cls, positive, negative, vae, image, latent, frame, strength):
        state = read_conditioned(latent, [positive, negative])
        length = clip_length(state)
        if image.shape[0] != 1:
            raise ValueError(
                f"image holds {image.shape[0]} frames; a keyframe is one: use LTX Reference Video for more"
            )
        if not -length <= frame < length:
            raise ValueError(f"frame is {frame}; the clip has frames 0 to {length - 1}")
        content = encode_frames(vae, image, state)
        state, (positive, negative) = conditioning.append_keyframe(
            state, [positive, negative], content, frame % length, strength
        )
        return io.NodeOutput(positive, negative, write_state(latent, state))


class LTXReferenceVideo(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXReferenceVideo",
            display_name="LTX Reference Video",
            category=CATEGORY,
            description="Give a video that an IC-LoRA follows: pose, depth, edges, a face to dub. Several may be "
            "chained; references with attention weights do not see each other. Remove them after sampling with LTX "
            "Crop.",
            search_aliases=["IC-LoRA", "LTXAddVideoICLoRAGuide", "control video", "video to video", "reference", "v2v"],
            inputs=[
                *prompts(),
                io.Vae.Input("vae", tooltip="LTX video VAE"),
                io.Image.Input(
                    "video", tooltip="8k+1 frames, at most as many as the clip; scaled to fill, then cropped"
                ),
                io.Latent.Input("latent", tooltip=LATENT_TIP),
                share("strength", "how clean the reference is given, 0 to 1; not its influence"),
                share("attention_strength", "how much the clip attends to the reference, 0 to 1; 1 = plain attention"),
                io.Mask.Input(
                    "attention_mask",
                    optional=True,
                    tooltip="where the clip attends to the reference, 0 to 1: one mask, or one a frame of the video",
                ),
                ICLoRAParameters.Input(
                    "iclora_parameters",
                    optional=True,
                    tooltip="factors of the IC-LoRA from LTX IC-LoRA Loader; without it 1",
                ),
            ],
            outputs=conditioned(),
        )

    @classmethod
    def execute(
        cls,
        positive,
        negative,
        vae,
        video,
        latent,
        strength,
        attention_strength,
        attention_mask=None,
        iclora_parameters=None,
    ):
        state = read_conditioned(latent, [positive, negative])
        downscale = iclora_factor([iclora_parameters or {}], DOWNSCALE_FACTOR)
        temporal_scale = iclora_factor([iclora_parameters or {}], TEMPORAL_FACTOR)
        need_shrinkable(state, downscale)
        content = encode_frames(vae, video, state, downscale=downscale, temporal_scale=temporal_scale)

        weight, pixel_mask = None if attention_strength == 1 else attention_strength, None
        if attention_mask is not None:
            frames = (content.shape[2] - 1) * TEMPORAL + 1
            if attention_mask.shape[0] not in (1, frames):
                raise ValueError(
                    f"attention_mask has {attention_mask.shape[0]} frames, the reference {frames}: give 1 or {frames}"
                )
            pixel_mask = attention_mask.expand(frames, -1, -1)[None, None]
            weight = (token_weights(pixel_mask, *content.shape[2:]) * attention_strength)[0]
        state, (positive, negative) = conditioning.append_reference(
            state,
            [positive, negative],
            content,
            strength,
            downscale=downscale,
            temporal_scale=temporal_scale,
            weight=weight,
            pixel_mask=pixel_mask,
        )
        return io.NodeOutput(positive, negative, write_state(latent, state))


def need_whole(audio_latent: dict) -> None:
    """Raise ValueError if a mask says that the sound of a latent is given in part, which ComfyUI has no way to tell."""
    mask = audio_latent.get("noise_mask")
    if mask is None or len(parts_of(mask)) != len(parts_of(audio_latent["samples"])):
        return  # no mask, or one of the video alone
    values = parts_of(mask)[-1]
    partial = values[(values > 0) & (values < 1)]
    if partial.numel():
        raise ValueError(
            f"the mask of audio_latent is {float(partial[0]):g} in places, and a reference sound is given whole: "
            "connect the sound before its mask is set"
        )


class LTXReferenceAudio(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXReferenceAudio",
            display_name="LTX Reference Audio",
            category=CATEGORY,
            description="Give a sound whose voice the clip takes up. It lies before the clip in time and does not "
            "change the latent. Core's node of this kind also patches the model; this one does not.",
            search_aliases=["ID-LoRA", "LTXVReferenceAudio", "lip dub", "voice", "speaker", "Dub-It"],
            inputs=[
                *prompts(),
                io.Latent.Input("audio_latent", tooltip="encoded sound, or an audio-video latent whose sound is taken"),
            ],
            outputs=conditioned(latent=False),
        )

    @classmethod
    def execute(cls, positive, negative, audio_latent):
        content = parts_of(audio_latent["samples"])[-1]
        if content.ndim != 4:
            raise ValueError(
                f"audio_latent has shape {tuple(content.shape)}, which is video: encode a sound with LTX Encode Audio"
            )
        need_whole(audio_latent)
        if conditioning.get_value(positive, "ref_audio") is not None:
            raise ValueError("the prompt holds a reference sound already: give one, joined beforehand if need be")
        return io.NodeOutput(*conditioning.add_audio_reference([positive, negative], content))


class LTXCrop(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXCrop",
            display_name="LTX Crop",
            category=CATEGORY,
            description="Remove keyframes, references and masks after sampling: the bare clip and prompts, ready for "
            "the next stage or for decoding.",
            search_aliases=["LTXVCropGuides", "remove guides", "clear conditioning"],
            inputs=[*prompts(), io.Latent.Input("latent", tooltip="sampled latent")],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive prompt without references"),
                io.Conditioning.Output(display_name="negative", tooltip="negative prompt without references"),
                io.Latent.Output(display_name="latent", tooltip="the clip alone, nothing given"),
            ],
        )

    @classmethod
    def execute(cls, positive, negative, latent):
        state, (positive, negative) = crop_sampled(latent, [positive, negative])
        return io.NodeOutput(positive, negative, plain_latent(latent, state))
