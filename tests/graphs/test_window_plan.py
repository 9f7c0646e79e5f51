"""Window Plan as ComfyUI runs it: the widgets of its own grid, and the picture it shows."""

from harness.executor import Executor


def graph(**changes):
    inputs = {
        "prompts": "a fox [/duration=5s]\n\na den [/new_shot]",
        "length": "",
        "fps": 16.0,
        "grid": "wan",
        "window": 81,
        "overlap": 9,
        "max_overlap": 0,
        "discard_last": 0,
        "prefix_frames": 0,
        "allow_new_shot": True,
        "snap": True,
        **changes,
    }
    return {"plan": {"class_type": "OnerWindowPlan", "inputs": inputs}}


def test_a_plan_is_shown_without_anything_connected(executor: Executor):
    result = executor.run(graph())
    (picture,) = result.ui["plan"]["images"]
    assert picture["type"] == "temp"


def test_a_grid_of_ones_own_comes_from_its_widgets(executor: Executor):
    sizes = {"minimum": 9, "step": 8, "frame_offset": 1, "overlap_offset": 1}
    prompt = graph(grid="custom", **{f"grid.{name}": value for name, value in sizes.items()})
    prompt["show"] = {"class_type": "PreviewAny", "inputs": {"source": ["plan", 1]}}
    result = executor.run(prompt)
    assert result.output("plan", 1) == 81 + 81
    assert result.output("plan").grid.step == 8
