"""Camera paths for the Wan Fun camera models: made of moves, joined, read from files, seen as a picture, embedded."""

from __future__ import annotations

import os

import folder_paths
from comfy_api.latest import io

from ...utils.files import read_text, reading
from ...wan import camera, camera_picture, pluecker
from ..node import Node, own_type
from ..paths import input_path

NONE = "none"
FILES = (".txt", ".json")
PosesType = own_type("CAMERACTRL_POSES", list, "poses of AnimateDiff-Evolved")
CameraPathType = own_type("ONER_CAMERA_PATH", camera.CameraPath, "Wan Camera Path")


class WanCameraPath(Node):
    @classmethod
    def define_schema(cls):
        moves = list(camera.MOVES)
        return io.Schema(
            node_id="OnerWanCameraPath",
            display_name="Wan Camera Path",
            category="Oner/conditioning",
            description="A camera path of up to three moves at once, with easing and free angles; continues another.",
            search_aliases=[
                "CameraCtrl",
                "WanCameraEmbedding",
                "pan zoom rotate",
                "camera motion",
                "combine join camera",
            ],
            inputs=[
                io.Combo.Input(
                    "move",
                    options=moves,
                    default="Pan Left",
                    tooltip="a pan shifts the camera, ACW and CW roll it, pitch and yaw turn it",
                ),
                io.Combo.Input("move_2", options=moves, tooltip="another move at the same time; Static = none"),
                io.Combo.Input(
                    "move_3", options=moves, advanced=True, tooltip="another move at the same time; Static = none"
                ),
                io.Float.Input(
                    "speed",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.05,
                    tooltip="0 to 10; at 1 a turn is 60 degrees and a pan 1.5 scene units over the whole path",
                ),
                io.Int.Input(
                    "length",
                    default=81,
                    min=1,
                    max=16384,
                    tooltip="frames of this path; the whole path must be as long as the video",
                ),
                io.Combo.Input(
                    "easing", options=list(camera.EASINGS), advanced=True, tooltip="how speed changes on the way"
                ),
                io.Float.Input(
                    "pitch",
                    default=0.0,
                    min=-360.0,
                    max=360.0,
                    step=0.5,
                    advanced=True,
                    tooltip="degrees about the horizontal axis over the path, times speed",
                ),
                io.Float.Input(
                    "yaw",
                    default=0.0,
                    min=-360.0,
                    max=360.0,
                    step=0.5,
                    advanced=True,
                    tooltip="degrees about the vertical axis over the path, times speed",
                ),
                io.Float.Input(
                    "roll",
                    default=0.0,
                    min=-360.0,
                    max=360.0,
                    step=0.5,
                    advanced=True,
                    tooltip="degrees about the line of sight over the path, times speed",
                ),
                CameraPathType.Input(
                    "continue_from", optional=True, tooltip="path that comes first; this one starts at its last pose"
                ),
            ],
            outputs=[CameraPathType.Output(display_name="path", tooltip="the poses of all frames")],
        )

    @classmethod
    def execute(cls, move, move_2, move_3, speed, length, easing, pitch, yaw, roll, continue_from=None):
        path = camera.move([move, move_2, move_3], length, speed=speed, easing=easing, rotation=(pitch, yaw, roll))
        return io.NodeOutput(path if continue_from is None else camera.join(continue_from, path))


class WanCameraPathFromText(Node):
    @classmethod
    def define_schema(cls):
        folder = folder_paths.get_input_directory()
        files = sorted(f for f in os.listdir(folder) if f.lower().endswith(FILES)) if os.path.isdir(folder) else []
        return io.Schema(
            node_id="OnerWanCameraPathFromText",
            display_name="Wan Camera Path From Text",
            category="Oner/conditioning",
            description="Reads a camera path from a pose file's text or JSON, or from AnimateDiff-Evolved poses.",
            search_aliases=["camera json", "pose file", "CAMERACTRL_POSES", "w2c matrices"],
            inputs=[
                io.String.Input(
                    "text",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="lines of 19 numbers (time, fx fy cx cy 0 0, 3x4 world-to-camera) below a header, or JSON "
                    "rows or matrices",
                ),
                io.Int.Input(
                    "length",
                    default=0,
                    min=0,
                    max=16384,
                    tooltip="frames the poses are spread over; 0 = one frame a pose",
                ),
                PosesType.Input("poses", optional=True, tooltip="poses from AnimateDiff-Evolved nodes"),
                io.Combo.Input(
                    "file",
                    options=[NONE, *files],
                    optional=True,
                    tooltip="pose file (.txt or .json) in the input folder; none = the text or the poses",
                ),
            ],
            outputs=[CameraPathType.Output(display_name="path", tooltip="the poses of all frames")],
        )

    @classmethod
    def execute(cls, length, text="", poses=None, file=NONE):
        given = [
            name for name, on in (("text", text.strip()), ("poses", poses is not None), ("file", file != NONE)) if on
        ]
        if len(given) != 1:
            raise ValueError(f"give one of text, poses and file; given: {', '.join(given) or 'none'}")
        if poses is not None:
            path = camera.from_rows([[float(value) for value in row] for row in poses])
        else:
            with reading(file if file != NONE else "text"):
                path = camera.parse(text if file == NONE else read_text(input_path(file, "file")))
        return io.NodeOutput(camera.resample(path, length) if length else path)


class WanCameraEmbedding(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanCameraEmbedding",
            display_name="Wan Camera Embedding",
            category="Oner/conditioning",
            description="The Pluecker embedding of a camera path with the trained intrinsics, and a picture of the "
            "path.",
            search_aliases=["plucker", "camera conditions", "camera preview", "camera intrinsics"],
            inputs=[
                CameraPathType.Input("path", tooltip="camera path as long as the video"),
                io.Int.Input("width", default=832, min=16, max=16384, step=16, tooltip="pixels, as the video"),
                io.Int.Input("height", default=480, min=16, max=16384, step=16, tooltip="pixels, as the video"),
                io.Int.Input("length", default=81, min=1, max=16384, step=4, tooltip="frames, as the video; 4k+1"),
                io.Boolean.Input(
                    "stretch", default=False, tooltip="spread the path over the length instead of refusing another one"
                ),
                io.Float.Input(
                    "fx",
                    default=0.0,
                    min=0.0,
                    max=10.0,
                    step=0.001,
                    advanced=True,
                    tooltip="focal length as a part of the width; 0 = the path's own (trained: 0.475)",
                ),
                io.Float.Input(
                    "fy",
                    default=0.0,
                    min=0.0,
                    max=10.0,
                    step=0.001,
                    advanced=True,
                    tooltip="focal length as a part of the height; 0 = the path's own (trained: 0.844)",
                ),
            ],
            outputs=[
                io.WanCameraEmbedding.Output(display_name="camera", tooltip="for Wan Fun Conditioning"),
                io.Image.Output(display_name="preview", tooltip="the path from above and from the side"),
            ],
        )

    @classmethod
    def execute(cls, path, width, height, length, stretch, fx, fy):
        if length % 4 != 1:
            raise ValueError(
                f"length is {length}; Wan needs 4k+1 frames: use {(length - 1) // 4 * 4 + 1} or "
                f"{(length - 1) // 4 * 4 + 5}"
            )
        if len(path) != length and not stretch:
            raise ValueError(
                f"the path has {len(path)} frames and the video {length}: make them equal or switch stretch on"
            )
        path = camera.with_focal(camera.resample(path, length), fx, fy)
        return io.NodeOutput(pluecker.embed(path, width, height), camera_picture.draw(path))
