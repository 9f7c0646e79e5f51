"""Two clips that share some frames, brought to the same colours and joined."""

from harness.media import Video

from . import wan_parts as wan
from .builder import Graph

NAME = "Match_Colours_of_Two_Clips"
TITLE = "Match the colours of two clips that overlap"
DESCRIPTION = (
    "The second clip begins with frames that the first ends with. What differs in colour between the two is read off "
    "these frames and taken out of the whole second clip; then they are joined."
)
HOW_TO = """Load the two videos, set `overlap` of **Match drift** to the number of frames that both show, and `batch_index` of
**Behind the overlap** to the same. The report of **Match drift** says what was measured."""


def build(g: Graph) -> None:
    first = wan.load_frames(g, "first", "part_1.mp4", title="First video")
    second = wan.load_frames(g, "second", "part_2.mp4", title="Second video")
    drift = g.node(
        "OnerDriftControl",
        "drift",
        title="Drift control",
        mode="pairs affine",
        strength=1.0,
        anchor="previous",
        fade=False,
        sharpness="report",
    )
    matched = g.node(
        "OnerMatchDrift",
        "match",
        title="Match drift",
        images=second.out(0),
        reference=first.out(0),
        overlap=5,
        drift=drift.out(0),
    )
    rest = g.node(
        "ImageFromBatch", "rest", title="Behind the overlap", image=matched.out(0), batch_index=5, length=4096
    )
    joined = g.node("ImageBatch", "joined", title="One after the other", image1=first.out(0), image2=rest.out(0))
    video = g.node("CreateVideo", "video", images=joined.out(0), fps=first.out(2), bit_depth=8)
    g.node(
        "SaveVideo",
        "save",
        video=video.out(0),
        filename_prefix="oner/matched",
        format="mp4",
        codec="h264",
        **{"codec.encoding": "auto"},
    )


GROUPS = {
    "Videos": ["first", "first_frames", "second", "second_frames"],
    "Colours": ["drift", "match"],
    "Video": ["rest", "joined", "video", "save"],
}
MODELS: dict = {}
INPUTS = {"first.file": wan.control_clip(), "second.file": wan.control_clip()}
TINY: dict = {}
TINY_MODELS: list = []
TINY_RESULT = Video(width=96, height=64, length=9 + 4, fps=16, audio=None)
