"""Faults in what LTX-2 and both LTX families use."""

from .fault import Fault

FAULTS = (
    Fault(
        "LTX-2: rescale mixed the wrong way round",
        "ltx/ltx2/guidance.py",
        "guidance.rescale * ratio + (1 - guidance.rescale)",
        "(1 - guidance.rescale) * ratio + guidance.rescale",
        ("tests/unit/ltx/ltx2/test_guidance.py",),
    ),
    Fault(
        "LTX-2: modality term not counted from 1",
        "ltx/ltx2/guidance.py",
        "(PERTURBED, guidance.stg), (ISOLATED, guidance.modality - 1)):",
        "(PERTURBED, guidance.stg), (ISOLATED, guidance.modality)):",
        ("tests/unit/ltx/ltx2/test_guidance.py",),
    ),
    Fault(
        "LTX-2: a small scale taken for none",
        "ltx/ltx2/guidance.py",
        "abs_tol=1e-8",
        "abs_tol=0.2",
        ("tests/unit/ltx/ltx2/test_guidance.py",),
    ),
    Fault(
        "LTX-2: shared prompt given to the video instead of the audio",
        "ltx/ltx2/guider.py",
        "torch.cat([own.cond[..., :width], other.cond[..., width:].to(own.cond)], dim=-1)",
        "torch.cat([other.cond[..., :width].to(own.cond), own.cond[..., width:]], dim=-1)",
        ("tests/unit/ltx/ltx2/test_guider.py::test_shared_audio_context_makes_the_negative_audio_prompt_irrelevant",),
    ),
    Fault(
        "LTX-2: given tokens left out of the rescale like fillers",
        "ltx/ltx2/guider.py",
        'conds["denoise_mask"].cond[0, 0] >= 0',
        'conds["denoise_mask"].cond[0, 0] > 0',
        ("tests/unit/ltx/ltx2/test_diffusers.py",),
    ),
    Fault(
        "LTX-2: the start of a frame of strength 0 made of its content",
        "ltx/ltx2/state.py",
        "* (part.mask > 0) for part",
        "* ((part.mask > 0) & (part.mask < 1)) for part",
        ("tests/unit/ltx/ltx2/test_sampling.py::test_partly_given_frames_are_exact_under_cfg_pp",),
    ),
    Fault(
        "LTX-2: passes of a skipped modality told as the network left them",
        "ltx/ltx2/guider.py",
        "{**modality, **self.seen[index]}",
        "{**self.seen[index], **modality}",
        ("tests/unit/ltx/ltx2/test_guider.py::test_post_cfg_hooks_get_the_last_passes_of_a_skipped_modality",),
    ),
    Fault(
        "LTX-2: perturbed rows by the number of the pass, not by its place in the batch",
        "ltx/ltx2/perturbation.py",
        "for i in range(n * size, (n + 1) * size)]",
        "for i in range(chunk * size, (chunk + 1) * size)]",
        (
            "tests/unit/ltx/ltx2/test_guider.py::test_batched_passes_equal_separate_ones",
            "tests/unit/ltx/ltx2/test_guider.py::test_without_memory_the_passes_run_one_by_one",
        ),
    ),
    Fault(
        "LTX-2: first latent frame starts one pixel frame early",
        "ltx/ltx2/positions.py",
        "(positions[0] + 1 - TEMPORAL).clamp(min=0)",
        "(positions[0] - TEMPORAL).clamp(min=0)",
        ("tests/unit/ltx/ltx2/test_references.py",),
    ),
    Fault(
        "LTX-2: positions of a subsampled reference not drawn back",
        "ltx/ltx2/positions.py",
        "(positions[:, 0] * temporal_scale - (temporal_scale - 1)).clamp(min=0)",
        "(positions[:, 0] * temporal_scale).clamp(min=0)",
        ("tests/unit/ltx/ltx2/test_references.py",),
    ),
    Fault(
        "LTX-2: appended frames start from their content",
        "ltx/ltx2/conditioning.py",
        "init=torch.cat([state.video.init, torch.zeros_like(added)], dim=2)",
        "init=torch.cat([state.video.init, added], dim=2)",
        (
            "tests/unit/ltx/ltx2/test_sampling.py::test_an_appended_keyframe_starts_from_nothing_but_noise_below_its_content",
        ),
    ),
    Fault(
        "LTX-2: positions of a second keyframe before those of the first",
        "ltx/ltx2/conditioning.py",
        "torch.cat([known.to(spread), spread], dim=2)",
        "torch.cat([spread, known.to(spread)], dim=2)",
        ("tests/unit/ltx/ltx2/test_references.py",),
    ),
    Fault(
        "LTX-2: fillers of a shrunken reference not counted",
        "ltx/ltx2/conditioning.py",
        "tokens = math.prod(shape[2:])",
        "tokens = math.prod(content.shape[2:])",
        (
            "tests/unit/ltx/ltx2/test_references.py::"
            "test_core_is_told_of_a_references_weight_and_all_its_tokens_until_it_is_cropped",
        ),
    ),
    Fault(
        "LTX-2: attention of a reference told to core as its strength",
        "ltx/ltx2/conditioning.py",
        'entry["strength"] = weight',
        'entry["strength"] = strength',
        (
            "tests/unit/ltx/ltx2/test_references.py::"
            "test_core_is_told_of_a_references_weight_and_all_its_tokens_until_it_is_cropped",
        ),
    ),
    Fault(
        "LTX-2: cropped frames still counted as appended",
        "ltx/ltx2/conditioning.py",
        "State(state.with_video(**video).video, state.audio), cropped",
        "state.with_video(**video), cropped",
        (
            "tests/unit/ltx/ltx2/test_references.py::"
            "test_core_is_told_of_a_references_weight_and_all_its_tokens_until_it_is_cropped",
        ),
    ),
    Fault(
        "LTX-2: sign of the start's offset",
        "ltx/ltx2/state.py",
        "[(part.init - part.clean) * (part.mask > 0)",
        "[(part.clean - part.init) * (part.mask > 0)",
        ("tests/unit/ltx/ltx2/test_sampling.py::test_partial_image_is_exact",),
    ),
    Fault(
        "LTX-2: bias of a reference's rows with its own tokens before the clip",
        "ltx/ltx2/reference_attention.py",
        "torch.cat([rows[:, None].expand(-1, self.clip), own], dim=1)",
        "torch.cat([own, rows[:, None].expand(-1, self.clip)], dim=1)",
        ("tests/unit/ltx/ltx2/test_references.py",),
    ),
    Fault(
        "LTX-2: kept frames of a reference from 0 in strides",
        "ltx/ltx2/references.py",
        "[0, *range(1, length, scale)]",
        "[*range(0, length, scale)]",
        ("tests/unit/ltx/ltx2/test_references.py",),
    ),
    Fault(
        "LTX-2: shift of the schedule through the wrong point",
        "ltx/schedules.py",
        "(base_shift - BASE_TOKENS * slope)",
        "(base_shift - MAX_TOKENS * slope)",
        ("tests/unit/ltx/test_schedules.py",),
    ),
    Fault(
        "LTX-2: text features scaled down where they should be scaled up",
        "ltx/text_encoder.py",
        "math.sqrt(h.out_features / states.shape[-1])",
        "math.sqrt(states.shape[-1] / h.out_features)",
        ("tests/unit/utils/test_text_encoders.py::test_the_projection_follows_its_formula",),
    ),
    Fault(
        "LTX-2: HDR branch chosen in code values by the cut of linear light",
        "ltx/ltx2/hdr.py",
        "torch.where(code >= E * CUT + F,",
        "torch.where(code >= CUT,",
        ("tests/unit/ltx/ltx2/test_hdr.py",),
    ),
    Fault(
        "LTX-2: colours of a trail in reverse instead of red and blue exchanged",
        "ltx/ltx2/tracks.py",
        "torch.tensor(RAMP, device=canvas.device).flip(1)",
        "torch.tensor(RAMP, device=canvas.device).flip(0)",
        ("tests/unit/ltx/ltx2/test_tracks.py",),
    ),
    Fault(
        "LTX-2: blend mask by the mean of a cell, so that thin parts fade",
        "ltx/ltx2/ic_lora_guides.py",
        "functional.adaptive_max_pool2d(mask.unsqueeze(1), size)",
        "functional.adaptive_avg_pool2d(mask.unsqueeze(1), size)",
        ("tests/unit/ltx/ltx2/test_ic_lora_guides.py",),
    ),
)
