"""Finished clips of LTX-2 as latents, video and audio together: saved, loaded, cut, joined, picked from a batch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ...ltx.latents import AUDIO_LATENTS_PER_SECOND, SPATIAL, TEMPORAL
from ...ltx.ltx2 import cutting
from ...ltx.ltx2.checks import clip_length
from ...ltx.ltx2.latent_files import load_latent, save_latent
from ...ltx.ltx2.state import State, is_conditioned, is_current, plain_latent, read_clip, write_state
from ...utils.latents import LEAD, match_batch, unconditioned
from ..node import Node
from ..paths import input_path, new_file, new_file_problem
from ..saved import saved_result, workflow_metadata

CATEGORY = "Oner/latent"
ENDING = ".latent"  # as ComfyUI's own
OUTPUT = " [output]"  # core's mark of a file in the output folder
CLIP_TIP = "video or audio-video latent, without keyframes and references"


def fps_input() -> io.Float.Input:
    return io.Float.Input("fps", default=24.0, min=1.0, max=1000.0, step=0.01, tooltip="frames a second of the clip")


def saved_latents() -> list[str]:
    """The files of the input folder and, marked as such, of the output folder."""
    found = []
    for folder, mark in ((folder_paths.get_input_directory(), ""), (folder_paths.get_output_directory(), OUTPUT)):
        paths = sorted(Path(folder).rglob(f"*{ENDING}"))
        found += [path.relative_to(folder).as_posix() + mark for path in paths if path.is_file()]
    return found


def clip_latent(latent: dict, state: State, *, conditioned: bool, lead=None) -> dict:
    """`state` as a LATENT like another one; its masks only where something is given."""
    kept = {key: value for key, value in latent.items() if key not in (LEAD, "batch_index")}
    made = write_state(kept, state) if conditioned else plain_latent(kept, state)
    return made if lead is None else {**made, LEAD: lead}


class LTXSaveLatent(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXSaveLatent",
            display_name="LTX Save Latent",
            category=CATEGORY,
            description="Save a latent with picture and sound in the output folder, bit for bit and with its masks: to "
            "decode later, go on from it, or keep stage 1. ComfyUI's own node saves pictures alone.",
            search_aliases=["SaveLatent", "export latent", "AV latent", "audio-video latent"],
            inputs=[
                io.Latent.Input("latent", tooltip=CLIP_TIP),
                io.String.Input(
                    "filename_prefix",
                    default="latents/ltx",
                    tooltip="folders and beginning of the name in the output folder; %date% and the like are filled in",
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="the latent as it came")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix=None):
        """The name's check before anything is sampled; a connected name is not known yet."""
        return new_file_problem(filename_prefix, ENDING)

    @classmethod
    def execute(cls, latent, filename_prefix):
        height, width = read_clip(latent, "LTX Save Latent").video.clean.shape[3:]
        stored = latent if is_current(latent) else unconditioned(latent)
        path = new_file(filename_prefix, cls.hidden.prompt, width * SPATIAL, height * SPATIAL, ENDING)
        save_latent(path, stored, workflow_metadata(cls.hidden))
        saved = saved_result(path)
        return io.NodeOutput(latent, ui={"latents": [saved]})


class LTXLoadLatent(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXLoadLatent",
            display_name="LTX Load Latent",
            category=CATEGORY,
            description="Load a latent that LTX Save Latent has saved, bit for bit: picture, sound and masks. Files of "
            "the input folder and of the output folder are listed.",
            search_aliases=["LoadLatent", "import latent", "AV latent", "audio-video latent"],
            inputs=[
                io.Combo.Input("file", options=saved_latents(), tooltip="a .latent file of the input or output folder")
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="the latent as it was saved")],
        )

    @classmethod
    def fingerprint_inputs(cls, file):
        """The file's content: another one under the same name is read anew."""
        return hashlib.sha256(input_path(file, "file").read_bytes()).hexdigest()

    @classmethod
    def execute(cls, file):
        return io.NodeOutput(load_latent(input_path(file, "file")))


class LTXCutClip(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXCutClip",
            display_name="LTX Cut Clip",
            category=CATEGORY,
            description="Cut a part out of a clip, picture and sound together, on the grid of the latents: the nearest "
            "8 frames. Takes the last seconds to go on from, or trims a take.",
            search_aliases=["LatentCut", "trim", "LTXVSelectLatents", "last seconds", "split clip", "extend"],
            inputs=[
                io.Latent.Input("latent", tooltip=CLIP_TIP),
                io.Float.Input(
                    "from_seconds",
                    default=0.0,
                    min=-100000.0,
                    max=100000.0,
                    step=0.01,
                    tooltip="beginning in seconds; negative counts from the end, -2 = the last two seconds",
                ),
                io.Float.Input(
                    "to_seconds",
                    default=0.0,
                    min=-100000.0,
                    max=100000.0,
                    step=0.01,
                    tooltip="end in seconds; 0 = the end of the clip, negative counts from there",
                ),
                fps_input(),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="the part, a clip of its own"),
                io.Int.Output(display_name="latent_frames", tooltip="its latent frames, the overlap of LTX Join Clips"),
                io.Int.Output(display_name="length", tooltip="its frames, 8k+1"),
            ],
        )

    @classmethod
    def execute(cls, latent, from_seconds, to_seconds, fps):
        state = read_clip(latent, "LTX Cut Clip")
        frames, seconds = state.clip_frames, clip_length(state) / fps
        begin = from_seconds if from_seconds >= 0 else seconds + from_seconds
        finish = to_seconds if to_seconds > 0 else seconds + to_seconds
        slack = 1 / AUDIO_LATENTS_PER_SECOND
        if not -slack <= begin < finish <= seconds + slack:
            raise ValueError(
                f"the part is from {begin:g} to {finish:g} s; the clip is {seconds:.3f} s long at {fps:g} fps: choose "
                "a part within it"
            )
        start, end = (cutting.nearest_boundary(frames, time * fps) for time in (begin, finish))
        if start == end:
            raise ValueError(
                f"{begin:g} to {finish:g} s is less than a latent frame ({TEMPORAL / fps:.2f} s): choose a longer part"
            )
        piece, lead = cutting.cut(state, start, end, fps)
        lead = latent.get(LEAD) if start == 0 else lead
        made = clip_latent(latent, piece, conditioned=is_conditioned(latent), lead=lead)
        return io.NodeOutput(made, end - start, clip_length(piece))


class LTXJoinClips(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXJoinClips",
            display_name="LTX Join Clips",
            category=CATEGORY,
            description="Join two clips to one, picture and sound, with a cross-fade over the latent frames that both "
            "have. Parts of one clip without an overlap become what they were; masks follow.",
            search_aliases=["LatentConcat", "LTXVAddLatents", "cross-fade", "concatenate", "extend", "loop", "overlap"],
            inputs=[
                io.Latent.Input("first", tooltip=CLIP_TIP),
                io.Latent.Input("second", tooltip="what follows; as large, and with sound if the first has it"),
                io.Int.Input(
                    "overlap",
                    default=0,
                    min=0,
                    max=1000,
                    tooltip="latent frames (of 8 frames) at the end of the first that are also the beginning of the "
                    "second, and fade from one to the other; 0 = one after the other",
                ),
                fps_input(),
            ],
            outputs=[
                io.Latent.Output(display_name="latent", tooltip="the joined clip"),
                io.Int.Output(display_name="length", tooltip="its frames, 8k+1"),
            ],
        )

    @classmethod
    def execute(cls, first, second, overlap, fps):
        states = read_clip(first, "LTX Join Clips"), read_clip(second, "LTX Join Clips")
        need_joinable(*states, overlap)
        batch = max(state.video.clean.shape[0] for state in states)
        places = [range(batch) if len(state.video.clean) == batch else [0] * batch for state in states]
        before, after = (cutting.pick(state, place) for state, place in zip(states, places, strict=True))
        lead = second.get(LEAD)
        lead = lead if lead is None else match_batch(lead, batch, "the second's lead", "the clips")
        joined = cutting.join(before, after, overlap, fps, lead)
        conditioned = is_conditioned(first) or is_conditioned(second)
        made = clip_latent(first, joined, conditioned=conditioned, lead=first.get(LEAD))
        return io.NodeOutput(made, clip_length(joined))


def need_joinable(first: State, second: State, overlap: int) -> None:
    """Raise ValueError if two clips differ in size, batch or sound, or do not have the frames of an overlap."""
    sizes = [tuple(state.video.clean.shape[3:]) for state in (first, second)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"first is {sizes[0]} latents high and wide, second {sizes[1]}: make them equal")
    if (first.audio is None) != (second.audio is None):
        without = "first" if first.audio is None else "second"
        raise ValueError(f"{without} has no sound, the other one has: join a sound to it, or take the other's off")
    batches = [state.video.clean.shape[0] for state in (first, second)]
    if len({*batches, 1}) > 2:
        raise ValueError(
            f"first holds {batches[0]} clips and second {batches[1]}: give as many of both, or one of either"
        )
    shortest = min(state.clip_frames for state in (first, second))
    if overlap > shortest:
        raise ValueError(f"overlap is {overlap} and one clip has {shortest} latent frames: use at most {shortest}")


class LTXPickFromBatch(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXPickFromBatch",
            display_name="LTX Pick From Batch",
            category=CATEGORY,
            description="Take clips out of a batch, or repeat them, picture and sound together; masks follow. "
            "ComfyUI's nodes do this for latents without sound.",
            search_aliases=["LatentFromBatch", "RepeatLatentBatch", "select from batch", "duplicate latent", "batch"],
            inputs=[
                io.Latent.Input("latent", tooltip=CLIP_TIP),
                io.Int.Input(
                    "start", default=0, min=-64, max=63, tooltip="first clip, from 0; negative counts from the end"
                ),
                io.Int.Input("count", default=1, min=0, max=64, tooltip="how many; 0 = all from there on"),
                io.Int.Input(
                    "repeat", default=1, min=1, max=64, tooltip="how many times all of them, one after the other"
                ),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="the chosen clips")],
        )

    @classmethod
    def execute(cls, latent, start, count, repeat):
        state = read_clip(latent, "LTX Pick From Batch")
        batch = state.video.clean.shape[0]
        begin = start if start >= 0 else batch + start
        end = begin + count if count else batch
        if not 0 <= begin < end <= batch:
            raise ValueError(f"start is {start} and count {count}; the latent holds {batch} clip(s): choose from those")
        chosen = list(range(begin, end))
        numbers = latent.get("batch_index", list(range(batch)))
        places = chosen * repeat
        lead = latent.get(LEAD)
        lead = lead if lead is None else match_batch(lead, batch, "the lead", "the clips")[places]
        made = clip_latent(latent, cutting.pick(state, places), conditioned=is_conditioned(latent), lead=lead)
        if "batch_index" in latent or len(chosen) < batch:  # so that each clip's noise is that of its place, as in core
            apart = max(numbers) - min(numbers) + 1
            made["batch_index"] = [numbers[i] + n * apart for n in range(repeat) for i in chosen]
        return io.NodeOutput(made)
