"""The LTX-2.5 workflows against ComfyUI's own templates for it, at the same seeds: the same latents, bit by bit.

The templates video_ltx2_5_t2v, _i2v and _flf2v, written out node by node without their prompt enhancer, on tiny files.
Both graphs get the model of ComfyUI's loader, ours with LTX Exact Block set to what ComfyUI computes. Where a workflow
has another sampler on purpose, or a strength means something else, the graph is changed to the template's, and the test
says so.
"""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from harness.fingerprint import fingerprint
from harness.media import Clip
from harness.pack import core_is_at_least
from workflows import load
from workflows.builder import Graph

pytestmark = pytest.mark.skipif(not core_is_at_least("0.33.0"), reason="LTX-2.5 needs ComfyUI 0.33.0")

SIZE, LENGTH, FPS, SEEDS = 128, 17, 24, (7, 42)
STAGE_1 = "1.0, 0.99375, 0.9875, 0.98125, 0.975, 0.909375, 0.725, 0.421875, 0.0"
STAGE_2 = "0.85, 0.7250, 0.4219, 0.0"
NEGATIVE = "pc game, console game, video game, cartoon, childish, ugly"


class Template(Graph):
    """The parts that the three templates share."""

    def __init__(self, text, encoder):
        super().__init__()
        self.model = self.node(
            "UNETLoader", "unet", unet_name="tiny-ltx-2.5-transformer.safetensors", weight_dtype="default"
        )
        self.vae, self.audio_vae = (
            self.node("VAELoader", name, vae_name=f"tiny-ltx-2.5-{name}.safetensors")
            for name in ("video-vae", "audio-vae")
        )
        clip = self.node(encoder["class_type"], "clip", **encoder["inputs"])
        prompts = [
            self.node("CLIPTextEncode", id, clip=clip.out(0), text=words).out(0)
            for id, words in (("positive", text), ("negative", NEGATIVE))
        ]
        timed = self.node("LTXVConditioning", "timed", positive=prompts[0], negative=prompts[1], frame_rate=FPS)
        self.prompts = [timed.out(0), timed.out(1)]

    def empty(self, size):
        """Video and audio latent of a square clip."""
        video = self.node("EmptyLTXVLatentVideo", "video", width=size, height=size, length=LENGTH, batch_size=1)
        sound = self.node(
            "LTXVEmptyLatentAudio",
            "sound",
            frames_number=LENGTH,
            frame_rate=FPS,
            batch_size=1,
            audio_vae=self.audio_vae.out(0),
        )
        return video.out(0), sound.out(0)

    def sample(self, stage, video, sound, sigmas, prompts=None, euler=False):
        positive, negative = prompts or self.prompts
        joined = self.node("LTXVConcatAVLatent", f"join_{stage}", video_latent=video, audio_latent=sound)
        guider = self.node(
            "LTXVDualCFGGuider",
            f"guider_{stage}",
            model=self.model.out(0),
            positive=positive,
            negative=negative,
            video_cfg=1.0,
            audio_cfg=1.0,
        )
        if euler:
            sampler = self.node("SamplerEulerAncestral", f"sampler_{stage}", eta=0.0, s_noise=1.0)
        else:
            sampler = self.node("KSamplerSelect", f"sampler_{stage}", sampler_name="euler_ancestral")
        noise = self.node("RandomNoise", f"noise_{stage}", noise_seed=SEEDS[stage - 1])
        schedule = self.node("ManualSigmas", f"sigmas_{stage}", sigmas=sigmas)
        sampled = self.node(
            "SamplerCustomAdvanced",
            f"stage_{stage}",
            noise=noise.out(0),
            guider=guider.out(0),
            sampler=sampler.out(0),
            sigmas=schedule.out(0),
            latent_image=joined.out(0),
        )
        return self.node("LTXVSeparateAVLatent", f"split_{stage}", av_latent=sampled.out(0))

    def upsample(self, video):
        upscaler = self.node(
            "LatentUpscaleModelLoader", "upscaler", model_name="tiny-ltx-2.5-spatial-upscaler-x2.safetensors"
        )
        return self.node(
            "LTXVLatentUpsampler", "upsample", samples=video, upscale_model=upscaler.out(0), vae=self.vae.out(0)
        ).out(0)

    def show(self, **links):
        """Output nodes, without which ComfyUI runs nothing."""
        for id, link in links.items():
            self.node("PreviewAny", f"show_{id}", source=link)
        return self.finalize()


def image(g, id, file):
    """A LoadImage and LTXVPreprocess as the template has them, at the size that needs no resizing before."""
    loaded = g.node("LoadImage", id, image=file)
    return g.node("LTXVPreprocess", f"{id}_compressed", image=loaded.out(0), img_compression=18).out(0)


def ours(name, **changes):
    """A shipped workflow on tiny files with the template's seeds and ComfyUI's model."""
    prompt = load(name).tiny_prompt()
    prompt["unet"] = {
        "class_type": "UNETLoader",
        "inputs": {"unet_name": "tiny-ltx-2.5-transformer.safetensors", "weight_dtype": "default"},
    }
    for node in prompt.values():
        if node["inputs"].get("model") == ["model", 0]:
            node["inputs"]["model"] = ["block", 0]
    block = {"model": ["unet", 0], "block": "as ComfyUI computes it"}
    prompt["block"] = {"class_type": "OnerLTXExactBlock", "inputs": block}
    for target, seed in zip(("noise_1", "noise_2") if "noise_1" in prompt else ("noise",), SEEDS, strict=False):
        prompt[target] = {"class_type": "RandomNoise", "inputs": {"noise_seed": seed}}
    for target, value in changes.items():
        node, _, widget = target.partition("__")
        if widget:
            prompt[node]["inputs"][widget] = value
        else:
            prompt[node] = value
    return prompt


def compressed(id):
    """The template's own compression of an image, which truncates to 8 bits where LTX Prepare Image rounds."""
    return {"class_type": "LTXVPreprocess", "inputs": {"image": [id, 0], "img_compression": 18}}


CORE_SAMPLER = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler_ancestral"}}
CORE_EULER = {"class_type": "SamplerEulerAncestral", "inputs": {"eta": 0.0, "s_noise": 1.0}}


def parts(latent):
    samples = latent["samples"]
    return list(samples.unbind()) if samples.is_nested else [samples]


def assert_same(one, two):
    assert fingerprint(one) == fingerprint(two)
    assert all(part.isfinite().all() and part.std() > 0.1 for part in (one, two))


@pytest.fixture
def run(executor):
    """Results of a graph, whose files are deleted."""

    def run(prompt):
        result = executor.run(prompt)
        for file in result.files:
            file.unlink()
        return result

    picture = Image.fromarray(Clip(SIZE, SIZE).frame(0))
    picture.save(executor.base / "input" / "template_first.png")
    picture.rotate(90).save(executor.base / "input" / "template_last.png")
    return run


def test_text_to_video_gives_the_latents_of_the_template(run):
    prompt = ours("LTX_2.5_Distilled_Text_to_Video")
    g = Template(prompt["prompt"]["inputs"]["text"], prompt["text_encoder"])
    first = g.sample(1, *g.empty(SIZE // 2), STAGE_1)
    second = g.sample(2, g.upsample(first.out(0)), first.out(1), STAGE_2)
    theirs = run(g.show(video=second.out(0), sound=second.out(1)))
    found = run(prompt)
    for stage in ("stage_1", "stage_2"):
        for one, two in zip(parts(found.output(stage)), parts(theirs.output(stage)), strict=True):
            assert_same(one, two)
    for stage, list_ in (("sigmas_1", STAGE_1), ("sigmas_2", STAGE_2)):
        assert torch.equal(found.output(stage), theirs.output(stage)), list_


@pytest.mark.parametrize("strength", [0.7, 1.0])
def test_image_to_video_with_comfyuis_sampler_gives_the_latents_of_the_template(run, strength):
    """LTX Noise and LTX Euler Sampler, which are exact for 0.7, give way to the template's."""
    prompt = ours(
        "LTX_2.5_Distilled_Image_to_Video",
        sampler=CORE_SAMPLER,
        start_image__image="template_first.png",
        start_image_compressed=compressed("start_image"),
        image_1__strength=strength,
    )
    g = Template(prompt["prompt"]["inputs"]["text"], prompt["text_encoder"])
    start = image(g, "start", "template_first.png")
    video, sound = g.empty(SIZE // 2)
    begun = g.node(
        "LTXVImgToVideoInplace", "begin_1", vae=g.vae.out(0), image=start, latent=video, strength=strength, bypass=False
    )
    first = g.sample(1, begun.out(0), sound, STAGE_1)
    larger = g.upsample(first.out(0))
    begun = g.node(
        "LTXVImgToVideoInplace", "begin_2", vae=g.vae.out(0), image=start, latent=larger, strength=1.0, bypass=False
    )
    second = g.sample(2, begun.out(0), first.out(1), STAGE_2)
    theirs = run(g.show(video=second.out(0), sound=second.out(1)))
    found = run(prompt)
    for stage in ("stage_1", "stage_2"):
        for one, two in zip(parts(found.output(stage)), parts(theirs.output(stage)), strict=True):
            assert_same(one, two)


def test_first_and_last_frame_given_whole_give_the_latents_of_the_template(run):
    """At strength 1, where ComfyUI's guide does not weigh the attention, and with the template's sampler."""
    prompt = ours(
        "LTX_2.5_Distilled_First_and_Last_Frame",
        sampler=CORE_EULER,
        first_image__image="template_first.png",
        first_image_compressed=compressed("first_image"),
        last_image__image="template_last.png",
        last_image_compressed=compressed("last_image"),
        first__strength=1.0,
        last__strength=1.0,
    )
    g = Template(prompt["prompt"]["inputs"]["text"], prompt["text_encoder"])
    video, sound = g.empty(SIZE)
    prompts = g.prompts
    for frame, file in ((0, "template_first.png"), (-1, "template_last.png")):
        guide = g.node(
            "LTXVAddGuide",
            f"guide_{frame}",
            positive=prompts[0],
            negative=prompts[1],
            vae=g.vae.out(0),
            latent=video,
            image=image(g, f"image_{frame}", file),
            frame_idx=frame,
            strength=1.0,
        )
        prompts, video = [guide.out(0), guide.out(1)], guide.out(2)
    split = g.sample(1, video, sound, STAGE_1, prompts, euler=True)
    cropped = g.node("LTXVCropGuides", "crop", positive=prompts[0], negative=prompts[1], latent=split.out(0))
    theirs = run(g.show(video=cropped.out(2), sound=split.out(1)))
    found = run(prompt)
    assert_same(parts(found.output("crop", 2))[0], parts(theirs.output("crop", 2))[0])
    assert_same(parts(found.output("crop", 2))[1], parts(theirs.output("split_1", 1))[0])


def test_the_decoded_frames_are_those_of_the_template(run):
    prompt = ours(
        "LTX_2.5_Distilled_Text_to_Video", sigmas_1={"class_type": "ManualSigmas", "inputs": {"sigmas": "1.0, 0.0"}}
    )
    plain = {**prompt["decode_video"], "inputs": {**prompt["decode_video"]["inputs"], "vae": ["model", 1]}}
    found = run({**prompt, "plain": plain, "show": {"class_type": "PreviewAny", "inputs": {"source": ["plain", 0]}}})
    assert_same(found.output("decode_video"), found.output("plain"))
