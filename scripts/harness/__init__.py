"""How scripts and tests reach the pack and the real ComfyUI: by alias, in process, through the server, in a browser."""
