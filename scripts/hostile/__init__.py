"""Random hostile prompts made from the shipped workflows; see __main__.py."""
