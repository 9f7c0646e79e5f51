"""Drift control: its settings, and two clips matched on the frames they share."""

from __future__ import annotations

from comfy_api.latest import io

from ...samplers.windows.drift import BLEND, FIRST, LATENT, MODES, PREVIOUS, SHARPNESS, DriftSettings, Reference, fit
from ..node import Node, own_type

DriftType = own_type("ONER_DRIFT", DriftSettings, "Drift Control")
DEFAULT = DriftSettings()


class DriftControl(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerDriftControl",
            display_name="Drift Control",
            category="Oner/video",
            description="How colours and sharpness of a long video are held from window to window. What drifted is "
            "read off the frames that two windows share, so a change of light inside a window stays.",
            search_aliases=["colour drift", "color match", "color correction", "long video", "sharpness drift", "MKL"],
            inputs=[
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    tooltip="pairs: gain and offset of each channel, or a colour matrix, fitted on the shared frames, "
                    "at least 3; MKL and Lab match means and spreads, from 1 frame on; latent AdaIN works on latents",
                ),
                io.Float.Input(
                    "strength",
                    default=DEFAULT.strength,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="share of the correction that is applied, 0 to 1; latent AdaIN takes 0.3 of it",
                ),
                io.DynamicCombo.Input(
                    "anchor",
                    options=[
                        io.DynamicCombo.Option(PREVIOUS, []),
                        io.DynamicCombo.Option(FIRST, []),
                        io.DynamicCombo.Option(
                            BLEND,
                            [
                                io.Float.Input(
                                    "first_share",
                                    default=DEFAULT.share,
                                    min=0.0,
                                    max=1.0,
                                    step=0.01,
                                    tooltip="share of the first window, 0 to 1; the rest is the previous one's",
                                )
                            ],
                        ),
                    ],
                    tooltip="what a window is held to: the one before, the look of the first of its shot, or both",
                ),
                io.Boolean.Input(
                    "fade",
                    default=DEFAULT.fade,
                    tooltip="let the correction fall to nothing from the shared frames to the end of the window",
                ),
                io.Combo.Input(
                    "sharpness",
                    options=list(SHARPNESS),
                    tooltip="only measure sharpness, or also hold it with an unsharp mask of at most 0.4",
                ),
            ],
            outputs=[DriftType.Output(display_name="drift", tooltip="for Match Drift, or the sampler of windows")],
        )

    @classmethod
    def execute(cls, mode, strength, anchor, fade, sharpness):
        share = anchor.get("first_share", DEFAULT.share)
        return io.NodeOutput(DriftSettings(mode, strength, anchor["anchor"], share, fade, sharpness))


class MatchDrift(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerMatchDrift",
            display_name="Match Drift",
            category="Oner/video",
            description="Bring a clip to the colours of another one that it goes on from. The first frames of the clip "
            "show what the last frames of the other show; what differs there is taken out of the whole clip.",
            search_aliases=["colour match", "color match", "color transfer", "extend video", "seam", "drift"],
            inputs=[
                io.Image.Input("images", tooltip="frames to correct; the first ones are shared with the reference"),
                io.Image.Input("reference", tooltip="frames that stay; the last ones are shared with the clip"),
                io.Int.Input(
                    "overlap", default=9, min=1, max=10000, tooltip="number of frames that both clips show, 1 or more"
                ),
                DriftType.Input("drift", tooltip="from Drift Control; first is the whole reference here"),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="all frames of the clip, corrected"),
                io.String.Output(display_name="report", tooltip="what was measured and done, in one line"),
            ],
        )

    @classmethod
    def execute(cls, images, reference, overlap, drift):
        if drift.mode == LATENT:
            raise ValueError(f"drift has the mode {LATENT}, which needs latents: choose another mode for two clips")
        if images.shape[1:3] != reference.shape[1:3]:
            (height, width), (other_height, other_width) = images.shape[1:3], reference.shape[1:3]
            raise ValueError(
                f"images is {width}x{height} pixels and reference {other_width}x{other_height}: scale one of "
                "them to the other"
            )
        for name, frames in (("images", images), ("reference", reference)):
            if len(frames) < overlap:
                raise ValueError(
                    f"overlap is {overlap} and {name} has {len(frames)} frames: give the number of frames both show"
                )
        shared = reference[-overlap:]
        correction = fit(images[:overlap], shared, drift, Reference.of(reference))
        return io.NodeOutput(correction.apply(images), correction.report)
