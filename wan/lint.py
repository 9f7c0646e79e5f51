"""What in a graph does nothing on the model it is given to. Each check says the fact and the remedy.

Known traps: ComfyUI's NAG node patches a place Wan and LTX never call and doubles the cost; a negative prompt is not
run at CFG 1; camera and reference conditioning are ignored by models without the part that reads them.
"""

from __future__ import annotations

from typing import Any

# conditioning key -> (attribute of the diffusion model that reads it, what it is, remedy)
READERS = {
    "camera_conditions": ("control_adapter", "camera conditioning", "load a Fun Control-Camera model"),
    "clip_vision_output": ("img_emb", "a CLIP vision output", "Wan 2.2 models have no image embedding: remove it"),
    "vace_frames": ("vace_patch_embedding", "VACE conditioning", "load a VACE model"),
    "audio_embed": (None, "an audio embedding", "load a speech-driven Wan model"),
}
AUDIO_MODELS = ("WAN22_S2V", "WAN21_HuMo", "WAN22_WanDancer")
REFERENCE_READERS = ("WAN22_S2V", "WAN21_HuMo", "WAN21_SCAIL", "WAN21_SCAIL2")
# conditioning of other model families: key -> (what it is, remedy); no Wan or LTX model reads these
FOREIGN = {
    "control": (
        "a ControlNet",
        "Wan models take a control video through Wan Fun Conditioning or the VACE Composer, LTX models a reference "
        "video",
    ),
    "guidance": ("a distilled guidance value (FluxGuidance)", "remove that node and set the cfg"),
    "gligen": ("GLIGEN boxes", "remove that node"),
}
# patches core's nodes for image models set, of which Wan calls none
UNET_PATCHES = (
    "attn1_output_patch",
    "attn2_output_patch",
    "input_block_patch",
    "input_block_patch_after_skip",
    "output_block_patch",
    "middle_patch",
    "middle_block_after_patch",
    "emb_patch",
    "forward_timestep_embed_patch",
)
WAN_PATCHES = ("attn1_patch", "attn2_patch")  # Wan calls these, LTX does not
FAMILIES = ("WAN", "LTX")


def lint_model(model: Any) -> list[str]:
    """Warnings for patches on the model that no Wan or LTX model calls."""
    name = type(model.model).__name__
    if not name.startswith(FAMILIES):
        return []
    options = model.model_options.get("transformer_options", {})
    warnings = []
    candidates = UNET_PATCHES + (WAN_PATCHES if name.startswith("LTX") else ())
    dead = [patch for patch in candidates if options.get("patches", {}).get(patch)]
    if dead:
        doubled = (
            " and disables the shortcut at cfg 1, so each step costs twice"
            if (model.model_options.get("disable_cfg1_optimization"))
            else ""
        )
        warnings.append(
            f"the model carries {', '.join(dead)} (NAGuidance and other nodes for image models), which {name} never "
            f"calls{doubled}: remove that node; KJNodes has a NAG for Wan and LTX"
        )
    replaced = options.get("patches_replace", {})
    if any(key in replaced for key in ("attn1", "attn2")):
        warnings.append(f"the model carries attention replacements, which {name} never calls: remove that node")
    if name.startswith("LTX") and "rope_options" in options:
        warnings.append("ScaleROPE does nothing on LTX models: remove it")
    return warnings


def lint_conditioning(model: Any, conditioning: list, which: str) -> list[str]:
    """Warnings for conditioning values that the model does not read."""
    diffusion, name = model.model.diffusion_model, type(model.model).__name__
    if not name.startswith(FAMILIES):
        return []
    keys = {key for _, options in conditioning for key in options}
    warnings = [
        f"{which} holds {what}, which no Wan or LTX model reads: {remedy}"
        for key, (what, remedy) in FOREIGN.items()
        if key in keys
    ]
    if not name.startswith("WAN"):
        return warnings
    for key, (attribute, what, remedy) in READERS.items():
        read = name in AUDIO_MODELS if attribute is None else getattr(diffusion, attribute, None) is not None
        if key in keys and not read:
            warnings.append(f"{which} holds {what}, which this model ({name}) does not read: {remedy}")
    if "reference_latents" in keys and getattr(diffusion, "ref_conv", None) is None and name not in REFERENCE_READERS:
        warnings.append(
            f"{which} holds a reference latent, but the model has no reference convolution: it is ignored; load a Fun "
            "V1.1 or 2.2 Control model that has one"
        )
    return warnings + lint_channels(model, conditioning, which)


def lint_channels(model: Any, conditioning: list, which: str) -> list[str]:
    """A warning where the image or control latents are not those of the model: ComfyUI drops what is too much."""
    latent = model.model.latent_format.latent_channels
    extra = model.model.diffusion_model.patch_embedding.weight.shape[1] - latent
    found = {options["concat_latent_image"].shape[1] for _, options in conditioning if "concat_latent_image" in options}
    if found and extra == 0:
        return [
            f"{which} holds an image or control video, but the model takes text only: it is ignored; load an "
            "image-to-video, inpaint or control model"
        ]
    wanted = extra // latent * latent
    return [
        f"{which} holds {channels // latent} image or control videos ({channels} channels), but the model reads "
        f"{wanted // latent} ({wanted}): use Wan Fun Conditioning with this model"
        for channels in sorted(found - {wanted})
    ]


def lint_cfg(cfgs: tuple[float, ...], negative: list) -> list[str]:
    """A warning where a negative prompt was written but never runs."""
    if all(cfg == 1.0 for cfg in cfgs) and any(bool((tensor != 0).any()) for tensor, _ in negative):
        return [
            "cfg is 1 in every phase: the negative prompt does not run; that is right for distilled models, else raise "
            "the cfg"
        ]
    return []


def lint(model: Any, positive: list | None, negative: list | None, cfgs: tuple[float, ...]) -> list[str]:
    """All warnings for a model, its prompts and the CFG of each phase."""
    warnings = lint_model(model)
    for which, conditioning in (("positive", positive), ("negative", negative)):
        if conditioning is not None:
            warnings += [text for text in lint_conditioning(model, conditioning, which) if text not in warnings]
    return warnings + (lint_cfg(cfgs, negative) if negative is not None and cfgs else [])
