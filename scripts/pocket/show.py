"""What `make demo` shows of a prompt on the pocket set: the main workflow with sound and a LongLive take, judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import world
from .world import Scene

PROMPT = "a yellow triangle moving up"
WORKFLOW = "LTX_2.3_Distilled_Text_to_Video"
LENGTH, FPS, SCALE = 57, 16, 6


def read_prompt(text: str) -> tuple[Scene, str]:
    """The scene a prompt means, and the whole sentence the model was trained on. ValueError on an unknown word."""
    scene = world.parse(text)
    return scene, world.caption(scene)


def workflow(text: str) -> dict[str, dict[str, Any]]:
    """The API prompt of the main shipped workflow that makes a video with sound of a sentence."""
    from . import gallery

    return gallery.build(WORKFLOW, read_prompt(text)[1])


def take(text: str, seed: int = 1) -> dict[str, dict[str, Any]]:
    """The API prompt that makes a video of a LongLive take of a sentence."""
    from . import graphs

    made = graphs.longlive("pocket", f"0s: {read_prompt(text)[1]}", LENGTH, seed)
    return made | graphs.video_file(["take_pocket", 2], "oner/pocket", FPS, SCALE)


def read_video(path: Path):
    """The pictures of a video file. [F, H, W, 3] in 0..1"""
    import av
    import numpy
    import torch

    with av.open(str(path)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    return torch.from_numpy(numpy.stack(frames)).float() / 255


def read_sound(path: Path):
    """The sound of a video file [channels, samples] and its rate; None if it has none."""
    import av
    import numpy
    import torch

    with av.open(str(path)) as file:
        if not file.streams.audio:
            return None
        stream = file.streams.audio[0]
        parts = [frame.to_ndarray() for frame in file.decode(stream)]
        return torch.from_numpy(numpy.concatenate(parts, axis=1)), stream.rate


def verdict(clip, scene: Scene, sound=None) -> str:
    """What the judge says of a clip [F, H, W, 3] of any size and of its sound, see judge.read_back."""
    import torch

    from .judge import read_back

    small = torch.nn.functional.interpolate(clip.movedim(-1, 1), size=(64, 64), mode="area").movedim(1, -1)
    return read_back(small, scene, sound)[0]
