"""Long video window by window: the plan, the run, its noise, cache and drift, and prompts over time."""
