"""Nodes under ids of the tricks in ComfyUI-LTXVideo that still mean something; see shims.py."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.block_choice import with_exact_block
from ...ltx.ltxv.enhance import enhance_model
from ...utils.numbers import whole_numbers
from ..node import Node, own_type
from .schemas import number, schema

BlocksType = own_type(
    "ATTN_OVERRIDE",
    lambda value: isinstance(value, list | tuple) and all(type(block) is int for block in value),
    "LTXAttnOverride",
)


def need_ltx(model) -> int:
    """The number of blocks. Raises ValueError unless the model is LTX-Video or LTX-2."""
    blocks = getattr(model.model.diffusion_model, "transformer_blocks", ())
    if not hasattr(model.model.diffusion_model, "patchify_proj") or not all(hasattr(b, "attn1") for b in blocks):
        raise ValueError(f"model is {type(model.model).__name__}; this node needs an LTX-Video or LTX-2 model")
    return len(blocks)


class ModifyLTXModel(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Model.Input("model")]
        return schema("ModifyLTXModel", "nothing: leave it out", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, model):
        """The hooks it put into the model are ComfyUI's own today."""
        need_ltx(model)
        return io.NodeOutput(with_exact_block(model))


class AttnOverride(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.String.Input("layers", default="14")]
        return schema("LTXAttnOverride", "block numbers in the node itself", inputs, [BlocksType.Output()])

    @classmethod
    def execute(cls, layers):
        return io.NodeOutput(whole_numbers(layers, "layers", "14, 19"))


class FetaEnhance(Node):
    @classmethod
    def define_schema(cls):
        inputs = [io.Model.Input("model"), number("feta_weight", 4.0), BlocksType.Input("attn_override", optional=True)]
        return schema("LTXFetaEnhance", "an Enhance-A-Video node of another pack", inputs, [io.Model.Output()])

    @classmethod
    def execute(cls, model, feta_weight, attn_override=None):
        count = need_ltx(model)
        blocks = range(count) if attn_override is None else attn_override
        wrong = [block for block in blocks if not 0 <= block < count]
        if wrong:
            raise ValueError(f"attn_override names block {wrong[0]}; the model has blocks 0 to {count - 1}")
        model = with_exact_block(model)
        enhance_model(model, feta_weight, blocks)
        return io.NodeOutput(model)


TRICKS: list[type[io.ComfyNode]] = [ModifyLTXModel, AttnOverride, FetaEnhance]
