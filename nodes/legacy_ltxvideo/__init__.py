"""Old graphs of ComfyUI-LTXVideo: nodes under its ids that hand on to ours."""
