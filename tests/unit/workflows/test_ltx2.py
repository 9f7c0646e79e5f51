"""The LTX-2.3 workflows ask for what the reference pipelines ask for: sigmas, guidance, LoRAs, audio, by stage."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from comfy_execution.graph_utils import is_link

from harness.schemas import node_list
from oner.ltx.ltx2.guidance import Guidance
from oner.ltx.ltx2.presets import IMAGE_CRF, PRESETS
from workflows import load

NODES = {node.define_schema().node_id: node for node in node_list()}

# ltx-pipelines constants, August 2026; of the long schedules every fifth value
DISTILLED_1 = [1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0]
DISTILLED_2 = [0.909375, 0.725, 0.421875, 0.0]
FULL = [1.0, 0.971358, 0.930994, 0.869858, 0.766363, 0.553148, 0.0]
HQ = [1.0, 0.955015, 0.827707, 0.0]

GUIDED, PLAIN = "OnerLTXMultimodalGuider", "BasicGuider"
FULL_TWO_STAGE = [("stage_1", FULL, GUIDED, []), ("stage_2", DISTILLED_2, PLAIN, [1.0])]
STAGES = {  # workflow -> sampling node, its sigmas, guider, LoRA strengths
    "LTX_2.3_Text_to_Video": [("stage", FULL, GUIDED, [])],
    "LTX_2.3_Two_Stage_Text_to_Video": FULL_TWO_STAGE,
    "LTX_2.3_Image_to_Video": FULL_TWO_STAGE,
    "LTX_2.3_Audio_to_Video": FULL_TWO_STAGE,
    "LTX_2.3_Keyframes_to_Video": FULL_TWO_STAGE,
    "LTX_2.3_HQ_Text_to_Video": [("stage_1", HQ, GUIDED, [0.25]), ("stage_2", DISTILLED_2, PLAIN, [0.5])],
    "LTX_2.3_Distilled_Text_to_Video": [("stage_1", DISTILLED_1, PLAIN, []), ("stage_2", DISTILLED_2, PLAIN, [])],
    "LTX_2.3_Distilled_Image_to_Video": [("stage_1", DISTILLED_1, PLAIN, []), ("stage_2", DISTILLED_2, PLAIN, [])],
    "LTX_2.3_IC-LoRA_Control_Video": [("stage_1", DISTILLED_1, PLAIN, [1.0]), ("stage_2", DISTILLED_2, PLAIN, [])],
    "LTX_2.3_IC-LoRA_Masked_Control_Video": [
        ("stage_1", DISTILLED_1, PLAIN, [1.0]),
        ("stage_2", DISTILLED_2, PLAIN, []),
    ],
    "LTX_2.3_Lip_Dub": [("stage_1", DISTILLED_1, PLAIN, [1.0]), ("stage_2", DISTILLED_2, PLAIN, [1.0])],
    "LTX_2.3_Retake": [("stage", DISTILLED_1, PLAIN, [])],
    "LTX_2.3_Text_to_Audio": [("stage", FULL, GUIDED, [])],
}
AUDIO = {  # two-stage workflows that decode audio -> stage it is from
    "LTX_2.3_Two_Stage_Text_to_Video": "stage 1",
    "LTX_2.3_Image_to_Video": "stage 1",
    "LTX_2.3_HQ_Text_to_Video": "stage 1",
    "LTX_2.3_Lip_Dub": "stage 1",
    "LTX_2.3_Keyframes_to_Video": "last stage",
    "LTX_2.3_Distilled_Text_to_Video": "last stage",
    "LTX_2.3_Distilled_Image_to_Video": "last stage",
    "LTX_2.3_IC-LoRA_Control_Video": "last stage",
}
each_stage = pytest.mark.parametrize(
    ("name", "stage", "sigmas", "guider", "loras"),
    [(name, *stage) for name, stages in STAGES.items() for stage in stages],
)


def network(generation: str):
    """What of a model says its generation."""
    inner = SimpleNamespace(audio_patchify_proj=None, cross_attention_adaln=generation == "LTX-2.3")
    return SimpleNamespace(model=SimpleNamespace(diffusion_model=inner), model_options={}, clone=None)


def execute(prompt: dict, id: str, generation: str = "LTX-2.3"):
    """The first output of a node whose inputs are values, other such nodes, or the model."""
    values = {}
    for name, value in prompt[id]["inputs"].items():
        if is_link(value) and name == "model":
            value = network(generation)
        values[name] = evaluate(prompt, value)
    return NODES[prompt[id]["class_type"]].execute(**values).result[0]


def evaluate(prompt: dict, value):
    if not is_link(value):
        return value
    node = prompt[value[0]]
    return node["inputs"]["value"] if node["class_type"].startswith("Primitive") else execute(prompt, value[0])


def behind(prompt: dict, id: str, name: str) -> str:
    """The node linked to an input."""
    return prompt[id]["inputs"][name][0]


def ancestors(prompt: dict, id: str) -> set[str]:
    """All nodes that a node depends on."""
    found: set[str] = set()
    waiting = [id]
    while waiting:
        links = [v[0] for v in prompt[waiting.pop()]["inputs"].values() if is_link(v)]
        waiting += set(links) - found
        found.update(links)
    return found


def of_class(prompt: dict, ids: set[str], class_type: str) -> set[str]:
    return {id for id in ids if prompt[id]["class_type"] == class_type}


def latent_nodes(prompt: dict, stage: str, until: set[str]) -> set[str]:
    """The nodes that make a stage's latent, not those before `until`."""
    found, id = set(), behind(prompt, stage, "latent_image")
    while id not in until:
        found.add(id)
        name = next((n for n in ("latent", "video_latent") if is_link(prompt[id]["inputs"].get(n))), None)
        if name is None:
            break
        id = behind(prompt, id, name)
    return found


@each_stage
def test_stage_samples_the_sigmas_of_the_reference(name, stage, sigmas, guider, loras):
    prompt = load(name).prompt
    found = execute(prompt, behind(prompt, stage, "sigmas")).tolist()
    assert found[:: (len(found) - 1) // (len(sigmas) - 1)] == pytest.approx(sigmas, abs=1e-6)


@each_stage
def test_stage_is_guided_as_in_the_reference(name, stage, sigmas, guider, loras):
    prompt = load(name).prompt
    node = prompt[behind(prompt, stage, "guider")]
    assert node["class_type"] == guider
    if guider == GUIDED:
        assert node["inputs"]["preset"] == ("LTX-2.3 HQ" if "HQ" in name else "of the model")


@each_stage
def test_stage_has_the_loras_of_the_reference(name, stage, sigmas, guider, loras):
    prompt = load(name).prompt
    strengths, id = [], behind(prompt, stage, "guider")
    while "model" in prompt[id]["inputs"]:
        id = behind(prompt, id, "model")
        values = prompt[id]["inputs"]
        if "lora_name" in values:
            strengths.append(values.get("strength_model", values.get("strength")))
    assert strengths == loras


def test_guidance_of_the_model_is_the_table_of_the_reference():
    shared = {"stg": 1.0, "stg_blocks": (28,), "rescale": 0.7, "modality": 3.0}
    assert PRESETS["LTX-2.3"].video == Guidance(cfg=3.0, **shared)
    assert PRESETS["LTX-2.3"].audio == Guidance(cfg=7.0, **shared)
    assert PRESETS["LTX-2.3 HQ"].video == Guidance(cfg=3.0, rescale=0.45, modality=3.0)
    assert PRESETS["LTX-2.3 HQ"].audio == Guidance(cfg=7.0, rescale=1.0, modality=3.0)


@pytest.mark.parametrize(("name", "source"), AUDIO.items())
def test_video_has_the_audio_of_the_stage_that_the_reference_ships(name, source):
    prompt = load(name).prompt
    assert prompt["output"]["inputs"]["audio_source"] == source
    assert behind(prompt, "decode_audio", "samples") == "output"
    if source == "stage 1":
        assert behind(prompt, "output", "stage_1") == "stage_1"


@pytest.mark.parametrize(("generation", "steps"), [("LTX-2.3", 30), ("LTX-2", 40)])
@pytest.mark.parametrize("name", [name for name, stages in STAGES.items() if stages[0][1] == FULL])
def test_steps_follow_the_model_that_is_loaded(name, generation, steps):
    prompt = load(name).prompt
    sigmas = behind(prompt, STAGES[name][0][0], "sigmas")
    assert len(execute(prompt, sigmas, generation)) == steps + 1
    assert behind(prompt, sigmas, "model") in {"model", "audio_only"}


@pytest.mark.parametrize("name", ["LTX_2.3_Image_to_Video", "LTX_2.3_Distilled_Image_to_Video"])
def test_start_image_is_compressed_and_given_to_both_stages(name):
    prompt = load(name).prompt
    for stage in (1, 2):
        image = behind(prompt, f"stage_{stage}", "latent_image")
        assert prompt[image]["class_type"] == "OnerLTXImageToVideo"
        assert prompt[behind(prompt, image, "start_image")]["inputs"]["crf"] == IMAGE_CRF
        assert prompt[behind(prompt, f"stage_{stage}", "noise")]["class_type"] == "OnerLTXNoise"
    assert behind(prompt, behind(prompt, "stage_2", "latent_image"), "latent") == "hand_over"


def test_hq_uses_res2s_in_both_stages_with_the_step_noise_of_the_reference():
    prompt = load("LTX_2.3_HQ_Text_to_Video").prompt
    assert behind(prompt, "stage_1", "sampler") == behind(prompt, "stage_2", "sampler") == "sampler"
    assert prompt["sampler"]["class_type"] == "OnerLTXRes2sSampler"
    assert prompt["sampler"]["inputs"] == {"step_seed": -1, "eta": 0.5, "anchor_refinement": True}


def test_audio_to_video_keeps_the_sound_in_both_stages_and_ships_the_recording():
    prompt = load("LTX_2.3_Audio_to_Video").prompt
    for stage in (1, 2):
        keep = prompt[behind(prompt, f"stage_{stage}", "latent_image")]
        assert (keep["class_type"], keep["inputs"]["keep"]) == ("OnerLTXFreeze", "audio")
    assert execute(prompt, behind(prompt, "guider_1", "audio")).at(1.0) == Guidance()
    assert "video" not in prompt["guider_1"]["inputs"]
    assert prompt["guider_1"]["inputs"]["negative_audio"] == "positive prompt"
    assert behind(prompt, "video", "audio") == behind(prompt, "encode_audio", "audio") == "sound_start"


def test_keyframes_are_appended_in_both_stages_also_the_first():
    prompt = load("LTX_2.3_Keyframes_to_Video").prompt
    for stage in (1, 2):
        nodes = latent_nodes(prompt, f"stage_{stage}", {"size", "hand_over"})
        assert {prompt[id]["class_type"] for id in nodes} == {"OnerLTXKeyframe"}
        assert {prompt[id]["inputs"]["frame"] for id in nodes} == {0, -1}
        assert of_class(prompt, ancestors(prompt, f"guider_{stage}"), "OnerLTXKeyframe") >= nodes
    assert behind(prompt, "output", "latent") == "crop"


@pytest.mark.parametrize(
    ("name", "masked"), [("LTX_2.3_IC-LoRA_Control_Video", False), ("LTX_2.3_IC-LoRA_Masked_Control_Video", True)]
)
def test_ic_lora_has_its_reference_in_stage_1_alone(name, masked):
    prompt = load(name).prompt
    assert latent_nodes(prompt, "stage_1", {"size"}) == {"reference_1"}
    assert latent_nodes(prompt, "stage_2", {"hand_over"}) == set()
    reference = prompt["reference_1"]["inputs"]
    assert reference["iclora_parameters"] == ["ic_lora", 1]
    assert (reference["strength"], reference["attention_strength"]) == (1.0, 1.0)
    assert reference.get("attention_mask") == (["fit", 1] if masked else None)
    assert prompt["fit"]["inputs"].get("mask") == (["mask", 0] if masked else None)


def test_lip_dub_gives_video_and_voice_to_both_stages_and_keeps_the_audio_of_stage_1():
    prompt = load("LTX_2.3_Lip_Dub").prompt
    assert latent_nodes(prompt, "stage_1", {"size"}) == {"reference_1"}
    assert latent_nodes(prompt, "stage_2", {"hand_over"}) == {"reference_2", "keep_2"}
    assert prompt["keep_2"]["inputs"]["keep"] == "audio"
    assert behind(prompt, "reference_1", "video") == behind(prompt, "reference_2", "video") == "fit"
    assert behind(prompt, "voice_1", "audio_latent") == "encode_audio"
    assert behind(prompt, "voice_2", "audio_latent") == "hand_over"
    assert behind(prompt, "voice_2", "positive") == "frame_rate"  # not the voice of stage 1 once more


def test_retake_samples_a_window_of_the_encoded_clip():
    prompt = load("LTX_2.3_Retake").prompt
    assert behind(prompt, "stage", "latent_image") == "window"
    assert behind(prompt, "window", "latent") == "join"
    assert (behind(prompt, "join", "video_latent"), behind(prompt, "join", "audio_latent")) == (
        "encode_video",
        "encode_audio",
    )
    rates = {
        tuple(prompt[id]["inputs"][name])
        for id, name in [("window", "fps"), ("encode_audio", "fps"), ("frame_rate", "frame_rate"), ("video", "fps")]
    }
    assert rates == {("source_parts", 2)}


def test_text_to_audio_samples_no_video():
    prompt = load("LTX_2.3_Text_to_Audio").prompt
    assert behind(prompt, "guider", "model") == "audio_only"
    assert prompt[behind(prompt, "stage", "latent_image")]["inputs"]["keep"] == "video"
    assert not of_class(prompt, set(prompt), "VAEDecodeTiled")
