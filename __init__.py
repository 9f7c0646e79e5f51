"""Oner: LTX-Video, LTX-2, Wan and LongLive pipelines as ComfyUI graph primitives."""

WEB_DIRECTORY = "./web"

if __package__:  # empty when pytest collects this folder and imports the file on its own
    from .nodes import comfy_entrypoint as comfy_entrypoint
