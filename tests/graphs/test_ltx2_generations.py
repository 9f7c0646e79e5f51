"""A graph made for LTX-2.3 becomes one for LTX-2 when another checkpoint is chosen, and nothing else."""

import pytest

from workflows import load
from workflows.builder import substitute


@pytest.mark.parametrize(("generation", "block"), [("2.3", 28), ("2.0", 29)])
def test_checkpoint_sets_the_guidance_and_the_graph_runs(executor, generation, block):
    from tiny import write_models

    write_models(executor.base / "models", [f"ltx-{generation}-deep", "gemma-3"])
    workflow = load("LTX_2.3_Text_to_Video")
    chosen = {"model.model_name": f"tiny-ltx-{generation}-deep.safetensors", "sigmas.steps": 1}
    result = executor.run(substitute(workflow.tiny_prompt(), chosen))
    guider = result.output("guider")
    assert guider.video.at(1.0).stg_blocks == guider.audio.at(1.0).stg_blocks == (block,)
    workflow.tiny_result.check(result.files[0])
    result.files[0].unlink()
