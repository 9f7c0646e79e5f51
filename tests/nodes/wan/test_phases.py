"""One plan of phases: the guider and the LoRA schedules do with it what they do with their own widgets."""

import comfy.samplers
import folder_paths
import pytest
import torch

from harness import wan_tiny
from harness.schemas import summary
from oner.nodes.wan.experts import WanExpertsGuider
from oner.nodes.wan.lora import LoraSchedule
from oner.nodes.wan.phases import WanPhasePlan
from oner.samplers.lora_schedule import KEY
from oner.wan.schedules import flow_sigmas
from tiny import write_models

PROMPTS = wan_tiny.prompts()
NAME = "tiny-wan-2.2-lora-high-noise.safetensors"
SIGMAS = flow_sigmas("dpmpp", 8, 3.0)
DEFAULTS = {"phases": 2, "threshold_1": 0.0, "threshold_2": 0.0, "low_from": "phase 2"}
THREE = {"phases": 3, "threshold_1": 0.965, "threshold_2": 0.8, "low_from": "phase 3"}
LIGHTNING = DEFAULTS | {"threshold_1": 0.876}
PLANS = [DEFAULTS, LIGHTNING, THREE, THREE | {"threshold_2": 0.0}, THREE | {"low_from": "phase 2"}]


@pytest.fixture(scope="module")
def lora(tmp_path_factory):
    """The name of a tiny LoRA, found through ComfyUI's folder_paths."""
    folder = tmp_path_factory.mktemp("models")
    paths = write_models(folder, ["lora-wan-high"])
    folder_paths.folder_names_and_paths["loras"] = ([str(folder / "loras")], {".safetensors"})
    folder_paths.filename_list_cache.clear()
    assert paths["lora-wan-high"].name == NAME
    return NAME


def make_plan(widgets):
    return WanPhasePlan.execute(**widgets).args[0]


def guide(high, low, widgets, plan=None):
    return WanExpertsGuider.execute(
        high,
        PROMPTS.positive,
        PROMPTS.negative,
        **widgets,
        cfg_1=3.5,
        cfg_2=2.0,
        cfg_3=1.0,
        zero_init_steps=0,
        cfg_zero_star="",
        apg="",
        slg="",
        slg_layers="1",
        slg_start_percent=0.1,
        slg_end_percent=1.0,
        model_low=low,
        plan=plan,
    ).args


def schedule(model, low, name, widgets, plan=None, multiplier="0;1"):
    return LoraSchedule.execute(
        model, name, multiplier, **widgets, scale_without_alpha=1.0, model_low=low, sigmas=SIGMAS, plan=plan
    ).args


def loras(model):
    return model.get_attachment(KEY)[1]


@pytest.mark.parametrize("widgets", PLANS)
def test_guider_does_with_a_plan_what_it_does_with_its_widgets(widgets):
    high, low = wan_tiny.load(seed=0), wan_tiny.load(seed=1)
    planned, info = guide(high, low, DEFAULTS, make_plan(widgets))
    own, own_info = guide(high, low, widgets)
    assert planned.plan == own.plan
    assert info == own_info


@pytest.mark.parametrize("widgets", PLANS)
def test_loras_get_the_strengths_of_the_plan(widgets, lora):
    high, low = wan_tiny.load(seed=0), wan_tiny.load(seed=1)
    *planned, report = schedule(high, low, lora, DEFAULTS, make_plan(widgets))
    *own, own_report = schedule(high, low, lora, widgets)
    assert report == own_report
    for one, two in zip(planned, own, strict=True):
        strengths = loras(one)[0].strengths(SIGMAS)
        assert strengths == loras(two)[0].strengths(SIGMAS)
        assert set(strengths) == {0.0, 1.0}


def test_a_video_made_with_a_plan_is_the_one_made_with_widgets(lora):
    shape = (1, 16, 3, 4, 4)
    videos = []
    for widgets, plan in ((DEFAULTS, make_plan(THREE)), (THREE, None)):
        models = wan_tiny.load(seed=0), wan_tiny.load(seed=1)
        for multiplier in ("0;1;0", "0;0;1"):
            *models, _ = schedule(*models, lora, widgets, plan, multiplier)
        guider, _ = guide(*models, widgets, plan)
        sampler = comfy.samplers.ksampler("euler")
        videos.append(
            guider.sample(wan_tiny.noise(shape), torch.zeros(shape), sampler, SIGMAS, disable_pbar=True, seed=0)
        )
    assert torch.equal(*videos)


def test_a_threshold_of_0_is_the_boundary_of_the_model_that_gets_the_plan(lora):
    plan = make_plan(DEFAULTS)
    for layout, boundary in (("text", 0.875), ("2.2 inpaint", 0.9)):
        model = wan_tiny.load(layout)
        assert guide(model, None, DEFAULTS, plan)[0].plan.thresholds == (boundary,)
        assert loras(schedule(model, None, lora, DEFAULTS, plan)[0])[0].thresholds == (boundary,)


@pytest.mark.parametrize(
    "run", [guide, lambda high, low, *rest: schedule(high, low, NAME, *rest)], ids=["guider", "lora"]
)
@pytest.mark.parametrize(
    ("off", "message"),
    [
        ({"phases": 3}, "phases is 3 here and 2 in the connected plan: set it back to its default 2 here, or unplug"),
        ({"threshold_1": 0.876}, "threshold_1 is 0.876 here and 0.965 in .* default 0 here"),
        ({"threshold_2": 0.8}, "threshold_2 is 0.8 here and 0 in .* default 0 here"),
        ({"low_from": "phase 3"}, "low_from is phase 3 here and phase 2 in .* default phase 2 here"),
    ],
)
@pytest.mark.usefixtures("lora")
def test_a_widget_that_the_plan_would_overrule_is_refused(run, off, message):
    plan, model = make_plan(DEFAULTS | {"threshold_1": 0.965}), wan_tiny.load()
    with pytest.raises(ValueError, match=message):
        run(model, None, DEFAULTS | off, plan)


def test_a_widget_off_its_default_is_refused_also_where_the_plan_says_the_same():
    with pytest.raises(ValueError, match="phases is 3 here and 3 in the connected plan"):
        guide(wan_tiny.load(), None, THREE, make_plan(THREE))


@pytest.mark.parametrize(
    "run", [guide, lambda high, low, *rest: schedule(high, low, NAME, *rest)], ids=["guider", "lora"]
)
@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ((0.5, 0.8), "threshold 1 is 0.5 and threshold 2 is 0.8.*lower threshold 2, or raise threshold 1"),
        ((0.5, 0.0), "threshold 1 is 0.5 and threshold 2 is 0.875"),  # the trained boundary
    ],
)
@pytest.mark.usefixtures("lora")
def test_thresholds_that_rise_are_refused_by_whoever_knows_the_model(run, levels, message):
    widgets = THREE | dict(zip(("threshold_1", "threshold_2"), levels, strict=True))
    with pytest.raises(ValueError, match=message):
        run(wan_tiny.load(), None, widgets)


@pytest.mark.parametrize(
    ("widgets", "message"),
    [
        (THREE | {"threshold_1": 0.8, "threshold_2": 0.965}, "threshold 1 is 0.8 and threshold 2 is 0.965.*lower"),
        (THREE | {"phases": 2}, "low_from is phase 3, but phases is 2: raise phases to 3, or set low_from to phase 2"),
        (THREE | {"phases": 1}, "low_from is phase 3, but phases is 1"),
    ],
)
def test_a_plan_that_no_model_can_run_is_refused(widgets, message):
    with pytest.raises(ValueError, match=message):
        make_plan(widgets)


@pytest.mark.parametrize(
    "widgets",
    [
        DEFAULTS | {"phases": 1},  # a single model
        THREE | {"threshold_1": 0.8},  # an empty phase 2, of which the run warns
        LIGHTNING | {"threshold_2": 0.95},  # there is no phase 3
    ],
)
def test_what_the_guider_takes_is_a_plan(widgets):
    own, planned = guide(wan_tiny.load(), None, widgets), guide(wan_tiny.load(), None, DEFAULTS, make_plan(widgets))
    assert planned[0].plan == own[0].plan


@pytest.mark.parametrize(
    ("widgets", "lines"),
    [
        (
            THREE,
            [
                "phase 1: from 1 to 0.965, high-noise expert",
                "phase 2: from 0.965 to 0.8, high-noise expert",
                "phase 3: from 0.8 to 0, low-noise expert",
            ],
        ),
        (
            DEFAULTS,
            [
                "phase 1: from 1 to the trained boundary of the pair, high-noise expert",
                "phase 2: from the trained boundary of the pair to 0, low-noise expert",
            ],
        ),
        (DEFAULTS | {"phases": 1}, ["phase 1: from 1 to 0, one model"]),
    ],
)
def test_info_lists_the_phases(widgets, lines):
    assert WanPhasePlan.execute(**widgets).args[1].splitlines() == lines


def test_the_widgets_are_the_same_on_all_three_nodes():
    entries = [
        {entry["id"]: {**entry, "tooltip": ""} for entry in summary(node)["inputs"]}
        for node in (WanPhasePlan, WanExpertsGuider, LoraSchedule)
    ]
    assert list(entries[0]) == list(DEFAULTS)
    for name in DEFAULTS:
        assert entries[0][name] == entries[1][name] == entries[2][name]


@pytest.mark.parametrize(
    ("node", "names"),
    [
        (
            WanExpertsGuider,
            "model_high positive negative phases cfg_1 cfg_2 cfg_3 threshold_1 threshold_2 low_from zero_init_steps "
            "cfg_zero_star apg slg slg_layers slg_start_percent slg_end_percent model_low plan",
        ),
        (
            LoraSchedule,
            "model lora_name multiplier phases threshold_1 threshold_2 low_from scale_without_alpha model_low sigmas "
            "plan",
        ),
    ],
)
def test_old_inputs_keep_their_places_and_the_plan_comes_last(node, names):
    inputs = summary(node)["inputs"]
    assert [entry["id"] for entry in inputs] == names.split()
    assert inputs[-1]["optional"]
