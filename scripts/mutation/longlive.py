"""Faults in LongLive."""

from .fault import Fault

FAULTS = (
    Fault(
        "LongLive: one sink frame too many",
        "longlive/cache.py",
        "frame - self.base < self.sink",
        "frame - self.base <= self.sink",
        ("tests/unit/longlive/test_slot_table.py::test_table_holds_what_the_rule_says",),
    ),
    Fault(
        "LongLive: only one frame of the sink in RAM moved to its relative position",
        "longlive/kv.py",
        "buffer[0][:, : self.table.sink * self.tokens]",
        "buffer[0][:, : self.tokens]",
        ("tests/unit/longlive/test_rollout.py::test_a_cache_in_ram_changes_nothing",),
    ),
    Fault(
        "LongLive: largest number of a token cut off in int8",
        "longlive/kv.py",
        "/ 127).clamp",
        "/ 128).clamp",
        ("tests/unit/longlive/test_kv.py",),
    ),
    Fault(
        "LongLive: rotary embedding turned backwards",
        "longlive/rope.py",
        "[cos, -sin, sin, cos]",
        "[cos, sin, -sin, cos]",
        ("tests/unit/longlive/test_core_equality.py",),
    ),
    Fault(
        "LongLive: a prompt starts in the latent frame that holds its first frame",
        "longlive/schedule.py",
        "-(-(frame + PIXELS - 1) // PIXELS) if frame else 0",
        "(frame + PIXELS - 1) // PIXELS if frame else 0",
        ("tests/unit/longlive/test_schedule.py",),
    ),
    Fault(
        "LongLive: third coefficient of UniPC without its factor",
        "longlive/solvers.py",
        "(phi2 / hh - 0.5) * 2",
        "(phi2 / hh - 0.5)",
        ("tests/unit/samplers/test_unipc_corrector.py",),
    ),
    Fault(
        "LongLive: whole times rounded instead of cut",
        "longlive/solvers.py",
        "float(int(1000 * s))",
        "float(round(1000 * s))",
        ("tests/unit/longlive/test_solvers.py",),
    ),
    Fault(
        "LongLive: sink frames kept in a recache with a new sink",
        "longlive/rollout.py",
        "held = list(range(max(self.table.base, first - self.capacity), first))",
        "held = list(held)",
        ("tests/unit/longlive/test_rollout.py::test_slots_give_what_concatenation_gives",),
    ),
    Fault(
        "LongLive: guidance from the positive pass instead of the negative one",
        "longlive/rollout.py",
        "flows[1] + self.cfg * (flows[0] - flows[1])",
        "flows[0] + self.cfg * (flows[0] - flows[1])",
        ("tests/unit/longlive/test_rollout.py::test_guidance_starts_at_the_negative_prompt",),
    ),
    Fault(
        "LongLive: frames of a forked take's video",
        "longlive/take.py",
        "counts = [(4 * frames - 3, pieces)]",
        "counts = [(4 * frames, pieces)]",
        (
            "tests/unit/longlive/test_take.py::test_the_video_of_a_fork_goes_on_without_a_gap",
            "tests/unit/longlive/test_take.py::test_a_fork_goes_on_after_as_many_pictures_as_its_latents_are",
        ),
    ),
    Fault(
        "LongLive: pieces of a forked take's video",
        "longlive/take.py",
        "pieces = -(-frames // recorder.rollout.settings.block)",
        "pieces = frames // recorder.rollout.settings.block + 1",
        ("tests/unit/longlive/test_take.py::test_a_fork_goes_on_after_as_many_pictures_as_its_latents_are",),
    ),
    Fault(
        "LongLive: a latent frame lost between two pieces of a copied take",
        "longlive/take.py",
        "first : first + 64]",
        "first : first + 63]",
        ("tests/unit/longlive/test_take.py::test_a_take_longer_than_a_piece_is_copied_without_a_gap",),
    ),
    Fault(
        "LongLive: a take not saved after its first block",
        "longlive/take.py",
        "(done == 1 or done % checkpoint_blocks == 0)",
        "(done % checkpoint_blocks == 0)",
        ("tests/unit/longlive/test_take.py::test_a_growing_take_is_saved_after_its_first_block_and_every_third",),
    ),
    Fault(
        "LongLive: history of a decoder completed with its older frame",
        "longlive/decode.py",
        "torch.cat([old[:, :, -1:], new], dim=2)",
        "torch.cat([old[:, :, :1], new], dim=2)",
        ("tests/unit/longlive/test_decode.py::test_any_arrival_equals_a_full_decode",),
    ),
    Fault(
        "LongLive: text of one prompt counted instead of two",
        "longlive/budget.py",
        "2 * 2 * sizes.layers",
        "2 * sizes.layers",
        ("tests/unit/longlive/test_budget.py",),
    ),
)
