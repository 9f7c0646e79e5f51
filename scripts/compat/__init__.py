"""The test lanes on other ComfyUI releases: an environment for each tree, what came of each lane, the record."""
