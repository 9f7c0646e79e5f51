"""The shipped workflows, one module each; see builder.py for what a module declares."""

from __future__ import annotations

from .builder import Workflow, read_module

MODULES = [
    "ltx_2_3_distilled",
    "ltx_2_3_distilled_image_to_video",
    "ltx_2_3_text_to_video",
    "ltx_2_3_two_stage",
    "ltx_2_3_image_to_video",
    "ltx_2_3_hq",
    "ltx_2_3_audio_to_video",
    "ltx_2_3_keyframes",
    "ltx_2_3_ic_lora",
    "ltx_2_3_ic_lora_masked",
    "ltx_2_3_lip_dub",
    "ltx_2_3_retake",
    "ltx_2_3_go_on",
    "ltx_2_3_go_on_from_file",
    "ltx_2_3_text_to_audio",
    "ltx_2_3_long_video",
    "ltx_2_5_text_to_video",
    "ltx_2_5_image_to_video",
    "ltx_2_5_first_and_last_frame",
    "ltxv_distilled_text_to_video",
    "ltxv_dev_image_to_video",
    "ltxv_keyframes",
    "ltxv_video_to_video",
    "ltxv_double_fps",
    "ltxv_extend",
    "ltx2_ic_inpaint",
    "ltx2_ic_outpaint",
    "ltx2_ic_motion_tracks",
    "ltx2_ic_hdr",
    "longlive_single",
    "longlive_interactive",
    "longlive_endless",
    "longlive_image",
    "longlive_continue",
    "longlive_2_shots",
    "wan_2_1_fun_inpaint",
    "wan_2_1_fun_edges",
    "wan_2_1_fun_control",
    "wan_2_1_fun_camera",
    "wan_2_2_fun_inpaint",
    "wan_2_2_fun_control",
    "wan_2_2_fun_camera",
    "wan_2_2_trajectory",
    "wan_2_2_5b_fun_inpaint",
    "wan_2_2_5b_fun",
    "wan_2_2_5b_fun_camera",
    "wan_2_2_lightning",
    "wan_2_2_lora_schedule",
    "wan_2_2_recipe",
    "wan_2_2_video_to_video",
    "wan_2_2_long_image_to_video",
    "wan_continue_video",
    "wan_film_of_shots",
    "wan_2_2_prompt_time_line",
    "wan_vace_control",
    "wan_vace_references",
    "wan_vace_outpaint",
    "wan_vace_long_edit",
    "match_drift",
    "join_videos",
]


def load_all() -> list[Workflow]:
    """Every shipped workflow, in the order of the template browser."""
    return [read_module(name) for name in MODULES]


def load(name: str) -> Workflow:
    """The workflow called `name`, e.g. the name of its file in workflows/."""
    return {workflow.name: workflow for workflow in load_all()}[name]
