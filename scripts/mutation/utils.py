"""Faults in tensors, names and files."""

from .fault import Fault

FAULTS = (
    Fault(
        "Pyramid: border of an even side mirrored like an odd one",
        "utils/pyramid.py",
        "last if size % 2 == 0 else last - 1",
        "last if size % 2 else last - 1",
        ("tests/unit/utils/test_pyramid.py",),
    ),
    Fault(
        "Normalised latents: both tails cut from each end",
        "utils/latent_statistics.py",
        "(100.0 - percentile) / 200.0",
        "(100.0 - percentile) / 100.0",
        ("tests/unit/utils/test_latent_statistics.py",),
    ),
    Fault(
        "Images: crop at the right and bottom instead of the centre",
        "utils/images.py",
        "top, left = (size[0] - height) // 2, (size[1] - width) // 2",
        "top, left = size[0] - height, size[1] - width",
        ("tests/nodes/ltx/test_conditioning.py::test_image_fills_the_size_around_its_centre",),
    ),
    Fault(
        "Tokens: rows and channels of a sound swapped on the way back",
        "utils/tokens.py",
        '"b a (c m) -> b c a m", c=shape[1]',
        '"b a (m c) -> b c a m", c=shape[1]',
        ("tests/unit/utils/test_tokens.py",),
    ),
    Fault(
        "Names: no room for what is appended",
        "utils/names.py",
        "len(part.encode()) + grows > LONGEST_PART",
        "len(part.encode()) > LONGEST_PART",
        ("tests/unit/utils/test_names.py",),
    ),
    Fault(
        "Model folders: tokenizer beside the folder before its own",
        "utils/hf_folder.py",
        'in (folder, folder / "tokenizer", folder.parent / "tokenizer"):',
        'in (folder.parent / "tokenizer", folder / "tokenizer", folder):',
        ("tests/unit/utils/test_hf_folder.py",),
    ),
    Fault(
        "Names: the first folder of a place for pictures dropped",
        "nodes/paths.py",
        '*(parts[1:] if parts[0] == "output" else parts)',
        "*parts[1:]",
        ("tests/nodes/test_paths.py::test_a_folder_and_a_name_make_the_prefix_of_a_save_node",),
    ),
    Fault(
        "Files: pickles read without torch's restriction",
        "utils/files.py",
        "weights_only=True, mmap=zipped)",
        "weights_only=False, mmap=zipped)",
        ("tests/unit/utils/test_files.py",),
    ),
    Fault(
        "Files: NaN in weights not seen",
        "utils/files.py",
        "return bool(values.float().isfinite().all())",
        "return bool(values.float().isfinite().any())",
        ("tests/unit/utils/test_files.py",),
    ),
    Fault(
        "Files: a block that lacks a weight is taken",
        "utils/files.py",
        "if any(always and key.startswith(always) for key in missing) or",
        "if any(not always and key.startswith(always) for key in missing) or",
        ("tests/unit/utils/test_files.py",),
    ),
    Fault(
        "Files: one of ComfyUI's errors at a damaged file left raw",
        "utils/files.py",
        "    LookupError,",
        "    UnicodeError,",
        ("tests/nodes/test_files.py",),
    ),
    Fault(
        "Inputs: any value into a socket of the pack's own type",
        "utils/inputs.py",
        "isinstance(value, kind) if isinstance(kind, type) else kind(value)",
        "isinstance(kind, type) or kind(value)",
        ("tests/unit/utils/test_inputs.py",),
    ),
    Fault(
        "Video: a cut inside a piece begins a fragment that is not placed",
        "utils/media.py",
        "+frag_custom",
        "+frag_keyframe",
        ("tests/unit/utils/test_video_stream.py",),
    ),
)
