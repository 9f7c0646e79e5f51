"""LTX-2 golden scenarios (`ltx2-golden/1`): run with the pack's state, guider, noise and samplers on core's model.

A scenario is built as its workflow builds it and run by core's SamplerCustomAdvanced; wrappers on the model record what
the network saw. Tables are in ltx2_tables.py. Tokens [B, N, 128]; K evaluations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from comfy.nested_tensor import NestedTensor
from comfy.patcher_extension import WrappersMP
from comfy.sd import load_diffusion_model
from comfy_extras.nodes_custom_sampler import BasicGuider, SamplerCustomAdvanced
from torch import Tensor

from oner.ltx.ltx2 import conditioning
from oner.ltx.ltx2.block_choice import with_exact_block
from oner.ltx.ltx2.guidance import Binned, Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.noise import LatentNoise
from oner.ltx.ltx2.perturbation import PLAN
from oner.ltx.ltx2.reference_attention import _weight as entry_weight
from oner.ltx.ltx2.reference_attention import group_references, weight_matrix
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltx2.state import State, read_state, write_state
from oner.samplers.packed import pack, unpack
from oner.samplers.step_noise import GivenNoise, SeededNoise
from oner.utils.tokens import from_tokens, to_tokens

from . import ltx2_tables
from .scenario import (
    Check,
    Choice,
    Fields,
    Scenario,
    absolute_error,
    find_above,
    knowing,
    load_tensors,
    mismatch,
    relative_error,
)

POSITION_TOLERANCE = 1e-6
MODALITIES = ("video", "audio")

WINDOW = Fields("type start_seconds end_seconds")
APPENDED = "type tensor noise strength"
ITEMS = {
    "video": Choice(
        "type",
        {
            "replace": Fields("type tensor strength latent_index", fixed={"noise": None}),
            "keyframe": Fields(f"{APPENDED} frame_index"),
            "reference": Fields(f"{APPENDED} attention", counts="downscale_factor temporal_scale_factor"),
            "temporal_region": WINDOW,
        },
    ),
    "audio": Choice("type", {"audio_reference": Fields(APPENDED), "temporal_region": WINDOW}),
}
GUIDANCE = Fields("cfg_scale stg_scale rescale_scale modality_scale skip_step", may_be_empty="stg_blocks")
BIN = Fields("sigma_upper", nested={"params": GUIDANCE})
NOISY = Fields("name eta s_noise noise_seed")
FIELDS = Fields(
    "format sigmas",
    texts="checkpoint",
    described="name family pipeline description sigma_source measured_deviation sensitivity tensors",
    nested={
        "pixel": Fields(positive="fps", described="frames height width"),
        **{
            modality: Fields(
                "noise_scale frozen has_init",
                counts="latent_shape",
                may_be_empty="conditionings",
                nested={"conditionings": items},
            )
            for modality, items in ITEMS.items()
        },
        "sampler": Choice(
            "name",
            {
                "euler": Fields("name"),
                "gradient_estimation": Fields("name gamma"),
                "euler_ancestral_rf": NOISY,
                "euler_cfg_pp": NOISY,
                "res2s": Fields("name eta noise_seed anchor_refinement"),
            },
        ),
        "guidance": Choice(
            "kind",
            {
                "static": Fields("kind force_negative_pass", nested=dict.fromkeys(MODALITIES, GUIDANCE)),
                "binned": Fields("kind force_negative_pass", nested={"video_bins": BIN, "audio_bins": BIN}),
            },
        ),
        "evaluations": Fields("sigma", may_be_empty="forward_batches"),
        "tolerance": Fields(
            tolerances="final intermediate", fixed={"relative_to": "max absolute value of the expected tensor"}
        ),
    },
)


def claim(path: Path, data: dict | list) -> list[Scenario] | None:
    kind = data.get("format") if isinstance(data, dict) else None
    if kind == "ltx-golden-index/1":
        return []
    if kind == "ltx2-tables/1":
        return ltx2_tables.scenarios(path, data, load_model)
    if kind == "ltx2-golden/1":
        return [Scenario(path, knowing(FIELDS, data, functools.partial(run_vector, path, data)))]
    return None


def load_model(folder: Path, name: str):
    """The network `name` as a ModelPatcher, from the folder of the scenario or one above it."""
    return _load(str(find_above(folder, name)))


@functools.cache
def _load(path: str):
    return with_exact_block(load_diffusion_model(path, model_options={"dtype": torch.float32}))


def run_vector(path: Path, data: dict) -> list[Check]:
    """All comparisons of one scenario."""
    return Run(path, data).checks()


class Recorder:
    """What a model saw and gave: per evaluation the input, guided x0, x0 of each pass, and network batches."""

    def __init__(self, model):
        self.inputs: list[Tensor] = []
        self.sigmas: list[float] = []
        self.guided: list[Tensor] = []
        self.passes: list[dict[str, Tensor]] = []
        self.batches: list[list[int]] = []
        self.coordinates: list[Tensor] | None = None
        self.model = model.clone()
        self.model.add_wrapper_with_key(WrappersMP.PREDICT_NOISE, "parity", self._evaluation)
        self.model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "parity", self._forward)
        self.model.set_model_sampler_pre_cfg_function(self._passes)
        name = "diffusion_model._prepare_positional_embeddings"
        self.embed = self.model.get_model_object(name)
        self.model.add_object_patch(name, self._positions)

    def _evaluation(self, executor, x, timestep, *args):
        self.inputs.append(x.clone())
        self.sigmas.append(float(timestep[0]))
        self.passes.append({})
        self.batches.append([])
        x0 = executor(x, timestep, *args)
        self.guided.append(x0.clone())
        return x0

    def _forward(self, executor, x, *args, **kwargs):
        self.batches[-1].append((x[0] if isinstance(x, list) else x).shape[0])
        return executor(x, *args, **kwargs)

    def _passes(self, args):
        plan = args["model_options"]["transformer_options"].get(PLAN)
        if plan is not None:
            self.passes[-1] = {name: x0.clone() for name, x0 in zip(plan.passes, args["conds_out"], strict=True)}
        return args["conds_out"]

    def _positions(self, coordinates, *args):
        self.coordinates = [part[:1].clone() for part in coordinates]
        return self.embed(coordinates, *args)


class Run:
    """One scenario: its graph, and its result against the expected tensors."""

    def __init__(self, path: Path, data: dict):
        self.data = data
        self.fps = data["pixel"]["fps"]
        self.tensors = load_tensors(path.with_suffix(".safetensors"))
        self.recorder = Recorder(load_model(path.parent, data["checkpoint"]))
        self.sigmas = self.tensors.get("sigmas", torch.tensor(data["sigmas"]))

    def checks(self) -> list[Check]:
        positive, negative = self.context("positive"), self.context("negative")
        state = self.start()
        state, (positive, negative) = self.condition(state, [positive, negative])
        self.state = state
        self.positive = positive
        latent = write_state({}, state)

        scales = [self.data[m]["noise_scale"] for m in MODALITIES]
        noise = LatentNoise(0, float(self.sigmas[0]), scales=scales, given=self.noise())
        guider = self.guider(positive, negative)
        output, _ = SamplerCustomAdvanced.execute(noise, guider, self.sampler(), self.sigmas, latent).result
        final, _ = conditioning.crop(read_state({"samples": output["samples"]}), [positive])
        return [*self.compare_start(), *self.compare_evaluations(), *self.compare_final(final)]

    # The graph.

    def context(self, name: str) -> list | None:
        video = self.tensors.get(f"context_video_{name}")
        if video is None:
            return None
        audio = self.tensors.get(f"context_audio_{name}")
        if audio is None:  # the guider shares the positive one, so what stands here must not matter
            audio = torch.full_like(self.tensors["context_audio_positive"], 7.0)
        return [[torch.cat([video, audio], dim=-1), {"frame_rate": self.fps}]]

    def start(self) -> State:
        contents = [self.tensors.get(f"init_{m}", torch.zeros(self.data[m]["latent_shape"])) for m in MODALITIES]
        return read_state({"samples": NestedTensor(contents)})

    def condition(self, state: State, conditionings: list) -> tuple[State, list]:
        given = [c for c in conditionings if c is not None]
        self.appended_noise = []
        for item in self.data["video"]["conditionings"]:
            state, given = self.condition_video(state, given, item)
        for item in self.data["audio"]["conditionings"]:
            if item["type"] == "temporal_region":
                state = conditioning.window_audio(state, item["start_seconds"], item["end_seconds"])
            elif item["type"] == "audio_reference":
                if item["strength"] != 1:
                    raise NotImplementedError(f"audio reference of strength {item['strength']}; ComfyUI has 1 alone")
                given = conditioning.add_audio_reference(given, self.tensors[item["tensor"]])
            else:
                raise NotImplementedError(f"audio item {item}")
        if self.data["video"]["frozen"]:
            state = conditioning.freeze_video(state)
        if self.data["audio"]["frozen"]:
            state = conditioning.freeze_audio(state)
        return state, [given[0], given[1] if len(given) > 1 else None]

    def condition_video(self, state: State, given: list, item: dict) -> tuple[State, list]:
        if item["type"] == "temporal_region":
            return conditioning.window_video(state, item["start_seconds"], item["end_seconds"], self.fps), given
        content, strength = self.tensors[item["tensor"]], item["strength"]
        if item["type"] == "replace":
            return conditioning.replace_frames(state, content, item["latent_index"], strength), given
        noise = self.tensors[item["noise"]] if item.get("noise") else torch.full_like(content, 3.0)
        self.appended_noise.append((noise, item.get("downscale_factor", 1)))
        if item["type"] == "keyframe":
            return conditioning.append_keyframe(state, given, content, item["frame_index"], strength)
        if item["type"] == "reference":
            weight = item.get("attention")
            return conditioning.append_reference(
                state,
                given,
                content,
                strength,
                downscale=item["downscale_factor"],
                temporal_scale=item.get("temporal_scale_factor", 1),
                weight=self.tensors[weight] if isinstance(weight, str) else weight,
            )
        raise NotImplementedError(f"video item {item}")

    def noise(self) -> list[Tensor]:
        video = [self.tensors["noise_video"]]
        for noise, downscale in self.appended_noise:
            grid = torch.zeros(*noise.shape[:3], *video[0].shape[3:])
            grid[..., ::downscale, ::downscale] = noise
            video.append(grid)
        return [torch.cat(video, dim=2), self.tensors["noise_audio"]]

    def guider(self, positive: list, negative: list | None):
        guidance = self.data["guidance"]
        if guidance is None:
            return BasicGuider.execute(self.recorder.model, positive).result[0]
        if guidance["kind"] == "static":
            video, audio = (constant(self.guidance(guidance[m])) for m in MODALITIES)
        else:
            video, audio = (
                Binned(tuple((one["sigma_upper"], self.guidance(one["params"])) for one in guidance[f"{m}_bins"]))
                for m in MODALITIES
            )
        model = self.recorder.model
        if guidance.get("force_negative_pass"):
            model = model.clone()
            model.disable_model_cfg1_optimization()
        shared = "context_audio_negative" not in self.tensors
        guider = MultimodalGuider(model, video, audio, shared_audio_context=shared and negative is not None)
        guider.set_conds(positive, negative or [])
        return guider

    @staticmethod
    def guidance(data: dict) -> Guidance:
        return Guidance(
            cfg=data["cfg_scale"],
            stg=data["stg_scale"],
            stg_blocks=tuple(data["stg_blocks"]),
            rescale=data["rescale_scale"],
            modality=data["modality_scale"],
            skip_step=data["skip_step"],
        )

    def sampler(self):
        options = {k: v for k, v in self.data["sampler"].items() if k != "name"}
        for key, name in (("noise", "sde_noise_step"), ("half_step_noise", "sde_noise_substep")):
            if f"{name}_video" in self.tensors:
                options[key] = GivenNoise(self.step_noise(name))
        return make_sampler(self.data["sampler"]["name"], **options)

    def step_noise(self, name: str) -> list[Tensor]:
        """Recorded noise in the packed layout, filler tokens 0."""
        video_shape, audio_shape = (part.clean.shape for part in self.state.parts)
        steps = []
        for video, audio in zip(self.tensors[f"{name}_video"], self.tensors[f"{name}_audio"], strict=True):
            tokens = torch.zeros(1, len(self.real), video.shape[-1])
            tokens[:, self.real] = video
            steps.append(
                pack([from_tokens(tokens, video_shape), from_tokens(audio[None, : audio_shape[2]], audio_shape)])
            )
        return steps

    # The comparison.

    @functools.cached_property
    def real(self) -> Tensor:
        """Which video tokens the model sees, bool [N]."""
        return to_tokens(self.state.video.mask)[0, :, 0] >= 0

    @functools.cached_property
    def reference_audio(self) -> Tensor:
        reference = conditioning.get_value(self.positive, "ref_audio")
        return torch.zeros(1, 0, 128) if reference is None else reference["tokens"]

    def tokens(self, packed: Tensor) -> dict[str, Tensor]:
        """Tokens of each modality in the order of the expected tensors: the clip, then what is appended."""
        video, audio = unpack(packed.cpu(), [part.clean.shape for part in self.state.parts])
        # Core puts reference audio first and fully given: its x0 is its content.
        return {
            "video": to_tokens(video)[:, self.real],
            "audio": torch.cat([to_tokens(audio), self.reference_audio], dim=1),
        }

    def compare(self, name: str, actual: Tensor, expected: Tensor, kind: str = "intermediate") -> Check:
        return Check(name, relative_error(actual, expected), self.data["tolerance"][kind])

    def compare_start(self) -> list[Check]:
        listed = torch.tensor(self.data["sigmas"])
        checks = [Check("listed sigmas", absolute_error(self.sigmas, listed), 1e-6)]
        for m in MODALITIES:
            checks.append(Check(f"init_{m}", mismatch(f"init_{m}" in self.tensors, self.data[m]["has_init"]), 0))
        start = self.tokens(self.recorder.inputs[0])
        masks = {
            "video": to_tokens(self.state.video.mask)[:, self.real],
            "audio": torch.cat(
                [to_tokens(self.state.audio.mask)[..., :1], torch.zeros(1, self.reference_audio.shape[1], 1)], dim=1
            ),
        }
        for m in MODALITIES:
            expected = self.tensors.get(f"start_{m}_tokens")
            if expected is None:
                expected = to_tokens(self.tensors[f"noise_{m}"])
            checks.append(self.compare(f"start_{m}", start[m], expected))
            mask = self.tensors.get(f"mask_{m}_tokens", torch.ones_like(masks[m]))
            checks.append(Check(f"mask_{m}", mismatch(masks[m], mask), 0))
        video, audio = self.recorder.coordinates
        video = video.to(torch.float32)
        video[:, 0] /= self.fps
        reference = self.reference_audio.shape[1]
        audio = torch.cat([audio[:, :, reference:], audio[:, :, :reference]], dim=2)
        for m, positions in (("video", video), ("audio", audio)):
            error = absolute_error(positions, self.tensors[f"positions_{m}"])
            checks.append(Check(f"positions_{m}", error, POSITION_TOLERANCE))
        return [*checks, *self.compare_attention()]

    def compare_attention(self) -> list[Check]:
        entries = conditioning.get_value(self.positive, "guide_attention_entries") or []
        clip = self.state.clip_frames * self.state.video.clean.shape[3:].numel()
        counts = [int(part.sum()) for part in self.real[clip:].split([e["pre_filter_count"] for e in entries])]
        groups = group_references(clip, counts, [entry_weight(entry) for entry in entries])
        expected = self.tensors.get("attention_video")
        if expected is None:
            return [Check("attention", mismatch(len(groups), 0), 0)]
        return [Check("attention", absolute_error(weight_matrix(clip, groups), expected), 1e-7)]

    def compare_evaluations(self) -> list[Check]:
        expected = self.data["evaluations"]
        sigmas = torch.tensor(self.recorder.sigmas)
        wanted = torch.tensor([e["sigma"] for e in expected])
        batches = [sorted(b) for b in self.recorder.batches]
        checks = [
            Check("sigmas", absolute_error(sigmas, wanted), 1e-6),
            Check("forward batches", mismatch(batches, [sorted(e["forward_batches"]) for e in expected]), 0),
        ]
        for index, x0 in enumerate(self.recorder.guided):
            tokens = self.tokens(x0)
            for m in MODALITIES:
                if f"eval{index}_x0_{m}" in self.tensors:
                    checks.append(self.compare(f"eval{index}_{m}", tokens[m], self.tensors[f"eval{index}_x0_{m}"]))
            for name, one in self.recorder.passes[index].items():
                tokens = self.tokens(one)
                for m in MODALITIES:
                    key = f"eval{index}_pass_{name}_{m}"
                    if key in self.tensors:
                        checks.append(self.compare(key, tokens[m], self.tensors[key]))
        return [*checks, *self.compare_seeded_noise()]

    def compare_seeded_noise(self) -> list[Check]:
        """Res2s draws its noise from seeds: what it would have drawn is what was recorded."""
        options = self.data["sampler"]
        if options["name"] != "res2s":
            return []
        shapes = [part.clean.shape for part in self.state.parts]
        checks = []
        for name, seed in (("step", options["noise_seed"]), ("substep", options["noise_seed"] + 10000)):
            source = SeededNoise(seed, shapes, dtype=torch.float64, standard=True)
            drawn = torch.cat([source(i) for i in range(len(self.step_noise(f"sde_noise_{name}")))])
            recorded = torch.cat(self.step_noise(f"sde_noise_{name}"))
            checks.append(Check(f"seeded {name} noise", absolute_error(drawn, recorded), 1e-6))
        return checks

    def compare_final(self, final: State) -> list[Check]:
        pairs: list[tuple[str, Callable[[], Tensor]]] = [("video", final.video.clean), ("audio", final.audio.clean)]
        return [self.compare(f"final_{m}", actual, self.tensors[f"final_{m}"], "final") for m, actual in pairs]
