"""A GUIDER with guidance per modality: only the passes that are needed, all in one batched call.

Source: ltx-pipelines' guided denoisers. Hooks of the model before and after guidance are called as core calls them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import torch
from torch import Tensor

from ...samplers.compiled import telling
from ...samplers.fitting import need_fitting_latent
from ...samplers.packed import pack, unpack
from ...utils.core import need
from .block_choice import with_exact_block
from .conditioning import get_value
from .guidance import ISOLATED, NEGATIVE, POSITIVE, Binned, Guidance, constant, guide, needed_passes, without_isolation
from .perturbation import PLAN, Plan, patch_model
from .state import need_one_batch, parts_of

_samplers = need("comfy.samplers", "CFGGuider.inner_sample", "calc_cond_batch")

NEUTRAL = Guidance()


@dataclass(frozen=True)
class Switches:
    """What a model's own switches leave on: `video` and `audio` run; `*_sees` the other modality."""

    video: bool
    audio: bool
    video_sees: bool
    audio_sees: bool

    @classmethod
    def of(cls, model) -> Switches:
        options = model.model_options.get("transformer_options", {})
        names = ("run_vx", "run_ax", "a2v_cross_attn", "v2a_cross_attn")
        return cls(*(options.get(name, True) for name in names))


class MultimodalGuider(_samplers.CFGGuider):  # type: ignore[name-defined]
    """CFG, STG and modality guidance with parameters by modality and noise level.

    `shared_audio_context`: the negative pass keeps the positive prompt for audio, as when only video is guided.
    Passes that only serve a modality which the model has switched off do not run.
    """

    def __init__(self, model, video: Binned, audio: Binned, *, shared_audio_context: bool = False):
        model = with_exact_block(model)
        on = Switches.of(model)
        video = video if on.video else constant(NEUTRAL)
        audio = audio if on.audio else constant(NEUTRAL)
        video = video if on.video_sees else without_isolation(video)
        audio = audio if on.audio_sees else without_isolation(audio)
        everything = [guidance for binned in (video, audio) for _, guidance in binned.bins]
        patch_model(
            model,
            sorted(set().union(*(guidance.perturbed_blocks for _, guidance in video.bins))),
            sorted(set().union(*(guidance.perturbed_blocks for _, guidance in audio.bins))),
            isolate=ISOLATED in needed_passes(everything),
        )
        super().__init__(model)
        self.video = video
        self.audio = audio
        self.shared_audio_context = shared_audio_context
        self.cfg = max(guidance.cfg for guidance in everything)  # for hooks and logs; guidance goes by modality

    def sample(self, noise, latent_image, sampler, sigmas, *args, **kwargs):
        need_fitting_latent(self, latent_image, sigmas)
        need_one_batch(latent_image)
        self._need_one_reference(parts_of(latent_image)[0].shape[0])
        return super().sample(noise, latent_image, sampler, sigmas, *args, **kwargs)

    def _need_one_reference(self, batch: int) -> None:
        """Raise ValueError if there are more reference sounds than core can give to all passes of a batch."""
        levels = [guidance for binned in (self.video, self.audio) for _, guidance in binned.bins]
        references = get_value([(None, cond) for cond in self.original_conds[POSITIVE]], "ref_audio")
        count = 1 if references is None else references["tokens"].shape[0]
        if count > 1 and (count != batch or len(needed_passes(levels)) > 1):
            raise ValueError(
                f"the prompt holds {count} reference sounds, for {batch} clip(s) in one batch: give one, which serves "
                "all; LTX Pick From Batch takes it out"
            )

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
        self.shapes = latent_shapes or [tuple(latent_image.shape)]
        self.last: list[Tensor | None] = [None] * len(self.shapes)  # guided x0 of each modality
        self.seen: list[dict[str, Tensor]] = [{} for _ in self.shapes]  # x0 of each pass of each modality
        self.result: Tensor | None = None
        self.prepared = False
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
            del self.shapes, self.last, self.seen, self.result, self.prepared

    def predict_noise(self, x, timestep, model_options=None, seed=None):  # noqa: ARG002 - core's signature
        options = model_options or {}
        if not self.prepared:
            self._prepare()
        sigma = float(timestep[0])
        guidances = [binned.at(sigma) for binned in (self.video, self.audio)[: len(self.shapes)]]
        step = self._step(options, sigma)
        skipped = [g.skips(step) and last is not None for g, last in zip(guidances, self.last, strict=True)]
        if all(skipped):
            return self.result

        passes = needed_passes(guidances, negative=options.get("disable_cfg1_optimization", False))
        conds = [self.conds[NEGATIVE if name == NEGATIVE else POSITIVE] for name in passes]
        conds = [self._renamed(cond, name) for cond, name in zip(conds, passes, strict=True)]
        out = self._predict(conds, x, timestep, self._with_plan(options, passes, guidances, skipped))

        parts = [unpack(one, self.shapes) for one in out]
        for index, guidance in enumerate(guidances):
            modality = {name: part[index] for name, part in zip(passes, parts, strict=True)}
            if skipped[index]:  # what the network gives of it then means nothing
                self.seen[index] = {**modality, **self.seen[index]}
            else:
                self.last[index] = guide(modality, guidance, self._counted(index))
                self.seen[index] = modality
        shown = {name: pack([seen[name] for seen in self.seen]) for name in passes}
        self.result = self._after(pack(self.last), shown, x, timestep, options)
        return self.result

    def _prepare(self) -> None:
        """Once a run, when the conditions are processed."""
        self.prepared = True
        if self.shared_audio_context:
            self.conds[NEGATIVE] = [self._with_audio_of(c, self.conds[POSITIVE][0]) for c in self.conds[NEGATIVE]]
        self.uuids: dict = {}

    def _with_audio_of(self, negative: dict, positive: dict) -> dict:
        """A processed negative condition whose audio half of the text is the positive one's."""
        own, other = (c["model_conds"]["c_crossattn"] for c in (negative, positive))
        if own.cond.shape[1] != other.cond.shape[1]:
            raise ValueError(
                f"negative prompt has {own.cond.shape[1]} tokens, the positive one {other.cond.shape[1]}: the audio "
                "half cannot be shared; encode both with the LTX-2 text encoder, which pads them to one length"
            )
        network = self.inner_model.diffusion_model
        width = network.inner_dim if network.caption_proj_before_connector else network.caption_channels
        mixed = type(own)(torch.cat([own.cond[..., :width], other.cond[..., width:].to(own.cond)], dim=-1))
        return {**negative, "model_conds": {**negative["model_conds"], "c_crossattn": mixed}}

    def _renamed(self, cond: list[dict], name: str) -> list[dict]:
        """The condition under an identity of its own a pass: step caches of other packs keep results by it."""
        if name in (POSITIVE, NEGATIVE):
            return cond
        ids = self.uuids.setdefault(name, [uuid.uuid4() for _ in cond])
        return [{**entry, "uuid": one} for entry, one in zip(cond, ids, strict=True)]

    @staticmethod
    def _step(options: dict, sigma: float) -> int:
        """Index of the step; 0 between the levels of the schedule, where solvers evaluate a half step."""
        levels = options.get("transformer_options", {}).get("sample_sigmas")
        if levels is None:
            return 0
        return next((i for i, level in enumerate(levels.tolist()) if level == sigma), 0)

    def _with_plan(
        self, options: dict, passes: tuple[str, ...], guidances: list[Guidance], skipped: list[bool]
    ) -> dict:
        video, audio = (*guidances, NEUTRAL)[:2]
        plan = Plan(passes, video.perturbed_blocks, audio.perturbed_blocks)
        transformer = telling({**options.get("transformer_options", {}), PLAN: plan}, "guidance", plan)
        for index, key in enumerate(("run_vx", "run_ax")[: len(skipped)]):
            if skipped[index]:
                transformer[key] = False
        return {**options, "transformer_options": transformer}

    def _predict(self, conds: list, x: Tensor, timestep: Tensor, options: dict) -> list[Tensor]:
        if "sampler_calc_cond_batch_function" in options:
            args = {"conds": conds, "input": x, "sigma": timestep, "model": self.inner_model, "model_options": options}
            out = options["sampler_calc_cond_batch_function"](args)
        else:
            out = _samplers.calc_cond_batch(self.inner_model, conds, x, timestep, options)
        for hook in options.get("sampler_pre_cfg_function", []):
            out = hook(
                {
                    "conds": conds,
                    "conds_out": out,
                    "cond_scale": self.cfg,
                    "timestep": timestep,
                    "input": x,
                    "sigma": timestep,
                    "model": self.inner_model,
                    "model_options": options,
                }
            )
        return out

    def _after(self, guided: Tensor, passes: dict[str, Tensor], x: Tensor, timestep: Tensor, options: dict) -> Tensor:
        for hook in options.get("sampler_post_cfg_function", []):
            guided = hook(
                {
                    "denoised": guided,
                    "cond": self.conds[POSITIVE],
                    "uncond": self.conds.get(NEGATIVE),
                    "cond_scale": self.cfg,
                    "model": self.inner_model,
                    "uncond_denoised": passes.get(NEGATIVE),
                    "cond_denoised": passes[POSITIVE],
                    "sigma": timestep,
                    "model_options": options,
                    "input": x,
                }
            )
        return guided

    def _counted(self, index: int):
        """What the deviations of the rescale are taken over: no fillers, but reference tokens of the audio too."""
        conds = self.conds[POSITIVE][0]["model_conds"]
        if index == 0 and "denoise_mask" in conds:
            real = conds["denoise_mask"].cond[0, 0] >= 0
            return (lambda video: video) if bool(real.all()) else (lambda video: video[:, :, real.to(video.device)])
        if index == 1 and "ref_audio" in conds:
            tokens = conds["ref_audio"].cond["tokens"]
            return lambda audio: torch.cat(
                [audio.flatten(1), tokens.to(audio).expand(len(audio), -1, -1).flatten(1)], dim=1
            )
        return lambda part: part
