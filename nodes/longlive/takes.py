"""Takes made earlier, and what a take will cost."""

from __future__ import annotations

import comfy.model_management
from comfy_api.latest import io

from ...longlive.budget import Sizes, estimate, report
from ...longlive.kv import STORAGE
from ...longlive.patcher import check_model, check_vae, device_of, history_bytes, network_of, spatial, work_bytes
from ...longlive.presets import UNBOUNDED
from ...longlive.schedule import pixel_frame
from ...longlive.take import STATE, Take
from ..node import Node
from ..paths import find_take
from .rollout import TakeType, latent_length
from .schedule import SettingsType


class LongLiveLoadTake(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLiveLoadTake",
            display_name="LongLive Load Take",
            category="Oner/loaders",
            description="A take made earlier, to continue, extend or fork it.",
            search_aliases=["session", "resume", "saved state"],
            inputs=[
                io.String.Input(
                    "name", default="take_00001", tooltip="folder of the take below output/takes, sub/folders included"
                )
            ],
            outputs=[
                TakeType.Output(display_name="take", tooltip="for LongLive Continue Take"),
                io.Latent.Output(display_name="latent", tooltip="its latents, mapped from disk"),
                io.Int.Output(display_name="length", tooltip="its frames"),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, name):
        if name is None:  # a link: whatever makes the name decides whether this runs again
            return 0
        state = find_take(name) / STATE
        return state.stat().st_mtime_ns if state.exists() else 0

    @classmethod
    def execute(cls, name):
        take = Take(find_take(name))
        return io.NodeOutput(take, {"samples": take.latents()}, pixel_frame(take.finished()))


class LongLiveForkTake(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLiveForkTake",
            display_name="LongLive Fork Take",
            category="Oner/latent",
            description="A take as it was at an earlier block, to go on differently from there. What comes before "
            "stays as it is; the cache is rebuilt from latents, which is approximate unless the take ended there.",
            search_aliases=["branch", "rewind", "undo"],
            inputs=[
                TakeType.Input("take", tooltip="the take to branch off; it is not changed"),
                io.Int.Input(
                    "length",
                    default=117,
                    min=1,
                    max=10000001,
                    step=4,
                    tooltip="frames to keep; rounded down to a whole block",
                ),
            ],
            outputs=[
                TakeType.Output(display_name="take", tooltip="for LongLive Continue Take"),
                io.Int.Output(display_name="length", tooltip="frames kept"),
            ],
        )

    @classmethod
    def execute(cls, take, length):
        block = take.settings().block
        frames = (length + 3) // 4 // block * block
        if not 0 < frames <= take.finished():
            raise ValueError(
                f"length is {length}; the take has {pixel_frame(take.finished())} frames in blocks of {block} latent "
                "frames"
            )
        return io.NodeOutput(Take(take.folder, frames), pixel_frame(frames))


class LongLiveBudget(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLongLiveBudget",
            display_name="LongLive Budget",
            category="Oner/utils",
            description="Memory that a take will need, before it is started: weights, cache, text, VAE and the peak.",
            search_aliases=["vram estimate", "kv cache size"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="causal model from LongLive Model Loader"),
                SettingsType.Input("settings", tooltip="window, sink, block and steps"),
                io.Int.Input("width", default=832, min=16, max=8192, step=16, tooltip="pixels"),
                io.Int.Input("height", default=480, min=16, max=8192, step=16, tooltip="pixels"),
                io.Int.Input("length", default=117, min=1, max=10000001, step=4, tooltip="frames of the take"),
                io.Int.Input("batch_size", default=1, min=1, max=64, tooltip="takes made at once"),
                io.Combo.Input(
                    "cache_storage", options=list(STORAGE), default="model", tooltip="precision of the cache"
                ),
                io.Combo.Input(
                    "cache_device", options=["gpu", "cpu"], default="gpu", tooltip="where the cache is kept"
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="the VAE the take is decoded with while it runs: its part is counted too",
                ),
            ],
            outputs=[io.String.Output(display_name="report", tooltip="GiB by part, their peak and what is free")],
        )

    @classmethod
    def execute(cls, model, settings, width, height, length, batch_size, cache_storage, cache_device, vae=None):
        check_model(model)
        settings.check()
        if vae is not None:
            check_vae(vae, model)
        network = network_of(model)
        height, width = height // spatial(model), width // spatial(model)
        rows, columns = network.grid(height, width)
        frames = latent_length(length, settings.block)
        largest = frames if settings.window == UNBOUNDED else settings.window  # when a prompt changes
        shape = (batch_size, model.model.latent_format.latent_channels, 1, height, width)
        sizes = Sizes(
            layers=network.layers,
            dim=network.model.dim,
            heads=network.heads,
            item=network.dtype.itemsize,
            weights=model.model_size(),
            tokens=rows * columns,
            batch=batch_size,
            frames=frames,
            text=network.model.text_len,
            work=work_bytes(model, vae, shape, largest),
            vae_weights=0 if vae is None else vae.patcher.model_size(),
            vae_history=history_bytes(vae, batch_size, height, width),
        )
        parts = estimate(settings, sizes, cache_storage, cache_device == "cpu")
        free = comfy.model_management.get_free_memory(device_of(model))
        words = report(parts, frames, settings.window, free)
        return io.NodeOutput(words, ui={"text": [words]})
