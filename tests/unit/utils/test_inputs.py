"""What comes into a node becomes what the pack expects, or a sentence that names the input."""

import pytest
import torch
from comfy.nested_tensor import NestedTensor
from comfy_api.latest import InputImpl, io

from harness.raised import on_purpose
from oner.nodes.node import Node, check_inputs, own_type
from oner.utils.inputs import CHECKS, check_choice, check_images, check_masks, check_number

NAN, INF = float("nan"), float("inf")


def refused(check, *inputs, **options):
    """What the sentence says."""
    with pytest.raises(ValueError, match=r"\w") as error:
        check(*inputs, **options)
    assert on_purpose(error.value)
    return str(error.value)


def draw(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def objects():
    """Of ComfyUI's classes, by the name of the type."""
    import comfy.model_patcher
    import comfy.samplers
    import comfy.sd
    from comfy_extras.nodes_custom_sampler import RandomNoise

    cpu, network = torch.device("cpu"), torch.nn.Linear(1, 1)
    model = comfy.model_patcher.ModelPatcher(network, cpu, cpu)
    return {
        "MODEL": model,
        "VAE": comfy.sd.VAE.__new__(comfy.sd.VAE),
        "CLIP": comfy.sd.CLIP(no_init=True),
        "LATENT_UPSCALE_MODEL": network,
        "GUIDER": comfy.samplers.CFGGuider(model),
        "SAMPLER": comfy.samplers.ksampler("euler"),
        "NOISE": RandomNoise.execute(5).result[0],
        "VIDEO": InputImpl.VideoFromFile("a.mp4"),
    }


# --- images and masks ------------------------------------------------------------------------------------------------


def test_what_is_right_passes_as_the_very_object():
    latent = {"samples": NestedTensor((draw(1, 128, 2, 2, 2), draw(1, 8, 9, 16)))}
    right = {
        "IMAGE": draw(2, 4, 5, 3),
        "MASK": draw(2, 4, 5),
        "AUDIO": {"waveform": draw(1, 2, 9), "sample_rate": 44100},
        "LATENT": latent,
        "CONDITIONING": [[draw(1, 3, 8), {}]],
        "SIGMAS": torch.tensor([1.0, 0.5, 0.0]),
        "STRING": "a red ball",
        "BOOLEAN": True,
        "TRACKS": {"track_path": draw(3, 2, 2), "track_visibility": torch.ones(3, 2, dtype=torch.bool)},
        **objects(),
    }
    assert set(right) == set(CHECKS)
    for kind, value in right.items():
        assert CHECKS[kind](value, "it") is value


def test_channels_of_an_image_become_rgb():
    image = draw(2, 4, 5, 3)
    grey = check_images(image[..., :1], "image")
    assert torch.equal(grey, image[..., :1].repeat(1, 1, 1, 3))
    assert torch.equal(check_images(torch.cat([image, draw(2, 4, 5, 1)], -1), "image"), image)
    for count in (2, 5):
        assert refused(check_images, draw(1, 4, 4, count), "image").startswith(f"image has {count} channels")


def test_other_numbers_become_floats():
    image = draw(1, 4, 5, 3)
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        taken = check_images(image.to(kind), "image")
        assert taken.dtype == torch.float32
        assert torch.equal(taken, image.to(kind).float())
    assert torch.equal(check_images((image * 255).to(torch.uint8), "image"), (image * 255).to(torch.uint8) / 255)


@pytest.mark.parametrize("number", [NAN, INF, -INF])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_one_bad_number_is_found_anywhere(number, kind):
    for frame, place in ((0, 0), (2, 59)):
        image = draw(3, 4, 5, 3).to(kind)
        image[frame].view(-1)[place] = number
        assert "image holds NaN or infinite values" in refused(check_images, image, "image")
        assert "NaN" in refused(CHECKS["MASK"], image[..., 0].clone().fill_(number), "mask")


def test_looking_for_bad_numbers_costs_one_frame():
    """Decoded frames are not contiguous, which torch copies before it looks for the smallest number."""
    images = torch.rand(16, 3, 64, 64).movedim(1, -1)
    assert not images.is_contiguous()
    with torch.profiler.profile(profile_memory=True) as profile:
        assert check_images(images, "image") is images
    peak, now = 0, 0
    for event in profile.events():
        if event.name == "[memory]":
            now += event.cpu_memory_usage
        peak = max(peak, event.self_cpu_memory_usage)
    assert 0 < peak <= images[0].nbytes
    assert now <= images[0].nbytes


def test_empty_and_flat_images_are_refused():
    assert "image is empty (shape 0x4x4x3)" in refused(check_images, torch.zeros(0, 4, 4, 3), "image")
    assert "image is empty" in refused(check_images, torch.zeros(1, 0, 4, 3), "image")
    assert "has shape 4x4x3, an image has 4 dimensions" in refused(check_images, draw(4, 4, 3), "image")
    assert "image is list, not an image" in refused(check_images, [draw(4, 4, 3)], "image")


def test_masks_of_other_shapes_become_one_a_frame():
    mask = draw(4, 5)
    assert torch.equal(check_masks(mask, "mask"), mask[None])
    assert torch.equal(check_masks(mask.expand(3, 1, 4, 5), "mask"), mask.expand(3, 4, 5))
    assert check_masks(mask.half(), "mask").dtype == torch.float32
    assert torch.equal(check_masks(mask[None] > 0.5, "mask"), (mask[None] > 0.5).float())
    assert "mask has shape 2x3x4x5" in refused(check_masks, draw(2, 3, 4, 5), "mask")
    assert "mask is empty" in refused(check_masks, torch.zeros(0, 4, 5), "mask")


# --- numbers and choices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "width is -1: give at least 1 and at most 8"),
        (9, "width is 9: give at least 1 and at most 8"),
        (2.5, "width is 2.5: give a whole number"),
        (NAN, "width is nan: give a number"),
        (INF, "width is inf: give a number"),
        ("4", "width is str '4', not a number"),
        (True, "width is bool 'True', not a number"),
        (torch.tensor(4), "width is a tensor of shape none, not a number"),
        (10**400, "width is"),
    ],
)
def test_numbers_keep_to_the_range_of_the_widget(value, message):
    assert message in refused(check_number, value, "width", 1, 8, whole=True)


def test_numbers_get_their_kind():
    taken = check_number(4.0, "width", 1, 8, whole=True)
    assert (taken, type(taken)) == (4, int)
    taken = check_number(4, "fps", None, None, whole=False)
    assert (taken, type(taken)) == (4.0, float)
    seed = 0xFFFFFFFFFFFFFFFF
    assert check_number(seed, "seed", 0, seed, whole=True) == seed


def test_a_choice_is_one_of_its_options():
    assert check_choice("b", "mode", ["a", "b"]) == "b"
    assert check_choice("whatever", "file", None) == "whatever"
    assert refused(check_choice, "c", "mode", ["a", "b"]) == "mode is 'c': choose one of 'a', 'b'"
    assert refused(check_choice, "c", "file", list(map(str, range(99)))).endswith("'19', ...")
    assert "mode is" in refused(check_choice, ["a"], "mode", ["a", "b"])
    assert "file is 'c': there is nothing to choose" in refused(check_choice, "c", "file", [])


# --- what is made by other nodes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("LATENT", {}, "it is dict without samples"),
        ("LATENT", {"samples": torch.zeros(0, 16, 1, 2, 2)}, "it is dict without samples"),
        ("LATENT", {"samples": torch.full((1, 4, 2, 2), NAN)}, "it holds NaN"),
        ("LATENT", {"samples": NestedTensor((draw(1, 4, 2, 2, 2), torch.full((1, 8, 2, 2), INF)))}, "it holds NaN"),
        ("LATENT", draw(1, 4, 2, 2), "it is a tensor of shape 1x4x2x2 without samples"),
        ("CONDITIONING", [], "it holds no prompt"),
        ("CONDITIONING", [[]], "it holds no prompt"),
        ("CONDITIONING", [["text", {}]], "it holds no prompt"),
        ("CONDITIONING", [[torch.full((1, 2, 8), NAN), {}]], "it holds NaN"),
        ("SIGMAS", torch.tensor([1.0, NAN]), "it holds NaN"),
        ("SIGMAS", torch.tensor([1.0, -0.5]), "it go down to -0.5"),
        ("SIGMAS", torch.ones(2, 2), "it is a tensor of shape 2x2, not sigmas"),
        ("STRING", 3, "it is int '3', not text"),
        ("BOOLEAN", "yes", "it is str 'yes', not true or false"),
        ("MODEL", 3, "it is int '3': connect a model"),
        ("VAE", "vae", "it is str 'vae': connect a VAE"),
        ("CLIP", {}, "it is dict: connect a text encoder"),
        ("LATENT_UPSCALE_MODEL", [], "it is list: connect LatentUpscaleModelLoader"),
        ("GUIDER", object(), "it is object: connect a guider such as CFGGuider"),
        ("SAMPLER", draw(2), "it is a tensor of shape 2: connect a sampler such as KSamplerSelect"),
        ("NOISE", 5, "it is int '5': connect noise such as RandomNoise"),
        ("VIDEO", "a.mp4", "it is str 'a.mp4': connect a video such as LoadVideo"),
        ("TRACKS", {"track_path": draw(3, 2, 2)}, "it is dict without places of tracks"),
        ("TRACKS", {"track_path": draw(3, 0, 2), "track_visibility": torch.ones(3, 0)}, "it holds no track"),
        (
            "TRACKS",
            {"track_path": draw(3, 2, 2), "track_visibility": torch.ones(3, 4)},
            "it has (3, 2) places and says for (3, 4) whether they are seen",
        ),
    ],
)
def test_what_cannot_be_is_refused(kind, value, message):
    assert message in refused(CHECKS[kind], value, "it")


# --- a node ----------------------------------------------------------------------------------------------------------


def test_a_socket_of_a_type_of_its_own_takes_one_class_alone():
    counts = own_type("COUNTS", int, "Counter").Input("counts")
    small = own_type("SMALL", lambda value: value < 3, "a small one").Input("small")
    assert check_inputs([counts, small], {"counts": 5, "small": 2}) == {"counts": 5, "small": 2}
    assert refused(check_inputs, [counts], {"counts": "x"}) == "counts is str 'x': connect Counter"
    assert refused(check_inputs, [small], {"small": 3}) == "small is int '3': connect a small one"
    assert not hasattr(io.Custom("COUNTS").Input, "check")


class Probe(Node):
    @classmethod
    def define_schema(cls):
        some = [io.Int.Input("count", min=1, max=5)]
        return io.Schema(
            node_id="Probe",
            inputs=[
                io.Image.Input("image"),
                io.DynamicCombo.Input(
                    "mode", options=[io.DynamicCombo.Option("one", []), io.DynamicCombo.Option("some", some)]
                ),
                io.Mask.Input("mask", optional=True),
            ],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image, mode, mask=None):
        return io.NodeOutput(image, mode, mask)


def test_a_node_gets_checked_inputs_however_it_is_called():
    image = draw(1, 4, 5, 3)
    for taken in (Probe.execute(image, {"mode": "one"}), Probe.execute(image=image, mode={"mode": "one"}, mask=None)):
        assert taken.args[0] is image
        assert taken.args[1:] == ({"mode": "one"}, None)
    grey = Probe.execute(image[..., :1], mode={"mode": "some", "count": 2}).args[0]
    assert torch.equal(grey, image[..., :1].expand(-1, -1, -1, 3))


def test_a_node_is_checked_as_comfyui_runs_it():
    from comfy_api.internal import make_locked_method_func

    run = make_locked_method_func(Probe, "EXECUTE_NORMALIZED", Probe.PREPARE_CLASS_CLONE(None))
    image = draw(1, 4, 5, 3)
    assert run(image=image, mode={"mode": "one"}).args[0] is image
    assert "image is empty" in refused(run, image=image[:0], mode={"mode": "one"})
    assert Probe.PREPARE_CLASS_CLONE(None).execute.__func__ is Probe.execute.__func__  # checked once


def test_a_node_names_what_it_does_not_take():
    image, one = draw(1, 4, 5, 3), {"mode": "one"}
    assert "no input 'extra': its inputs are image, mode, mask" in refused(Probe.execute, image, one, extra=1)
    assert "mode is 'none'" in refused(Probe.execute, image, {"mode": "none"})
    assert "mode is 'none'" in refused(Probe.execute, image, "none")
    assert "mode is None" in refused(Probe.execute, image, {"mode": None})
    assert "count is 9" in refused(Probe.execute, image, {"mode": "some", "count": 9})
    assert "count got nothing" in refused(Probe.execute, image, {"mode": "some"})
    assert "no input 'count'" in refused(Probe.execute, image, {"mode": "one", "count": 2})
    assert "image got nothing: the node it is connected to gave no IMAGE" in refused(Probe.execute, None, one)


def test_a_node_that_takes_everything_keeps_what_it_does_not_know():
    assert check_inputs(Probe.define_schema().inputs[2:], {"extra": 1}, strict=False) == {"extra": 1}
