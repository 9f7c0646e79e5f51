"""A guider of one to three phases over one sampler run: its own CFG in each, and a second model from a phase on.

For pairs of experts such as Wan 2.2's high- and low-noise models. The second model is loaded when its phase begins,
with its own options, wrappers and conditioning; phases never go back, so the models change at most once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import comfy.model_patcher
import comfy.patcher_extension
import torch
from torch import Tensor

from ..utils.core import need
from .compiled import telling
from .fitting import need_fitting_latent, whole
from .guidance import ProjectedGuidance, cfg_zero_star, skip_for_negative
from .windows.text_bias import need_reader

samplers = need(
    "comfy.samplers",
    "CFGGuider.outer_sample",
    "CFGGuider.inner_sample",
    "CFGGuider.outer_predict_noise",
    "process_conds",
    "preprocess_conds_hooks",
    "filter_registered_hooks_on_conds",
    "cast_to_load_options",
    "sampling_function",
)
helpers = need(
    "comfy.sampler_helpers", "prepare_sampling", "prepare_model_patcher", "prepare_model_patcher_multigpu_clones"
)

log = logging.getLogger("oner")


@dataclass(frozen=True)
class Phase:
    """One phase: CFG and what rides on it. Layers are block numbers; start and end are parts of the run."""

    cfg: float
    zero_star: bool = False
    projected: bool = False
    skip_layers: tuple[int, ...] = ()
    skip_start: float = 0.0
    skip_end: float = 1.0


@dataclass(frozen=True)
class PhasePlan:
    """Phases, the sigmas below which the next one begins, and the phase the second model begins with."""

    phases: tuple[Phase, ...]
    thresholds: tuple[float, ...] = ()
    second_from: int = 1
    zero_init_steps: int = 0

    def phase_of(self, sigma: float) -> int:
        """The phase of a noise level: the first while sigma >= the first threshold."""
        return sum(sigma < threshold for threshold in self.thresholds)

    def table(self, sigmas: Tensor) -> list[int]:
        """The phase of each step."""
        return [self.phase_of(float(sigma)) for sigma in sigmas[:-1]]

    def warnings(self, sigmas: Tensor) -> list[str]:
        """One line for each phase that gets no step of a schedule that runs down to 0."""
        table = self.table(sigmas)
        empty = [number for number in range(len(self.phases)) if number not in table] if float(sigmas[-1]) == 0 else []
        return [
            f"phase {number + 1} gets no step: no noise level of this schedule of {len(table)} steps lies in it; move "
            "its threshold or add steps"
            for number in empty
        ]


def check_falling(thresholds: tuple[float, ...]) -> None:
    """ValueError for thresholds that rise."""
    for number, (above, below) in enumerate(pairwise(thresholds), 1):
        if above < below:
            raise ValueError(
                f"threshold {number} is {above:g} and threshold {number + 1} is {below:g}: noise falls over a run, so "
                f"lower threshold {number + 1}, or raise threshold {number}"
            )


def check_plan(plan: PhasePlan) -> None:
    """Refuse a plan that contradicts itself."""
    check_falling(plan.thresholds)
    for number, phase in enumerate(plan.phases, 1):
        used = [
            name
            for name, on in (("CFG-Zero*", phase.zero_star), ("APG", phase.projected), ("SLG", phase.skip_layers))
            if on
        ]
        if phase.cfg == 1.0 and used:
            raise ValueError(
                f"{' and '.join(used)} in phase {number} would do nothing: its cfg is 1, so the negative prompt does "
                "not run; raise the cfg or leave the phase out"
            )


def step_of(sigma: float, sigmas: Tensor) -> int:
    """The step a noise level belongs to: the last one that starts at or above it."""
    return max(int((sigmas[:-1] >= sigma - 1e-6).sum()) - 1, 0)


@dataclass
class _Run:
    """What a run needs to start the second model in its middle."""

    noise: Tensor
    latent_image: Tensor
    sigmas: Tensor
    denoise_mask: Tensor | None
    seed: int | None
    latent_shapes: list
    second_patchers: list = field(default_factory=list)  # empty until the second model has started
    second_pool: Any = None


class PhaseGuider(samplers.CFGGuider):  # type: ignore[name-defined]
    """CFGGuider with a PhasePlan and an optional second model."""

    def __init__(self, model: Any, plan: PhasePlan, second: Any = None):
        super().__init__(model)
        check_plan(plan)
        self.plan = plan
        self.second = None if second is None else samplers.CFGGuider(second)
        self.phase = 0
        self.on_second = False
        self.projection = ProjectedGuidance()

    def inner_set_conds(self, conds: dict[str, Any]) -> None:
        super().inner_set_conds(conds)
        if self.second is not None:
            self.second.inner_set_conds(conds)

    def _begins_second(self, phase: int) -> bool:
        return self.second is not None and phase >= self.plan.second_from

    def sample(
        self, noise, latent_image, sampler, sigmas, denoise_mask=None, callback=None, disable_pbar=False, seed=None
    ):
        need_fitting_latent(self, latent_image, sigmas)
        if self.second is not None:
            need_reader(self.second.model_patcher, self.original_conds)
        first = self.model_patcher, self.model_options
        second = None if self.second is None else (self.second.model_patcher, self.second.model_options)
        self.phase = self.plan.phase_of(float(sigmas[0])) if len(sigmas) else 0
        self.on_second = self._begins_second(self.phase)
        self.projection = ProjectedGuidance()
        if self.phase == 0 and len(sigmas) > 1:  # a whole run; the second of two runs has fewer phases on purpose
            for text in self.plan.warnings(sigmas):
                log.warning("%s", text)
        if self.on_second:  # this run holds no step of the first model: do not load it
            self.model_patcher, self.model_options = second
        try:
            return super().sample(
                noise, latent_image, sampler, sigmas, denoise_mask, callback, disable_pbar, whole(seed)
            )
        finally:
            self.model_patcher, self.model_options = first
            if self.second is not None:
                self.second.model_patcher, self.second.model_options = second
                self.second.conds = {}

    def outer_sample(self, noise, latent_image, sampler, sigmas, *args, **kwargs):
        table = self.plan.table(sigmas)
        if self.on_second or not table or not self._begins_second(max(table)):
            return super().outer_sample(noise, latent_image, sampler, sigmas, *args, **kwargs)
        # The second model's own OUTER_SAMPLE wrappers (step caches) open and close around the whole run.
        second = self.second
        second.conds = {k: [cond.copy() for cond in conds] for k, conds in second.original_conds.items()}
        samplers.preprocess_conds_hooks(second.conds)
        second.model_options = comfy.model_patcher.create_model_options_clone(second.model_options)
        helpers.prepare_model_patcher(second.model_patcher, second.conds, second.model_options)
        samplers.filter_registered_hooks_on_conds(second.conds, second.model_options)
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(
            super().outer_sample,
            second,
            comfy.patcher_extension.get_all_wrappers(
                comfy.patcher_extension.WrappersMP.OUTER_SAMPLE, second.model_options, is_model_options=True
            ),
        )
        return executor.execute(noise, latent_image, sampler, sigmas, *args, **kwargs)

    def inner_sample(
        self,
        noise,
        latent_image,
        device,
        sampler,
        sigmas,
        denoise_mask,
        callback,
        disable_pbar,
        seed,
        latent_shapes=None,
    ):
        self.run = _Run(noise, latent_image, sigmas, denoise_mask, seed, latent_shapes)
        first = self.model_patcher, self.model_options  # core cleans up and closes what these hold
        try:
            return super().inner_sample(
                noise,
                latent_image,
                device,
                sampler,
                sigmas,
                denoise_mask,
                callback,
                disable_pbar,
                seed,
                latent_shapes=latent_shapes,
            )
        finally:
            for patcher in self.run.second_patchers:
                patcher.cleanup()
            if self.run.second_pool is not None:
                self.run.second_pool.shutdown()
            self.model_patcher, self.model_options = first
            del self.run

    def start_second(self) -> None:
        """Load the second model and prepare its conditioning, as core does at the start of a run."""
        run, second = self.run, self.second
        patcher, options = second.model_patcher, second.model_options
        self.model_patcher.cleanup()
        inner_model, conds, loaded = helpers.prepare_sampling(patcher, run.noise.shape, second.conds, options)
        clones = helpers.prepare_model_patcher_multigpu_clones(patcher, loaded, options)
        if clones:
            devices = [patcher.load_device, *(clone.load_device for clone in clones)]
            run.second_pool = need("comfy.multigpu", "MultiGPUThreadPool").MultiGPUThreadPool(devices)
            options["multigpu_thread_pool"] = run.second_pool
        device = patcher.load_device
        samplers.cast_to_load_options(options, device=device, dtype=patcher.model_dtype())
        run.second_patchers = [patcher, *clones]
        for each in run.second_patchers:
            each.pre_run()
        latent_image = run.latent_image.to(device)
        if torch.count_nonzero(latent_image) > 0:  # as core: an empty latent is not shifted
            latent_image = inner_model.process_latent_in(latent_image)
        mask = None if run.denoise_mask is None else run.denoise_mask.to(device)
        self.conds = samplers.process_conds(
            inner_model,
            run.noise.to(device),
            conds,
            device,
            latent_image,
            mask,
            run.seed,
            latent_shapes=run.latent_shapes,
        )
        options.setdefault("transformer_options", {})["sample_sigmas"] = run.sigmas
        self.inner_model, self.model_patcher, self.model_options = inner_model, patcher, options
        self.loaded_models = [*self.loaded_models, *loaded]  # type: ignore[has-type]
        self.on_second = True

    def outer_predict_noise(self, x, timestep, model_options={}, seed=None):  # noqa: B006 - core's signature
        phase = max(self.phase, self.plan.phase_of(float(timestep.max())))
        if phase != self.phase:
            self.phase = phase
            self.projection = ProjectedGuidance()
        if self._begins_second(phase) and not self.on_second:
            self.start_second()
        if self.run.second_patchers:
            device = self.model_patcher.load_device  # the second model may live on another device than the sampler
            out = super().outer_predict_noise(x.to(device), timestep.to(device), self.model_options, seed)
            return out.to(x.device)
        return super().outer_predict_noise(x, timestep, model_options, seed)

    def predict_noise(self, x, timestep, model_options={}, seed=None):  # noqa: B006 - core's signature
        phase = self.plan.phases[self.phase]
        sigmas = model_options["transformer_options"]["sample_sigmas"]
        step, steps = step_of(float(timestep.max()), sigmas), len(sigmas) - 1
        if step < self.plan.zero_init_steps:
            return x  # velocity 0
        options = model_options.copy()
        if phase.zero_star:
            options["sampler_pre_cfg_function"] = [*options.get("sampler_pre_cfg_function", []), cfg_zero_star]
        if phase.projected:
            if "sampler_cfg_function" in options:
                raise ValueError(
                    "the model carries its own CFG function (RescaleCFG?), which APG would replace: use one of the two"
                )
            options["sampler_cfg_function"] = self.projection
        if int(phase.skip_start * steps) <= step < int(phase.skip_end * steps):
            options["transformer_options"] = telling(options["transformer_options"], "slg", phase.skip_layers)
            for layer in phase.skip_layers:
                replaced = options["transformer_options"].get("patches_replace", {}).get("dit", {})
                patch = skip_for_negative(replaced.get(("double_block", layer)))
                comfy.model_patcher.set_model_options_patch_replace(options, patch, "dit", "double_block", layer)
        return samplers.sampling_function(
            self.inner_model,
            x,
            timestep,
            self.conds.get("negative"),
            self.conds.get("positive"),
            phase.cfg,
            model_options=options,
            seed=seed,
        )
