"""The block of LTX-2: equal to the formula and to core's where that is right; under whatever else is on a model.

A core block that lets the sound see the changed picture, as ComfyUI after 0.30 does, is planted where a test needs it,
so that these tests can fail on every ComfyUI.
"""

import copy

import comfy.memory_management
import comfy.model_management
import comfy.ops
import pytest
import torch
import torch.nn.functional as F
from comfy.ldm.lightricks.av_model import BasicAVTransformerBlock, CompressedTimestep
from comfy.samplers import ksampler
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_custom_sampler import CFGGuider, RandomNoise, SamplerCustomAdvanced

from harness.fingerprint import fingerprint
from harness.late_block import LateBlock, late_core
from harness.pack import core_is_at_least
from oner.ltx.ltx2 import block as exact
from oner.ltx.ltx2 import block_choice
from oner.ltx.ltx2.block_choice import exact_blocks, is_right, with_chosen_block, with_exact_block
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.solvers import make_sampler
from oner.samplers.packed import pack

FULL = Guidance(cfg=3.0, stg=1.0, stg_blocks=(1,), rescale=0.7, modality=3.0)
NEUTRAL = Guidance(cfg=3.0)
SIGMAS = torch.tensor([1.0, 0.6, 0.0])
VIDEO, AUDIO, HEADS = 16, 8, 2
V_TOKENS, A_TOKENS, FRAMES = 6, 5, 3
SWITCHES = ({}, {"run_vx": False}, {"run_ax": False}, {"a2v_cross_attn": False}, {"v2a_cross_attn": False})


def relative(actual, expected):
    return float((actual - expected).abs().max() / expected.abs().max())


# --- the block alone -------------------------------------------------------------------------------------------------


def make_block(modulated_text):
    sizes = {"v_dim": VIDEO, "a_dim": AUDIO, "v_context_dim": VIDEO, "a_context_dim": AUDIO}
    heads = {"v_heads": HEADS, "a_heads": HEADS, "vd_head": VIDEO // HEADS, "ad_head": AUDIO // HEADS}
    kind = {"apply_gated_attention": modulated_text, "cross_attention_adaln": modulated_text}
    kind |= {"dtype": torch.float32, "operations": comfy.ops.disable_weight_init}
    block = BasicAVTransformerBlock(**sizes, **heads, **kind)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return block


def block_inputs(modulated_text, audio_tokens=A_TOKENS):
    generator = torch.Generator().manual_seed(2)
    rows = 9 if modulated_text else 6

    def random(*shape):
        return torch.randn(1, *shape, generator=generator)

    inputs = {
        "v_context": random(4, VIDEO),
        "a_context": random(4, AUDIO),
        "v_timestep": random(V_TOKENS, rows * VIDEO),
        "a_timestep": random(1, rows * AUDIO),
        "v_cross_scale_shift_timestep": random(1, 4 * VIDEO),
        "a_cross_scale_shift_timestep": random(1, 4 * AUDIO),
        "v_cross_gate_timestep": random(1, VIDEO),
        "a_cross_gate_timestep": random(1, AUDIO),
    }
    if modulated_text:
        inputs |= {"v_prompt_timestep": random(1, 2 * VIDEO), "a_prompt_timestep": random(1, 2 * AUDIO)}
    return (random(V_TOKENS, VIDEO), random(audio_tokens, AUDIO)), inputs


def run(forward, x, inputs, **options):
    return forward(tuple(part.clone() for part in x), **inputs, transformer_options=options)


def formula(block, x, given, *, run_vx=True, run_ax=True, a2v_cross_attn=True, v2a_cross_attn=True):
    """The reference's block in plain torch and float64, without positions and masks."""
    block = copy.deepcopy(block).double()
    x = tuple(part.double() for part in x)
    given = {name: value.double() for name, value in given.items()}

    def norm(t, eps=1e-6):
        return t / (t.square().mean(-1, keepdim=True) + eps).sqrt()

    def rows(table, time):
        return (table + time.unflatten(-1, (len(table), -1))).unbind(-2)

    def attention(module, q_in, kv_in):
        q = norm(module.to_q(q_in), 1e-5) * module.q_norm.weight
        k = norm(module.to_k(kv_in), 1e-5) * module.k_norm.weight
        q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in (q, k, module.to_v(kv_in)))
        out = ((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v).transpose(1, 2)
        if module.to_gate_logits is not None:
            out = out * 2 * module.to_gate_logits(q_in).sigmoid()[..., None]
        return module.to_out(out.flatten(2))

    def alone(t, attn1, attn2, table, time, text, prompt):
        shift, scale, gate, *_ = rows(table, time)
        t = t + gate * attention(attn1, norm(t) * (1 + scale) + shift, norm(t) * (1 + scale) + shift)
        if prompt is None:
            return t + attention(attn2, norm(t), text)
        shift, scale, gate = rows(table, time)[6:]
        text_shift, text_scale = rows(*prompt)
        return t + gate * attention(attn2, norm(t) * (1 + scale) + shift, text * (1 + text_scale) + text_shift)

    def forth(t, ff, table, time):
        shift, scale, gate = rows(table, time)[3:6]
        first, _, second = ff.net
        return t + gate * second(F.gelu(first.proj(norm(t) * (1 + scale) + shift), approximate="tanh"))

    v, a = x
    v_table, a_table = block.scale_shift_table, block.audio_scale_shift_table
    v_time, a_time = given["v_timestep"], given["a_timestep"]
    prompts = [None, None]
    if "v_prompt_timestep" in given:
        prompts[0] = (block.prompt_scale_shift_table, given["v_prompt_timestep"])
        prompts[1] = (block.audio_prompt_scale_shift_table, given["a_prompt_timestep"])
    if run_vx:
        v = alone(v, block.attn1, block.attn2, v_table, v_time, given["v_context"], prompts[0])
    if run_ax:
        a = alone(a, block.audio_attn1, block.audio_attn2, a_table, a_time, given["a_context"], prompts[1])
    v_ca, a_ca = block.scale_shift_table_a2v_ca_video, block.scale_shift_table_a2v_ca_audio
    vs, vb, vs2, vb2 = rows(v_ca[:4], given["v_cross_scale_shift_timestep"])
    as_, ab, as2, ab2 = rows(a_ca[:4], given["a_cross_scale_shift_timestep"])
    nv, na = norm(v), norm(a)
    if run_vx and a2v_cross_attn:
        heard = attention(block.audio_to_video_attn, nv * (1 + vs) + vb, na * (1 + as_) + ab)
        v = v + (v_ca[4] + given["v_cross_gate_timestep"]) * heard
    if run_ax and v2a_cross_attn:
        seen = attention(block.video_to_audio_attn, na * (1 + as2) + ab2, nv * (1 + vs2) + vb2)
        a = a + (a_ca[4] + given["a_cross_gate_timestep"]) * seen
    if run_vx:
        v = forth(v, block.ff, v_table, v_time)
    if run_ax:
        a = forth(a, block.audio_ff, a_table, a_time)
    return v, a


@pytest.mark.parametrize("options", SWITCHES, ids=str)
@pytest.mark.parametrize("modulated_text", [True, False], ids=["2.3", "2.0"])
def test_the_block_is_the_formula_of_the_reference(modulated_text, options):
    block, (x, inputs) = make_block(modulated_text), block_inputs(modulated_text)
    ours = run(exact.forward.__get__(block), x, inputs, **options)
    for actual, expected in zip(ours, formula(block, x, inputs, **options), strict=True):
        assert relative(actual, expected) < 1e-5


@pytest.mark.parametrize("one_way", [{"a2v_cross_attn": False}, {"v2a_cross_attn": False}, {"run_vx": False}], ids=str)
def test_the_block_is_cores_where_the_two_meet_one_way(one_way):
    """With masks and times of a row per frame, which the formula above leaves out."""
    block, (x, inputs) = make_block(True), block_inputs(True)
    frame = V_TOKENS // FRAMES
    generator = torch.Generator().manual_seed(3)

    inputs["v_timestep"] = CompressedTimestep(inputs["v_timestep"][:, :FRAMES], frame, per_frame=True)
    inputs |= {
        "self_attention_mask": torch.randn(1, 1, V_TOKENS, V_TOKENS, generator=generator),
        "attention_mask": torch.randn(1, 1, 1, 4, generator=generator),
    }
    ours, cores = (run(f, x, inputs, **one_way) for f in (exact.forward.__get__(block), block))
    for actual, expected in zip(ours, cores, strict=True):
        assert relative(actual, expected) < 1e-6


def test_without_sound_the_picture_is_cores():
    block, (x, inputs) = make_block(True), block_inputs(True, audio_tokens=0)
    ours, cores = (run(f, x, inputs) for f in (exact.forward.__get__(block), block))
    assert relative(ours[0], cores[0]) < 1e-6
    assert ours[1].shape == (1, 0, AUDIO)


def test_with_gradients_the_input_stays_and_the_values_are_the_same(monkeypatch):
    monkeypatch.setattr(comfy.model_management, "in_training", True)  # or core's own parts have no gradient
    with torch.inference_mode(False), torch.enable_grad():
        block, (x, inputs) = make_block(True), block_inputs(True)
        with torch.no_grad():
            expected = run(exact.forward.__get__(block), x, inputs)
        before = [part.clone() for part in x]
        x = tuple(part.requires_grad_() for part in x)
        ours = exact.forward(block, x, **inputs, transformer_options={})
        (ours[0].sum() + ours[1].sum()).backward()
    assert all(torch.equal(part.detach(), old) for part, old in zip(x, before, strict=True))
    assert all(part.grad.abs().max() > 0 for part in x)
    assert all(relative(a.detach(), b) < 1e-6 for a, b in zip(ours, expected, strict=True))


# --- which block is right --------------------------------------------------------------------------------------------


class Right(BasicAVTransformerBlock):
    forward = exact.forward


def test_planted_blocks_are_told_apart():
    assert is_right(Right)
    assert not is_right(LateBlock)


def test_the_verdict_on_cores_block_is_what_a_comparison_says():
    block, (x, inputs) = make_block(True), block_inputs(True)
    cores, expected = run(block, x, inputs), formula(block, x, inputs)
    same = all(relative(a, b) < 1e-5 for a, b in zip(cores, expected, strict=True))
    assert is_right(BasicAVTransformerBlock) == same


def test_blocks_are_told_apart_where_cores_layers_have_no_weights_until_a_file_is_loaded(monkeypatch):
    """Dynamic VRAM, which is what ComfyUI runs with on most GPUs."""
    monkeypatch.setattr(comfy.memory_management, "aimdo_enabled", True)
    if not core_is_at_least("0.30.0"):
        pytest.skip("the layers of ComfyUI before 0.30 have weights from the start")
    assert comfy.ops.disable_weight_init.Linear(2, 2).weight is None, "no longer lazy: this test tests nothing"
    assert is_right.__wrapped__(Right)
    assert not is_right.__wrapped__(LateBlock)


def test_a_block_with_an_input_that_is_not_known_is_kept_and_named(caplog):
    class Newer(LateBlock):
        def forward(self, x, transformer_options=None, depth_map=None):
            raise AssertionError

    assert is_right(Newer)
    assert "takes depth_map, which Oner does not know" in caplog.text


# --- on a model of ComfyUI's loader ----------------------------------------------------------------------------------


@pytest.fixture
def ltx2(core_ltx2):
    return core_ltx2


def sample(guider, latent, sampler=None):
    noise = RandomNoise.execute(7).result[0]
    output = SamplerCustomAdvanced.execute(noise, guider, sampler or ksampler("euler"), SIGMAS, latent).result[0]
    return pack(output["samples"].unbind())


def core_guider(model, prompts):
    return CFGGuider.execute(model, *prompts, 3.0).result[0]


def our_guider(model, prompts, guidance=NEUTRAL):
    guider = MultimodalGuider(model, constant(guidance), constant(guidance))
    guider.set_conds(*prompts)
    return guider


def patched_blocks(model):
    """The blocks with a forward of their own, also where they are compiled."""
    blocks = [getattr(block, "_orig_mod", block) for block in model.model.diffusion_model.transformer_blocks]
    return [block for block in blocks if "forward" in vars(block)]


@pytest.fixture
def expected(ltx2, prompts, empty_latent):
    """Results of the exact block by guider: core's with CFG, ours with everything."""
    return {
        "core": sample(core_guider(with_exact_block(ltx2), prompts), empty_latent),
        "full": sample(our_guider(ltx2, prompts, FULL), empty_latent),
    }


@pytest.fixture
def late(ltx2, expected):
    """ComfyUI with a wrong block, and the expected results, which were made before."""
    with late_core():
        yield expected
    assert not patched_blocks(ltx2)


@pytest.mark.parametrize("one_way", [{"a2v_cross_attn": False}, {"v2a_cross_attn": False}], ids=str)
def test_a_network_is_cores_where_the_two_meet_one_way(ltx2, prompts, empty_latent, monkeypatch, one_way):
    """With core's rotary embeddings."""
    model = with_exact_block(ltx2)
    model.model_options["transformer_options"] |= one_way
    cores = sample(core_guider(with_chosen_block(model, exact=False), prompts), empty_latent)
    monkeypatch.setattr(block_choice, "is_right", lambda _: False)
    assert relative(sample(core_guider(model, prompts), empty_latent), cores) < 1e-6


def test_core_alone_shows_the_planted_fault(ltx2, prompts, empty_latent, late):
    assert relative(sample(core_guider(ltx2, prompts), empty_latent), late["core"]) > 1e-3


def test_a_loaded_model_is_exact_under_cores_guider_and_sampler(ltx2, prompts, empty_latent, late):
    model = with_exact_block(ltx2)
    assert relative(sample(core_guider(model, prompts), empty_latent), late["core"]) < 1e-6


def test_our_guider_makes_any_model_exact(ltx2, prompts, empty_latent, late):
    before = fingerprint(ltx2)
    assert relative(sample(our_guider(ltx2, prompts, FULL), empty_latent), late["full"]) < 1e-6
    assert fingerprint(ltx2) == before


def test_our_samplers_make_any_model_exact(ltx2, prompts, empty_latent, late):
    before = fingerprint(ltx2)
    result = sample(core_guider(ltx2, prompts), empty_latent, make_sampler("euler"))
    assert relative(result, late["core"]) < 1e-5
    assert fingerprint(ltx2) == before


def test_all_three_at_once_are_one(ltx2, prompts, empty_latent, late):
    model = with_exact_block(with_exact_block(ltx2))
    result = sample(our_guider(model, prompts, FULL), empty_latent, make_sampler("euler"))
    assert relative(result, late["full"]) < 1e-5


def test_the_switch_gives_comfyuis_numbers_wherever_the_model_goes(ltx2, prompts, empty_latent, late):
    model = with_chosen_block(with_exact_block(ltx2), exact=False)
    result = sample(core_guider(model, prompts), empty_latent)
    assert torch.equal(result, sample(core_guider(ltx2, prompts), empty_latent))
    ours = sample(our_guider(model, prompts), empty_latent, make_sampler("euler"))
    assert relative(ours, result) < 1e-5
    again = with_chosen_block(model, exact=True)
    assert relative(sample(core_guider(again, prompts), empty_latent), late["core"]) < 1e-6


def test_blocks_are_as_before_after_an_interruption(ltx2, prompts, empty_latent, late):
    model = with_exact_block(ltx2)

    def stop(args, extra):
        raise InterruptedError

    model.set_model_patch_replace(stop, "dit", "double_block", 1)
    with pytest.raises(InterruptedError):
        sample(core_guider(model, prompts), empty_latent)


# Other packs.


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_a_pack_that_replaces_two_blocks_still_acts_on_ours(ltx2, prompts, empty_latent, late, first):
    calls = []

    def replace(args, extra):
        calls.append(len(args["img"][0]))
        return extra["original_block"](args)

    def theirs(model):
        model = model.clone()
        for block in (0, 2):
            model.set_model_patch_replace(replace, "dit", "double_block", block)
        return model

    model = with_exact_block(theirs(ltx2)) if first == "theirs" else theirs(with_exact_block(ltx2))
    assert relative(sample(core_guider(model, prompts), empty_latent), late["core"]) < 1e-6
    assert calls == [2] * 4  # blocks, steps


def test_a_pack_that_computes_a_block_itself_has_it(ltx2, prompts, empty_latent, late):
    model = with_exact_block(ltx2)
    model.set_model_patch_replace(lambda args, _: {"img": args["img"]}, "dit", "double_block", 1)
    skipped = sample(core_guider(model, prompts), empty_latent)
    assert relative(skipped, late["core"]) > 1e-3


def test_a_pack_that_puts_its_own_forward_is_named_with_ours(ltx2, prompts, empty_latent, late):
    model = with_exact_block(ltx2)
    block = ltx2.model.diffusion_model.transformer_blocks[1]

    def forward_of_a_pack(*args, **kwargs):
        return type(block).forward(block, *args, **kwargs)

    model.add_object_patch("diffusion_model.transformer_blocks.1.forward", forward_of_a_pack)
    with pytest.raises(ValueError, match=r"block 1 of the model runs .*forward_of_a_pack of another node.*Oner"):
        sample(core_guider(model, prompts), empty_latent)
    sample(core_guider(with_chosen_block(model, exact=False), prompts), empty_latent)
    # core puts its own forward back on the block, which is no pack's
    plain = with_exact_block(ltx2)
    try:
        assert relative(sample(core_guider(plain, prompts), empty_latent), late["core"]) < 1e-6
        assert vars(block)["forward"].__func__ is type(block).forward
    finally:
        vars(block).pop("forward", None)


def test_attention_overrides_see_every_attention(ltx2, prompts, empty_latent, late):
    model, calls = with_exact_block(ltx2), []

    def override(attention, *args, **kwargs):
        calls.append(args[0].shape[0])
        return attention(*args, **kwargs)

    model.model_options["transformer_options"]["optimized_attention_override"] = override
    result = sample(our_guider(model, prompts, FULL), empty_latent)
    assert calls == [4] * (2 * 3 * 6)  # steps, blocks, attentions of a block
    assert relative(result, late["full"]) < 1e-6


def test_a_lora_acts_as_merged_weights(ltx2, prompts, empty_latent, late):
    layers = [f"transformer_blocks.{i}.{name}" for i in (0, 2) for name in ("video_to_audio_attn.to_k", "ff.net.2")]
    state = ltx2.model.diffusion_model.state_dict()
    generator = torch.Generator().manual_seed(5)
    changes = {
        f"{name}.weight": 0.05 * torch.randn(state[f"{name}.weight"].shape, generator=generator) for name in layers
    }
    model = with_exact_block(ltx2)
    model.add_patches({f"diffusion_model.{name}": ("diff", (change,)) for name, change in changes.items()})
    patched = sample(core_guider(model, prompts), empty_latent)
    ltx2.model.to("cpu")
    try:
        model.unpatch_model()
        for name, change in changes.items():
            state[name] += change
        merged = sample(core_guider(with_exact_block(ltx2), prompts), empty_latent)
    finally:
        for name, change in changes.items():
            state[name] -= change
    assert relative(patched, merged) < 1e-5
    assert relative(patched, late["core"]) > 1e-3


# torch.compile.


class Counting:
    """A backend that runs the graph as it is, and counts graphs and calls."""

    def __init__(self):
        self.graphs, self.calls = 0, 0

    def __call__(self, graph, _inputs):
        self.graphs += 1

        def call(*args):
            self.calls += 1
            return graph(*args)

        return call


PATH = "diffusion_model.transformer_blocks.1"


@pytest.fixture
def dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def check_compiled(model, backend, prompts, latent, expected):
    """Two runs are exact and compiled, in as many graphs as ComfyUI's block takes."""
    for run_number in (1, 2):
        assert relative(sample(core_guider(model, prompts), latent), expected) < 1e-5
        assert backend.calls == 2 * run_number  # steps
    graphs, backend.graphs = backend.graphs, 0
    sample(core_guider(with_chosen_block(model, exact=False), prompts), latent)
    assert graphs == backend.graphs


def test_cores_compile_compiles_the_exact_block(ltx2, prompts, empty_latent, late, dynamo):
    model, backend = with_exact_block(ltx2), Counting()
    set_torch_compile_wrapper(model, backend=backend, fullgraph=True, keys=[PATH])
    check_compiled(model, backend, prompts, empty_latent, late["core"])


def test_a_block_that_a_pack_compiled_itself_is_exact(ltx2, prompts, empty_latent, late, dynamo):
    """As packs do with an object patch for each block."""
    model, backend = ltx2.clone(), Counting()
    model.add_object_patch(PATH, torch.compile(model.get_model_object(PATH), backend=backend, fullgraph=True))
    check_compiled(with_exact_block(model), backend, prompts, empty_latent, late["core"])
    plain = with_exact_block(ltx2)
    assert relative(sample(core_guider(plain, prompts), empty_latent), late["core"]) < 1e-6


def test_nothing_is_put_on_a_network_whose_blocks_are_right(ltx2, monkeypatch):
    monkeypatch.setattr(block_choice, "is_right", lambda _: True)
    with exact_blocks(ltx2.model.diffusion_model):
        assert not patched_blocks(ltx2)
