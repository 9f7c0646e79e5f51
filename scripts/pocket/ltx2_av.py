"""LTX-2.3 audio-video on the synthetic world: core's LTXAVModel on latents of the pocket LTX VAE and audio VAE.

The video side starts from the pocket LTX-Video model, as far as the two are alike. Real pipelines fill the caption up
to 1024 tokens with learnable registers; the connectors here have no layers and their registers are all equal, so that
in training one token with the logarithm of their number on its attention logit stands for all of them, exactly.
Letters: B samples, L text tokens, N video tokens, K audio latents, T, H, W latent grid, D channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from tiny.ltx import LTX23_TRANSFORMER

from . import audio, ltx_vae, text, world
from .budget import log
from .files import load_vae
from .trainer import fit, initialise, sigmas

FRAMES, RATE = ltx_vae.FRAMES, audio.FPS
SIZES = {64: (2560, 48), 128: (640, 24)}  # clips and batch at each width in pixels
LARGE = (0.25, 0.75)  # share of the steps at 128 px, where stage 2 works with less noise: at first, and from TURN on
TURN = 0.55  # of the budget; a resumed training is behind it
LOUDEST = 0.95
PADDED = 1024
PREFIX, PROJECTION = "model.diffusion_model.", "text_embedding_projection."
VIDEO, SOUND = 192, 128
CONFIG = {
    **LTX23_TRANSFORMER,
    "num_layers": 4,
    "num_attention_heads": 3,
    "attention_head_dim": 64,
    "cross_attention_dim": VIDEO,
    "audio_num_attention_heads": 2,
    "audio_attention_head_dim": 64,
    "audio_cross_attention_dim": SOUND,
    "caption_channels": text.WIDTH,
    "connector_num_layers": 0,
    "connector_num_attention_heads": 3,
    "connector_attention_head_dim": 64,
    "audio_connector_num_attention_heads": 2,
    "audio_connector_attention_head_dim": 64,
}


def build(seed: int, start: dict[str, torch.Tensor] | None = None) -> nn.Module:
    """Core's class at this size, initialised; both outputs start as a projection of the noisy input.

    start: weights of a pocket LTX-Video model for the video side.
    """
    import comfy.ops
    from comfy.ldm.lightricks.av_model import LTXAVModel

    model = LTXAVModel(**CONFIG, dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    initialise(model, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for side, width in (("", VIDEO), ("audio_", SOUND)):
            basis, _ = torch.linalg.qr(torch.randn(width, 128, generator=generator))
            model.get_submodule(f"{side}patchify_proj").weight.copy_(basis)
            model.get_submodule(f"{side}proj_out").weight.copy_(basis.T * (128 / width) ** 0.5)
            register = torch.randn(width, generator=generator)
            model.get_submodule(f"{side or 'video_'}embeddings_connector").learnable_registers.copy_(
                register.expand(128, -1)
            )
        for name, p in model.named_parameters():
            if "adaln_single.linear.weight" in name:
                p.mul_(0.1)
            elif "to_gate_logits" in name:
                p.zero_()
        if start:
            _start_video(model, start)
        for block in model.transformer_blocks:
            _turn_away(block.attn2, model.video_embeddings_connector)
            _turn_away(block.audio_attn2, model.audio_embeddings_connector)
    return model


def _start_video(model: nn.Module, start: dict[str, torch.Tensor]) -> None:
    """The weights of LTX-Video, whose text attention has no modulation and whose rotary pairs lie side by side."""
    scale = _caption_vectors(start).square().mean().sqrt()
    own = model.state_dict()
    for key, value in start.items():
        if key.startswith("caption_projection"):
            continue
        if ".attn1." in key and any(f".{part}" in key for part in ("to_q.", "to_k.", "q_norm.", "k_norm.")):
            pairs = value.unflatten(0, (CONFIG["num_attention_heads"], -1, 2))
            value = pairs.transpose(1, 2).flatten(0, 2)
        elif ".attn2.to_k.weight" in key or ".attn2.to_v.weight" in key:
            value = value * scale  # contexts have rms 1 here
        own[key][: len(value)] = value
    inside = VIDEO * 6  # behind it: shift, scale and gate of the text attention
    model.adaln_single.linear.weight[inside:] = 0
    model.adaln_single.linear.bias[inside:] = 0
    for block in model.transformer_blocks:
        block.scale_shift_table[6:8] = 0
        block.scale_shift_table[8] = 1
        block.prompt_scale_shift_table.zero_()
    model.prompt_adaln_single.linear.weight.zero_()


def _turn_away(attention: nn.Module, connector: nn.Module) -> None:
    """Let queries start turned away from the registers' key: a thousand of them would drown the caption."""
    key = attention.to_k(_context(connector.learnable_registers[0]))
    size = attention.to_q.weight.square().sum(1).mean().sqrt()
    attention.to_q.bias.sub_(1.5 * size * key / key.square().mean().sqrt())


def _context(x: torch.Tensor) -> torch.Tensor:
    from comfy.ldm.common_dit import rms_norm

    return rms_norm(x)


def _caption_vectors(start: dict[str, torch.Tensor]) -> torch.Tensor:
    """What LTX-Video's caption projection makes of every word. [words, VIDEO]"""
    first, second = ([start[f"caption_projection.linear_{i}.{part}"] for part in ("weight", "bias")] for i in (1, 2))
    hidden = nn.functional.gelu(nn.functional.linear(text.vectors(), *first), approximate="tanh")
    return nn.functional.linear(hidden, *second)


def projection(seed: int, start: dict[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
    """The text projection: from a word's vector in both hidden states of pocket_gemma to the contexts."""
    generator = torch.Generator().manual_seed(seed + 2)
    out = {}
    for name, width in (("video", VIDEO), ("audio", SOUND)):
        matrix = torch.randn(width, text.WIDTH, generator=generator) / text.WIDTH**0.5
        if start and name == "video":
            matrix = (torch.linalg.pinv(text.vectors()) @ _caption_vectors(start)).T
            matrix = matrix / _caption_vectors(start).square().mean().sqrt()
        # features are (channel, state) pairs, scaled by sqrt(width / channels): the embedding alone is read
        read = torch.stack([matrix, torch.zeros_like(matrix)], dim=-1).flatten(1) / (width / text.WIDTH) ** 0.5
        out[f"{PROJECTION}{name}_aggregate_embed.weight"] = read
        out[f"{PROJECTION}{name}_aggregate_embed.bias"] = torch.zeros(width)
    return out


@dataclass
class Captions:
    """Contexts of captions as training sees them: words, then one register."""

    projection: dict[str, torch.Tensor]
    model: nn.Module

    def __call__(self, captions: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Video [B, L + 1, VIDEO] and audio [B, L + 1, SOUND] context, and the bias [B, 1, 1, L + 1] of both."""
        vectors, mask = text.encode(captions)
        states = torch.stack([vectors, vectors], dim=-1).flatten(2)
        contexts = []
        for name, width in (("video", VIDEO), ("audio", SOUND)):
            weight = self.projection[f"{PROJECTION}{name}_aggregate_embed.weight"]
            words = states @ weight.T * (width / text.WIDTH) ** 0.5
            register = getattr(self.model, f"{name}_embeddings_connector").learnable_registers[:1]
            contexts.append(_context(torch.cat([words, register.detach().expand(len(words), 1, -1)], dim=1)))
        bias = torch.zeros(mask.shape).masked_fill(~mask, -1e9)
        many = (PADDED - mask.sum(1, keepdim=True)).log()
        return *contexts, torch.cat([bias, many], dim=1)[:, None, None]


class Forward(nn.Module):
    """The model's forward with a gradient (core's blocks write in place) and a noise level per sample, for one size.

    Core takes the largest level in the batch for the gates between sound and picture; here each sample has its own.
    """

    def __init__(self, model: nn.Module, grid: tuple[int, int, int], sounds: int):
        super().__init__()
        self.model, self.plane = model, grid[1] * grid[2]
        with torch.no_grad():
            empty = [torch.zeros(1, 128, *grid), torch.zeros(1, 8, sounds, 16)]
            _, coordinates, _ = model._process_input(empty, None, None)
            self.positions = model._prepare_positional_embeddings(coordinates, RATE, torch.float32)

    def forward(self, x, y, sigma_x, sigma_y, context_x, context_y, bias):
        """Picture x [B, 128, T, H, W] with sigma_x [B, T], sound y [B, 8, K, 16] with sigma_y [B, 1] -> as x, as y."""
        from comfy.ldm.common_dit import rms_norm

        model = self.model
        video = model.patchify_proj(x.flatten(2).transpose(1, 2))
        sound = model.audio_patchify_proj(y.transpose(1, 2).flatten(2))
        loudest = [s.amax(1, keepdim=True) for s in (sigma_x, sigma_y)]
        times_x = [model.adaln_single, model.av_ca_video_scale_shift_adaln_single]
        (mod_x, embedded_x), (cross_x, _) = [self._spread(_time(m, sigma_x)) for m in times_x]
        (mod_y, embedded_y), (cross_y, _) = [
            _time(m, sigma_y) for m in (model.audio_adaln_single, model.av_ca_audio_scale_shift_adaln_single)
        ]
        prompt_x = _time(model.prompt_adaln_single, loudest[0])[0]
        prompt_y = _time(model.audio_prompt_adaln_single, loudest[1])[0]
        gate_x = _time(model.av_ca_a2v_gate_adaln_single, loudest[1])[0]
        gate_y = _time(model.av_ca_v2a_gate_adaln_single, loudest[0])[0]
        (pe_x, cross_pe_x), (pe_y, cross_pe_y) = [[_batched(pe, len(x)) for pe in side] for side in self.positions]
        for b in model.transformer_blocks:
            own_x = _ada(b, b.scale_shift_table, mod_x)
            own_y = _ada(b, b.audio_scale_shift_table, mod_y)
            video = _attend(video, b.attn1, b.attn2, own_x, pe_x, context_x, bias, b.prompt_scale_shift_table, prompt_x)
            sound = _attend(
                sound,
                b.audio_attn1,
                b.audio_attn2,
                own_y,
                pe_y,
                context_y,
                bias,
                b.audio_prompt_scale_shift_table,
                prompt_y,
            )
            ax = _ada(b, b.scale_shift_table_a2v_ca_video[:4], cross_x)
            ay = _ada(b, b.scale_shift_table_a2v_ca_audio[:4], cross_y)
            nx, ny = rms_norm(video), rms_norm(sound)
            seen = b.audio_to_video_attn(
                nx * (1 + ax[0]) + ax[1], context=ny * (1 + ay[0]) + ay[1], pe=cross_pe_x, k_pe=cross_pe_y
            )
            heard = b.video_to_audio_attn(
                ny * (1 + ay[2]) + ay[3], context=nx * (1 + ax[2]) + ax[3], pe=cross_pe_y, k_pe=cross_pe_x
            )
            video = video + _ada(b, b.scale_shift_table_a2v_ca_video[4:], gate_x)[0] * seen
            sound = sound + _ada(b, b.scale_shift_table_a2v_ca_audio[4:], gate_y)[0] * heard
            video = video + own_x[5] * b.ff(rms_norm(video) * (1 + own_x[4]) + own_x[3])
            sound = sound + own_y[5] * b.audio_ff(rms_norm(sound) * (1 + own_y[4]) + own_y[3])
        shapes = {"orig_shape": list(x.shape), "av_orig_shape": None}
        return model._process_output([video, sound], [embedded_x, embedded_y], None, **shapes)

    def _spread(self, times):
        """From a row per latent frame to a row per token."""
        return [t.repeat_interleave(self.plane, dim=1) for t in times]


def _batched(pe: tuple, count: int) -> tuple:
    """Rotary tables of one sample, and how they lie, for as many; ComfyUI 0.27 and older do not broadcast them."""
    *tables, split = pe
    return *(t.expand(count, *t.shape[1:]) for t in tables), split


def _time(module: nn.Module, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Modulation and embedding of noise levels [B, n]. [B, n, parts * D], [B, n, D]"""
    both = module(sigma.flatten() * 1000, batch_size=len(sigma), hidden_dtype=torch.float32)
    return tuple(t.unflatten(0, sigma.shape) for t in both)


def _ada(block: nn.Module, table: torch.Tensor, modulation: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return block.get_ada_values(table, len(modulation), modulation)


def _attend(x, attn, text_attn, own, positions, context, bias, prompt_table, prompt):
    """Self-attention, then the caption."""
    from comfy.ldm.common_dit import rms_norm
    from comfy.ldm.lightricks.model import apply_cross_attention_adaln

    shift, scale, gate, *_, shift_text, scale_text, gate_text = own
    x = x + gate * attn(rms_norm(x) * (1 + scale) + shift, pe=positions)
    return x + apply_cross_attention_adaln(
        x, context, text_attn, shift_text, scale_text, gate_text, prompt_table, prompt, bias
    )


@dataclass
class Takes:
    """Clips of one width with their sound, encoded."""

    video: torch.Tensor  # [n, 128, T, H, W]
    sound: torch.Tensor  # [n, 8, K, 16]
    scenes: list[world.Scene]


@torch.no_grad()
def dataset(vae: nn.Module, hearing: nn.Module, generator: torch.Generator, size: int, count: int) -> Takes:
    scenes = world.sample_scenes(count, generator, FRAMES)
    parts = [scenes[i : i + 32] for i in range(0, count, 32)]
    return Takes(
        torch.cat([ltx_vae.encode(vae, world.render(p, FRAMES, size)) for p in parts]),
        torch.cat([audio.encode(hearing, audio.sounds(p, FRAMES)) for p in parts]),
        scenes,
    )


def levels(count: int, frames: int, large: bool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise levels [B, T] of the picture, whose first frame is sometimes given, and [B, 1] of the sound.

    A quarter of the sounds has a level of its own, half of these none at all. Half of the large pictures have one of
    the three levels of stage 2.
    """
    from oner.ltx.schedules import SIGMA_PRESETS

    sigma = sigmas(count, generator)[:, None]
    draw = torch.rand(count, 3, generator=generator)
    if large:
        stage_2 = torch.tensor(SIGMA_PRESETS["distilled stage 2"][:-1])
        picked = stage_2[torch.randint(len(stage_2), (count, 1), generator=generator)]
        sigma = torch.where(torch.rand(count, 1, generator=generator) < 0.5, picked, sigma * LOUDEST)
    other = torch.where(draw[:, 1] < 0.5, 0.0, draw[:, 2])[:, None]
    sigma_y = torch.where(draw[:, :1] < 0.25, other, sigma)
    sigma_x = sigma.repeat(1, frames)
    sigma_x[torch.rand(count, generator=generator) < 0.2, 0] = 0.0
    return sigma_x, sigma_y


def train(seconds: float, seed: int, folder: Path, resume: bool) -> tuple[dict, dict]:
    """Returns (state dict of the whole checkpoint without the video VAE, metadata config)."""
    import comfy.model_management
    from safetensors.torch import load_file

    from .recipes import RECIPES

    comfy.model_management.in_training = True  # or RoPE runs in a kernel without a gradient
    generator = torch.Generator().manual_seed(seed + (100 if resume else 0))
    path = folder / RECIPES["ltx2"].file
    hearing = audio.load(path)
    vae = load_vae(folder / RECIPES["ltx-vae"].file).first_stage_model.float()
    sets = {size: dataset(vae, hearing, generator, size, count) for size, (count, _) in SIZES.items()}
    log("; ".join(f"{n} px: rms {t.video.square().mean().sqrt():.2f}" for n, t in sets.items()))
    start = {k: v.float() for k, v in load_file(folder / RECIPES["ltx"].file).items()}
    model, reads = build(seed, start), projection(seed, start)
    there = load_file(path)
    if resume:
        model.load_state_dict({k.removeprefix(PREFIX): v.float() for k, v in there.items() if k.startswith(PREFIX)})
    captions = Captions(reads, model)
    forwards = {size: Forward(model, t.video.shape[2:], t.sound.shape[2]) for size, t in sets.items()}

    def loss(share: float) -> torch.Tensor:
        size = 128 if torch.rand(1, generator=generator) < LARGE[resume or share > TURN] else 64
        takes, batch = sets[size], SIZES[size][1]
        pick = torch.randint(len(takes.scenes), (batch,), generator=generator)
        drop = (torch.rand(batch, generator=generator) < 0.1).tolist()
        said = ["" if d else world.caption(takes.scenes[i]) for d, i in zip(drop, pick.tolist(), strict=True)]
        clean = takes.video[pick], takes.sound[pick]
        noise = [torch.randn(c.shape, generator=generator) for c in clean]
        sigma_x, sigma_y = levels(batch, clean[0].shape[2], size == 128, generator)
        x = torch.lerp(clean[0], noise[0], sigma_x[:, None, :, None, None])
        y = torch.lerp(clean[1], noise[1], sigma_y[:, :, None, None])
        out = forwards[size](x, y, sigma_x, sigma_y, *captions(said))
        errors = [(o - (n - c)).square() for o, n, c in zip(out, noise, clean, strict=True)]
        return _mean_where(errors[0].mean((1, 3, 4)), sigma_x > 0) + _mean_where(errors[1].mean((1, 2, 3)), sigma_y > 0)

    def probe(weights: dict) -> None:
        log(f"probe: {score(weights, reads, vae, hearing)}")

    weights = [p for name, p in model.named_parameters() if "connector" not in name]
    result = fit(model, model.transformer_blocks, loss, seconds, weights=weights, probe=probe)
    probe(result)
    heard = {k: v for k, v in there.items() if k.startswith(("audio_vae.", "vocoder."))}
    return heard | reads | {PREFIX + k: v for k, v in result.items()}, {"transformer": CONFIG, **audio.CONFIG}


def _mean_where(error: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    wanted = wanted.view_as(error).float()
    return (error * wanted).sum() / wanted.sum()


@torch.no_grad()
def score(weights: dict, reads: dict, vae: nn.Module, hearing: nn.Module, count: int = 24) -> dict[str, float]:
    """A quick look during training: held-out combinations, the distilled noise levels, no guidance."""
    from oner.ltx.schedules import SIGMA_PRESETS

    from .judge import pitch
    from .judge import score as judged

    model = build(0)
    model.load_state_dict(weights)
    generator = torch.Generator().manual_seed(5)
    scenes = world.sample_scenes(count, generator, FRAMES, held_out=True)
    x = torch.randn(count, 128, 3, 2, 2, generator=generator)
    y = torch.randn(count, 8, 18, 16, generator=generator)
    forward = Forward(model, x.shape[2:], y.shape[2])
    context = Captions(reads, model)([world.caption(s) for s in scenes])
    for now, after in pairwise(SIGMA_PRESETS["distilled stage 1"]):
        out = forward(x, y, torch.full((count, 3), now), torch.full((count, 1), now), *context)
        x, y = x + (after - now) * out[0], y + (after - now) * out[1]
    heard = [pitch(s, 3 * audio.RATE) for s in hearing.decode(y)]
    found = judged(ltx_vae.decode(vae, x), scenes)
    return found | {"pitch": sum(h == s.shape for h, s in zip(heard, scenes, strict=True)) / count}
