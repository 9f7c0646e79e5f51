"""LTX-2 and 2.3: guidance, conditioning, references, positions, sound, presets as data. Knows nothing of ltxv/."""
