"""Accelerator recipes and the import of WanGP's files."""

import json

import comfy.samplers
import comfy.sd
import folder_paths
import pytest
import torch
from comfy.nested_tensor import NestedTensor
from safetensors.torch import save_file

from harness import wan_tiny
from harness.pack import ROOT
from oner.ltx.schedules import SIGMA_PRESETS
from oner.nodes.wan.recipes import WanGPImport, WanRecipe, scale_token
from oner.samplers.lora_schedule import KEY
from oner.wan import recipes, wangp
from oner.wan.schedules import flow_sigmas

PROMPTS = wan_tiny.prompts()
LIGHTNING = "2.2 text to video, Lightning, 4 steps"
THREE = "2.2 text to video, Lightning, 8 steps in 3 phases"
LTX, LTX_SECOND = "LTX-2.3, distilled, 8 steps", "LTX-2.3, distilled, second stage, 3 steps"
# steps, cfg, thresholds, shift, multipliers, phase of the low-noise expert: written down again from WanGP's profiles
EXPECTED = {
    "2.1 text to video, Lightx2v, 4 steps": (4, (1,), (), 2, "", 2),
    "2.1 text to video, FusioniX, 10 steps": (10, (1,), (), 2, "", 2),
    "2.1 text to video, Cocktail, 10 steps": (10, (1,), (), 2, "1 0.5 0.5 0.5", 2),
    "2.1 image to video, Lightx2v, 4 steps": (4, (1,), (), None, "", 2),
    "2.1 image to video, FusioniX, 10 steps": (10, (1,), (), None, "", 2),
    "2.1 1.3B, CausVid, 8 steps": (8, (1,), (), 2, "", 2),
    "2.2 5B, FastWan, 3 steps": (3, (1,), (), 3, "", 2),
    LIGHTNING: (4, (1, 1), (0.876,), 3, "1;0 0;1", 2),
    THREE: (8, (3.5, 1, 1), (0.965, 0.8), 3, "0;1;0 0;0;1", 3),
    "2.2 image to video, Lightning, 4 steps": (4, (1, 1), (0.876,), 3, "1;0 0;1", 2),
    "2.2 image to video, Lightning, 8 steps in 3 phases": (8, (3.5, 1, 1), (0.965, 0.8), 3, "0;1;0 0;0;1", 3),
    "2.2 image to video, Lightx2v of October 2025, 4 steps": (4, (1, 1), (0.876,), 5, "1;0 0;1", 2),
    "2.2 image to video, Lightx2v of October 2025, 8 steps in 3 phases": (
        8,
        (3.5, 1, 1),
        (0.985, 0.8),
        5,
        "0;1;0 0;0;1",
        3,
    ),
    "2.2 Fun InP, HPS2.1 reward, 8 steps": (8, (1, 1), (0.876,), 3, "1;0 0;1", 2),
    "2.2 Fun InP, MPS reward, 4 steps": (4, (1, 1), (0.876,), 3, "1;0 0;1", 2),
    LTX: (8, (1,), (), None, "0.5", 2),
    LTX_SECOND: (3, (1,), (), None, "0.5", 2),
}


def test_shipped_recipes_are_wangps():
    found = {
        name: (r.steps, r.cfg, r.thresholds, r.shift, r.multipliers, r.low_from)
        for name, r in recipes.shipped().items()
    }
    assert found == EXPECTED


def test_every_lora_has_a_link_to_a_file_of_its_name():
    for recipe in recipes.shipped().values():
        assert len(recipe.links) == len(recipe.loras)
        for lora, link in zip(recipe.loras, recipe.links, strict=True):
            assert link.startswith("https://huggingface.co/")
            assert link.rsplit("/", 1)[1] == f"{lora.split('|')[0]}.safetensors"


def test_causvid_has_its_own_noise_levels():
    sigmas = recipes.shipped()["2.1 1.3B, CausVid, 8 steps"].sigmas
    assert sigmas == (1.0, 0.934, 0.862, 0.756, 0.603, 0.41, 0.25, 0.14, 0.0)


def test_distilled_ltx_has_the_noise_levels_of_its_presets():
    assert recipes.shipped()[LTX].sigmas == SIGMA_PRESETS["distilled stage 1"]
    assert recipes.shipped()[LTX_SECOND].sigmas == SIGMA_PRESETS["distilled stage 2"]


def test_distilled_ltx_samples_at_one_forward_a_step(tmp_path, monkeypatch):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    folder_paths.filename_list_cache.pop("loras", None)
    path = ROOT / "tests" / "golden" / "ltx" / "tiny_ltx23.safetensors"
    model = comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.float32})
    layer = "transformer_blocks.0.attn1.to_q"
    width, into = model.get_model_object(f"diffusion_model.{layer}").weight.shape
    pair = {"lora_A": wan_tiny.noise((4, into)), "lora_B": wan_tiny.noise((width, 4))}
    file = {f"diffusion_model.{layer}.{name}.weight": tensor for name, tensor in pair.items()}
    save_file(file, tmp_path / "ltx-2.3-22b-distilled-lora-384-1.1.safetensors")
    model, calls = wan_tiny.count_forwards(model)
    positive = [[wan_tiny.noise((1, 11, 72)), {"frame_rate": 24.0}]]
    results = []
    for strength in (1.0, 0.0):
        guider, sampler, sigmas, report = WanRecipe.execute(model, positive, positive, LTX, strength).args
        noise = NestedTensor((wan_tiny.noise((1, 128, 3, 2, 3)), wan_tiny.noise((1, 8, 18, 16))))
        zeros = NestedTensor([torch.zeros_like(part) for part in noise.unbind()])
        results.append(guider.sample(noise, zeros, sampler, sigmas, disable_pbar=True, seed=0))
        assert ("multiplier 0.5" in report) == bool(strength)
    assert calls == [1] * 16
    assert not torch.allclose(results[0].unbind()[0], results[1].unbind()[0], atol=1e-3)
    folder_paths.filename_list_cache.pop("loras", None)


def test_each_expert_gets_only_the_loras_that_are_on_in_its_phases():
    for name in (LIGHTNING, THREE):
        recipe = recipes.shipped()[name]
        assert [[recipe.serves(i, second) for i in (0, 1)] for second in (False, True)] == [
            [True, False],
            [False, True],
        ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("Lora_A", "sub/lora_a.safetensors"),
        ("lora_b_rank32", "lora_b_rank32_bf16.safetensors"),
        ("none_such|Lora_A", "sub/lora_a.safetensors"),
        ("lora", None),
        ("none_such", None),
    ],
)
def test_files_are_found_by_name_in_any_folder(wanted, found):
    assert recipes.find_file(wanted, ["sub/lora_a.safetensors", "lora_b_rank32_bf16.safetensors"]) == found


@pytest.fixture
def lora_folder(tmp_path, monkeypatch):
    """A loras folder with a tiny file of each name in both Lightning recipes."""
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(tmp_path)], {".safetensors"}))
    folder_paths.filename_list_cache.pop("loras", None)
    generator = torch.Generator().manual_seed(0)
    for wanted in recipes.shipped()[LIGHTNING].loras:
        pair = {
            "diffusion_model.blocks.0.self_attn.q.lora_down.weight": torch.randn(4, 48, generator=generator),
            "diffusion_model.blocks.0.self_attn.q.lora_up.weight": torch.randn(48, 4, generator=generator),
        }
        save_file(pair, tmp_path / f"{wanted.split('|')[0]}.safetensors")
    yield tmp_path
    folder_paths.filename_list_cache.pop("loras", None)


def run(name, high, low=None, **inputs):
    return WanRecipe.execute(
        high, PROMPTS.positive, PROMPTS.negative, name, model_low=low, **({"lora_strength": 1.0} | inputs)
    ).args


def test_recipe_samples_both_experts_with_their_lora(lora_folder):
    high, low = wan_tiny.load(seed=0), wan_tiny.load(seed=1)
    guider, sampler, sigmas, report = run(LIGHTNING, high, low)
    assert torch.equal(sigmas, flow_sigmas("dpmpp", 4, 3.0))
    assert [lora.multiplier for lora in guider.model_patcher.get_attachment(KEY)[1]] == ["1;0"]
    assert [lora.multiplier for lora in guider.second.model_patcher.get_attachment(KEY)[1]] == ["0;1"]
    assert "1 layers, rank 4" in report
    shape = (1, 16, 3, 4, 4)
    args = (wan_tiny.noise(shape), torch.zeros(shape), sampler, sigmas)
    with_lora = guider.sample(*args, disable_pbar=True, seed=0)
    plain = run(LIGHTNING, high, low, lora_strength=0.0)[0].sample(*args, disable_pbar=True, seed=0)
    assert not torch.allclose(with_lora, plain, atol=1e-3)
    assert high.get_attachment(KEY) is None


def test_each_expert_samples_the_phases_of_the_recipe(lora_folder):
    (high, calls_high), (low, calls_low) = (wan_tiny.count_forwards(wan_tiny.load(seed=seed)) for seed in (0, 1))
    guider, sampler, sigmas, _ = run(LIGHTNING, high, low)
    shape = (1, 16, 3, 4, 4)
    guider.sample(wan_tiny.noise(shape), torch.zeros(shape), sampler, sigmas, disable_pbar=True, seed=0)
    assert (calls_high, calls_low) == ([1, 1], [1, 1])  # sigmas 1, 0.9, 0.75, 0.5 around 0.876


def test_missing_files_are_named_with_their_link():
    with pytest.raises(ValueError, match=r"high_noise or Wan2.2-Lightning.*not in models/loras: https://") as refused:
        run(LIGHTNING, wan_tiny.load(), wan_tiny.load(seed=1))
    assert "v1.1_low_noise.safetensors" in str(refused.value)
    assert str(refused.value).count("as of November 2026") == 1


def test_recipe_and_models_must_fit():
    with pytest.raises(ValueError, match="connect model_low"):
        run(LIGHTNING, wan_tiny.load())
    with pytest.raises(ValueError, match="disconnect model_low"):
        run("2.2 5B, FastWan, 3 steps", wan_tiny.load(), wan_tiny.load(seed=1))


def test_shift_without_a_value_is_the_models():
    model = wan_tiny.load()
    sigmas = run("2.1 image to video, Lightx2v, 4 steps", model, lora_strength=0.0)[2]
    assert torch.equal(sigmas, flow_sigmas("unipc", 4, model.get_model_object("model_sampling").shift))


def test_strength_scales_every_value():
    assert scale_token("1;0.5,0.2:1", 0.5) == "0.5;0.25,0.1:0.5"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cfg": [1, 1]}, "2 cfg values and 0 thresholds"),
        (
            {"cfg": [1, 1, 1], "thresholds": [0.8, 0.9]},
            "threshold 1 is 0.8 and threshold 2 is 0.9: noise falls over a run",
        ),
        ({"solver": "magic"}, "wants solver 'magic'"),
        ({"sigmas": [1, 0]}, "4 steps and 2 sigmas"),
        ({"multipliers": "1;2", "loras": ["a"]}, "2 phases"),
        ({"speed": 1}, r"no fields \['speed'\]"),
        ({"steps": 0}, "has 0 steps"),
    ],
)
def test_broken_recipes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recipes.from_json({"name": "x", "steps": 4} | change)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "recipe_json is not valid JSON"), ("[1]", "recipe_json is a JSON list")]
)
def test_text_that_is_no_recipe_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        recipes.from_text(text)


PROFILE = {
    "num_inference_steps": 8,
    "guidance_scale": 3.5,
    "guidance2_scale": 1,
    "guidance3_scale": 1,
    "guidance_phases": 3,
    "switch_threshold": 965,
    "switch_threshold2": 800,
    "model_switch_phase": 2,
    "flow_shift": 3,
    "sample_solver": "euler",
    "loras_multipliers": "0;1;0 0;0;1",
    "activated_loras": ["https://host/a/HIGH.safetensors", "https://host/a/LOW.safetensors"],
    "resolution": "832x480",
    "NAG_scale": 1.5,
    "frobnicate": 3,
}


def test_wangp_profile_becomes_the_recipe():
    imported = wangp.read_text(json.dumps(PROFILE))
    assert imported.recipe == recipes.Recipe(
        name="WanGP import",
        steps=8,
        cfg=(3.5, 1.0, 1.0),
        thresholds=(0.965, 0.8),
        low_from=3,
        shift=3.0,
        solver="euler",
        loras=("HIGH", "LOW"),
        multipliers="0;1;0 0;0;1",
        links=tuple(PROFILE["activated_loras"]),
    )
    assert imported.unknown == ["frobnicate"]
    assert imported.elsewhere == {"resolution": "832x480", "NAG_scale": 1.5}
    assert "unknown keys, not used: frobnicate" in imported.report()
    assert recipes.from_json(json.loads(recipes.to_text(imported.recipe))) == imported.recipe


@pytest.mark.parametrize(
    "key", ["guidance_phases", "guidance_scale", "switch_threshold", "num_inference_steps", "flow_shift"]
)
@pytest.mark.parametrize("value", ["many", "nan", [1], {}])
def test_a_value_that_is_no_number_is_named(key, value):
    with pytest.raises(ValueError, match=f"{key} is .* in the settings: it must be a number"):
        wangp.read_settings(PROFILE | {key: value})


def test_misspelt_solver_is_read_and_reported():
    profile = {key: value for key, value in PROFILE.items() if key != "sample_solver"} | {"sample_solvers": "euler"}
    imported = wangp.read_settings(profile)
    assert imported.recipe.solver == "euler"
    assert "misspelling" in imported.report()


def test_finetune_gives_its_loras():
    finetune = {
        "model": {
            "name": "Mine",
            "architecture": "t2v",
            "loras": ["x.safetensors"],
            "loras_multipliers": [0.5],
            "URLs": ["https://host/mine.safetensors"],
            "sparkle": True,
        },
        "num_inference_steps": 6,
        "sample_solver": "causvid",
    }
    imported = wangp.read_settings(finetune)
    recipe = imported.recipe
    assert (recipe.name, recipe.loras, recipe.multipliers) == ("Mine", ("x",), "0.5")
    assert recipe.sigmas == (1.0, 0.934, 0.862, 0.756, 0.603, 0.41, 0.0)
    assert imported.unknown == ["model.sparkle"]
    report = imported.report()
    assert "model.URLs = ['https://host/mine.safetensors']: goes to the model loader" in report
    assert "unknown keys, not used: model.sparkle" in report


def test_settings_files_and_queues_are_read():
    settings = PROFILE | {"prompt": "a cat", "settings_version": 2.41, "type": "WanGP", "sliding_window_size": 81}
    for text in (json.dumps(settings), json.dumps([{"id": 1, "params": settings}])):
        imported = wangp.read_text(text)
        assert imported.elsewhere["prompt"] == "a cat"
        assert imported.unknown == ["frobnicate"]
        assert "sliding_window_size = 81: goes to ComfyUI's Wan Context Windows" in imported.report()
        assert "settings_version is 2.41: before 2.5" in imported.report()


def test_settings_are_read_from_a_videos_comment(tmp_path, monkeypatch):
    import av

    path = tmp_path / "made.mp4"
    with av.open(str(path), "w") as video:
        video.metadata["comment"] = json.dumps(PROFILE)
        stream = video.add_stream("libx264", rate=16)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        frame = av.VideoFrame.from_ndarray(torch.zeros(32, 32, 3, dtype=torch.uint8).numpy(), format="rgb24")
        video.mux(stream.encode(frame))
        video.mux(stream.encode())
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    recipe_json, report = WanGPImport.execute("made.mp4", "").args
    assert json.loads(recipe_json)["thresholds"] == [0.965, 0.8]
    assert "made: 8 steps" in report
    assert "unknown keys, not used: frobnicate" in report


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("none", "", "either a file or a text"),
        ("none", "no json", "is not valid JSON"),
        ("none", "[]", "no WanGP settings"),
        ("none", '{"guidance_phases": 2, "loras_multipliers": "1;1;1", "activated_loras": ["a"]}', "3 phases"),
    ],
)
def test_what_is_no_wangp_file_is_refused(file, text, message):
    with pytest.raises(ValueError, match=message):
        WanGPImport.execute(file, text)


def test_imported_recipe_runs(lora_folder):
    profile = PROFILE | {
        "activated_loras": [f"{name.split('|')[0]}.safetensors" for name in recipes.shipped()[THREE].loras]
    }
    text = recipes.to_text(wangp.read_settings(profile).recipe)
    guider, _, sigmas, _ = run(LIGHTNING, wan_tiny.load(), wan_tiny.load(seed=1), recipe_json=text)
    assert guider.plan.table(sigmas) == [0, 1, 1, 1, 2, 2, 2, 2]
    assert isinstance(guider, comfy.samplers.CFGGuider)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": "4"}, "the recipe's steps is '4': give a whole number"),
        ({"steps": True}, "the recipe's steps is 'True': give a whole number"),
        ({"cfg": 3}, "the recipe's cfg is '3': give numbers in a list"),
        ({"cfg": [1, "x"]}, "cfg is .* give numbers in a list"),
        ({"cfg": [float("nan")]}, "cfg is .* give numbers in a list"),
        ({"loras": "one"}, "the recipe's loras is 'one': give a list of texts"),
        ({"multipliers": None}, "the recipe's multipliers is 'None': give text"),
        ({"shift": []}, "the recipe's shift is .* give a number or null"),
        ({"low_from": 1.5}, "the recipe's low_from is '1.5': give a whole number"),
    ],
)
def test_a_recipe_of_other_kinds_of_values_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        recipes.from_json({"name": "a", "steps": 4} | change)


@pytest.mark.parametrize("text", ["[1]", "17", "null", "{", "[" * 100_000, "<html>"])
def test_a_recipe_that_is_no_json_object_is_refused(text):
    model = wan_tiny.load()
    positive, negative = PROMPTS.positive, PROMPTS.negative
    with pytest.raises(ValueError, match=r"^recipe_json (is|nests)"):
        WanRecipe.execute(model, positive, negative, next(iter(recipes.shipped())), 1.0, recipe_json=text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_inference_steps", "abc"),
        ("num_inference_steps", [4]),
        ("guidance_phases", {}),
        ("guidance_scale", "high"),
        ("switch_threshold", "nan"),
        ("flow_shift", [5]),
        ("settings_version", "two"),
        ("model_switch_phase", "inf"),
        ("activated_loras", 3),
        ("activated_loras", "one.safetensors"),
    ],
)
def test_settings_of_another_kind_are_named(key, value):
    settings = {"num_inference_steps": 4, "guidance_phases": 2, "switch_threshold": 900, key: value}
    with pytest.raises(ValueError, match=rf"^{key} is .* in the settings: it must be a (number|list)"):
        wangp.read_settings(settings)
