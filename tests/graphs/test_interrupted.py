"""A graph that was interrupted while it sampled gives, run again, what it gives undisturbed, bit by bit."""

import pytest

import harness.executor
from harness.fingerprint import fingerprint
from harness.server import WorkflowInterrupted
from workflows import load

SAMPLED = {  # workflow -> the sampling node that is interrupted after its first step
    "LTX_2.3_Text_to_Video": "stage",  # guided, all passes in one batch
    "LTX_2.3_HQ_Text_to_Video": "stage_1",  # Res2s with noise of its own
    "LTX_2.3_Image_to_Video": "stage_2",  # a start that differs from the content
    "LTX_2.3_IC-LoRA_Masked_Control_Video": "stage_1",  # weighted references
    "LTX_2.3_Text_to_Audio": "stage",
    "LTX-Video_0.9.8_Dev_Image_to_Video": "pass_1",  # image noise drawn anew each step
}


@pytest.mark.parametrize("name", SAMPLED)
def test_a_run_after_an_interrupted_one_is_bit_identical(name, executor, monkeypatch):
    import comfy.model_management

    prompt, node, report = load(name).tiny_prompt(), SAMPLED[name], harness.executor.report

    def interrupt_first_step(listener, *args, **options):
        report(listener, *args, **options)
        if len(listener.progress().get(node, [])) == 1:
            comfy.model_management.interrupt_current_processing()

    session = executor.session()
    monkeypatch.setattr(harness.executor, "report", interrupt_first_step)
    with pytest.raises(WorkflowInterrupted, match=rf", {node}\)"):
        executor.run(prompt, session)
    monkeypatch.undo()
    again = executor.run(prompt, session)
    cached = next(data["nodes"] for event, data in session.server.events if event == "execution_cached")
    undisturbed = executor.run(prompt)
    assert prompt[node]["inputs"]["guider"][0] in cached  # the very objects of the interrupted run
    assert fingerprint(again.output(node)) == fingerprint(undisturbed.output(node))
    for file in again.files + undisturbed.files:
        file.unlink()
