"""Videos joined to one file, piece by piece."""

from harness.media import Video

from . import wan_parts as wan
from .builder import Graph

NAME = "Join_Videos"
TITLE = "Join videos: shots made apart become a film"
DESCRIPTION = (
    "Files of the same size and frame rate, one after the other with their sounds; any length, in little memory."
)
HOW_TO = """Write the files into **Join videos**, one a line, in order: with ` [output]` behind the name for those of the output
folder."""


def build(g: Graph) -> None:
    g.node(
        "OnerJoinVideos",
        "join",
        title="Join videos",
        names="shot_1.mp4\nshot_2.mp4",
        filename_prefix="oner/joined",
        crf=18,
    )


GROUPS = {"Film": ["join"]}
MODELS: dict = {}
INPUTS = {"join.names": wan.control_clip()}
TINY: dict = {}
TINY_MODELS: list = []
TINY_RESULT = Video(width=96, height=64, length=18, fps=16, audio=None)
