"""Sampling steps at real sizes with random weights: ComfyUI as it is, other back ends, and the pack's guiders.

Every case runs its arms in one process on one load of the model, in turn, A B A B, with the same noise, sigmas and
conditions; a step is timed from callback to callback. `host_ms` is the time until the forward's last kernel is
queued: where it equals the step's time, the processor is the limit and not the device.

    python bench/forward.py [--tiny] [--out FILE] [--cases wan-1.3b-480p,...] [--arms core,cudnn,...]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import start

arguments = start.parse(
    __doc__,
    cases={"default": "", "help": "comma-separated names; all of them if empty"},
    arms={"default": "", "help": "comma-separated names; all that the case has if empty"},
    limit={"type": float, "default": 1e9, "help": "seconds after which no further case begins"},
)
start.start(highvram=True)

import comfy.nested_tensor
import comfy.samplers
import torch
import weights
from backends import with_cudnn, with_sage
from comfy.patcher_extension import WrappersMP
from comfy_api.torch_helpers import set_torch_compile_wrapper
from torch import Tensor

from oner.ltx.ltx2 import block_choice
from oner.ltx.ltx2.block_choice import with_exact_block
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan

TINY = arguments.tiny
DEVICE = start.device()
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32

Guider = comfy.samplers.CFGGuider


@dataclass(frozen=True)
class Case:
    """`video` and `audio` are latent shapes; `kept` the latent frames given at the start; tflop of one forward."""

    model: str
    video: tuple[int, ...]
    arms: tuple[str, ...]
    audio: tuple[int, ...] | None = None
    kept: int = 0
    steps: int = 3
    rounds: int = 2
    tflop: float = 0.0
    fp8: bool = False
    warm: bool = True  # a run of one step before what counts


BOTH = ("core", "cudnn")
WAN = (*BOTH, "sage", "phases", "cudnn compiled")
GUIDED = ("multimodal", "core cfg", "multimodal cfg", "multimodal 4 passes")
LTX = ("core", "exact", "cudnn", "sage", "cudnn compiled")
SOUND = (1, 8, 126, 16)
CASES = {
    "wan-1.3b-480p": Case("wan-1.3b", (1, 16, 21, 60, 104), WAN, tflop=283.0),
    "ltx-2.3-stage-1": Case("ltx-2.3", (1, 128, 16, 11, 20), (*LTX, *GUIDED), SOUND, tflop=108.9, steps=4),
    "ltx-2.3-stage-2": Case("ltx-2.3", (1, 128, 16, 22, 40), LTX, SOUND, tflop=537.1),
    "ltx-2.3-stage-2-image": Case("ltx-2.3", (1, 128, 16, 22, 40), BOTH, SOUND, kept=1, tflop=537.1),
    "ltx-2.3-stage-1-fp8": Case("ltx-2.3", (1, 128, 16, 11, 20), BOTH, SOUND, tflop=108.9, fp8=True),
    "wan-5b-720p": Case("wan-5b", (1, 48, 31, 44, 80), BOTH, tflop=517.0),
    "wan-14b-480p": Case("wan-14b", (1, 16, 21, 60, 104), (*BOTH, "phases"), rounds=1, tflop=1678.0),
    "wan-14b-720p": Case("wan-14b", (1, 16, 21, 90, 160), BOTH, steps=2, tflop=6523.0, warm=False),
    "wan-1.3b-480p-fp8": Case("wan-1.3b", (1, 16, 21, 60, 104), (*BOTH, "sage"), tflop=283.0, fp8=True),
}


def shrunk(shape: tuple[int, ...]) -> tuple[int, ...]:
    batch, channels, *rest = shape
    return (batch, channels, *(min(n, m) for n, m in zip(rest, (3, 4, 4) if len(rest) == 3 else (9, 16), strict=True)))


def with_compile(model):
    """Each block compiled on its own; all layers share the graph."""
    model = model.clone()
    network = model.model.diffusion_model
    name = "transformer_blocks" if hasattr(network, "transformer_blocks") else "blocks"
    keys = [f"diffusion_model.{name}.{i}" for i in range(len(getattr(network, name)))]
    set_torch_compile_wrapper(model, backend="eager" if TINY else "inductor", dynamic=False, keys=keys)
    return model


def conditions(case: Case) -> tuple[list, list]:
    extra = {"frame_rate": 24.0} if case.audio else {}
    prompts = (weights.text(case.model, tiny=TINY, dtype=DTYPE, seed=seed) for seed in (1, 2))
    positive, negative = ([[prompt, dict(extra)]] for prompt in prompts)
    return positive, negative


def core_guider(model, case: Case, cfg: float = 1.0) -> Guider:
    guider = Guider(model.clone())  # a wrapper goes onto it
    guider.set_conds(*conditions(case))
    guider.set_cfg(cfg)
    return guider


def multimodal(model, case: Case, guidance: Guidance) -> Guider:
    guider = MultimodalGuider(model, constant(guidance), constant(guidance))
    guider.set_conds(*conditions(case))
    return guider


def phases(model, case: Case) -> Guider:
    guider = PhaseGuider(model.clone(), PhasePlan((Phase(1.0),)))
    guider.set_conds(*conditions(case))
    return guider


def full_guidance(model) -> Guidance:
    block = 28 if len(model.model.diffusion_model.transformer_blocks) > 28 else 1
    return Guidance(cfg=3.0, stg=1.0, stg_blocks=(block,), rescale=0.7, modality=3.0)


ARMS: dict[str, Callable] = {
    "core": core_guider,
    "cudnn": lambda model, case: core_guider(with_cudnn(model), case),
    "sage": lambda model, case: core_guider(with_sage(model), case),
    "cudnn compiled": lambda model, case: core_guider(with_compile(with_cudnn(model)), case),
    "exact": lambda model, case: core_guider(with_exact_block(model), case),
    "phases": phases,
    "multimodal": lambda model, case: multimodal(model, case, Guidance()),
    "core cfg": lambda model, case: core_guider(model, case, 3.0),
    "multimodal cfg": lambda model, case: multimodal(model, case, Guidance(cfg=3.0)),
    "multimodal 4 passes": lambda model, case: multimodal(model, case, full_guidance(model)),
}


class Arm:
    def __init__(self, label: str, model, case: Case) -> None:
        self.label, self.case = label, case
        self.steps_ms: list[float] = []
        self.host_ms: list[float] = []
        self.guider = ARMS[label](model, case)
        self.guider.model_patcher.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "bench", self.count)

    def count(self, executor, *args, **kwargs):
        begin = time.perf_counter()
        out = executor(*args, **kwargs)
        self.host_ms.append(1000 * (time.perf_counter() - begin))
        return out

    def run(self, steps: int) -> Tensor:
        """`steps` Euler steps from the same noise; the final latent."""
        case = self.case
        generator = torch.Generator().manual_seed(0)
        shapes = [shrunk(shape) if TINY else shape for shape in (case.video, case.audio) if shape]
        noise = [torch.randn(shape, generator=generator) for shape in shapes]
        masks = [torch.ones_like(x[:, :1]) for x in noise]
        masks[0][:, :, : case.kept] = 0
        zeros = [torch.zeros_like(x) for x in noise]
        nested = comfy.nested_tensor.NestedTensor if len(noise) > 1 else lambda parts: parts[0]
        times = []

        def mark(*_: object) -> None:
            start.wait()
            times.append(time.perf_counter())

        sampler = comfy.samplers.sampler_object("euler")
        sigmas = torch.linspace(1, 0.5, steps + 1)
        out = self.guider.sample(
            nested(noise),
            nested(zeros),
            sampler,
            sigmas,
            denoise_mask=nested(masks) if case.kept else None,
            callback=mark,
            disable_pbar=True,
            seed=0,
        )
        self.steps_ms += [1000 * (after - before) for before, after in pairwise(times)]
        parts = out.unbind() if getattr(out, "is_nested", False) else [out]
        return torch.cat([part.float().flatten() for part in parts])


def measure(log: start.Log, name: str, case: Case, model) -> None:
    wanted = [arm for arm in case.arms if not arguments.arms or arm in arguments.arms.split(",")]
    arms, base = [], None
    for label in wanted:
        with log.trying(f"{name}, {label}"):
            begin = time.perf_counter()
            arm = Arm(label, model, case)
            found: list[Tensor] = []
            steps = 1 if case.warm else case.steps
            peak = start.peak_gib(lambda arm=arm, found=found, steps=steps: found.append(arm.run(steps)))
            base = found[0] if base is None else base
            difference = float((found[0] - base).norm() / base.norm())
            arms.append((arm, peak, time.perf_counter() - begin, difference, bool(found[0].isfinite().all())))
            if case.warm:
                arm.steps_ms.clear()
                arm.host_ms.clear()
    for _ in range(case.rounds if case.warm else 0):
        for arm, *_rest in arms:
            with log.trying(f"{name}, {arm.label}, again"):
                arm.run(case.steps)
    core = statistics.median(arms[0][0].steps_ms) if arms and arms[0][0].steps_ms else 0.0
    for arm, peak, first, difference, finite in arms:
        if not arm.steps_ms:
            continue
        ms = statistics.median(arm.steps_ms)
        log.add(
            f"{name}, {arm.label}",
            step_ms=round(ms, 1),
            spread_ms=[round(min(arm.steps_ms), 1), round(max(arm.steps_ms), 1)],
            host_ms=round(statistics.median(arm.host_ms), 1),
            times_core=round(ms / core, 3) if core else None,
            tflops=round(case.tflop / ms * 1000, 1),
            peak_gib=peak,
            first_s=round(first, 1),
            from_core=difference,
            finite=finite,
        )


def main() -> None:
    log = start.Log("forward", arguments.out)
    chosen = arguments.cases.split(",") if arguments.cases else list(CASES)
    loaded, model = None, None
    begin = time.perf_counter()
    block_choice.is_right = lambda _: False  # the exact block also where ComfyUI's own is right
    with torch.inference_mode():
        for name in chosen:
            case = CASES[name]
            if time.perf_counter() - begin > arguments.limit:
                log.add(name, skipped=f"no time left after {arguments.limit:.0f} s")
                continue
            with log.trying(name):
                if loaded != (case.model, case.fp8):
                    model = None
                    comfy.model_management.unload_all_models()
                    comfy.model_management.soft_empty_cache()
                    at = time.perf_counter()
                    kind = torch.float8_e4m3fn if case.fp8 else None
                    model = weights.load(case.model, tiny=TINY, dtype=DTYPE, weight_dtype=kind)
                    comfy.model_management.load_models_gpu([model], force_full_load=True)
                    start.wait()
                    loaded = case.model, case.fp8
                    log.add(f"load {case.model}{' fp8' if case.fp8 else ''}", seconds=time.perf_counter() - at)
                measure(log, name, case, model)


if __name__ == "__main__":
    main()
