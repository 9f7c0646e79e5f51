"""The speed command runs, at its tiny size; how fast is asserted nowhere."""

import json
import subprocess
import sys

from harness.pack import ROOT


def test_the_speed_command_measures_every_row():
    command = [sys.executable, "bench/speed.py", "--tiny"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    results = json.loads(done.stdout.splitlines()[-1])["results"]
    assert set(results) == {
        "denoise only",
        "end to end, full VAE",
        "end to end, TAEHV",
        "ComfyUI's SamplerARVideo",
        "roofline of matrix products",
    }
    assert all(row["fps"] > 0 for row in results.values())
