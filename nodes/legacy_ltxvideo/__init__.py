"""Old graphs of ComfyUI-LTXVideo: replacements, and nodes under its ids that hand on to ours."""
