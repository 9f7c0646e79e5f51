"""The extension ComfyUI loads: the literal list of the pack's nodes, registered family by family."""

from __future__ import annotations

import importlib
import logging

from ..utils.core import check_core_version

check_core_version()

from comfy_api.latest import ComfyExtension, io  # noqa: E402 - an older core is refused with a sentence first

log = logging.getLogger("oner")

# family -> module of this package -> node classes
NODES: dict[str, dict[str, list[str]]] = {
    "LTX": {
        "ltx.loaders": ["LTXModelLoader", "LTXICLoRALoader"],
        "ltx.latents": ["LTXEmptyLatent", "LTXStageHandOver", "LTXStageOutput"],
        "ltx.av_latents": ["LTXSaveLatent", "LTXLoadLatent", "LTXCutClip", "LTXJoinClips", "LTXPickFromBatch"],
        "ltx.schedules": ["LTXSigmaPreset", "LTXScheduler"],
        "ltx.guider": ["LTXGuidance", "LTXMultimodalGuider"],
        "ltx.noise": ["LTXNoise"],
        "ltx.solvers": ["LTXEulerSampler", "LTXRes2sSampler"],
        "ltx.conditioning": ["LTXImageToVideo", "LTXKeyframe", "LTXReferenceVideo", "LTXReferenceAudio", "LTXCrop"],
        "ltx.masks": ["LTXFreeze", "LTXTimeWindow"],
        "ltx.audio_only": ["LTXAudioOnly"],
        "ltx.block_choice": ["LTXExactBlock"],
        "ltx.media": ["LTXPrepareImage", "LTXEncodeAudio"],
        "ltx.ic_lora_guides": ["LTXFitVideo", "LTXOutpaintGuide", "LTXInpaintGuide", "LTXGrowMask", "LaplacianBlend"],
        "ltx.tracks": ["LTXTracks", "LTXDrawTracks"],
        "ltx.hdr": ["LTXHDRDecode"],
        "ltx.decode": ["LTXDecodeSettings"],
    },
    "family-neutral": {
        "any.text_encoders": ["TextEncoderLoader"],
        "any.latent_statistics": [
            "LatentAdaIN",
            "LatentNormalise",
            "LatentToneMap",
            "PerStepAdaIN",
            "PerStepNormalise",
        ],
        "any.flow_solvers": ["FlowSampler"],
        "any.window_plan": ["WindowPlan"],
        "any.time_line": ["PromptTimeLine"],
        "any.drift": ["DriftControl", "MatchDrift"],
        "any.windows": ["WindowInputsNode", "WindowStage", "WindowedSampler"],
        "any.shots": ["ShotPrompts", "JoinVideos"],
    },
    "LTX-Video": {
        "ltxv.guidance": ["STGGuider", "STGScheduleGuider", "LTXVPreset"],
        "ltxv.sampler": ["LTXVSampler"],
        "ltxv.schedules": ["LinearQuadraticSigmas"],
        "ltxv.conditioning": ["LTXVImageGuide"],
        "ltxv.sizes": ["LTXVSizes", "LTXVPadFrames", "LTXVFitFrames"],
        "ltxv.temporal_upsample": ["LatentTemporalUpsample"],
        "ltxv.decode": ["LTXVDecodeSettings"],
    },
    "Wan": {
        "wan.camera": ["WanCameraPath", "WanCameraPathFromText", "WanCameraEmbedding"],
        "wan.conditioning": ["WanFunConditioning", "WanMotionAmplitude"],
        "wan.control_videos": ["WanTrajectoryVideo", "WanControlVideoMerge"],
        "wan.experts": ["WanExpertsGuider"],
        "wan.lint": ["WanLint"],
        "wan.camera_5b": ["Wan5BCameraLoader"],
        "wan.lora": ["WanLoraLoader", "LoraSchedule"],
        "wan.phases": ["WanPhasePlan"],
        "wan.recipes": ["WanRecipe", "WanGPImport"],
        "wan.schedules": ["WanScheduler", "SplitSigmasAtBoundary"],
        "wan.riflex": ["WanRIFLEx"],
        "wan.sizes": ["WanSize"],
        "wan.vace": ["WanVACEComposer"],
    },
    "LongLive": {
        "longlive.loader": ["LongLiveLoader"],
        "longlive.schedule": ["LongLiveSettings", "LongLivePromptSchedule"],
        "longlive.rollout": ["LongLiveRollout", "LongLiveContinue"],
        "longlive.takes": ["LongLiveLoadTake", "LongLiveForkTake", "LongLiveBudget"],
    },
}


def load_family(modules: dict[str, list[str]]) -> list[type[io.ComfyNode]]:
    nodes = []
    for module, names in modules.items():
        loaded = importlib.import_module(f".{module}", __package__)
        nodes += [getattr(loaded, name) for name in names]
    return nodes


def load_legacy() -> list[type[io.ComfyNode]]:
    """Nodes under ids of another pack, for old graphs; see legacy_ltxvideo/migration.py."""
    try:
        from .legacy_ltxvideo.migration import legacy_nodes

        return legacy_nodes()
    except Exception as error:  # whatever a changed core raises: the pack's own nodes must still load
        log.error("Oner: nodes for old graphs are not available: %s", error)
        return []


class OnerExtension(ComfyExtension):
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
