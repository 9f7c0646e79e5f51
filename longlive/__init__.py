"""What is true of LongLive: causal network, KV cache, rollout, takes, streamed decoding, presets as data."""
