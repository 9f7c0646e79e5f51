"""Pocket checkpoints: a synthetic world, its judge, and trainings of tiny real-format models on it."""
