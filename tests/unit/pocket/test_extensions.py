"""What is trained on top of the text-to-video model begins as that model; long takes are cut into blocks rightly."""

from itertools import pairwise

import torch

from harness.pack import ROOT
from oner.longlive.presets import PRESETS
from oner.longlive.schedule import parse_prompts, place_prompts
from pocket import gallery, judge, lora, show, takes, wan_dit, wan_fun, world
from pocket.files import save


def inputs(channels: int = 16):
    generator = torch.Generator().manual_seed(0)
    scenes = world.sample_scenes(2, generator, 9)
    x = torch.randn(2, channels, 3, 8, 8, generator=generator)
    return x, torch.tensor([700.0, 300.0]), wan_dit.captions(scenes, generator, dropout=0)


def test_a_style_lora_begins_as_no_change_and_names_every_matrix():
    model = wan_dit.build(0)
    change = lora.Change(model, model.blocks, torch.Generator().manual_seed(0))
    x, t, context = inputs()
    torch.testing.assert_close(change(x, t, context), model(x, t, context))
    assert len(change.state_dict()) == 2 * 10 * wan_dit.CONFIG["num_layers"]


def test_the_control_model_begins_as_the_text_to_video_model(tmp_path):
    base = wan_dit.build(0)
    save(tmp_path / "wan.safetensors", base.state_dict(), None, "float32")
    model = wan_fun.build(1)
    wan_fun.load_base(model, tmp_path / "wan.safetensors")
    x, t, context = inputs(48)
    torch.testing.assert_close(model(x, t, context), base(x[:, :16], t, context))


def test_the_image_branch_of_the_control_file_adds_nothing():
    import comfy.ops
    from comfy.ldm.wan.model import WanModel

    model = wan_fun.build(0)
    whole = WanModel(
        model_type="i2v",
        in_dim=48,
        out_dim=16,
        text_len=wan_dit.PADDED,
        operations=comfy.ops.disable_weight_init,
        **wan_dit.CONFIG,
    )
    whole.load_state_dict(wan_fun.export(model.state_dict()))
    x, t, context = inputs(48)
    features = torch.zeros(2, 257, wan_fun.CLIP_WIDTH)
    torch.testing.assert_close(whole(x, t, context, clip_fea=features), model(x, t, context), atol=1e-5, rtol=1e-4)


def test_path_error_wraps_around():
    way = torch.tensor([[1.0, 10.0], [1.0, 10.0]])
    assert wan_fun.path_error(way - torch.tensor([2.0, 0.0]), way + torch.tensor([62.0, 0.0])) == 0
    assert abs(wan_fun.path_error(way, way + 32 / 2**0.5) - 0.5) < 1e-6


def test_schedule_lines_land_on_the_blocks_that_are_read():
    story = takes.stories(1, 2)[0]
    settings = PRESETS["LongLive 1.0"]
    placed, report = place_prompts(
        parse_prompts(takes.schedule(story, 3, " [text only]")), settings.block, settings.fps, "recache"
    )
    assert [p.start for p in placed] == [0, 9, 18]
    assert not report
    assert takes.length(9) == 105


def test_stories_change_colour_and_direction_and_keep_the_shape():
    for story in takes.stories(8, 3):
        assert len({(s.shape, s.background) for s in story}) == 1
        assert all(a.colour != b.colour and a.direction != b.direction for a, b in pairwise(story))
        assert not any(s.held_out for s in story)


def test_hollow_shapes_are_told_from_filled_ones():
    scene = world.parse("a red circle moving right")
    outlined = world.parse("a outlined red circle moving right")
    assert [judge.hollow(world.render([s], 9)[0]) for s in (scene, outlined)] == [False, True]


def test_the_demo_says_what_it_sees():
    scene, caption = show.read_prompt("a yellow triangle moving up")
    assert caption == "a yellow triangle moving up on a dark background"
    clip = world.render([world.place(scene, 9)], 9, size=128)[0]
    assert show.verdict(clip, scene) == f"{caption}, as asked"
    assert "not as asked: colour" in show.verdict(clip, world.parse("a red triangle moving up"))
    tone = world.tone(scene, 9), 16000
    assert show.verdict(clip, scene, tone) == f"{caption}, with the tone of a triangle, as asked"
    assert "not as asked: tone" in show.verdict(clip, scene, (world.tone(world.parse("a red circle"), 9), 16000))


def test_what_is_read_back_names_every_fault():
    scene = world.parse("a outlined green square moving left")
    shown = world.place(world.parse("a blue circle moving left on a bright background"), 9)
    seen, wrong = judge.read_back(world.render([shown], 9)[0], scene, (torch.zeros(1, 16000), 16000))
    assert wrong == ["colour", "shape", "background", "outline", "tone"]
    assert seen == f"{world.caption(shown)}, without a tone, not as asked: {', '.join(wrong)}"
    assert judge.read_back(torch.zeros(9, 64, 64, 3), scene) == ("no shape is to be seen", ["shape"])


def test_the_demo_reads_picture_and_sound_of_a_file():
    made = ROOT / "docs" / "gallery" / f"{show.WORKFLOW}.mp4"
    scene, caption = show.read_prompt(gallery.ENTRIES[show.WORKFLOW].text)
    seen = show.verdict(show.read_video(made), scene, show.read_sound(made))
    assert seen == f"{caption}, with the tone of a circle, as asked"
