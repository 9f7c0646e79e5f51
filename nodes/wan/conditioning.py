"""Conditioning of the Wan Fun family, image-to-video and 5B models."""

from __future__ import annotations

from comfy_api.latest import io

from ...wan.checks import need_vae
from ...wan.conditioning import FunInputs, apply, check_camera, check_inputs, check_size, prepare
from ...wan.layouts import read_layout
from ...wan.motion import amplify_conditioning
from ..node import Node


class WanFunConditioning(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanFunConditioning",
            display_name="Wan Fun Conditioning",
            category="Oner/conditioning",
            description="Reads from the model what it is (Fun inpaint, control, reference, camera, 2.1, 2.2 or 5B) and "
            "builds exactly the conditioning it was trained with.",
            search_aliases=[
                "WanFunControlToVideo",
                "WanFunInpaintToVideo",
                "WanCameraImageToVideo",
                "WanImageToVideo",
                "image to video",
                "first last frame",
                "fun control",
            ],
            inputs=[
                io.Model.Input("model", tooltip="the Wan model that will sample; for a pair either of the two experts"),
                io.Conditioning.Input("positive", tooltip="positive prompt"),
                io.Conditioning.Input("negative", tooltip="negative prompt"),
                io.Vae.Input("vae", tooltip="Wan 2.1 VAE, or the Wan 2.2 VAE for 5B models"),
                io.Int.Input(
                    "width",
                    default=832,
                    min=16,
                    max=16384,
                    step=16,
                    tooltip="pixels; a multiple of 16, of 32 for 5B models",
                ),
                io.Int.Input(
                    "height",
                    default=480,
                    min=16,
                    max=16384,
                    step=16,
                    tooltip="pixels; a multiple of 16, of 32 for 5B models",
                ),
                io.Int.Input("length", default=81, min=1, max=16384, step=4, tooltip="frames; 4k+1"),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=4096,
                    advanced=True,
                    tooltip="videos to sample at once; decoded they follow one another in one file: take one out by "
                    "LatentFromBatch before",
                ),
                io.Float.Input(
                    "control_strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="strength of control video or camera, 0 to 10: 1 = as given, 0 = off",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="part of the run, 0 to 1, at which control video or camera sets in",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="part of the run, 0 to 1, after which control video or camera is off",
                ),
                io.Image.Input(
                    "start_image",
                    optional=True,
                    tooltip="first frames of the video; the 2.1 control and camera models take 1",
                ),
                io.Image.Input("end_image", optional=True, tooltip="last frames of the video"),
                io.Image.Input(
                    "control_video",
                    optional=True,
                    tooltip="pose, depth, edges or trajectories, a frame for each of the video; the last is held if "
                    "there are fewer",
                ),
                io.Image.Input(
                    "inpaint_video", optional=True, tooltip="video of which the masked part is generated anew"
                ),
                io.Mask.Input(
                    "inpaint_mask",
                    optional=True,
                    tooltip="1 = generate, 0 = keep; a frame for each of the "
                    "video, the last is held if there are fewer",
                ),
                io.Image.Input(
                    "ref_image",
                    optional=True,
                    tooltip="reference for subject and style; only models with a reference convolution",
                ),
                io.ClipVisionOutput.Input(
                    "clip_vision_output",
                    optional=True,
                    tooltip="CLIP vision of the reference image, else of the start image; Wan 2.1 only",
                ),
                io.WanCameraEmbedding.Input(
                    "camera",
                    optional=True,
                    tooltip="camera embedding of the same width, height and length; only camera models",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive prompt with the conditioning"),
                io.Conditioning.Output(display_name="negative", tooltip="negative prompt with the conditioning"),
                io.Latent.Output(
                    display_name="latent", tooltip="empty latent, or with the first frame pinned on 5B models"
                ),
                io.String.Output(display_name="info", tooltip="what the model is, what it was given, and warnings"),
            ],
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        negative,
        vae,
        width,
        height,
        length,
        batch_size=1,
        control_strength=1.0,
        start_percent=0.0,
        end_percent=1.0,
        camera=None,
        **images,
    ):
        layout = read_layout(model)
        given = FunInputs(camera=camera, **images)
        check_size(layout, width, height, length)
        warnings = check_inputs(layout, given, length)
        if camera is not None:
            check_camera(camera, width, height, length)
        need_vae(vae, layout.latent_channels, layout.name)
        if end_percent <= start_percent and (given.control_video is not None or camera is not None):
            warnings.append(f"end_percent {end_percent} is not above start_percent {start_percent}: control is off")
        prepared = prepare(
            layout,
            model.model.latent_format,
            vae,
            given,
            width=width,
            height=height,
            length=length,
            batch_size=batch_size,
            control_strength=control_strength,
        )
        latent = {"samples": prepared.samples}
        if prepared.noise_mask is not None:
            latent["noise_mask"] = prepared.noise_mask
        info = [layout.name, *(f"warning: {text}" for text in warnings), *prepared.notes]
        return io.NodeOutput(
            apply(positive, prepared, start_percent, end_percent),
            apply(negative, prepared, start_percent, end_percent),
            latent,
            "\n".join(info),
        )


class WanMotionAmplitude(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanMotionAmplitude",
            display_name="Wan Motion Amplitude",
            category="Oner/conditioning",
            description="More motion in image to video, against the slow motion of distilled LoRAs.",
            search_aliases=["PainterI2V", "slow motion", "lightning motion", "dynamics"],
            inputs=[
                io.Model.Input("model", tooltip="the Wan model that will sample"),
                io.Conditioning.Input("positive", tooltip="positive prompt with a start image"),
                io.Conditioning.Input("negative", tooltip="negative prompt with a start image"),
                io.Float.Input(
                    "amplitude",
                    default=1.15,
                    min=0.0,
                    max=4.0,
                    step=0.01,
                    tooltip="1 = unchanged; 1.0 to 1.4 is useful, more drifts in colour",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive prompt with more motion"),
                io.Conditioning.Output(display_name="negative", tooltip="negative prompt with more motion"),
            ],
        )

    @classmethod
    def execute(cls, model, positive, negative, amplitude):
        latent_format = model.model.latent_format
        return io.NodeOutput(*(amplify_conditioning(c, latent_format, amplitude) for c in (positive, negative)))
