"""Takes of any length, block by block: start, go on, fork."""

from __future__ import annotations

import dataclasses

import comfy.model_management
import comfy.utils
import latent_preview
import torch
from comfy_api.latest import InputImpl, io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from PIL import Image

from ...longlive.budget import Sizes, estimate, peak
from ...longlive.conditioning import read_segments
from ...longlive.decode import StreamDecoder
from ...longlive.kv import STORAGE
from ...longlive.patcher import check_model, check_vae, device_of, history_bytes, load, network_of, spatial
from ...longlive.presets import UNBOUNDED, Settings
from ...longlive.rollout import Rollout, block_noise
from ...longlive.schedule import pixel_frame
from ...longlive.take import Recorder, Take, make, resume
from ...samplers.fingerprint import fingerprint
from ...samplers.fitting import need_fitting_prompts
from ...utils.images import need_room
from ..node import Node, own_type
from ..paths import fill_prefix, new_take, take_name
from ..saved import saved_result, workflow_metadata
from .schedule import SettingsType

TakeType = own_type("ONER_TAKE", Take, "LongLive Rollout or LongLive Load Take")

OUTPUTS = [
    TakeType.Output(display_name="take", tooltip="the take on disk, to go on from"),
    io.Latent.Output(display_name="latent", tooltip="all latents of the take, mapped from disk"),
    io.Image.Output(display_name="last_frames", tooltip="the newest frames of the first batch item; needs a VAE"),
    io.Video.Output(display_name="video", tooltip="the MP4 of the first batch item; needs a VAE"),
    io.String.Output(display_name="name", tooltip="folder of the take below output/takes, for LongLive Load Take"),
    io.String.Output(display_name="report", tooltip="length, folder and whether the take went on exactly"),
]


def prefix_input() -> io.String.Input:
    return io.String.Input(
        "filename_prefix",
        default="take",
        tooltip="name of the take's folder below output/takes, to which a number is added; sub/folders are made, "
        "%date:yyyy-MM-dd%, %year%, %width% and %Node.widget% are filled in",
    )


def shared_inputs() -> list:
    """Inputs that starting and continuing a take have in common."""
    return [
        io.Vae.Input(
            "vae", optional=True, tooltip="Wan VAE; with it frames are decoded and written while the take runs"
        ),
        io.Conditioning.Input(
            "negative", optional=True, tooltip="negative prompt; only for cfg other than 1, doubles time and cache"
        ),
        io.Int.Input(
            "last_frames",
            default=16,
            min=1,
            max=1024,
            optional=True,
            advanced=True,
            tooltip="how many of the newest frames last_frames gives, 1 to 1024; they are kept in RAM",
        ),
        io.Int.Input(
            "checkpoint_blocks",
            default=40,
            min=0,
            max=100000,
            optional=True,
            advanced=True,
            tooltip="save the state every so many blocks, in case the process dies; 0 = only at the end or on cancel",
        ),
        io.Combo.Input(
            "cache_storage",
            options=list(STORAGE),
            default="model",
            optional=True,
            advanced=True,
            tooltip="precision of cached keys and values: the model's, or int8 for half the memory",
        ),
        io.Combo.Input(
            "cache_device",
            options=["gpu", "cpu"],
            default="gpu",
            optional=True,
            advanced=True,
            tooltip="cpu keeps the cache in pinned RAM and brings it a layer at a time",
        ),
        io.Int.Input(
            "crf",
            default=18,
            min=0,
            max=51,
            optional=True,
            advanced=True,
            tooltip="H.264 quality of the video, 0 (lossless) to 51 (worst)",
        ),
    ]


def compile_inputs() -> list:
    """Last on every node that rolls out."""
    return [
        io.Boolean.Input(
            "compile",
            default=False,
            optional=True,
            advanced=True,
            tooltip="compile one transformer block with torch.compile; it serves all blocks of any take, the first few "
            "blocks take a minute longer; needs a bounded window and memory for all weights",
        ),
        io.Boolean.Input(
            "cuda_graphs",
            default=False,
            optional=True,
            advanced=True,
            tooltip="on an NVIDIA GPU: record a forward for each number of frames attended and replay it, which spares "
            "the processor; needs a bounded window, all weights in memory and the cache on the GPU in the model's type",
        ),
    ]


@dataclasses.dataclass(frozen=True)
class Run:
    """One request to make blocks; `take` is what it goes on from."""

    model: object
    settings: Settings
    shape: tuple[int, int, int, int]  # B, C, H, W
    seed: int
    cfg: float
    positive: list
    frames: int  # latent frames in the end
    prefix: str  # of the take's folder, as fill_prefix gives it
    metadata: dict[str, str]
    vae: object = None
    negative: list | None = None
    last_frames: int = 16
    checkpoint_blocks: int = 40
    cache_storage: str = "model"
    cache_device: str = "gpu"
    crf: int = 18
    compile: bool = False
    cuda_graphs: bool = False
    take: Take | None = None
    start: torch.Tensor | None = None
    image: torch.Tensor | None = None
    source: torch.Tensor | None = None
    denoise: float = 1.0

    def check(self) -> None:
        self.settings.check()
        check_model(self.model)
        channels = self.model.model.latent_format.latent_channels
        if channels != self.settings.channels:
            raise ValueError(
                f"the model has {channels} latent channels, the preset is for {self.settings.channels}: choose the "
                "preset of your model in LongLive Settings"
            )
        if self.vae is not None:
            check_vae(self.vae, self.model)
        prompts = {"positive": self.positive, **({"negative": self.negative} if self.negative else {})}
        need_fitting_prompts(prompts, {self.model.model.diffusion_model.text_dim}, "the model")
        for name, on in (("compile", self.compile), ("cuda_graphs", self.cuda_graphs)):
            if on and self.settings.window == UNBOUNDED:
                raise ValueError(f"{name} needs a bounded window: set window in LongLive Settings, or turn {name} off")
        if self.cuda_graphs and (self.cache_storage, self.cache_device) != ("model", "gpu"):
            raise ValueError(
                f"cuda_graphs needs the cache where it stays, cache_storage is {self.cache_storage} and cache_device "
                f"{self.cache_device}: set them to model and gpu, or turn cuda_graphs off"
            )
        if self.cuda_graphs and device_of(self.model).type != "cuda":
            raise ValueError(f"cuda_graphs needs a CUDA device, the model is on {device_of(self.model)}: turn it off")
        if self.cfg != 1.0 and self.negative is None:
            raise ValueError(f"cfg is {self.cfg:g}: connect negative, or set cfg to 1")
        if self.cfg == 1.0 and self.negative is not None:
            raise ValueError("negative has no effect at cfg 1: disconnect it, or raise cfg")
        if self.negative is not None:
            if len(self.negative) > 1:
                raise ValueError(f"negative holds {len(self.negative)} prompts; a rollout has one: connect one text")
            if self.negative[0][0].shape[0] not in (1, self.shape[0]):
                raise ValueError(
                    f"negative holds {self.negative[0][0].shape[0]} prompts for a batch of {self.shape[0]}: give one, "
                    "or one an item"
                )

    def identity(self) -> dict:
        return {
            "model": fingerprint(self.model),
            "dtype": str(self.model.model.get_dtype_inference()),
            "shape": list(self.shape),
            "settings": dataclasses.asdict(self.settings),
            "seed": self.seed,
            "cfg": self.cfg,
            "cache_storage": self.cache_storage,
        }

    def rollout(self, tick) -> Rollout:
        """Load what is needed and allocate the cache."""
        network = network_of(self.model, compiled=self.compile, cuda_graphs=self.cuda_graphs)
        rows, columns = network.grid(*self.shape[2:])
        window = self.frames if self.settings.window == UNBOUNDED else self.settings.window
        offload = self.cache_device == "cpu"
        sizes = Sizes(
            layers=network.layers,
            dim=network.model.dim,
            heads=network.heads,
            item=network.dtype.itemsize,
            weights=0,
            tokens=rows * columns,
            batch=self.shape[0],
            frames=self.frames,
            text=network.model.text_len,
            vae_history=history_bytes(self.vae, self.shape[0], *self.shape[2:]),
        )
        on_device = peak(estimate(self.settings, sizes, self.cache_storage, offload, 2 if self.cfg != 1.0 else 1))
        segments = read_segments(self.positive, self.settings, self.shape[0])
        largest = window if len(segments) > 1 else self.settings.block  # a recache passes the window at once
        load(self.model, self.vae, on_device, (*self.shape[:2], 1, *self.shape[2:]), largest)
        return Rollout(
            network,
            self.settings,
            segments,
            self.shape,
            block_noise(self.seed),
            device_of(self.model),
            frames=self.frames,
            negative=self.negative[0][0] if self.negative else None,
            cfg=self.cfg,
            storage=self.cache_storage,
            offload=offload,
            denoise=self.denoise,
            before_forward=tick,
        )


class Progress:
    """The node's progress bar, interrupt check and preview of the newest frame."""

    def __init__(self, model, device: torch.device):
        self.bar: comfy.utils.ProgressBar | None = None
        self.done = self.total = 0
        self.recorder: Recorder | None = None
        self.previewer = latent_preview.get_previewer(device, model.model.latent_format)

    def start(self, total: int, recorder: Recorder) -> None:
        self.done, self.total, self.recorder = 0, total, recorder
        self.bar = comfy.utils.ProgressBar(total)

    def tick(self) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        if self.recorder is not None:
            self.recorder.check()  # core's layers look for an interrupt too, and the decoder's may have found it
        self.done += 1
        if self.bar is not None:
            self.bar.update_absolute(self.done - 1, self.total)

    def show(self, x: torch.Tensor) -> None:
        preview = None
        if self.recorder.images:
            preview = ("JPEG", Image.fromarray(self.recorder.images[-1].numpy()), 512)
        elif self.previewer is not None:
            preview = self.previewer.decode_latent_to_preview_image("JPEG", x[:, :, -1:])
        self.bar.update_absolute(self.done, self.total, preview)


def execute_run(run: Run) -> io.NodeOutput:
    run.check()
    if run.compile or run.cuda_graphs:  # as core's TorchCompileModel: weights that come and go cannot be compiled
        run = dataclasses.replace(run, model=run.model.clone(disable_dynamic=True))
    identity = run.identity()
    progress = Progress(run.model, device_of(run.model))
    rollout = run.rollout(progress.tick)
    convert, scale = run.model.model, spatial(run.model)
    recorder = Recorder(
        new_take(run.prefix, run.shape[3] * scale, run.shape[2] * scale),
        rollout,
        identity,
        decoder=StreamDecoder(run.vae.first_stage_model) if run.vae is not None else None,
        to_vae=convert.process_latent_out,
        from_vae=convert.process_latent_in,
        fps=run.settings.fps,
        crf=run.crf,
        metadata=run.metadata,
        tail=run.last_frames,
    )
    exact = True
    if run.take is None:
        recorder.start()
    else:
        exact = resume(run.take, recorder)
    given = 0 if run.start is None else run.start.shape[2]
    blocks = (run.frames - rollout.next_frame - given) // run.settings.block
    total = rollout.forwards(blocks) + len(rollout.streams) * -(-given // run.settings.block)
    progress.start(total, recorder)
    source = run.source
    make(
        recorder,
        blocks,
        checkpoint_blocks=run.checkpoint_blocks,
        start=None if run.start is None else convert.process_latent_in(run.start),
        image=None if run.image is None else convert.process_latent_in(run.image),
        source=None if source is None else lambda first, end: convert.process_latent_in(source[:, :, first:end]),
        on_block=progress.show,
    )
    return outputs(recorder, exact, run)


def outputs(recorder: Recorder, exact: bool, run: Run) -> io.NodeOutput:
    take, name = Take(recorder.folder), take_name(recorder.folder)
    frames = pixel_frame(run.frames)
    words = f"{name}: {frames} frames ({frames / run.settings.fps:.1f} s)"
    if run.take is not None:
        words += ", went on exactly" if exact else ", cache rebuilt from latents (approximate)"
    latent = {"samples": take.latents()}
    if run.vae is None:
        blocked = ExecutionBlocker("connect a VAE to the rollout to get frames and video")
        return io.NodeOutput(take, latent, blocked, blocked, name, words)
    images = torch.stack(list(recorder.images)).float() / 255
    path = recorder.videos()[0]
    saved = saved_result(path)
    video = InputImpl.VideoFromFile(str(path))
    return io.NodeOutput(take, latent, images, video, name, words, ui=ui.PreviewVideo([saved]))


def latent_length(length: int, block: int) -> int:
    """Latent frames of a take of `length` frames. Raises ValueError unless they are whole blocks."""
    frames = (length + 3) // 4
    if (length - 1) % 4 or frames % block:
        below = max(1, frames // block) * block
        raise ValueError(
            f"length is {length}; blocks of {block} latent frames make {pixel_frame(below)} or "
            f"{pixel_frame(below + block)} frames: use one of these"
        )
    return frames


def encode_start(vae, image: torch.Tensor, width: int, height: int, block: int) -> torch.Tensor:
    """Latents [1, C, T, h, w] of the whole blocks a start image or video fills; a shorter one holds its last frame."""
    blocks = max(1, (image.shape[0] + 3) // (4 * block))
    needed = pixel_frame(blocks * block)
    image = image[:needed]
    image = torch.cat([image, image[-1:].expand(needed - image.shape[0], -1, -1, -1)])
    return encode_image(vae, image, width, height)


def encode_image(vae, image: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Latents [1, C, T, h, w] of frames scaled and cropped to the take's size."""
    need_room(image, width, height, "start_image")
    pixels = comfy.utils.common_upscale(image[..., :3].movedim(-1, 1), width, height, "bilinear", "center")
    return vae.encode(pixels.movedim(1, -1))


class LongLiveRollout(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLiveRollout",
            display_name="LongLive Rollout",
            category="Oner/sampling",
            description="Make a take of any length, block by block, in constant memory. With a VAE the video grows on "
            "disk while the take runs and plays whenever it is cancelled; the take can be continued later.",
            search_aliases=["self forcing", "causal forcing", "autoregressive video", "long video", "endless"],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            inputs=[
                io.Model.Input("model", tooltip="causal model from LongLive Model Loader"),
                io.Conditioning.Input(
                    "positive", tooltip="one prompt for the whole take, or a LongLive Prompt Schedule"
                ),
                SettingsType.Input("settings", tooltip="window, sink, block and steps"),
                io.Int.Input(
                    "width", default=832, min=16, max=8192, step=16, tooltip="pixels; LongLive 1.0 was trained at 832"
                ),
                io.Int.Input(
                    "height", default=480, min=16, max=8192, step=16, tooltip="pixels; LongLive 1.0 was trained at 480"
                ),
                io.Int.Input(
                    "length",
                    default=117,
                    min=1,
                    max=10000001,
                    step=4,
                    tooltip="frames of the take; 12 k - 3 for blocks of 3 latent frames, 32 k - 3 for LongLive 2.0",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="noise depends on seed, block and step only, so a longer take begins like a shorter one",
                ),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="guidance; the distilled models are made for 1, other values need negative",
                ),
                prefix_input(),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=64,
                    optional=True,
                    advanced=True,
                    tooltip="takes made at once, 1 to 64; each gets its own video file",
                ),
                *shared_inputs(),
                io.Image.Input(
                    "start_image",
                    optional=True,
                    tooltip="the take starts from this image or video (experimental: the models were not trained for "
                    "it); a still fills the first block, or with LongLive 2.0 stays as the first frame",
                ),
                io.Latent.Input(
                    "source", optional=True, tooltip="video to video: latents of at least the take's length"
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="noise level video to video starts from; steps above it are left out; 1 without source",
                ),
                *compile_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(
        cls,
        model,
        positive,
        settings,
        width,
        height,
        length,
        seed,
        cfg,
        filename_prefix,
        batch_size=1,
        vae=None,
        start_image=None,
        source=None,
        denoise=1.0,
        **options,
    ):
        prefix = fill_prefix(filename_prefix, cls.hidden.prompt)
        check_model(model)
        frames = latent_length(length, settings.block)
        scale = spatial(model)
        if width % scale or height % scale:
            raise ValueError(
                f"{width}x{height} is not a multiple of {scale}: use {width // scale * scale}x{height // scale * scale}"
            )
        if source is None and denoise != 1.0:
            raise ValueError(f"denoise is {denoise:g} but there is no source: connect source, or set denoise to 1")
        shape = (batch_size, model.model.latent_format.latent_channels, height // scale, width // scale)
        start = image = None
        if start_image is not None and vae is None:
            raise ValueError("start_image needs the VAE: connect vae")
        if start_image is not None and settings.shot_sink and start_image.shape[0] == 1:
            check_vae(vae, model)
            image = encode_image(vae, start_image, width, height).expand(batch_size, -1, -1, -1, -1)
        elif start_image is not None:
            check_vae(vae, model)
            start = encode_start(vae, start_image, width, height, settings.block).expand(batch_size, -1, -1, -1, -1)
            if start.shape[2] >= frames:
                raise ValueError(f"start_image fills {start.shape[2]} latent frames of {frames}: raise length")
        if source is not None:
            source = source["samples"]
            if source.shape[2] < frames or tuple(source.shape[3:]) != shape[2:]:
                raise ValueError(
                    f"source is {tuple(source.shape[2:])} latents (T, H, W); the take needs {(frames, *shape[2:])}"
                )
        run = Run(
            model=model,
            settings=settings,
            shape=shape,
            seed=seed,
            cfg=cfg,
            positive=positive,
            frames=frames,
            prefix=prefix,
            metadata=workflow_metadata(cls.hidden),
            vae=vae,
            start=start,
            image=image,
            source=source,
            denoise=denoise,
            **options,
        )
        return execute_run(run)


class LongLiveContinue(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLiveContinue",
            display_name="LongLive Continue Take",
            category="Oner/sampling",
            description="Go on with a take where it was left or cancelled: the same frames as if it had never stopped. "
            "A new prompt takes over from here, a greater length extends it. The take it goes on from stays as it is.",
            search_aliases=["resume", "extend", "long video", "self forcing"],
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            inputs=[
                TakeType.Input("take", tooltip="from a rollout, LongLive Load Take or LongLive Fork Take"),
                io.Model.Input(
                    "model", tooltip="the model, with the LoRA, that the take was made with; another is refused"
                ),
                io.Conditioning.Input(
                    "positive", tooltip="one prompt from here on, or a schedule from the take's start"
                ),
                io.Int.Input(
                    "length",
                    default=237,
                    min=1,
                    max=10000001,
                    step=4,
                    tooltip="frames of the whole take in the end, what there is included",
                ),
                prefix_input(),
                *shared_inputs(),
                *compile_inputs(),
            ],
            outputs=OUTPUTS,
        )

    @classmethod
    def execute(cls, take, model, positive, length, filename_prefix, **options):
        prefix = fill_prefix(filename_prefix, cls.hidden.prompt)
        identity, settings = take.plain()["identity"], take.settings()
        frames = latent_length(length, settings.block)
        done = take.finished()
        if frames <= done:
            raise ValueError(f"the take has {pixel_frame(done)} frames already: raise length above that")
        run = Run(
            model=model,
            settings=settings,
            shape=tuple(identity["shape"]),
            seed=identity["seed"],
            cfg=identity["cfg"],
            positive=positive,
            frames=frames,
            prefix=prefix,
            metadata=workflow_metadata(cls.hidden),
            take=take,
            **options,
        )
        return execute_run(run)
