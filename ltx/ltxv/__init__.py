"""LTX-Video 0.9.x: guidance, STG, conditions, sizes, decoding, presets as data. Knows nothing of ltx2/."""
