"""Types that ComfyUI knows by name alone and that nodes of several families take."""

from __future__ import annotations

from .node import own_type

# Core's type: its Get IC-LoRA Parameters fits here.
ICLoRAParameters = own_type("IC_LORA_PARAMETERS", dict, "LTX IC-LoRA Loader or Get IC-LoRA Parameters")
