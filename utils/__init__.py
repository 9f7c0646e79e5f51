"""Tensors, names, files and media for everything above; core.py and text_encoders.py alone know ComfyUI."""
