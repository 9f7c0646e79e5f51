"""Prompt Time Line on tiny models of each family, looked at where the first block has read the text.

What the text attention of the first block is asked does not depend on the text, so a latent frame that hears text A
alone gives there what it gives with the prompt A, whatever the others are.
"""

from types import SimpleNamespace

import comfy.samplers
import comfy.sd
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced
from comfy_extras.nodes_lt import LTXVAddGuide

from harness import wan_tiny
from harness.compiled import compiled
from harness.pack import ROOT
from harness.random_texts import RandomTexts
from oner.ltx.ltx2.block_choice import with_exact_block
from oner.ltx.ltx2.guidance import Guidance, constant
from oner.ltx.ltx2.guider import MultimodalGuider
from oner.ltx.ltx2.solvers import make_sampler
from oner.ltx.ltxv.guidance import GuidanceSchedule
from oner.ltx.ltxv.guider import LTXVGuider
from oner.nodes.any.time_line import PromptTimeLine, read
from oner.samplers.phase_guider import Phase, PhaseGuider, PhasePlan
from oner.samplers.windows.text_bias import BIAS, KEY, at_window, picture
from oner.samplers.windows.time_line import biases

OFF = -40.0
A, B = "a red cat", "it snows on the hill"
TEXT = f"[0%:50%] {A} [50%:100%] {B}"
SIGMAS = torch.tensor([1.0, 0.7, 0.0])


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tiny(name):
    file = ROOT / "tests" / "golden" / "ltx" / f"tiny_{name}.safetensors"
    return comfy.sd.load_diffusion_model(str(file), model_options={"dtype": torch.float32})


FAMILIES = {  # model, texts, latent of 5 latent frames, frames, attentions in a block, tokens a latent frame
    "wan": lambda: (
        wan_tiny.load(),
        RandomTexts(32, 24),
        draw(1, 16, 5, 4, 6),
        17,
        {"video": "blocks.0.cross_attn"},
        6,
    ),
    "wan vace": lambda: (
        wan_tiny.load("vace"),
        RandomTexts(32, 24),
        draw(1, 16, 5, 4, 6),
        17,
        {"video": "blocks.0.cross_attn", "control": "vace_blocks.0.cross_attn"},
        6,
    ),
    "ltxv": lambda: (
        tiny("ltxv"),
        RandomTexts(40, masked=True, frame_rate=24.0),
        draw(1, 128, 5, 2, 3),
        33,
        {"video": "transformer_blocks.0.attn2"},
        6,
    ),
    "ltx2": lambda: (
        with_exact_block(tiny("ltx23")),
        RandomTexts(72, unprocessed_ltxav_embeds=True, frame_rate=24.0),
        NestedTensor((draw(1, 128, 5, 2, 3), draw(1, 8, 34, 16, seed=1))),
        33,
        {"video": "transformer_blocks.0.attn2", "audio": "transformer_blocks.0.audio_attn2"},
        6,
    ),
}
FPS = 24.0


@pytest.fixture(scope="module")
def families():
    made = {}

    def get(name):
        if name not in made:
            with torch.inference_mode():
                made[name] = SimpleNamespace(
                    **dict(
                        zip(("model", "clip", "latent", "frames", "places", "tokens"), FAMILIES[name](), strict=True)
                    )
                )
        return made[name]

    return get


@pytest.fixture(params=FAMILIES)
def family(request, families):
    return families(request.param)


def timed(family, text=TEXT, strength=OFF, softness=1.0, **options):
    given = {"fps": FPS, "length": family.frames, "softness": softness, "strength": strength} | options
    return PromptTimeLine.execute(family.model, family.clip, text, **given).args


def prompt(family, text):
    return family.clip.encode_from_tokens_scheduled(text)


def listen(model, places):
    """What the modules at `places` give in each call from now on, and a function that ends it."""
    heard = {name: [] for name in places}
    network = model.model.diffusion_model
    hooks = [
        network.get_submodule(path).register_forward_hook(lambda _m, _a, out, n=name: heard[n].append(out.clone()))
        for name, path in places.items()
    ]
    return heard, lambda: [hook.remove() for hook in hooks]


def sample(model, positive, negative=None, latent=None, cfg=1.0, places=(), mask=None):
    """The result of two Euler steps, and what was heard in the first block, call by call."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative or positive)
    guider.set_cfg(cfg)
    heard, end = listen(model, dict(places))
    try:
        empty = NestedTensor([part * 0 for part in latent.unbind()]) if latent.is_nested else torch.zeros_like(latent)
        result = guider.sample(
            latent, empty, comfy.samplers.ksampler("euler"), SIGMAS, denoise_mask=mask, disable_pbar=True, seed=0
        )
    finally:
        end()
    return result, heard


def heard_by(family, model, positive):
    _, heard = sample(model, positive, latent=family.latent, places=family.places)
    return {name: calls[0][0] for name, calls in heard.items()}


def assert_close(result, expected):
    torch.testing.assert_close(result, expected, rtol=0, atol=2e-5 * float(expected.abs().max()))


def test_each_latent_frame_hears_the_text_of_its_time_as_if_it_were_the_prompt(family):
    model, positive, *_ = timed(family)
    found, alone_a, alone_b = (
        heard_by(family, m, p) for m, p in ((model, positive), *((family.model, prompt(family, t)) for t in (A, B)))
    )
    for name in found:
        if name == "audio":  # the middle of latent frame 2 is 13 frames in, sound latent 13.5; the change 8 frames wide
            before, change, after = slice(0, 9), slice(10, 17), slice(18, 34)
        else:
            before, change, after = (slice(a * family.tokens, b * family.tokens) for a, b in ((0, 2), (2, 3), (3, 5)))
        assert_close(found[name][before], alone_a[name][before])
        assert_close(found[name][after], alone_b[name][after])
        scale = float(alone_a[name].abs().max())
        assert float((alone_a[name] - alone_b[name])[change].abs().max()) > 1e-3 * scale
        for other in (alone_a, alone_b):
            assert float((found[name] - other[name])[change].abs().max()) > 1e-4 * scale


def test_at_strength_0_every_frame_hears_all(family):
    model, positive, *_ = timed(family, strength=0.0)
    found = heard_by(family, model, positive)
    swapped = heard_by(family, *timed(family, f"[0%:50%] {B} [50%:100%] {A}", strength=0.0)[:2])
    for name in found:
        assert_close(found[name], swapped[name])


def test_the_model_before_the_node_is_as_before_and_others_prompts_on_the_new_one_too(family):
    plain = sample(family.model, prompt(family, A), latent=family.latent)[0]
    model, positive, *_ = timed(family)
    sample(model, positive, latent=family.latent)
    for each in (family.model, model):
        again = sample(each, prompt(family, A), latent=family.latent)[0]
        for one, other in zip(parts(again), parts(plain), strict=True):
            assert torch.equal(one, other)


def parts(latent):
    return list(latent.unbind()) if latent.is_nested else [latent]


def test_one_text_throughout_is_the_plain_prompt(family):
    model, positive, *_ = timed(family, f"[0%:100%] {A}")
    found = sample(model, positive, latent=family.latent)[0]
    for one, other in zip(
        parts(found), parts(sample(family.model, prompt(family, A), latent=family.latent)[0]), strict=True
    ):
        assert_close(one, other)


def untimed(family, positive):
    """A negative prompt of another text with as many columns as the positive, so that both share a batch."""
    negative = timed(family, f"[0%:50%] {B} [50%:100%] {A}")[1]
    negative = [[c, {name: each for name, each in options.items() if name != KEY}] for c, options in negative]
    if "unprocessed_ltxav_embeds" not in negative[0][1]:
        return negative
    network = family.model.model.diffusion_model  # whose connectors would make one text of it
    texts = negative[0][0].split(positive[0][1][KEY].tokens[::-1], dim=1)
    joined = torch.cat([network.preprocess_text_embeds(text, unprocessed=True) for text in texts], dim=1)
    return [[joined, {**negative[0][1], "unprocessed_ltxav_embeds": False}]]


def test_the_negative_pass_is_untouched_beside_it_in_one_batch(family):
    """The negative prompt is as long, so that both are rows of one batch."""
    model, positive, *_ = timed(family)
    negative = untimed(family, positive)
    options = {"negative": negative, "latent": family.latent, "cfg": 3.0, "places": family.places}
    _, both = sample(model, positive, **options)
    _, plain = sample(family.model, negative, latent=family.latent, places=family.places)
    _, alone = sample(model, positive, latent=family.latent, places=family.places)
    for name, calls in both.items():
        assert len(calls[0]) == 2
        rows = [float((row - plain[name][0][0]).abs().max()) for row in calls[0]]
        assert min(rows) <= 1e-5 * float(plain[name][0].abs().max())
        assert_close(calls[0][rows.index(max(rows))], alone[name][0][0])


def test_an_attention_override_still_has_all_other_attention(family):
    """It sees what is not the timed text; and where it is all, the result is its own."""
    calls = []

    def override(attention, q, k, v, *args, **options):
        calls.append((q.shape[1], k.shape[1]))
        return attention(q, k, v, *args, **options) * 1.25

    def overridden(model):
        model = model.clone()
        options = model.model_options["transformer_options"] = {**model.model_options["transformer_options"]}
        options["optimized_attention_override"] = override
        return model

    known = sample(overridden(family.model), prompt(family, A), latent=family.latent)[0]
    count = len(calls)
    model, positive, *_ = timed(family)
    found = sample(overridden(model), prompt(family, A), latent=family.latent)[0]
    for one, other in zip(parts(found), parts(known), strict=True):
        assert torch.equal(one, other)
    calls.clear()
    sample(overridden(model), positive, latent=family.latent)
    assert 0 < len(calls) < count
    assert positive[0][0].shape[1] not in {keys for _, keys in calls}


def test_a_patched_forward_that_was_there_is_called(family):
    asked = []
    model = family.model.clone()
    path = f"diffusion_model.{next(iter(family.places.values()))}.forward"
    inner = model.get_model_object(path)

    def forward(*args, **options):
        asked.append(1)
        return inner(*args, **options) * 0

    model.add_object_patch(path, forward)
    patched = PromptTimeLine.execute(model, family.clip, TEXT, FPS, family.frames, 1.0, OFF).args
    found = sample(patched[0], patched[1], latent=family.latent, places=family.places)[1]
    assert len(asked) == len(SIGMAS) - 1
    assert float(found["video"][0].abs().max()) == 0


@pytest.mark.parametrize("between", [False, True])
def test_the_node_twice_acts_once(family, between):
    """Also with a patch of others between the two, under which the negative pass shares a batch with the positive."""
    model, positive, *_ = timed(family)
    again = model
    if between:
        again = model.clone()
        for path in family.places.values():
            inner = again.get_model_object(f"diffusion_model.{path}.forward")
            again.add_object_patch(f"diffusion_model.{path}.forward", lambda *a, inner=inner, **o: inner(*a, **o))
    again = PromptTimeLine.execute(again, family.clip, TEXT, FPS, family.frames, 1.0, OFF).args[0]
    negative = untimed(family, positive)
    one, other = (sample(each, positive, negative, family.latent, cfg=3.0)[0] for each in (model, again))
    for a, b in zip(parts(one), parts(other), strict=True):
        assert torch.equal(a, b)


@pytest.mark.once
@pytest.mark.parametrize("family", ["wan"], indirect=True)  # a minute each: compiled code is told in one way for all
def test_compiled_code_follows_the_time_line(family):
    plain = sample(timed(family)[0], timed(family)[1], latent=family.latent)[0]
    model = compiled(timed(family)[0])
    sample(model, prompt(family, A), latent=family.latent)
    for text in (f"[0%:25%] {A} [25%:100%] {B}", TEXT):
        found = sample(model, timed(family, text)[1], latent=family.latent)[0]
    for one, other in zip(parts(found), parts(plain), strict=True):
        assert_close(one, other)


# --- windows ---------------------------------------------------------------------------------------------------------


def test_a_window_of_a_film_hears_what_the_film_hears_then(family):
    """A film three times as long, of which the clip is a part; texts of other times are no longer in the context."""
    step = {17: 4, 33: 8}[family.frames]
    start = step * 8
    text = f"[1:{start // 2}] what was [{start // 2 + 1}:{start + step * 2 + 1}] {A} [{start + step * 2 + 2}:] {B}"
    length = family.frames + start
    model, positive, *_ = timed(family, text, length=length)
    window = at_window(positive, start, family.frames)
    assert len(window[0][1][KEY].texts) == 2
    assert len(positive[0][1][KEY].texts) == 3
    by_node = timed(family, text, first_frame=start)[1]
    assert torch.equal(by_node[0][0], window[0][0])
    found = heard_by(family, model, window)
    for name, text in (("before", A), ("after", B)):
        tokens = slice(0, 2 * family.tokens) if name == "before" else slice(4 * family.tokens, 5 * family.tokens)
        assert_close(found["video"][tokens], heard_by(family, family.model, prompt(family, text))["video"][tokens])
    assert [len(each) for each in at_window(prompt(family, A), 0, 9)] == [2]


# --- tokens without a time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 5])
def test_vace_references_in_front_do_not_shift_the_line(families, count):
    family = families("wan vace")
    latent = torch.cat([draw(1, 16, count, 4, 6, seed=5), family.latent], dim=2)
    model, positive, *_ = timed(family)
    heard = [
        sample(m, p, latent=latent, places=family.places)[1]["video"][0][0][count * family.tokens :]
        for m, p in ((model, positive), *((family.model, prompt(family, t)) for t in (A, B)))
    ]
    before, after = slice(0, 2 * family.tokens), slice(3 * family.tokens, 5 * family.tokens)
    assert_close(heard[0][before], heard[1][before])
    assert_close(heard[0][after], heard[2][after])


def test_a_reference_of_fun_control_does_not_shift_the_line():
    model = wan_tiny.load("2.1 control with reference")
    family = SimpleNamespace(
        model=model,
        clip=RandomTexts(32, 24, reference_latents=[draw(1, 16, 1, 4, 6, seed=8)]),
        latent=draw(1, 16, 5, 4, 6),
        frames=17,
        places={"video": "blocks.0.cross_attn"},
    )
    found, alone = (heard_by(family, m, p)["video"] for m, p in (timed(family)[:2], (model, prompt(family, B))))
    assert len(found) == 6 * 6
    assert_close(found[4 * 6 :], alone[4 * 6 :])
    assert float((found - alone)[1 * 6 : 3 * 6].abs().max()) > 1e-3 * float(alone.abs().max())


def test_an_image_prompt_beside_the_text_hears_no_time():
    """The image attention of Wan 2.1 I2V comes first, has as many columns as the text here, and gets no bias."""
    model = wan_tiny.load("2.1 inpaint")
    family = SimpleNamespace(
        model=model,
        clip=RandomTexts(32, 2),
        latent=draw(1, 16, 5, 4, 6),
        frames=17,
        places={"video": "blocks.0.cross_attn"},
    )
    seen = SimpleNamespace(penultimate_hidden_states=draw(1, 4, 1280, seed=6))
    with_picture = lambda conds: [[c, {**o, "clip_vision_output": seen}] for c, o in conds]  # noqa: E731
    found, *alone = (
        heard_by(family, m, with_picture(p))["video"]
        for m, p in (timed(family)[:2], *((model, prompt(family, t)) for t in (A, B)))
    )
    assert_close(found[: 2 * 6], alone[0][: 2 * 6])
    assert_close(found[3 * 6 :], alone[1][3 * 6 :])
    without = [heard_by(family, m, p)["video"] for m, p in (timed(family)[:2], (model, prompt(family, A)))]
    assert_close(without[0][: 2 * 6], without[1][: 2 * 6])


@pytest.mark.parametrize("name", ["ltxv", "ltx2"])
@pytest.mark.parametrize("count", [0, 1, 31])
def test_appended_guides_do_not_stretch_the_line(families, name, count):
    family = families(name)
    video = parts(family.latent)[0]
    model, positive, *_ = timed(family)
    conds = []
    for m, p in ((model, positive), *((family.model, prompt(family, t)) for t in (A, B))):
        mask = torch.ones(1, 1, 5, 1, 1)
        cond, samples = p, video * 0
        for number in range(count):
            cond, _, samples, mask = LTXVAddGuide.append_keyframe(
                cond, cond, number % 5, samples, mask, draw(1, 128, 1, 2, 3, seed=number), 1.0, (8, 32, 32)
            )
        whole = torch.cat([video, draw(1, 128, count, 2, 3, seed=7)], dim=2) if count else video
        conds.append(
            sample(m, cond, latent=whole, mask=mask if count else None, places={"video": family.places["video"]})
        )
    heard = [each[1]["video"][0][0] for each in conds]
    assert heard[0].shape[0] == (5 + count) * family.tokens
    before, after = slice(0, 2 * family.tokens), slice(3 * family.tokens, 5 * family.tokens)
    assert_close(heard[0][before], heard[1][before])
    assert_close(heard[0][after], heard[2][after])


def test_a_reference_sound_in_front_does_not_shift_the_line(families):
    family = families("ltx2")
    reference = {"ref_audio": {"tokens": draw(1, 7, 128, seed=9)}}
    add = lambda conds: [[c, {**o, **reference}] for c, o in conds]  # noqa: E731
    found, *alone = (
        heard_by(family, m, add(p))["audio"]
        for m, p in (timed(family)[:2], *((family.model, prompt(family, t)) for t in (A, B)))
    )
    assert len(found) == 7 + 34
    assert_close(found[7 : 7 + 9], alone[0][7 : 7 + 9])
    assert_close(found[7 + 18 :], alone[1][7 + 18 :])


# --- guiders of the pack ---------------------------------------------------------------------------------------------


def test_both_experts_of_wan_read_the_line(families):
    family = families("wan")
    low = wan_tiny.load(seed=1)
    model, positive, _, model_low = timed(family, model_low=low)
    plan = PhasePlan((Phase(1.0), Phase(1.0)), (0.8,))  # of two steps one each

    def heard_by_low(low, positive):
        guider = PhaseGuider(model, plan, low)
        guider.set_conds(positive, positive)
        heard, end = listen(low, family.places)
        try:
            guider.sample(
                family.latent, family.latent * 0, comfy.samplers.ksampler("euler"), SIGMAS, disable_pbar=True, seed=0
            )
        finally:
            end()
        return heard["video"]

    assert len(heard_by_low(model_low, positive)) == 1
    bias = read_biases(low, lambda: heard_by_low(model_low, positive))
    assert bias == [True]
    with pytest.raises(ValueError, match="positive has a time line, and the model does not read it"):
        heard_by_low(low, positive)


def read_biases(model, run):
    """For each call of the first text attention whether it got a bias."""
    found = []
    module = model.model.diffusion_model.blocks[0].cross_attn
    hook = module.register_forward_pre_hook(
        lambda _m, _a, options: found.append(BIAS in options["transformer_options"]), with_kwargs=True
    )
    try:
        run()
    finally:
        hook.remove()
    return found


def test_guidance_of_ltx2_reads_the_line_in_every_positive_pass(families):
    family = families("ltx2")
    model, positive, *_ = timed(family)
    guidance = constant(Guidance(cfg=3.0, stg=1.0, stg_blocks=(1,), modality=3.0))
    guider = MultimodalGuider(model, guidance, guidance)
    guider.set_conds(positive, prompt(family, B))
    heard, end = listen(model, family.places)
    try:
        SamplerCustomAdvanced.execute(
            Noise(family.latent), guider, make_sampler("euler"), SIGMAS[1:], {"samples": family.latent}
        )
    finally:
        end()
    alone = heard_by_at(family, model, positive, SIGMAS[1:])
    rows = [row for call in heard["video"] for row in call]
    same = [torch.allclose(row, alone, rtol=0, atol=2e-5 * float(alone.abs().max())) for row in rows]
    assert sorted(same) == [False, True, True, True]  # negative; positive, perturbed in block 1, isolated


class Noise:
    seed = 0

    def __init__(self, latent):
        self.latent = latent

    def generate_noise(self, _latent):
        return self.latent


def heard_by_at(family, model, positive, sigmas):
    guider = MultimodalGuider(model, constant(Guidance(cfg=1.0)), constant(Guidance(cfg=1.0)))
    guider.set_conds(positive, positive)
    heard, end = listen(model, family.places)
    try:
        SamplerCustomAdvanced.execute(
            Noise(family.latent), guider, make_sampler("euler"), sigmas, {"samples": family.latent}
        )
    finally:
        end()
    return heard["video"][0][0]


@pytest.mark.parametrize("name", ["wan", "ltxv", "ltx2"])
def test_a_guider_of_the_pack_refuses_a_model_that_does_not_read_the_line(families, name):
    family = families(name)
    _, positive, *_ = timed(family)
    guider = {
        "wan": lambda: PhaseGuider(family.model, PhasePlan((Phase(1.0),))),
        "ltxv": lambda: LTXVGuider(
            family.model, positive, positive, GuidanceSchedule.constant(3.0, 1.0, 0.7, ()), "residual"
        ),
        "ltx2": lambda: MultimodalGuider(family.model, constant(Guidance(cfg=1.0)), constant(Guidance(cfg=1.0))),
    }[name]()
    if name != "ltxv":
        guider.set_conds(positive, positive)
    with pytest.raises(ValueError, match="positive has a time line, and the model does not read it"):
        guider.sample(family.latent, family.latent, comfy.samplers.ksampler("euler"), SIGMAS, disable_pbar=True)


# --- boundaries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [16, -8])
def test_another_length_than_the_latents_is_refused(family, more):
    model, positive, *_ = timed(family, length=family.frames + more)
    if more < 0 and hasattr(family.model.model.diffusion_model, "vace_blocks"):
        sample(model, positive, latent=family.latent)  # what a latent of VACE has more is references
        return
    with pytest.raises(ValueError, match=f"set the length of Prompt Time Line to {family.frames}"):
        sample(model, positive, latent=family.latent)


def test_a_prompt_that_was_changed_after_the_node_is_refused(family):
    model, positive, *_ = timed(family)
    longer = [[torch.cat([positive[0][0], positive[0][0][:, :5]], dim=1), {**positive[0][1]}]]
    longer[0][1].pop("attention_mask", None)
    with pytest.raises(ValueError, match="was changed after Prompt Time Line"):
        sample(model, longer, latent=family.latent)


def test_a_model_of_another_family_is_refused():
    model = SimpleNamespace(model=SimpleNamespace(diffusion_model=torch.nn.Linear(1, 1)))
    with pytest.raises(ValueError, match="a time line works on Wan"):
        PromptTimeLine.execute.__func__.unchecked(PromptTimeLine, model, None, "x", FPS, 17, 1.0, -8.0)


def test_texts_of_another_encoder_are_refused(family):
    other = RandomTexts(family.clip.width + 8)
    with pytest.raises(ValueError, match=rf"clip has texts {family.clip.width + 8} wide"):
        PromptTimeLine.execute(family.model, other, TEXT, FPS, family.frames, 1.0, OFF)


def test_context_windows_are_refused(families):
    family = families("wan")
    model, positive, *_ = timed(family)
    model = model.clone()
    options = model.model_options["transformer_options"] = {**model.model_options["transformer_options"]}
    options["context_window"] = object()
    with pytest.raises(ValueError, match="take the context windows out"):
        sample(model, positive, latent=family.latent)


@pytest.mark.parametrize(
    ("text", "everywhere", "spans"),
    [
        ("0s: a fox\n2s: it snows", "", [(0, 48, "a fox"), (48, 121, "it snows")]),
        ("dusk\n0s: a fox\n2s: it snows", "dusk", [(0, 48, "a fox"), (48, 121, "it snows")]),
        ("0:02 it snows", "", [(48, 121, "it snows")]),
        ("0s: a fox", "a fox", []),
        ("a fox", "a fox", []),
        ("0l: a fox\n3l: it snows", "", [(0, 9, "a fox"), (9, 121, "it snows")]),
        ("", "", []),
    ],
)
def test_the_form_of_a_schedule(text, everywhere, spans):
    line = read(text, 121, FPS, 4)
    assert (line.everywhere, [(s.start, s.end, s.text) for s in line.segments]) == (everywhere, spans)


def test_what_longlive_alone_knows_is_refused():
    with pytest.raises(ValueError, match='"it snows" has "hard cut", which LongLive alone knows'):
        read("0s: a fox\n2s [hard cut]: it snows", 121, FPS, 4)


def test_softness_and_strength_reach_the_bias(families):
    family = families("wan")
    track = picture(timed(family)[1][0][1][KEY], 6)
    for softness, strength in ((1.0, -8.0), (3.0, -8.0), (1.0, -2.0)):
        line = timed(family, strength=strength, softness=softness)[1][0][1][KEY]
        share = {1.0: [1, 1, 0.5, 0, 0], 3.0: [1, 5 / 6, 0.5, 1 / 6, 0]}[softness]
        expected = biases(torch.tensor(share, dtype=torch.float64), strength)
        assert torch.allclose(line.biases(track.times)[0], expected, atol=1e-5)
