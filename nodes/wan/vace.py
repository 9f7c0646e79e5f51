"""VACE conditioning."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ...wan import vace as composer
from ...wan.checks import need_vae
from ...wan.conditioning import nearest
from ...wan.layouts import model_base
from ..node import Node

REFERENCES = 4


class WanVACEComposer(Node):
    @classmethod
    def define_schema(cls):
        references = [
            io.Image.Input(
                f"reference_{n}",
                optional=True,
                tooltip="subject; shown whole on white, one latent frame each. A batch gives several",
            )
            for n in range(1, REFERENCES + 1)
        ]
        return io.Schema(
            node_id="OnerWanVACEComposer",
            display_name="Wan VACE Composer",
            category="Oner/conditioning",
            description="Everything VACE takes in one node: two controls, masks, frames at positions, a keep list, "
            "several references, a background, outpainting; with previews.",
            search_aliases=["WanVaceToVideo", "VACE", "inpaint", "outpaint", "reference to video", "dual control"],
            inputs=[
                io.Model.Input("model", tooltip="VACE model"),
                io.Conditioning.Input("positive", tooltip="positive prompt"),
                io.Conditioning.Input("negative", tooltip="negative prompt"),
                io.Vae.Input("vae", tooltip="Wan 2.1 VAE"),
                io.Int.Input("width", default=832, min=16, max=16384, step=16, tooltip="pixels; a multiple of 16"),
                io.Int.Input("height", default=480, min=16, max=16384, step=16, tooltip="pixels; a multiple of 16"),
                io.Int.Input("length", default=81, min=1, max=16384, step=4, tooltip="frames; 4k+1"),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=4096,
                    advanced=True,
                    tooltip="videos at once; decoded they follow one another in one file: take one out by "
                    "LatentFromBatch before",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="strength of the control video, mask and references, 0 to 10; 0.5 beside a second control",
                ),
                io.Float.Input(
                    "strength_2",
                    default=0.5,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    advanced=True,
                    tooltip="strength of control_video_2, 0 to 10; counts only where that is connected",
                ),
                io.Int.Input(
                    "mask_grow",
                    default=0,
                    min=-512,
                    max=512,
                    advanced=True,
                    tooltip="pixels the mask grows on each side, -512 to 512; negative shrinks",
                ),
                io.Boolean.Input(
                    "mask_negate", default=False, advanced=True, tooltip="generate outside the mask instead of inside"
                ),
                io.Boolean.Input(
                    "mask_box", default=False, advanced=True, tooltip="generate in the mask's bounding box"
                ),
                io.String.Input(
                    "keep_frames",
                    default="",
                    advanced=True,
                    tooltip="frames of the control that count, such as 1:20 25 -1; others are generated. Empty = all",
                ),
                io.String.Input(
                    "positions",
                    default="1",
                    advanced=True,
                    tooltip="frame of each of the images, such as 1 25 L; from 1, negative from the end, L = last",
                ),
                io.String.Input(
                    "outpaint",
                    default="",
                    advanced=True,
                    tooltip="margins top bottom left right in percent of the source, such as 0 0 25 25; empty = none",
                ),
                io.Image.Input("control_video", optional=True, tooltip="pose, depth, edges, or the video to change"),
                io.Image.Input("control_video_2", optional=True, tooltip="second control, for example depth to a pose"),
                io.Mask.Input("control_mask", optional=True, tooltip="1 = generate, 0 = keep; for both controls"),
                io.Image.Input(
                    "images", optional=True, tooltip="images that are kept at positions: start, end, between"
                ),
                *references,
                io.Image.Input("background", optional=True, tooltip="landscape or room; fills the picture"),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="positive prompt with VACE conditioning"),
                io.Conditioning.Output(display_name="negative", tooltip="negative prompt with VACE conditioning"),
                io.Latent.Output(display_name="latent", tooltip="empty latent with a frame more for each reference"),
                io.Int.Output(
                    display_name="trim_latent", tooltip="latent frames TrimVideoLatent must cut after sampling"
                ),
                io.Image.Output(display_name="guide", tooltip="what VACE sees of the first control"),
                io.Mask.Output(display_name="mask", tooltip="white where VACE generates"),
                io.String.Output(display_name="info", tooltip="what was left out, and why"),
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
        batch_size,
        strength,
        strength_2,
        mask_grow,
        mask_negate,
        mask_box,
        keep_frames,
        positions,
        outpaint,
        control_video=None,
        control_video_2=None,
        control_mask=None,
        images=None,
        background=None,
        **references,
    ):
        if not isinstance(model.model, model_base.WAN21_Vace):
            raise ValueError(
                f"the model is a {type(model.model).__name__}; load a Wan VACE model, or use Wan Fun Conditioning for "
                "this one"
            )
        for name, value in (("width", width), ("height", height)):
            if value % 16:
                raise ValueError(f"{name} is {value}; VACE needs multiples of 16: use {nearest(value, 16)}")
        if length % 4 != 1:
            raise ValueError(f"length is {length}; Wan needs 4k+1 frames: use {nearest(length, 4, 1)}")
        need_vae(vae, model.model.latent_format.latent_channels, "VACE")
        if control_video is None and (control_mask is not None or control_video_2 is not None or keep_frames.strip()):
            raise ValueError("control_mask, control_video_2 and keep_frames need a control_video: connect one")
        canvas = composer.make_canvas(width, height, outpaint)
        mask = control_mask
        if mask is not None:
            mask = composer.shape_masks(
                composer.fit_masks(mask, canvas.inner_width, canvas.inner_height),
                negate=mask_negate,
                box=mask_box,
                grow=mask_grow,
            )
        streams, notes = [], []
        for control in (control_video, control_video_2):
            if control is not None or not streams:
                stream, more = composer.compose(
                    canvas,
                    length,
                    control=control,
                    mask=mask,
                    keep_frames=keep_frames,
                    injected=images,
                    positions=positions,
                )
                streams.append(stream)
                notes += [note for note in more if note not in notes]
        latent_format = model.model.latent_format
        pictures = [image[i : i + 1] for image in references.values() if image is not None for i in range(len(image))]
        prefix = [] if background is None else [composer.encode_background(vae, latent_format, background, canvas)]
        prefix += [
            composer.encode_reference(vae, latent_format, composer.letterbox(picture, width, height))
            for picture in pictures
        ]
        frames, masks = [], []
        for stream in streams:
            parts = [*prefix, composer.encode_stream(vae, stream)]
            frames.append(torch.cat([part[0] for part in parts], dim=2))
            masks.append(torch.cat([part[1] for part in parts], dim=2))
        values = {"vace_frames": frames, "vace_mask": masks, "vace_strength": [strength, strength_2][: len(streams)]}
        latent = {"samples": torch.zeros(batch_size, 16, *frames[0].shape[2:])}
        if canvas.outpaints:
            notes.append(
                f"the source fills {canvas.inner_width} x {canvas.inner_height} of {width} x {height} pixels, from "
                f"{canvas.left} left and {canvas.top} top"
            )
        return io.NodeOutput(
            composer.append_lists(positive, values),
            composer.append_lists(negative, values),
            latent,
            len(prefix),
            streams[0].video,
            streams[0].mask,
            "\n".join(notes),
        )
