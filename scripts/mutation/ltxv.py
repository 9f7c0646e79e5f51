"""Faults in LTX-Video."""

from .fault import Fault

FAULTS = (
    Fault(
        "LTX-Video: rescale mixed the wrong way round",
        "ltx/ltxv/guidance.py",
        "(amount * ratio + (1 - amount)).view",
        "((1 - amount) * ratio + amount).view",
        ("tests/unit/ltx/ltxv/test_guidance.py",),
    ),
    Fault(
        "LTX-Video: shift and scale of a skipped attention swapped",
        "ltx/ltxv/stg.py",
        "shift, scale = (table",
        "scale, shift = (table",
        ("tests/unit/ltx/ltxv/test_sampling.py::test_skipped_attention_hands_on_what_it_was_given",),
    ),
    Fault(
        "LTX-Video: what stays of the second pass weighted by strength",
        "ltx/ltxv/conditions.py",
        "kept = (1 - strength) * (1 - start_sigma)",
        "kept = strength * (1 - start_sigma)",
        ("tests/unit/ltx/ltxv/test_sampling.py::test_second_pass_start_is_the_blend_of_the_reference",),
    ),
    Fault(
        "LTX-Video: a later image spread over eight frames like a latent of a clip",
        "ltx/ltxv/conditions.py",
        "frame == 0 or one_image)",
        "frame == 0)",
        ("tests/unit/ltx/ltxv/test_sampling.py::test_an_image_as_guide_is_one_frame_long",),
    ),
    Fault(
        "LTX-Video: tokens told the noise level of the mask before their turn",
        "ltx/ltxv/sampler.py",
        "(timestep / sigma).clamp(max=sigma)",
        "(timestep / sigma)",
        ("tests/unit/ltx/ltxv/test_sampling.py::test_core_euler_agrees_without_partial_strengths",),
    ),
    Fault(
        "LTX-Video: waiting tokens move at once",
        "ltx/ltxv/sampler.py",
        "torch.where(sigma - EPSILON < mask, moved, x)",
        "torch.where(mask > 0, moved, x)",
        ("tests/unit/ltx/ltxv/test_sampling.py::test_a_frame_given_in_part_waits_until_the_noise_has_come_down_to_it",),
    ),
    Fault(
        "LTX-Video: overlap of an extension counted with its first latent",
        "ltx/ltxv/segments.py",
        "sampled[:, :, 1:].to(old), overlap - 1)",
        "sampled[:, :, 1:].to(old), overlap)",
        ("tests/nodes/legacy_ltxvideo/test_samplers.py::test_an_extension_keeps_the_clip_and_adds_the_frames",),
    ),
    Fault(
        "LTX-Video: odd pixel of the padding at top and left",
        "ltx/ltxv/sizes.py",
        "(columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)",
        "(columns - columns // 2, columns // 2, rows - rows // 2, rows // 2)",
        ("tests/unit/ltx/ltxv/test_sizes.py",),
    ),
    Fault(
        "LTX-Video: tones compressed before the noise of the decoder",
        "ltx/ltxv/decode.py",
        "compress_tones(torch.lerp(x, noise, noise_scale), tone_map)",
        "torch.lerp(compress_tones(x, tone_map), noise, noise_scale)",
        ("tests/unit/ltx/ltxv/test_decode.py",),
    ),
)
