"""Prompt nodes under ids of ComfyUI-LTXVideo: what they wrote, ComfyUI's own text generation writes; see shims.py."""

from __future__ import annotations

import re

import folder_paths
from comfy_api.latest import io
from comfy_extras.nodes_textgen import (
    LTX2_I2V_SYSTEM_PROMPT,
    LTX2_T2V_SYSTEM_PROMPT,
    TextGenerate,
    TextGenerateLTX2Prompt,
)

from ..node import Node
from .schemas import schema, whole

EnhancerType = io.Custom("LTXV_PROMPT_ENHANCER")
SAMPLING = {  # as ComfyUI's node has it
    "sampling_mode": "on",
    "temperature": 0.7,
    "top_k": 64,
    "top_p": 0.95,
    "min_p": 0.05,
    "repetition_penalty": 1.05,
}
ONLINE = (
    "GemmaAPITextEncode sends the prompt and a key to an online service, which Oner does not: encode the prompt with "
    "CLIPTextEncode and the CLIP of LTXAVTextEncoderLoader or Text Encoder Loader, and delete the api_key"
)
ENHANCER = (
    "{} downloads two language models and runs code that comes with them, which Oner does not: use Generate LTX2 "
    "Prompt with a CLIP that generates text, such as Gemma 3, or write the whole prompt into CLIPTextEncode"
)


OWN = [prompt.split() for prompt in (LTX2_T2V_SYSTEM_PROMPT, LTX2_I2V_SYSTEM_PROMPT)]


def need_writer(clip) -> None:
    """Raise ValueError if the text encoder of a CLIP only reads, as T5 does."""
    stage = clip.cond_stage_model
    reader = getattr(getattr(stage, getattr(stage, "clip", ""), stage), "transformer", None)
    if reader is not None and not hasattr(reader, "generate"):
        raise ValueError(
            f"clip is {type(reader).__name__}, which writes no text: load one that does, such as Gemma 3 with Text "
            "Encoder Loader"
        )


class GemmaEnhancePrompt(Node):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.Clip.Input("clip"),
            io.String.Input("prompt", multiline=True, default=""),
            io.String.Input("system_prompt", multiline=True, default=LTX2_T2V_SYSTEM_PROMPT.strip()),
            whole("max_tokens", 512, 32, 1024),
            io.Boolean.Input("bypass_i2v", default=False),
            io.Image.Input("image", optional=True),
            whole("seed", 42, 0, 0xFFFFFFFFFFFFFFFF, optional=True),
        ]
        outputs = [io.String.Output(display_name="enhanced_prompt")]
        return schema("LTXVGemmaEnhancePrompt", "Generate LTX2 Prompt", inputs, outputs)

    @classmethod
    def execute(cls, clip, prompt, system_prompt, max_tokens, bypass_i2v, image=None, seed=42):
        """Without a system prompt of one's own ComfyUI's serves, which has another one where there is an image."""
        need_writer(clip)
        image = None if bypass_i2v else image
        sampling = {**SAMPLING, "seed": seed}
        if system_prompt.split() in ([], *OWN):
            written = TextGenerateLTX2Prompt.execute(clip, prompt, max_tokens, sampling, image=image)
        else:
            if "gemma3" not in clip.tokenizer.clip_name:
                raise ValueError(
                    f"system_prompt is your own and the CLIP is {clip.tokenizer.clip_name}; it can be given to Gemma 3 "
                    "alone: empty it, or use Generate Text"
                )
            picture = "" if image is None else "\n<image_soft_token>\n"
            turns = (
                f"<start_of_turn>system\n{system_prompt.strip()}<end_of_turn>\n<start_of_turn>user\n{picture}\n"
                f"User Raw Input Prompt: {prompt}.<end_of_turn>\n<start_of_turn>model\n"
            )
            written = TextGenerate.execute(clip, turns, max_tokens, sampling, image=image)
        return io.NodeOutput(re.sub(r"^[^\w\"'(]+", "", written.result[0].strip()))


# These refuse when they run and not before: graphs have them on the branch of a switch that is not taken. They refuse
# whatever they are given, hence no Node, which would speak of the inputs first.


class GemmaAPITextEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.String.Input("api_key", default=""),
            io.String.Input("prompt", multiline=True, default=""),
            io.Boolean.Input("enhance_prompt", default=True),
            io.Combo.Input("ckpt_name", options=folder_paths.get_filename_list("checkpoints")),
        ]
        use = "LTXAVTextEncoderLoader or Text Encoder Loader"
        return schema("GemmaAPITextEncode", use, inputs, [io.Conditioning.Output()])

    @classmethod
    def execute(cls, **_inputs):
        raise ValueError(ONLINE)


class PromptEnhancerLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [io.String.Input("llm_name", default=""), io.String.Input("image_captioner_name", default="")]
        return schema("LTXVPromptEnhancerLoader", "Generate LTX2 Prompt", inputs, [EnhancerType.Output()])

    @classmethod
    def execute(cls, **_inputs):
        raise ValueError(ENHANCER.format("LTXVPromptEnhancerLoader"))


class PromptEnhancer(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        inputs = [
            io.String.Input("prompt", default=""),
            EnhancerType.Input("prompt_enhancer"),
            whole("max_resulting_tokens", 256, 32, 512),
            io.Image.Input("image_prompt", optional=True),
        ]
        outputs = [io.String.Output(display_name="str")]
        return schema("LTXVPromptEnhancer", "Generate LTX2 Prompt", inputs, outputs)

    @classmethod
    def execute(cls, **_inputs):
        raise ValueError(ENHANCER.format("LTXVPromptEnhancer"))


PROMPTS: list[type[io.ComfyNode]] = [GemmaEnhancePrompt, GemmaAPITextEncode, PromptEnhancerLoader, PromptEnhancer]
