"""An independent oracle: diffusers' LTX-2 transformer on the same weights, in a loop written out from the formulas.

diffusers differs from the LTX-2 code in two places, made equal here: the epsilon of its QK norms (1e-6, ComfyUI 1e-5),
and with masks the scale and shift between modalities, which it takes from the other's sigma instead of its own token
times. Coordinates are computed in ComfyUI's order of operations: the highest RoPE frequency turns a last bit of a time
into 1e-5 of the result.
"""

import json
from functools import partial
from itertools import pairwise

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy.sd import load_diffusion_model_state_dict
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from safetensors import safe_open

from harness.pack import ROOT, core_is_at_least
from oner.ltx.ltx2 import conditioning
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.noise import LatentNoise
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltx2.state import read_state, write_state
from tiny.ltx import ltx20_checkpoint, ltx25_transformer

FPS = 24.0
SIGMAS = torch.tensor([0.95, 0.6, 0.25, 0.0])
TOLERANCE = 1e-5
VIDEO = {"cfg": 3.0, "stg": 1.0, "modality": 3.0, "rescale": 0.7}
AUDIO = {"cfg": 7.0, "stg": 0.5, "modality": 2.0, "rescale": 0.5}

KEYS = [  # ComfyUI -> diffusers, the longest first
    ("av_ca_video_scale_shift_adaln_single", "av_cross_attn_video_scale_shift"),
    ("av_ca_audio_scale_shift_adaln_single", "av_cross_attn_audio_scale_shift"),
    ("av_ca_a2v_gate_adaln_single", "av_cross_attn_video_a2v_gate"),
    ("av_ca_v2a_gate_adaln_single", "av_cross_attn_audio_v2a_gate"),
    ("scale_shift_table_a2v_ca_video", "video_a2v_cross_attn_scale_shift_table"),
    ("scale_shift_table_a2v_ca_audio", "audio_a2v_cross_attn_scale_shift_table"),
    ("audio_prompt_adaln_single", "audio_prompt_adaln"),
    ("audio_patchify_proj", "audio_proj_in"),
    ("audio_adaln_single", "audio_time_embed"),
    ("prompt_adaln_single", "prompt_adaln"),
    ("patchify_proj", "proj_in"),
    ("q_norm", "norm_q"),
    ("k_norm", "norm_k"),
]


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rename(key):
    for ours, theirs in KEYS:
        if ours in key:
            return key.replace(ours, theirs)
    return key.replace("adaln_single.", "time_embed.") if key.startswith("adaln_single.") else key


def load_tiny(generation):
    """State dict without prefix and the transformer's configuration, of a tiny network."""
    if generation == "2.3":
        with safe_open(ROOT / "tests" / "golden" / "ltx" / "tiny_ltx23.safetensors", "pt") as file:
            state, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    else:
        state, metadata = {"2.0": ltx20_checkpoint, "2.5": ltx25_transformer}[generation](seed=0)
        # Smaller weights: rounding of float32 grows less from block to block.
        state = {key: value * 0.5 if value.ndim == 2 else value for key, value in state.items()}
    prefix = "model.diffusion_model."
    state = {key.removeprefix(prefix): value for key, value in state.items() if not key.startswith(("vae", "vocoder"))}
    return {k: v.float() for k, v in state.items() if not k.startswith("audio_vae")}, metadata


def oracle_for(state, config):
    from diffusers import LTX2VideoTransformer3DModel

    adaln = config.get("cross_attention_adaln", False)
    gated = config.get("apply_gated_attention", False)
    network = LTX2VideoTransformer3DModel(
        num_layers=config["num_layers"],
        num_attention_heads=config["num_attention_heads"],
        attention_head_dim=config["attention_head_dim"],
        cross_attention_dim=config["cross_attention_dim"],
        audio_num_attention_heads=config["audio_num_attention_heads"],
        audio_attention_head_dim=config["audio_attention_head_dim"],
        audio_cross_attention_dim=config["audio_cross_attention_dim"],
        caption_channels=config["caption_channels"],
        gated_attn=gated,
        audio_gated_attn=gated,
        cross_attn_mod=adaln,
        audio_cross_attn_mod=adaln,
        use_prompt_embeddings=not config.get("caption_proj_before_connector", False),
        cross_attn_timestep_scale_multiplier=config["av_ca_timestep_scale_multiplier"],
        rope_type=config["rope_type"],
        perturbed_attn=True,
        ff_bias=config.get("ff_bias", True),
        audio_ff_bias=config.get("audio_ff_bias", True),
        use_keyframes_abs_pos_embedding=config.get("use_keyframes_abs_pos_embedding", False),
    )
    weights = {rename(key): value for key, value in state.items() if "embeddings_connector" not in key}
    network.load_state_dict({k: v for k, v in weights.items() if not k.startswith("text_embedding_projection")})
    for name, module in network.named_modules():
        if name.endswith(("norm_q", "norm_k")):
            module.eps = 1e-5
    return network.eval()


def load_networks(generation):
    """The same weights in ComfyUI and in diffusers, and the widths of both contexts."""
    with torch.inference_mode():
        state, metadata = load_tiny(generation)
        config = json.loads(metadata["config"])["transformer"]
        oracle = oracle_for(state, config)
        model = load_diffusion_model_state_dict(dict(state), model_options={"dtype": torch.float32}, metadata=metadata)
    widths = [config["caption_channels"]] * 2
    if generation != "2.0":
        widths = [config["cross_attention_dim"], config["audio_cross_attention_dim"]]
    return model, oracle, widths


@pytest.fixture(scope="module", params=["2.3", "2.0"])
def networks(request):
    return load_networks(request.param)


def tokens(latent):
    return latent.flatten(2).mT if latent.ndim == 5 else latent.transpose(1, 2).flatten(2)


def latents(tokens, shape):
    if len(shape) == 5:
        return tokens.mT.reshape(shape)
    return tokens.unflatten(2, (shape[1], shape[3])).transpose(1, 2)


def video_coordinates(frames, height, width):
    f, h, w = (g.flatten() for g in torch.meshgrid(*(torch.arange(n) for n in (frames, height, width)), indexing="ij"))
    time = torch.stack([(8 * f - 7).clamp(min=0), 8 * f + 1], -1) * (1.0 / FPS)
    return torch.stack([time, *(torch.stack([32 * x, 32 * x + 32], -1).float() for x in (h, w))])[None]


def audio_coordinates(frames):
    j = torch.arange(frames)
    return torch.stack([(4 * j - 3).clamp(min=0), 4 * j + 1], -1)[None, None] * 160.0 / 16000


class Oracle:
    """x0 of every pass by the diffusers network, tokens [1, N, 128] in and out."""

    def __init__(self, network, contexts, coordinates, masks):
        self.network = network
        self.contexts = contexts
        self.coordinates = coordinates
        self.masks = masks

    def velocities(self, x, sigma, context, perturbed=False, isolated=False):
        times = [mask[..., 0] * sigma * 1000 for mask in self.masks]
        sigmas = [time.max()[None] for time in times]
        hooks = [
            getattr(self.network, f"av_cross_attn_{m}_scale_shift").register_forward_pre_hook(
                lambda _module, args, kwargs, time=time: ((time.flatten(), *args[1:]), kwargs), with_kwargs=True
            )
            for m, time in zip(("video", "audio"), times, strict=True)
        ]
        try:
            return self.network(
                hidden_states=x[0],
                audio_hidden_states=x[1],
                encoder_hidden_states=context[0],
                audio_encoder_hidden_states=context[1],
                timestep=times[0],
                audio_timestep=times[1],
                sigma=sigmas[0],
                audio_sigma=sigmas[1],
                video_coords=self.coordinates[0],
                audio_coords=self.coordinates[1],
                isolate_modalities=isolated,
                spatio_temporal_guidance_blocks=[1] if perturbed else None,
                use_cross_timestep=True,
                return_dict=False,
            )
        finally:
            for hook in hooks:
                hook.remove()

    def guided(self, x, sigma, guidances):
        positive, negative = self.contexts
        runs = [
            self.velocities(x, sigma, positive),
            self.velocities(x, sigma, negative),
            self.velocities(x, sigma, positive, perturbed=True),
            self.velocities(x, sigma, positive, isolated=True),
        ]
        result = []
        for i, g in enumerate(guidances):
            c, n, p, o = (x[i] - self.masks[i] * sigma * run[i] for run in runs)
            x0 = c + (g["cfg"] - 1) * (c - n) + g["stg"] * (c - p) + (g["modality"] - 1) * (c - o)
            result.append(x0 * (g["rescale"] * c.std() / x0.std() + 1 - g["rescale"]))
        return result


def expected(oracle, state, noise, guidances):
    """Start, guided Euler and mixing with the content, as the LTX-2 pipelines do them."""
    clean, init = ([tokens(getattr(part, name)) for part in state.parts] for name in ("clean", "init"))
    x = []
    for c, i, n, m in zip(clean, init, noise, oracle.masks, strict=True):
        start = i + SIGMAS[0] * (tokens(n) - i)
        x.append(c + m * (start - c))
    for sigma, after in pairwise(SIGMAS):
        x0 = oracle.guided(x, sigma, guidances)
        x0 = [m * d + (1 - m) * c for d, c, m in zip(x0, clean, oracle.masks, strict=True)]
        x = [a + (a - d) / sigma * (after - sigma) for a, d in zip(x, x0, strict=True)]
    return x


def nothing(state, prompts):
    return state, prompts


def image(state, prompts, strength):
    return conditioning.replace_frames(state, random(1, 128, 1, 2, 3, seed=8), 0, strength), prompts


def keyframe(state, prompts, strength):
    return conditioning.append_keyframe(state, prompts, random(1, 128, 1, 2, 3, seed=8), 9, strength)


def frozen_audio(state, prompts):
    return conditioning.freeze_audio(state), prompts


def window(state, prompts):
    return conditioning.window_audio(conditioning.window_video(state, 0.2, 0.5, FPS), 0.2, 0.5), prompts


def corner(state, prompts):
    mask = state.video.mask.clone()
    mask[..., 1:, 1:] = 0
    return state.with_video(mask=mask), prompts


CONDITIONS = {function.__name__: function for function in (nothing, frozen_audio, window, corner)}
CONDITIONS |= {
    f"{function.__name__} {strength}": partial(function, strength=strength)
    for function in (image, keyframe)
    for strength in (0.3, 0.6, 0.7, 0.9)
}


def sample(networks, condition, guidances):
    """What this pack and what diffusers make of the same start: tokens of video and audio each."""
    model, network, widths = networks
    contexts = [[random(1, 11, width, seed=s + i) for i, width in enumerate(widths)] for s in (10, 20)]
    prompts = [[[torch.cat(context, dim=-1), {"frame_rate": FPS}]] for context in contexts]
    content = NestedTensor((random(1, 128, 3, 2, 3, seed=1), random(1, 8, 18, 16, seed=2)))
    state, prompts = condition(read_state({"samples": content}), prompts)
    noise = [random(*part.clean.shape, seed=30 + i) for i, part in enumerate(state.parts)]

    guider = MultimodalGuider(model, *(constant(Guidance(**guidance, stg_blocks=(1,))) for guidance in guidances))
    guider.set_conds(*prompts)
    start = LatentNoise(0, float(SIGMAS[0]), given=noise)
    latent = write_state({}, state)
    output = SamplerCustomAdvanced.execute(start, guider, make_sampler("euler"), SIGMAS, latent).result[0]["samples"]

    coordinates = video_coordinates(3, 2, 3)
    if state.guide_frames:
        own = video_coordinates(1, 2, 3)
        own[:, 0] = torch.tensor([9, 10]) * (1.0 / FPS)
        coordinates = torch.cat([coordinates, own], dim=2)
    masks = [tokens(part.mask)[..., :1] for part in state.parts]
    oracle = Oracle(network, contexts, (coordinates, audio_coordinates(18)), masks)
    return [tokens(part) for part in output.unbind()], expected(oracle, state, noise, guidances)


def assert_close(found, wanted):
    for actual, reference in zip(found, wanted, strict=True):
        error = (actual - reference).abs().max() / reference.abs().max()
        assert error < TOLERANCE


@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_guided_sampling_agrees_with_diffusers(networks, condition):
    assert_close(*sample(networks, condition, (VIDEO, AUDIO)))


class Marked:
    """diffusers' network of LTX-2.5 with the tokens of the clip's first frame marked."""

    def __init__(self, network, marked=6):
        self.network, self.marked = network, marked

    def __getattr__(self, name):
        return getattr(self.network, name)

    def __call__(self, hidden_states, **inputs):
        mask = torch.zeros(1, hidden_states.shape[1], 1)
        mask[:, : self.marked] = 1
        return self.network(hidden_states=hidden_states, **inputs, video_keyframes_mask=mask)


@pytest.fixture(scope="module")
def networks_2_5():
    return load_networks("2.5")


@pytest.mark.skipif(not core_is_at_least("0.33.0"), reason="LTX-2.5 needs ComfyUI 0.33.0")
@pytest.mark.parametrize("name", ["nothing", "image 0.7", "keyframe 0.6"])
def test_ltx_2_5_agrees_with_diffusers(networks_2_5, name):
    """Feed-forward without bias and the marker of the clip's first frame, which appended keyframes do not get."""
    model, network, widths = networks_2_5
    found, wanted = sample((model, Marked(network), widths), CONDITIONS[name], (VIDEO, AUDIO))
    assert_close(found, wanted)
    _, unmarked = sample((model, Marked(network, marked=0), widths), CONDITIONS[name], (VIDEO, AUDIO))
    assert (unmarked[0] - wanted[0]).abs().max() > 100 * TOLERANCE * wanted[0].abs().max()
