"""What any family can run: samplers, guiders, windows, step caches, attention choice, LoRA schedules, training."""
