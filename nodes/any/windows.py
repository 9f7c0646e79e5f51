"""Long video window by window: what the windows are given, a second stage, and the sampler that makes the film."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import latent_preview
import torch
from comfy_api.latest import InputImpl, io, ui
from comfy_extras.nodes_lt_upsampler import LTXVLatentUpsampler

from ...samplers.windows.cache import WindowCache
from ...samplers.windows.drift import LATENT
from ...samplers.windows.identity import digest, graph_digest, is_timed, module_digest, stage_digest
from ...samplers.windows.plan import WindowPlan
from ...samplers.windows.rows import adapted
from ...samplers.windows.run import CARRY, Film, Given, Settings, Stage, joined
from ...utils.media import VideoStream
from ..node import Node, own_type
from ..paths import new_file, new_file_problem, window_folder
from ..saved import saved_result, workflow_metadata
from ..types import ICLoRAParameters
from .drift import DriftType
from .footage import Clip, at_rate, fit, playable
from .window_plan import PlanType

ENDING = ".mp4"
GB = 1 << 30
AUDIO_SOURCES = ("last stage", "stage 1")
FULL = 0.99  # of the largest noise level: schedules that start from noise begin a little below it
NOT_IN_FRAMES = ("plan", "crf", "filename_prefix", "cache_gb", "last_frames")  # inputs that change no frame themselves


@dataclass(frozen=True)
class WindowInputs:
    """What the windows are given, as it came."""

    prefix_video: Any = None
    source_video: Any = None
    control_video: Any = None
    mask_video: Any = None
    start_image: torch.Tensor | None = None
    end_images: torch.Tensor | None = None
    ref_images: torch.Tensor | None = None
    audio: dict | None = None
    iclora_parameters: dict | None = None


@dataclass(frozen=True)
class SecondStage:
    """A stage that refines each window at a larger size."""

    noise: Any
    guider: Any
    sampler: Any
    sigmas: torch.Tensor
    upscale_model: Any
    audio_source: str


InputsType = own_type("ONER_WINDOW_INPUTS", WindowInputs, "Window Inputs")
StageType = own_type("ONER_WINDOW_STAGE", SecondStage, "Window Stage")


class WindowInputsNode(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWindowInputs",
            display_name="Window Inputs",
            category="Oner/video",
            description="Images, videos and sound for a film made window by window: each window gets its own part of "
            "them. Videos are read from their files as they are needed.",
            search_aliases=["start image", "end image", "control video", "continue video", "extend", "video to video"],
            inputs=[
                io.Video.Input(
                    "prefix_video",
                    optional=True,
                    tooltip="a video to continue: the film begins with it; prefix_frames of Window Plan says how many "
                    "of its last frames the first window may be given",
                ),
                io.Video.Input(
                    "source_video",
                    optional=True,
                    tooltip="a video to change: every window starts from its part of it; needs sigmas below full noise",
                ),
                io.Video.Input(
                    "control_video", optional=True, tooltip="pose, depth or edges, for VACE and Fun Control models"
                ),
                io.Video.Input(
                    "mask_video",
                    optional=True,
                    tooltip="white where the model makes anew, black where control_video (VACE) or source_video (LTX) "
                    "stays",
                ),
                io.Image.Input("start_image", optional=True, tooltip="the first frame of the film"),
                io.Image.Input(
                    "end_images",
                    optional=True,
                    tooltip="last frames of windows: a prompt with [/end=2] ends on the second of them",
                ),
                io.Image.Input(
                    "ref_images",
                    optional=True,
                    tooltip="reference images: a prompt with [/ref=2] has the second of them",
                ),
                io.Audio.Input(
                    "audio", optional=True, tooltip="the film's sound, for LTX-2 to make pictures to; from its start"
                ),
                ICLoRAParameters.Input(
                    "iclora_parameters",
                    optional=True,
                    tooltip="of LTX IC-LoRA Loader: an LTX-2 model with that LoRA follows control_video",
                ),
            ],
            outputs=[InputsType.Output(display_name="inputs", tooltip="for Windowed Sampler")],
        )

    @classmethod
    def execute(cls, **given):
        of = given.get("control_video") or given.get("source_video")
        if given.get("mask_video") is not None and of is None:
            raise ValueError("mask_video says what of control_video or source_video stays: connect one of them")
        return io.NodeOutput(WindowInputs(**given))


class WindowStage(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWindowStage",
            display_name="Window Stage",
            category="Oner/sampling",
            description="A second stage for each window of a film: the first makes it at half size, this one upsamples "
            "it and samples it again, before the next window begins.",
            search_aliases=["two stages", "upscale windows", "refine"],
            inputs=[
                io.Noise.Input("noise", tooltip="noise of the second stage"),
                io.Guider.Input("guider", tooltip="guider of the second stage"),
                io.Sampler.Input("sampler", tooltip="sampler of the second stage"),
                io.Sigmas.Input("sigmas", tooltip="its noise levels, beginning below full noise"),
                io.LatentUpscaleModel.Input("upscale_model", tooltip="spatial LTX latent upsampler, x2"),
                io.Combo.Input(
                    "audio_source",
                    options=list(AUDIO_SOURCES),
                    tooltip="whose sound the film has; the reference ships that of stage 1 with guidance, of the last "
                    "stage for distilled models",
                ),
            ],
            outputs=[StageType.Output(display_name="stage", tooltip="for Windowed Sampler")],
        )

    @classmethod
    def execute(cls, noise, guider, sampler, sigmas, upscale_model, audio_source):
        from ...ltx.checks import check_spatial_upsampler

        check_spatial_upsampler(upscale_model)
        return io.NodeOutput(SecondStage(noise, guider, sampler, sigmas, upscale_model, audio_source))


class WindowedSampler(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerWindowedSampler",
            display_name="Windowed Sampler",
            category="Oner/sampling",
            description="Makes a film of any length window by window, by a plan: each window goes on from the end of "
            "the one before. The file grows as windows are finished; windows made before are not made again.",
            search_aliases=[
                "long video",
                "looping sampler",
                "SamplerCustomAdvanced",
                "sliding window",
                "extend",
                "continue video",
                "endless",
                "resume",
            ],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            inputs=[
                io.Noise.Input("noise", tooltip="noise of the first window; later ones have seeds made of its seed"),
                io.Guider.Input(
                    "guider", tooltip="model, prompts and guidance; the plan's prompts take the place of positive"
                ),
                io.Sampler.Input("sampler", tooltip="as for SamplerCustomAdvanced"),
                io.Sigmas.Input("sigmas", tooltip="noise levels of every window"),
                PlanType.Input("plan", tooltip="windows and their prompts"),
                io.Vae.Input("vae", tooltip="the model's video VAE"),
                io.Int.Input("width", default=832, min=16, max=16384, step=16, tooltip="pixels of the film"),
                io.Int.Input("height", default=480, min=16, max=16384, step=16, tooltip="pixels of the film"),
                io.String.Input(
                    "filename_prefix",
                    default="film",
                    tooltip="name of the file in the output folder, to which a number is added; %date:yyyy-MM-dd% and "
                    "%Node.widget% are filled in",
                ),
                io.Clip.Input(
                    "clip", optional=True, tooltip="text encoder for the plan's prompts; not needed if it has none"
                ),
                io.Vae.Input("audio_vae", optional=True, tooltip="LTX-2 audio VAE: with it the film has sound"),
                InputsType.Input("inputs", optional=True, tooltip="images, videos and sound for the windows"),
                StageType.Input("stage_2", optional=True, tooltip="a second stage for each window, LTX-2 alone"),
                DriftType.Input("drift", optional=True, tooltip="holds colour and sharpness from window to window"),
                io.Combo.Input(
                    "carry",
                    options=list(CARRY),
                    optional=True,
                    tooltip="what a window is given of the one before: its last frames, encoded anew, or their latents "
                    "as they were sampled",
                ),
                io.Int.Input(
                    "crossfade",
                    default=4,
                    min=0,
                    max=256,
                    optional=True,
                    advanced=True,
                    tooltip="frames at the end of an overlap over which the old ones fade into the new, 0 to 256",
                ),
                io.Int.Input(
                    "crf",
                    default=18,
                    min=0,
                    max=51,
                    optional=True,
                    advanced=True,
                    tooltip="H.264 quality of the film, 0 (lossless) to 51 (worst); changing it samples nothing anew",
                ),
                io.Float.Input(
                    "cache_gb",
                    default=20.0,
                    min=0.0,
                    max=10000.0,
                    step=0.5,
                    optional=True,
                    advanced=True,
                    tooltip="gigabytes of finished windows kept on disk, the ones used longest ago go first; 0 = keep "
                    "none, so that a run always starts from its first window",
                ),
                io.Int.Input(
                    "last_frames",
                    default=1,
                    min=1,
                    max=256,
                    optional=True,
                    advanced=True,
                    tooltip="how many of the film's newest frames last_frames gives, 1 to 256",
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="the film's file"),
                io.Image.Output(display_name="last_frames", tooltip="its newest frames"),
                io.Latent.Output(display_name="latent", tooltip="the last window as it was sampled"),
                io.String.Output(display_name="report", tooltip="a line for each window: found or made, drift"),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix=None):
        """The name's check before anything is sampled; a connected name is not known yet."""
        return new_file_problem(filename_prefix, ENDING)

    @classmethod
    def execute(
        cls,
        noise,
        guider,
        sampler,
        sigmas,
        plan,
        vae,
        width,
        height,
        filename_prefix,
        clip=None,
        audio_vae=None,
        inputs=None,
        stage_2=None,
        drift=None,
        carry="frames",
        crossfade=4,
        crf=18,
        cache_gb=20.0,
        last_frames=1,
    ):
        inputs = inputs or WindowInputs()
        stages = [Stage(None, guider, sampler, sigmas, noise)]
        if stage_2 is not None:
            stages.append(Stage(None, stage_2.guider, stage_2.sampler, stage_2.sigmas, stage_2.noise))
        carriers = make_carriers(
            stages, vae, audio_vae, width, height, fps=plan.fps, second=stage_2, iclora=inputs.iclora_parameters
        )
        stages = [dataclasses.replace(stage, carrier=carrier) for stage, carrier in zip(stages, carriers, strict=True)]
        given = open_inputs(inputs, width, height, plan.fps, stages[-1].carrier.sample_rate)
        check_given(plan, given, stages, clip)
        if drift is not None and drift.mode != LATENT and carry == "latents":
            raise ValueError(
                "carry is latents, which are taken as they were sampled, and drift changes frames after that: set "
                "carry to frames, or the drift control to latent AdaIN"
            )
        graph = graph_digest(cls.hidden.prompt, cls.hidden.unique_id, without=NOT_IN_FRAMES, cut=("OnerWindowPlan",))
        vaes = [module_digest(each.first_stage_model) for each in (vae, audio_vae) if each is not None]
        identity = digest([graph, vaes, [width, height], [stage_digest(stage) for stage in stages]])
        path = new_file(filename_prefix, cls.hidden.prompt, width, height, ENDING)
        progress = Progress(len(plan.rows), stages)
        film = Film(
            plan,
            stages,
            sink=lambda frames, sound: stream.add(frames, sound),
            given=given,
            settings=Settings(carry, crossfade, identity, timed=any(is_timed(s.guider.original_conds) for s in stages)),
            encode=None if clip is None else lru_cache(2)(lambda text: encode(clip, text)),
            adapt=adapted,
            drift=drift,
            cache=WindowCache(window_folder(), int(cache_gb * GB)) if cache_gb else None,
            progress=progress.window,
            keep=last_frames,
        )
        channels = 2 if given.sound is None else given.sound["waveform"].shape[1]
        stream = VideoStream(
            path,
            plan.fps,
            crf=crf,
            metadata=workflow_metadata(cls.hidden),
            sample_rate=film.sample_rate or None,
            channels=channels,
        )
        try:
            film.run()
        except BaseException:
            stream.close()
            raise
        stream.finish()
        return outputs(path, film, plan)


def outputs(path: Path, film: Film, plan: WindowPlan) -> io.NodeOutput:
    found = len(plan.rows) - len(film.sampled)
    words = [f"{path.name}: {plan.total} frames ({plan.total / plan.fps:.2f} s) in {len(plan.rows)} windows"]
    words += [f"{found} of them were made before"] if found else []
    parts = film.last.latents[-1]
    return io.NodeOutput(
        InputImpl.VideoFromFile(str(path)),
        film.newest.float() / 255,
        {"samples": joined(parts)},
        "\n".join([*words, *film.report]),
        ui=ui.PreviewVideo([saved_result(path)]),
    )


def make_carriers(
    stages: list[Stage], vae, audio_vae, width: int, height: int, *, fps: float, second: SecondStage | None, iclora
) -> list:
    """What each stage's model does for windows. Raises ValueError for a model without."""
    from ...longlive.loader import is_causal

    carriers = []
    for number, stage in enumerate(stages):
        model = stage.guider.model_patcher
        network, kind = model.model.diffusion_model, type(model.model).__name__
        if hasattr(network, "audio_patchify_proj"):
            from ...ltx.ltx2.windows import make_carrier as make_av

            last = number == len(stages) - 1
            upsample = upsampler(second.upscale_model, vae) if number else None
            carrier = make_av(
                model,
                vae,
                width if last else width // 2,
                height if last else height // 2,
                fps=fps,
                audio_vae=audio_vae,
                upsample=upsample,
                sound_of=second.audio_source if number else AUDIO_SOURCES[0],
                iclora=iclora if number == 0 else None,
            )
            carriers.append(carrier)
            continue
        for name, given in (("stage_2", second), ("audio_vae", audio_vae), ("iclora_parameters", iclora)):
            if given is not None:
                raise ValueError(f"{name} is for LTX-2, and a guider has {kind}: disconnect it")
        if is_causal(model):
            raise ValueError("the model is LongLive's, which makes takes of any length itself: use LongLive Rollout")
        if hasattr(network, "patch_embedding"):
            from ...wan.windows import make_carrier as make_wan

            carriers.append(make_wan(model, vae, width, height))
        else:
            from ...ltx.ltxv.windows import make_carrier as make_ltxv

            carriers.append(make_ltxv(model, vae, width, height, fps=fps))
    return carriers


def upsampler(upscale_model, vae) -> Callable:
    """What doubles the height and width of a video latent."""
    return lambda video: LTXVLatentUpsampler.execute({"samples": video}, upscale_model, vae).result[0]["samples"]


def open_inputs(inputs: WindowInputs, width: int, height: int, fps: float, rate: int) -> Given:
    """What the windows are given, at the film's size, with sounds at the film's rate, `rate` where it makes its own."""
    clips = {
        name: None if (video := getattr(inputs, f"{name}_video")) is None else Clip(video, width, height)
        for name in ("prefix", "source", "control", "mask")
    }
    images = {name: fit(getattr(inputs, name), width, height) for name in ("start_image", "end_images")}
    sound = None if inputs.audio is None else playable(inputs.audio)
    prefix = clips["prefix"]
    rate = rate if sound is None else sound["sample_rate"]
    channels = 2 if sound is None else sound["waveform"].shape[1]
    prefix_sound = None
    if rate and prefix is not None and prefix.sound is not None:
        prefix_sound = at_rate(prefix.sound_for(prefix.count / fps), rate, channels)
    return Given(**clips, **images, ref_images=inputs.ref_images, sound=sound, prefix_sound=prefix_sound)


USED_AS = {  # what a carrier may use -> how it is called here
    "start_image": ("start_image", "start_image"),
    "end_image": ("end_images", "end_images"),
    "ref_image": ("ref_images", "ref_images"),
    "control": ("control", "control_video"),
    "mask": ("mask", "mask_video"),
    "source": ("source", "source_video"),
    "sound": ("sound", "audio"),
}


def check_given(plan: WindowPlan, given: Given, stages: list[Stage], clip) -> None:
    """Raise ValueError where plan, inputs and models do not fit each other."""
    carrier, guider = stages[0].carrier, stages[0].guider
    kind = type(guider.model_patcher.model).__name__
    for use, (name, word) in USED_AS.items():
        if getattr(given, name) is not None and use not in carrier.uses:
            raise ValueError(f"{word} is given, and the model ({kind}) has no place for it: disconnect it")
    for number, row in enumerate(plan.rows, 1):
        if (row.frames - carrier.grid.frame_offset) % carrier.grid.step:
            raise ValueError(
                f"window {number} has {row.frames} frames; {kind} makes {carrier.grid.frame_offset} + "
                f"{carrier.grid.step} k: choose the model's grid in Window Plan"
            )
    if clip is None and any(row.prompt for row in plan.rows):
        raise ValueError(
            "the plan has prompts: connect clip, to encode them, or write the prompt before the guider alone"
        )
    held = 0 if given.prefix is None else given.prefix.count
    if held < plan.prefix or (held and not plan.prefix and not plan.shots_before):
        raise ValueError(
            f"prefix_video has {held} frames, and prefix_frames of Window Plan is {plan.prefix}: set it to the frames "
            "of the video, or fewer, which the first window may be given"
        )
    if given.prefix is not None and given.start_image is not None:
        raise ValueError("the film begins with prefix_video, so start_image has no place: disconnect one of them")
    for command, what, name in (("end", given.end_images, "end_images"), ("ref", given.ref_images, "ref_images")):
        asked = {getattr(row, command) for row in plan.rows} - {None}
        count = 0 if what is None else len(what)
        if count and not asked:
            raise ValueError(f"{name} is connected, and no prompt asks for one: write [/{command}=1] into a prompt")
        if asked and max(asked) > count:
            raise ValueError(f"a prompt asks for [/{command}={max(asked)}], and {name} has {count}: connect as many")
    for stage in stages:
        check_sigmas(stage, given, first=stage is stages[0])


def check_sigmas(stage: Stage, given: Given, *, first: bool) -> None:
    if len(stage.sigmas) < 2:
        raise ValueError(f"sigmas hold {len(stage.sigmas)} levels: give at least two, one step")
    top = float(stage.guider.model_patcher.get_model_object("model_sampling").sigma_max)
    begins, full = float(stage.sigmas[0]), float(stage.sigmas[0]) >= FULL * top
    if first and not full and given.source is None:
        raise ValueError(
            f"sigmas begin at {begins:g}, below full noise ({top:g}), where a window starts from a video: connect "
            "source_video to Window Inputs, or let them begin at full noise"
        )
    if not first and full:
        raise ValueError(
            f"the sigmas of stage_2 begin at {begins:g}, at full noise, where nothing of stage 1 is left: use those of "
            "a second stage, such as LTX Sigma Preset's distilled stage 2"
        )
    if first and full and given.source is not None:
        raise ValueError(
            f"sigmas begin at {begins:g}, at full noise, where nothing of source_video is left: lower denoise, or "
            "disconnect it"
        )


class Progress:
    """The bar over the steps of all windows, with previews, and the callback of each window's sampler."""

    def __init__(self, windows: int, stages: list[Stage]):
        self.steps = [len(stage.sigmas) - 1 for stage in stages]
        self.bar = comfy.utils.ProgressBar(windows * sum(self.steps))
        model = stages[0].guider.model_patcher
        self.previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)

    def window(self, index: int, stage: int) -> Callable:
        comfy.model_management.throw_exception_if_processing_interrupted()
        before = index * sum(self.steps) + sum(self.steps[:stage])

        def step(number: int, x0, _x, _steps: int) -> None:
            preview = None
            if self.previewer is not None:
                video = x0.unbind()[0] if getattr(x0, "is_nested", False) else x0
                preview = self.previewer.decode_latent_to_preview_image("JPEG", video)
            self.bar.update_absolute(before + number + 1, preview=preview)
            comfy.model_management.throw_exception_if_processing_interrupted()  # core looks in cast layers alone

        return step


def encode(clip, text: str) -> list:
    return clip.encode_from_tokens_scheduled(clip.tokenize(text))
