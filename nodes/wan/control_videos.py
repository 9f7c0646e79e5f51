"""Control videos: trajectories drawn as the models were trained, and merging of two."""

from __future__ import annotations

from comfy_api.latest import io

from ...utils.images import fit_length
from ...utils.tracks import read_tracks
from ...wan import trajectory
from ...wan.frames import fit_images
from ..node import Node

LENGTH_RULES = ("hold the last frame", "cut to the shorter", "refuse")


class WanTrajectoryVideo(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanTrajectoryVideo",
            display_name="Wan Trajectory Video",
            category="Oner/conditioning",
            description="Draws moving points as the soft white blobs the Wan Fun control models know as trajectories.",
            search_aliases=["spline", "CreateTrajectoryBasedOnKJNodes", "drag", "motion path", "track"],
            inputs=[
                io.String.Input(
                    "coordinates",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="points in pixels as JSON lists of {x, y}, as the spline editor of KJNodes gives them; "
                    "several splines as a list of lists, or one a line",
                ),
                io.Int.Input("width", default=832, min=16, max=16384, step=16, tooltip="pixels"),
                io.Int.Input("height", default=480, min=16, max=16384, step=16, tooltip="pixels"),
                io.Int.Input(
                    "length", default=81, min=1, max=16384, step=4, tooltip="frames; points are spread over them"
                ),
                io.Float.Input(
                    "radius",
                    default=0.0,
                    min=0.0,
                    max=1024.0,
                    step=0.5,
                    advanced=True,
                    tooltip="radius of a blob in pixels, 0 to 1024; 0 = as trained for the size",
                ),
                io.Combo.Input(
                    "profile",
                    options=["gauss", "disc"],
                    advanced=True,
                    tooltip="gauss as trained; disc is filled evenly",
                ),
                io.Tracks.Input("tracks", optional=True, tooltip="tracks from a ComfyUI track node, with visibility"),
                io.Image.Input(
                    "control_video", optional=True, tooltip="video the blobs are drawn on, for example a pose"
                ),
            ],
            outputs=[io.Image.Output(display_name="control_video", tooltip="as many frames as length")],
        )

    @classmethod
    def execute(cls, width, height, length, radius, profile, coordinates="", tracks=None, control_video=None):
        if not coordinates.strip() and tracks is None:
            raise ValueError("neither coordinates nor tracks are given: connect or write one of them")
        radius = radius or trajectory.default_radius(height, width)
        video = None
        if coordinates.strip():
            points = trajectory.points_at(read_tracks(coordinates), length)
            video = trajectory.draw(points, height, width, radius, profile=profile)
        if tracks is not None:
            points, visible = trajectory.from_tracks(tracks, length)
            drawn = trajectory.draw(points, height, width, radius, visible, profile)
            video = drawn if video is None else video.maximum(drawn)
        video = video.unsqueeze(-1).repeat(1, 1, 1, 3)
        if control_video is not None:
            video = video.maximum(fit_length(fit_images(control_video, width, height), length))
        return io.NodeOutput(video)


class WanControlVideoMerge(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWanControlVideoMerge",
            display_name="Wan Control Video Merge",
            category="Oner/video",
            description="The brighter of two control videos at each pixel, for example a pose and a trajectory.",
            search_aliases=["ImageMaximumNode", "maximum", "blend control", "combine control videos"],
            inputs=[
                io.Image.Input("video_1", tooltip="sets the size"),
                io.Image.Input("video_2", tooltip="scaled to cover the size of the first, middle kept"),
                io.Combo.Input("lengths", options=list(LENGTH_RULES), tooltip="what to do where one video is shorter"),
            ],
            outputs=[io.Image.Output(display_name="control_video", tooltip="the merged video")],
        )

    @classmethod
    def execute(cls, video_1, video_2, lengths):
        frames = video_1.shape[0], video_2.shape[0]
        if frames[0] != frames[1] and lengths == "refuse":
            raise ValueError(
                f"video_1 has {frames[0]} frames and video_2 {frames[1]}: make them equal or choose another rule in "
                "lengths"
            )
        length = min(frames) if lengths == "cut to the shorter" else max(frames)
        second = fit_images(video_2, video_1.shape[2], video_1.shape[1])
        return io.NodeOutput(fit_length(video_1[..., :3], length).maximum(fit_length(second, length)))
