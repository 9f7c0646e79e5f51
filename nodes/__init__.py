"""The extension ComfyUI loads: the literal list of the pack's nodes, registered family by family."""

from __future__ import annotations

import importlib
import logging

from ..samplers.core import check_core_version

check_core_version()

from comfy_api.latest import ComfyExtension, io  # noqa: E402 - an older core is refused with a sentence first

log = logging.getLogger("oner")

# family -> module of this package -> node classes
NODES: dict[str, dict[str, list[str]]] = {
    "LTX": {
        "ltx_loader": ["LTXModelLoader"],
        "ltx_latents": ["LTXEmptyLatent", "LTXStageHandOver", "LTXStageOutput"],
        "ltx_sigmas": ["LTXSigmaPreset", "LTXScheduler"],
        "ltx_guider": ["LTXGuidance", "LTXMultimodalGuider"],
        "ltx_samplers": ["LTXNoise", "LTXEulerSampler", "LTXRes2sSampler"],
        "ltx_conditioning": ["LTXImageToVideo", "LTXKeyframe", "LTXReferenceVideo", "LTXReferenceAudio", "LTXCrop"],
        "ltx_masks": ["LTXFreeze", "LTXTimeWindow"],
        "ltx_audio_only": ["LTXAudioOnly"],
        "ltx_media": ["LTXPrepareImage", "LTXEncodeAudio", "LTXICLoRALoader"],
        "ltx_iclora": ["LTXFitVideo", "LTXOutpaintGuide", "LTXInpaintGuide", "LTXGrowMask", "LaplacianBlend"],
        "ltx_tracks": ["LTXTracks", "LTXDrawTracks"],
        "ltx_hdr": ["LTXHDRDecode"],
    },
    "Text": {
        "text_encoders": ["TextEncoderLoader"],
    },
    "LTX-Video": {
        "ltxv_guidance": ["STGGuider", "STGScheduleGuider", "LTXVPreset"],
        "ltxv_sampling": ["LTXVSampler", "LinearQuadraticSigmas"],
        "ltxv_conditioning": ["LTXVImageGuide"],
        "ltxv_sizes": ["LTXVSizes", "LTXVPadFrames", "LTXVFitFrames"],
        "ltxv_latents": [
            "LatentAdaIN",
            "LatentNormalise",
            "LatentToneMap",
            "PerStepAdaIN",
            "PerStepNormalise",
            "LatentTemporalUpsample",
        ],
        "ltxv_decode": ["LTXVDecodeSettings"],
    },
    "Wan": {
        "wan_camera": ["WanCameraPath", "WanCameraPathFromText", "WanCameraEmbedding"],
        "wan_conditioning": ["WanFunConditioning", "WanMotionAmplitude"],
        "wan_control_videos": ["WanTrajectoryVideo", "WanControlVideoMerge"],
        "wan_guiders": ["WanExpertsGuider", "WanLint"],
        "wan_loader": ["Wan5BCameraLoader"],
        "wan_lora": ["WanLoraLoader", "LoraSchedule"],
        "wan_recipes": ["WanRecipe", "WanGPImport"],
        "wan_sampling": ["WanScheduler", "SplitSigmasAtBoundary", "FlowSampler", "WanRIFLEx"],
        "wan_sizes": ["WanSize"],
        "wan_vace": ["WanVACEComposer"],
    },
    "LongLive": {
        "longlive_loaders": ["LongLiveLoader"],
        "longlive_schedule": ["LongLiveSettings", "LongLivePromptSchedule"],
        "longlive_rollout": ["LongLiveRollout", "LongLiveContinue"],
        "longlive_takes": ["LongLiveLoadTake", "LongLiveForkTake", "LongLiveBudget"],
    },
}


def load_family(modules: dict[str, list[str]]) -> list[type[io.ComfyNode]]:
    nodes = []
    for module, names in modules.items():
        loaded = importlib.import_module(f".{module}", __package__)
        nodes += [getattr(loaded, name) for name in names]
    return nodes


def load_legacy() -> list[type[io.ComfyNode]]:
    """Nodes under ids of another pack, for old graphs; see migration.py."""
    try:
        from .migration import legacy_nodes

        return legacy_nodes()
    except Exception as error:  # as above
        log.error("Oner: nodes for old graphs are not available: %s", error)
        return []


class OnerExtension(ComfyExtension):
    async def on_load(self) -> None:
        try:
            from .migration import register_replacements

            await register_replacements()
        except Exception as error:  # whatever a changed core raises: the nodes must still load
            log.error("Oner: replacements for old graphs are not available: %s", error)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        nodes: list[type[io.ComfyNode]] = []
        for family, modules in NODES.items():
            try:
                nodes += load_family(modules)
            except Exception as error:  # whatever a changed core raises: the other families must still load
                log.error("Oner: the %s nodes are not available: %s", family, error)
                log.debug("Oner: import of the %s nodes", family, exc_info=True)
        return nodes + load_legacy()


async def comfy_entrypoint() -> OnerExtension:
    return OnerExtension()
