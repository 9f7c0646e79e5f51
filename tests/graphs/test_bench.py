"""The measurements run, at a tiny size; how fast is asserted nowhere."""

import json
import re
import subprocess
import sys

from harness.pack import ROOT


def test_the_measurements_run_and_find_something(tmp_path):
    command = [sys.executable, "bench/gpu.py", "--tiny", "--parts", "kernels,longlive,fp8", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    logs = (tmp_path / "logs.txt").read_text()
    assert done.returncode == 0, logs[-3000:]
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert not [result for result in results if "error" in result]
    steps = {result["name"]: result["finite"] for result in results if "step_ms" in result}
    assert steps == {
        "wan-1.3b-480p-fp8, core": True,
        "wan-1.3b-480p-fp8, cudnn": True,
        "ltx-2.3-stage-1-fp8, core": True,
        "ltx-2.3-stage-1-fp8, cudnn": True,
    }
    takes = {result["name"] for result in results if result.get("fps", 0) > 0}
    arms = ("eager", "cudnn")
    rows = ("denoise only", "end to end, full VAE", "end to end, full VAE, channels last")
    assert takes >= {f"{arm}, {row}" for arm in arms for row in rows} | {"ComfyUI's SamplerARVideo"}


def test_the_block_command_measures_both_blocks():
    command = [sys.executable, "bench/block.py", "--pairs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # its status is about speed
    assert re.search(
        r"exact block \d+\.\d{3} of ComfyUI's .*ComfyUI \d+\.\d ms, exact \d+\.\d ms a forward", done.stdout
    )
