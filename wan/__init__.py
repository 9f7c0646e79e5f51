"""What is true of Wan: layouts, conditioning, experts, camera, VACE, LoRA files, recipes, schedules as data."""
