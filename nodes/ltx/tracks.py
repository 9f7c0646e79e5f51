"""Motion tracks for the motion-track IC-LoRA: from splines or point lists to the video it was trained on."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ...ltx.latents import check_size
from ...ltx.ltx2 import tracks as motion
from ...utils.tracks import read_tracks
from ..node import Node

MAX_SIDE = 16384
EXAMPLE = '[[{"x": 200, "y": 350}, {"x": 600, "y": 200}, {"x": 1000, "y": 350}]]'


class LTXTracks(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXTracks",
            display_name="LTX Tracks",
            category="Oner/conditioning",
            description="Motion tracks from JSON: curves through a few control points, or one point for each frame, as "
            "spline and track editors write them.",
            search_aliases=["LTXVSparseTrackEditor", "spline", "SplineEditor", "motion path", "trajectory", "drag"],
            inputs=[
                io.String.Input(
                    "points",
                    default=EXAMPLE,
                    multiline=True,
                    tooltip="JSON in pixels: a list of tracks, each a list of {x, y} or [x, y]; or a track a line",
                ),
                io.Int.Input("length", default=121, min=1, max=MAX_SIDE + 1, step=8, tooltip="frames, 8k+1"),
                io.Combo.Input("curve", options=list(motion.CURVES), tooltip="how to get from point to point"),
                io.Combo.Input(
                    "pace",
                    options=list(motion.PACES),
                    tooltip="the same time between control points, so that wide gaps are fast; or one speed throughout",
                ),
            ],
            outputs=[io.Tracks.Output(display_name="tracks", tooltip="a place for each track and frame, in pixels")],
        )

    @classmethod
    def execute(cls, points, length, curve, pace):
        tracks = [motion.follow(track, length, curve, pace) for track in read_tracks(points)]
        return io.NodeOutput(motion.tracks_of(tracks))


class LTXDrawTracks(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXDrawTracks",
            display_name="LTX Draw Tracks",
            category="Oner/conditioning",
            description="Draw motion tracks as the motion-track IC-LoRA was trained: a coloured tail of the last 50 "
            "points behind each moving point.",
            search_aliases=["LTXVDrawTracks", "sparse tracks", "motion track", "trajectory video", "IC-LoRA"],
            inputs=[
                io.Tracks.Input("tracks", tooltip="tracks from LTX Tracks or a ComfyUI track node"),
                io.Int.Input("width", default=1216, min=32, max=MAX_SIDE, step=32, tooltip="pixels of the clip"),
                io.Int.Input("height", default=704, min=32, max=MAX_SIDE, step=32, tooltip="pixels of the clip"),
                io.Int.Input(
                    "source_width",
                    default=0,
                    min=0,
                    max=MAX_SIDE,
                    advanced=True,
                    tooltip="width in pixels of the picture the tracks were made on; 0 = that of the clip",
                ),
                io.Int.Input(
                    "source_height",
                    default=0,
                    min=0,
                    max=MAX_SIDE,
                    advanced=True,
                    tooltip="height in pixels of the picture the tracks were made on; 0 = that of the clip",
                ),
            ],
            outputs=[io.Image.Output(display_name="video", tooltip="one frame a point, for LTX Reference Video")],
        )

    @classmethod
    def execute(cls, tracks, width, height, source_width=0, source_height=0):
        check_size(width, height, tracks["track_path"].shape[0])
        return io.NodeOutput(draw(tracks, width, height, source_width, source_height))


def draw(tracks: dict, width: int, height: int, source_width: int = 0, source_height: int = 0) -> torch.Tensor:
    """Frames [F, height, width, 3] of TRACKS in pixels of the source's size, or of this one."""
    device = comfy.model_management.get_torch_device()
    scale = torch.tensor([width / (source_width or width), height / (source_height or height)])
    path = (tracks["track_path"].cpu().float() * scale).to(device)
    visible = tracks["track_visibility"].to(device).bool().expand(path.shape[:2])
    video = torch.empty(path.shape[0], height, width, 3, device=comfy.model_management.intermediate_device())
    progress = comfy.utils.ProgressBar(path.shape[0])
    for frame in range(path.shape[0]):
        comfy.model_management.throw_exception_if_processing_interrupted()
        video[frame] = motion.paint(path, visible, frame, height, width).to(video)
        progress.update(1)
    return video
