"""No string in a graph makes, changes or opens anything outside ComfyUI's folders."""

import json

import pytest

from harness.executor import Executor
from harness.schemas import node_list, summary
from harness.server import WorkflowError
from workflows import load

TEXTS = {  # STRING inputs that hold words or numbers and name nothing on disk
    "OnerLTXGuidance.stg_blocks",
    "OnerLTXTracks.points",
    "OnerSTGGuider.blocks",
    "OnerSTGScheduleGuider.sigmas",
    "OnerSTGScheduleGuider.cfg",
    "OnerSTGScheduleGuider.stg",
    "OnerSTGScheduleGuider.rescale",
    "OnerSTGScheduleGuider.blocks",
    "OnerPerStepAdaIN.factors",
    "OnerPerStepNormalise.factors",
    "OnerWanCameraPathFromText.text",
    "OnerWanTrajectoryVideo.coordinates",
    "OnerWanExpertsGuider.cfg_zero_star",
    "OnerWanExpertsGuider.apg",
    "OnerWanExpertsGuider.slg",
    "OnerWanExpertsGuider.slg_layers",
    "OnerLoraSchedule.multiplier",
    "OnerWanRecipe.recipe_json",
    "OnerWanGPImport.text",
    "OnerWanVACEComposer.keep_frames",
    "OnerWanVACEComposer.positions",
    "OnerWanVACEComposer.outpaint",
    "OnerLongLivePromptSchedule.switch_frames",
    "OnerPromptTimeLine.text",
    "OnerWindowPlan.prompts",
    "OnerWindowPlan.length",
    "LTXVApplySTG.block_indices",
    "STGGuiderAdvanced.sigmas",
    "STGGuiderAdvanced.cfg_values",
    "STGGuiderAdvanced.stg_scale_values",
    "STGGuiderAdvanced.stg_rescale_values",
    "STGGuiderAdvanced.stg_layers_indices",
    "MultimodalGuider.skip_blocks",
    "LTXVPerStepAdainPatcher.factors",
    "LTXVPerStepStatNormPatcher.factors",
    "LTXVSparseTrackEditor.points_store",
    "LTXVSparseTrackEditor.coordinates",
    "LTXVDrawTracks.tracks",
    "LTXVBaseSampler.optional_cond_indices",
    "LTXVExtendSampler.optional_cond_indices",
    "LTXVInContextSampler.optional_cond_indices",
    "LTXVTiledSampler.optional_cond_indices",
    "LTXVTiledSampler.images_cond_strengths",
    "LTXVLoopingSampler.optional_cond_image_indices",
    "MultiPromptProvider.prompts",
    "LTXVMultiPromptProvider.prompts",
    "LTXAttnOverride.layers",
    "LTXVGemmaEnhancePrompt.prompt",
    "LTXVGemmaEnhancePrompt.system_prompt",
    "GemmaAPITextEncode.api_key",
    "GemmaAPITextEncode.prompt",
    "LTXVPromptEnhancerLoader.llm_name",
    "LTXVPromptEnhancerLoader.image_captioner_name",
    "LTXVPromptEnhancer.prompt",
}


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def show(class_type, **inputs):
    return {"target": node(class_type, **inputs), "show": node("PreviewAny", source=["target", 0])}


def take_graph(*without):
    prompt = load("LongLive_1.0_Continue").tiny_prompt()
    return {id: each for id, each in prompt.items() if id not in without}


def schedule_graph(format):
    prompt = load("LongLive_1.0_Interactive").tiny_prompt()
    prompt["prompt"]["inputs"]["format"] = format
    return prompt


def old_exr_graph():
    image = node("EmptyImage", width=16, height=16, batch_size=1, color=0)
    decode = show("LTXVHDRDecodePostprocess", image=["image", 0], exposure=0.0, save_exr=True, half_precision=True)
    return {"image": image, **decode}


def latent_graph():
    latent = node("OnerLTXEmptyLatent", width=64, height=64, length=9, fps=24.0, batch_size=1, stages="one", audio=True)
    return {"latent": latent, "target": node("OnerLTXSaveLatent", latent=["latent", 0])}


def film_graph():
    return load("Wan_2.2_Film_of_Shots").tiny_prompt()


def shots_graph():
    return {id: each for id, each in film_graph().items() if id in ("plan", "shots")}


def join_graph():
    return load("Join_Videos").tiny_prompt()


NAMES = {  # "Node.input" -> graphs in which a name comes in there, and the id of that node
    "OnerLongLiveRollout.filename_prefix": [(lambda: take_graph("load", "fork", "continue"), "rollout")],
    "OnerLongLiveContinue.filename_prefix": [(take_graph, "continue")],
    "OnerLongLiveLoadTake.name": [(lambda: take_graph("rollout"), "load")],
    "OnerLongLiveLoader.save_as": [(take_graph, "model")],
    "OnerLongLivePromptSchedule.text": [
        (lambda: schedule_graph("LongLive 1.0 JSONL"), "prompt"),
        (lambda: schedule_graph("LongLive 2.0 shots"), "prompt"),
    ],
    "OnerLTXSaveLatent.filename_prefix": [(latent_graph, "target")],
    "OnerWindowedSampler.filename_prefix": [(film_graph, "film")],
    "OnerShotPrompts.filename_prefix": [(shots_graph, "shots")],
    "OnerJoinVideos.filename_prefix": [(join_graph, "join")],
    "OnerJoinVideos.names": [(join_graph, "join")],
    "LTXVHDRDecodePostprocess.output_dir": [(old_exr_graph, "target")],
    "LTXVHDRDecodePostprocess.filename_prefix": [(old_exr_graph, "target")],
}
CHOICES = {  # the same for inputs with a list of files, which a link fills with anything
    "OnerLTXLoadLatent.file": [(lambda: show("OnerLTXLoadLatent"), "target")],
    "OnerWanGPImport.file": [(lambda: show("OnerWanGPImport", text=""), "target")],
    "OnerWanCameraPathFromText.file": [(lambda: show("OnerWanCameraPathFromText", length=0), "target")],
    "OnerTextEncoderLoader.folder": [(lambda: take_graph("load", "fork", "continue"), "text_encoder")],
}
STRINGS = {  # what is tried -> the string; {outside} is a folder beside ComfyUI's
    "absolute": "{outside}/take",
    "absolute file": "{outside}/secret.json",
    "up": "../../../x/take",
    "up a level": "../x",
    "up in the middle": "a/../../../../x/take",
    "only up": "..",
    "up at the end": "a/..",
    "link": "link/take",
    "link itself": "link",
    "drive": "C:\\x\\take",
    "drive with slash": "C:/x",
    "drive alone": "c:x",
    "share": "\\\\server\\share\\x",
    "share with slash": "//server/share/x",
    "backslashes up": "..\\..\\x",
    "device": "CON",
    "device with ending": "a/nul.txt",
    "port": "LPT1.take",
    "trailing dot": "take.",
    "trailing dot inside": "a./take",
    "trailing space inside": "a /take",
    "stream": "take:x",
    "null": "a\0b",
    "line": "a\nb",
    "escape": "\x1b[31mx",
    "surrogate": "\ud800",
    "300 letters": "x" * 300,
    "deep": "a/" * 700 + "b",
    "empty": "",
    "spaces": "   ",
    "dot": ".",
}

FINE = {  # target -> strings that are right there: a number is added, the file exists, nothing is to be written
    "OnerLongLiveRollout.filename_prefix": ("link itself",),
    "OnerLongLiveContinue.filename_prefix": ("link itself",),
    "OnerLongLiveLoader.save_as": ("link itself", "empty"),
    "OnerLTXSaveLatent.filename_prefix": ("link itself",),
    "OnerWindowedSampler.filename_prefix": ("link itself",),
    "OnerShotPrompts.filename_prefix": ("link itself",),
    "OnerJoinVideos.filename_prefix": ("link itself",),
    "LTXVHDRDecodePostprocess.filename_prefix": ("link itself",),
}


class Choice:
    """A node of another pack that gives any string where a list of files is offered."""

    FUNCTION, CATEGORY, RETURN_TYPES = "give", "test", ("COMBO",)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("STRING", {})}}

    def give(self, value):
        return (value,)


def tree(folder):
    """Every file with what it holds, every folder and link, below a folder."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An executor on a base folder with links that lead out, and what lies around that folder."""
    import nodes

    root = tmp_path_factory.mktemp("root")
    base, outside = root / "a" / "b" / "base", root / "outside"
    outside.mkdir()
    for name in ("secret.json", "config.json"):
        (outside / name).write_text(json.dumps({"prompts": ["secret"], "caption": "secret"}))
    for name in ("LongLive_1.0_Continue", "LongLive_1.0_Interactive"):
        load(name).write_tiny_models(base / "models")
    executor = Executor(base)
    for folder in ("input", "output", "output/takes", "output/hdr_exr", "models/diffusion_models"):
        (base / folder).mkdir(parents=True, exist_ok=True)
        (base / folder / "link").symlink_to(outside)
    nodes.NODE_CLASS_MAPPINGS["TestChoice"] = Choice
    yield executor, executor.session(), root
    del nodes.NODE_CLASS_MAPPINGS["TestChoice"]


def test_every_string_input_is_known_to_name_something_or_not():
    from oner.nodes.legacy_ltxvideo.shims import SHIMS

    found = {
        f"{each['node_id']}.{entry['id']}"
        for each in map(summary, [*node_list(), *SHIMS])
        for entry in each["inputs"]
        if entry["type"] == "STRING"
    }
    assert found == TEXTS | set(NAMES)


@pytest.mark.parametrize(
    ("target", "what"),
    [(target, what) for target in [*NAMES, *CHOICES] for what in STRINGS if what not in FINE.get(target, ())],
)
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_is_made(target, what, place):
    executor, session, root = place
    value = STRINGS[what].replace("{outside}", str(root / "outside"))
    widget = target.partition(".")[2]
    # ComfyUI says that it is refused before the run
    queued = target.startswith(("LTXVHDR", "OnerLTXSave", "OnerWindowed", "OnerShot", "OnerJoinVideos.f"))
    named = f".* - {widget}" if queued else widget
    for graph, id in NAMES.get(target) or CHOICES[target]:
        prompt = graph()
        if target in CHOICES:
            prompt["choice"] = node("TestChoice", value=value)
            prompt[id]["inputs"][widget] = ["choice", 0]
        else:
            prompt[id]["inputs"][widget] = value
        if target == "OnerLongLiveContinue.filename_prefix":
            executor.run(take_graph("load", "fork", "continue"), session)  # the take it goes on from, made once
        before = tree(root)
        with pytest.raises(WorkflowError, match=rf"\(\w+, {id}\): {named}\b"):
            executor.run(prompt, session)
        assert tree(root) == before


def test_a_prefix_with_folders_and_a_width_makes_them_and_load_take_finds_the_take(place):
    executor, _, root = place
    prompt = take_graph("rollout", "load", "fork")
    first = take_graph("load", "fork", "continue")
    first["rollout"]["inputs"] |= {"filename_prefix": "a/%Rollout.width%/c"}
    name = executor.run(first).output("rollout", 4)
    assert name == f"a/{first['rollout']['inputs']['width']}/c_00001"
    prompt["load"] = node("OnerLongLiveLoadTake", name=name)
    prompt["continue"]["inputs"] |= {"take": ["load", 0], "filename_prefix": "a/d"}
    result = executor.run(prompt)
    assert result.output("continue", 4) == "a/d_00001"
    assert result.files == [root / "a" / "b" / "base" / "output" / "takes" / "a" / "d_00001" / "video_0.mp4"]
    assert result.files[0].stat().st_size > 0


def test_a_linked_take_name_logs_nothing_and_runs_once(place, caplog):
    executor, _, _ = place
    session, prompt = executor.session(), take_graph()
    first = executor.run(prompt, session).output("continue", 4)
    assert executor.run(prompt, session).output("continue", 4) == first
    assert "name" not in caplog.text
