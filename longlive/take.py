"""A take on disk: latents and video grow block by block, a state file says where it can go on from.

A folder holds take.safetensors (cache, text, positions, counts), latents.bin (float32 [T, B, C, H, W] in the VAE's
scale) and video_<b>.mp4, one a batch item. Only the window is kept in memory. Continuing never touches the take it
continues: it copies the files into a folder of its own. T latent frames, F pixel frames.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from ..utils.files import check_finite
from ..utils.media import VideoStream, fragment_ends, to_uint8
from ..utils.worker import Worker
from .decode import StreamDecoder
from .presets import Settings
from .rollout import Rollout
from .session import ANOTHER, check_plain, load_state, read_plain, read_settings, save_state

STATE, LATENTS = "take.safetensors", "latents.bin"
WARM_UP = 48  # latent frames the decoders' history reaches back, with a margin


@dataclass(frozen=True)
class Take:
    """A take in its folder, as of `frames` finished latent frames; None = where it was left."""

    folder: Path
    frames: int | None = None

    def plain(self) -> dict:
        """What the state file says beside tensors. Raises ValueError if there is none."""
        path = self.folder / STATE
        if not path.exists():
            raise ValueError(f"{self.folder.name} holds no {STATE}: it was not saved, or is not a take")
        plain = read_plain(path)
        check_plain(plain, f"{self.folder.name}/{STATE}")
        return plain

    def settings(self) -> Settings:
        """What the take was made with."""
        return read_settings(self.plain()["identity"], f"{self.folder.name}/{STATE}")

    def finished(self) -> int:
        """Latent frames of the take."""
        return self.plain()["rollout"]["next_frame"] if self.frames is None else self.frames

    def latents(self) -> Tensor:
        """The latents [B, C, T, H, W], mapped from disk."""
        return read_latents(self.folder, self.plain()["identity"]["shape"], self.finished())


def read_latents(folder: Path, shape: tuple[int, int, int, int], frames: int) -> Tensor:
    """The first `frames` latents [B, C, T, H, W] float32 of a take, mapped from disk. Raises ValueError if too few."""
    path, size = folder / LATENTS, frames * torch.Size(shape).numel()
    held = path.stat().st_size // 4 if path.is_file() else 0
    if held < size:
        raise ValueError(
            f"{folder.name}/{LATENTS} holds {held * frames // max(1, size)} of {frames} latent frames: {ANOTHER}"
        )
    stored = torch.from_file(str(path), shared=False, size=size).view(frames, *shape)
    return rearrange(stored, "t b c h w -> b c t h w")


def check_identity(saved: dict, given: dict) -> None:
    """Raise ValueError if a take was made with another model, size or setting than it is to go on with."""
    words = {
        "model": "with another model or LoRA: load the one it was made with",
        "dtype": "in another precision: load the model in the one it was made with",
    }
    for name, value in given.items():
        if saved.get(name) != value:
            raise ValueError(
                f"the take was made {words[name]}"
                if name in words
                else f"the take has {name} {saved.get(name)}, not {value}"
            )


class Recorder:
    """Writes what a rollout makes; `checkpoint` leaves a state from which everything goes on exactly."""

    def __init__(
        self,
        folder: Path,
        rollout: Rollout,
        identity: dict,
        *,
        decoder: StreamDecoder | None = None,
        to_vae: Callable[[Tensor], Tensor] = lambda x: x,
        from_vae: Callable[[Tensor], Tensor] = lambda x: x,
        fps: float = 16,
        crf: int = 18,
        metadata: dict[str, str] | None = None,
        tail: int = 0,
    ):
        """`to_vae` turns model latents into the VAE's scale, `from_vae` back; `images` keeps the last `tail` frames."""
        self.folder, self.rollout, self.identity = folder, rollout, identity
        self.decoder, self.to_vae, self.from_vae, self.fps = decoder, to_vae, from_vae, fps
        self.crf, self.metadata = crf, metadata
        self.streams: list[VideoStream] = []
        self.worker: Worker | None = None  # decodes a block while the next one is sampled
        self.images: deque[Tensor] = deque(maxlen=tail)  # the first batch item's frames [H, W, 3] uint8
        self.latents_file = open(folder / LATENTS, "ab")  # noqa: SIM115 - open as long as the take grows
        self.latent_frames = 0

    def start(self, counts: list[tuple[int, int]] | None = None) -> None:
        """Open the video files, to go on after `counts` (frames, fragments) of each."""
        if self.decoder is not None:
            options = {"crf": self.crf, "metadata": self.metadata}
            counts = counts or [(0, 0)] * self.rollout.shape[0]
            self.streams = [
                VideoStream(self.folder / f"video_{i}.mp4", self.fps, resume=tuple(count), **options)
                for i, count in enumerate(counts)
            ]
            threaded = not self.decoder.casts_weights()
            self.worker = Worker(self.write_frames, self.rollout.device, threaded=threaded)

    def videos(self) -> list[Path]:
        return [stream.path for stream in self.streams]

    def add(self, x: Tensor) -> None:
        """Keep a finished block, model latents [B, C, T, H, W]: its latents at once, its frames by the worker."""
        latents = self.to_vae(x)
        self.append_latents(latents)
        self.show(latents)

    def append_latents(self, latents: Tensor) -> None:
        frames = rearrange(latents.float().cpu(), "b c t h w -> t b c h w")
        self.latents_file.write(frames.contiguous().numpy().tobytes())
        self.latents_file.flush()
        self.latent_frames += latents.shape[2]

    def show(self, latents: Tensor) -> None:
        """Have latents in the VAE's scale decoded and written. Raises what failed before."""
        if self.worker is not None:
            self.worker.add(latents)

    def write_frames(self, latents: Tensor) -> None:
        for stream in self.streams:
            stream.flush()  # the block before is on disk before this one is decoded
        weight = next(self.decoder.vae.parameters())
        pixels = self.decoder.decode(latents.to(self.rollout.device, weight.dtype))  # [B, 3, F, H, W]
        frames = [to_uint8(item).cpu() for item in self.decoder.images(pixels)]
        for stream, item in zip(self.streams, frames, strict=True):
            stream.add(item)
        self.images.extend(frames[0])

    def check(self) -> None:
        """Raise what decoding or writing failed with, an interrupt that came while decoding included."""
        if self.worker is not None:
            self.worker.check()

    def flush(self) -> list[tuple[int, int]]:
        """Wait until every block's frames are on disk; (frames, fragments) of each file. Raises what failed."""
        if self.worker is not None:
            self.worker.wait()
            self.worker.check()
        return [stream.flush() for stream in self.streams]

    def catch_up(self) -> None:
        """Decode finished blocks that have no frames yet: cancelled while decoding, or made without a VAE."""
        if self.decoder is None:
            return
        latents = read_latents(self.folder, self.rollout.shape, self.latent_frames)
        for first in range(self.decoder.frames, self.latent_frames, self.rollout.settings.block):
            self.write_frames(latents[:, :, first : min(first + self.rollout.settings.block, self.latent_frames)])

    def checkpoint(self) -> None:
        """Bring everything to disk and write the state; a block that could not be decoded is left for later."""
        if self.worker is not None:
            self.worker.wait()
        counts = [stream.flush() for stream in self.streams]
        tensors, rollout = self.rollout.state()
        plain = {"rollout": rollout, "identity": self.identity, "video": counts, "decoder": None}
        if self.decoder is not None:
            features, plain["decoder"] = self.decoder.state()
            tensors |= features
        save_state(self.folder / STATE, tensors, plain)

    def close(self) -> None:
        self.latents_file.close()
        if self.worker is not None:
            self.worker.close()
        for stream in self.streams:
            stream.close()


def resume(take: Take, recorder: Recorder) -> bool:
    """Bring a new recorder and its rollout to where a take stands; whether that is exact.

    It is unless an earlier frame than the saved one is asked for: then the cache is rebuilt from latents.
    """
    plain = take.plain()
    frames, saved = take.finished(), plain["rollout"]["next_frame"]
    if not 0 < frames <= saved:
        raise ValueError(f"the take has {saved} latent frames; it cannot go on after {frames}")
    if frames != saved and frames % recorder.rollout.settings.block:
        raise ValueError(f"{frames} latent frames are not whole blocks of {recorder.rollout.settings.block}")
    check_identity(plain["identity"], recorder.identity)
    rollout, shape = recorder.rollout, tuple(plain["identity"]["shape"])
    exact = frames == saved
    latents = read_latents(take.folder, shape, frames)
    for first in range(0, frames, 64):  # in pieces: the take may be longer than memory
        piece = latents[:, :, first : first + 64]
        check_finite([(LATENTS, piece)], take.folder.name, most=None)
        recorder.append_latents(piece)
    tensors: dict[str, Tensor] = {}
    if exact:
        tensors, plain = load_state(take.folder / STATE)
        rollout.load_state(tensors, plain["rollout"])
    else:
        rollout.rebuild(lambda first, end: recorder.from_vae(latents[:, :, first:end].clone()), frames)
    if recorder.decoder is not None:
        counts = resume_video(take, plain, tensors, recorder, latents, exact)
        recorder.start(counts)
        recorder.catch_up()
    return exact


def resume_video(
    take: Take, plain: dict, tensors: dict[str, Tensor], recorder: Recorder, latents: Tensor, exact: bool
) -> list[tuple[int, int]] | None:
    """Copy the files' finished part and bring the decoder there; None if the take has no video yet."""
    sources = [take.folder / f"video_{i}.mp4" for i in range(recorder.rollout.shape[0])]
    if not (plain["decoder"] and plain["decoder"]["frames"]) or not all(source.is_file() for source in sources):
        return None
    decoder, frames = recorder.decoder, latents.shape[2]
    if exact:
        decoder.load_state(tensors, plain["decoder"], recorder.rollout.device)
        counts = [tuple(count) for count in plain["video"]]
    else:
        weight = next(decoder.vae.parameters())
        for i in range(max(0, frames - WARM_UP), frames):
            decoder.decode(latents[:, :, i : i + 1].to(recorder.rollout.device, weight.dtype))
        decoder.frames = frames
        pieces = -(-frames // recorder.rollout.settings.block)
        counts = [(4 * frames - 3, pieces)] * len(sources)
    for source in sources:
        ends = fragment_ends(source)
        if len(ends) <= counts[0][1]:
            raise ValueError(
                f"{source.name} has {max(0, len(ends) - 1)} of {counts[0][1]} pieces: it was changed, decode anew"
            )
        shutil.copyfile(source, recorder.folder / source.name)
    return counts


def make(
    recorder: Recorder,
    blocks: int,
    *,
    checkpoint_blocks: int = 0,
    keep_state: bool = True,
    start: Tensor | None = None,
    image: Tensor | None = None,
    source: Callable[[int, int], Tensor] | None = None,
    on_block: Callable[[Tensor], None] | None = None,
) -> None:
    """Make and record `blocks` blocks, after clean latents `start` and from what `source(first, end)` gives, if any.

    `image` is the first frame of a new take. Everything given is in the model's scale.
    Interrupted or failing, what is finished is kept and the state saved before it raises.
    """
    rollout = recorder.rollout
    try:
        for chunk in start.split(rollout.settings.block, dim=2) if start is not None else ():
            rollout.add_clean(chunk)
            recorder.add(chunk)
        for done in range(1, blocks + 1):
            first = rollout.next_frame
            given = source(first, first + rollout.settings.block) if source else None
            x = rollout.next_block(source=given, image=None if first else image)
            recorder.add(x)
            if on_block:
                on_block(x)
            # after the first block too, so that a take killed early can go on
            if checkpoint_blocks and (done == 1 or done % checkpoint_blocks == 0) and done < blocks:
                recorder.checkpoint()
        recorder.flush()
    except BaseException as error:
        if rollout.next_frame:
            save_what_is_left(recorder, cancelled=not isinstance(error, Exception))
        recorder.close()
        if not rollout.next_frame:
            shutil.rmtree(recorder.folder)  # nothing was finished
        raise
    if keep_state:
        recorder.checkpoint()
    recorder.close()


def save_what_is_left(recorder: Recorder, *, cancelled: bool) -> None:
    """A checkpoint on the way out; one that fails (a full disk) must not hide why the take stopped."""
    try:
        for frame in range(recorder.latent_frames, recorder.rollout.next_frame):
            recorder.append_latents(recorder.to_vae(recorder.rollout.history[frame]))
        if cancelled and recorder.worker is not None:  # perhaps while a block was decoded: finished blocks get frames
            recorder.worker.wait()
            with contextlib.suppress(BaseException):
                recorder.catch_up()
        recorder.checkpoint()
    except OSError:
        (recorder.folder / STATE).with_suffix(".partial").unlink(missing_ok=True)
