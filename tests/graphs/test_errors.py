"""What is wrong is said in one sentence, before anything is sampled."""

import re

import pytest

from harness.server import WorkflowError
from tiny import write_models
from workflows import load


@pytest.fixture
def prompt():
    return load("LTX_2.3_Distilled_Text_to_Video").tiny_prompt()


def run(executor, prompt):
    with pytest.raises(WorkflowError) as failure:
        executor.run(prompt)
    return str(failure.value)


def with_inputs(prompt, changes):
    """The prompt with inputs changed to values or links."""
    for target, value in changes.items():
        node, widget = target.split(".")
        prompt[node]["inputs"][widget] = value
    return prompt


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size.width": 160}, "width is 160; two stages need multiples of 64: use 128 or 192"),
        ({"size.height": 100}, "height is 100; two stages need multiples of 64: use 64 or 128"),
        ({"size.length": 20}, "length is 20; LTX needs 8k+1 frames: use 17 or 25"),
        ({"model.model_name": "absent.safetensors"}, "model_name: 'absent.safetensors' not in"),
        ({"upscaler.model_name": "absent.safetensors"}, "model_name: 'absent.safetensors' not in"),
        ({"text_encoder.folder": "absent"}, "folder: 'absent' not in"),
        ({"text_encoder.projection": "none"}, "ltx-2 needs the text projection of its checkpoint"),
    ],
)
def test_wrong_values_are_refused(executor, prompt, forwards, change, message):
    assert message in run(executor, with_inputs(prompt, change))
    assert forwards == []


def test_an_audio_vae_for_the_video_is_refused_before_stage_1(executor, prompt, forwards):
    prompt["hand_over"]["inputs"]["vae"] = ["model", 2]
    error = run(executor, prompt)
    assert "Hand over to stage 2 (OnerLTXStageHandOver, hand_over): vae is an audio VAE with 8 latent channels" in error
    assert forwards == []


def test_the_text_projection_of_another_generation_is_refused_before_stage_1(executor, prompt, forwards):
    write_models(executor.base / "models", ["ltx-2.0"])
    prompt["text_encoder"]["inputs"]["projection"] = "tiny-ltx-2.0.safetensors"
    error = run(executor, prompt)
    assert "positive has texts 32 wide, this LTXAV reads 96: encode it with the text encoder" in error
    assert forwards == []


def test_another_stage_1_audio_needs_the_connection(executor, prompt, forwards):
    prompt["output"]["inputs"]["audio_source"] = "stage 1"
    del prompt["output"]["inputs"]["stage_1"]
    error = run(executor, prompt)
    assert "connect stage 1's output" in error
    assert forwards == []


EMPTY = "width, height, length, fps, batch_size, stages, audio"


@pytest.mark.parametrize(
    ("nodes", "changes", "message"),
    [
        ({}, {"size.mask": ["model", 1]}, f"this node has no input 'mask': its inputs are {EMPTY}"),
        (
            {"number": ("PrimitiveFloat", {"value": float("nan")})},
            {"size.fps": ["number", 0]},
            "fps is nan: give a numb",
        ),
        (
            {"number": ("PrimitiveFloat", {"value": -24.0})},
            {"size.fps": ["number", 0]},
            "fps is -24.0: give at least 1.0 and at most 1000.0",
        ),
        (
            {"number": ("PrimitiveInt", {"value": 0})},
            {"size.batch_size": ["number", 0]},
            "batch_size is 0: give at least 1 and at most 64",
        ),
        (
            {"method": ("OnerLTXEulerSampler", {"method": "-1"})},
            {"stage_1.sampler": ["method", 0]},
            "method is none of its options: choose one of 'euler', 'euler ancestral'",
        ),
        (
            {"other": ("VAELoader", {"vae_name": "tiny-wan-2.1-vae.safetensors"})},
            {"hand_over.vae": ["other", 0]},
            "vae is another model's VAE with 16 latent channels; LTX video latents need the video VAE with 128",
        ),
    ],
)
def test_what_a_link_or_the_api_brings_is_named_before_anything_is_sampled(
    executor, prompt, forwards, nodes, changes, message
):
    from tiny import write_models

    write_models(executor.base / "models", ["wan-vae"])
    for id, (node, inputs) in nodes.items():
        prompt[id] = {"class_type": node, "inputs": inputs}
    assert message in run(executor, with_inputs(prompt, changes))
    assert forwards == []


LTX_CASES = {  # what a user can get wrong with LTX -> workflow, changed inputs (values or links), the sentence
    "audio shorter than the video": (
        "LTX_2.3_Audio_to_Video",
        {"encode_audio.if_too_short": "refuse", "length.value": 241},
        r"the audio is [\d.]+ s long, the clip 10\.04 s: use a longer sound or at most \d+ frames",
    ),
    "reference longer than the clip": (
        "LTX_2.3_IC-LoRA_Control_Video",
        {"size.length": 9},
        "there are 17 frames for a clip of 9: cut them to 9 or make the clip longer",
    ),
    "retake window outside the clip": (
        "LTX_2.3_Retake",
        {"window.start_seconds": 5.0, "window.end_seconds": 6.0},
        r"the window is 5 to 6 s; the clip is [\d.]+ s long at 24 fps: set a window within it",
    ),
    "sound asked of a video latent": (
        "LTX_2.3_Retake",
        {"window.latent": ["encode_video", 0], "window.generate": "audio"},
        "generating audio in a window needs an audio-video latent; this one is video only: add audio with",
    ),
    "a video given as the voice": (
        "LTX_2.3_Lip_Dub",
        {"voice_1.audio_latent": ["encode_video", 0]},
        r"audio_latent has shape \(1, 128, .*\), which is video: encode a sound with LTX Encode Audio",
    ),
    "0.9.8 preset on LTX-2": (
        "LTX-Video_0.9.8_Dev_Image_to_Video",
        {"model.model_name": "tiny-ltx-2.3.safetensors", "decode.vae": ["model", 1]},
        "model is LTXAV: LTX-2, which uses the multimodal guider; connect an LTX-Video 0.9.x checkpoint",
    ),
    "LoRAs that disagree on the factor": (
        "LTX_2.3_IC-LoRA_Control_Video",
        {"ic_lora.iclora_parameters": ["another_lora", 1]},
        "the LoRAs disagree on reference_downscale_factor: 2 and 3; use LoRAs that share one value, or one at a time",
    ),
}


@pytest.mark.parametrize("case", LTX_CASES)
def test_a_mistake_with_ltx_is_named_before_anything_is_sampled(case, executor, forwards):
    from safetensors.torch import save_file

    from tiny import write_models
    from tiny.loras import ltx2_lora

    name, changes, message = LTX_CASES[case]
    write_models(executor.base / "models", ["ltx-2.3"])
    lora, metadata = ltx2_lora(reference_downscale_factor=3)
    save_file(lora, executor.base / "models" / "loras" / "tiny-factor-3.safetensors", metadata)
    prompt = load(name).tiny_prompt()
    another = {"model": ["model", 0], "lora_name": "tiny-factor-3.safetensors", "strength": 1.0}
    prompt["another_lora"] = {"class_type": "OnerLTXICLoRALoader", "inputs": another}
    encode = {"pixels": ["fit", 0], "vae": ["model", 1]}
    prompt.setdefault("encode_video", {"class_type": "VAEEncode", "inputs": encode})
    assert re.search(message, run(executor, with_inputs(prompt, changes)))
    assert forwards == []
