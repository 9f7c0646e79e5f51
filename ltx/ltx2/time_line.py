"""Prompts on a time line in LTX-2: the text attentions of picture and sound, and texts that pass the connectors alone.

ComfyUI runs the connectors on a whole conditioning when sampling begins. They attend over all of it and put registers
behind it, which would tell every frame of every text. An audio latent lasts 4 hundredths of a second, the first one 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...samplers.windows.text_bias import KEY, TimedText, Track, bias_text, need_unchanged, with_biases
from ...samplers.windows.time_line import frame_times
from ...utils.core import need
from ..latents import AUDIO_LATENTS_PER_SECOND
from ..time_line import STEP, text_attentions, video_track
from .checks import need_prompts

_av_model = need("comfy.ldm.lightricks.av_model", "LTXAVModel.preprocess_text_embeds")
need("comfy.model_base", "LTXAV.extra_conds")

MEL = 4  # frames of the spectrogram in an audio latent, after the first

__all__ = ["STEP", "can", "need_prompts", "patch"]


def can(network: Any) -> bool:
    """Whether it is a network of LTX-2."""
    return isinstance(network, _av_model.LTXAVModel)


def patch(model: Any) -> None:
    """Let a cloned LTX-2 MODEL read the time line of its prompts."""
    network = model.model.diffusion_model
    modules = {"video": text_attentions(network, "attn2"), "audio": text_attentions(network, "audio_attn2")}
    bias_text(model, modules, _diffusion)
    known = model.get_model_object("extra_conds")
    if not isinstance(known, ConnectedApart):
        model.add_object_patch("extra_conds", ConnectedApart(model.model, known))


class ConnectedApart:
    """extra_conds of the model, to which the texts of a time line come each through the connectors."""

    def __init__(self, model: Any, extra_conds: Callable):
        self.model = model
        self.extra_conds = extra_conds

    def __call__(self, **given: Any) -> dict:
        if KEY in given:
            need_unchanged(given[KEY], given["cross_attn"])
            texts = given["cross_attn"].to(device=given["device"], dtype=self.model.get_dtype_inference())
            raw = given.get("unprocessed_ltxav_embeds", False)
            connect = self.model.diffusion_model.preprocess_text_embeds
            parts = [connect(text, unprocessed=raw) for text in texts.split(given[KEY].tokens, dim=1)]
            if len({part.shape[1] for part in parts}) > 1 and raw:
                raise ValueError(
                    f"the longest text of the time line has {max(given[KEY].tokens)} tokens, and LTX-2 reads 1024: "
                    "shorten it"
                )
            given = {**given, "cross_attn": torch.cat(parts, dim=1), "unprocessed_ltxav_embeds": False}
        return self.extra_conds(**given)


def audio_track(audio: Tensor, frame_rate: float, references: int) -> Track:
    """The track of an audio latent [B, 8, A, 16] behind the tokens of a reference sound.

    Its frames are those the model shows while it sounds, at the frame rate of the prompt.
    """
    seconds = frame_times(audio.shape[2], MEL) / (MEL * AUDIO_LATENTS_PER_SECOND)
    return Track(seconds * frame_rate, 1, references)


def _diffusion(
    executor,
    x,
    timestep,
    context,
    attention_mask,
    frame_rate=25,
    transformer_options=None,
    keyframe_idxs=None,
    **options,
) -> Tensor:
    video, audio = x if isinstance(x, list | tuple) and len(x) > 1 else (x[0] if isinstance(x, list) else x, None)
    reference = options.get("ref_audio")

    def tracks_of(timed: TimedText) -> dict[str, Track]:
        tracks = {"video": video_track(timed, video, keyframe_idxs)}
        if audio is not None:
            before = 0 if reference is None else reference["tokens"].shape[1]
            tracks["audio"] = audio_track(audio, float(frame_rate), before)
        return tracks

    given = with_biases(transformer_options or {}, len(video), video, tracks_of)
    return executor(x, timestep, context, attention_mask, frame_rate, given, keyframe_idxs, **options)
