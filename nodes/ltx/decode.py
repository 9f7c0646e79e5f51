"""Decode noise of LTX-2.5's diffusion VAE."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltx2.decode import is_diffusion_decoder, with_decode_seed
from ..node import Node


class LTXDecodeSettings(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXDecodeSettings",
            display_name="LTX Decode Settings",
            category="Oner/video",
            description="A VAE whose decoder starts from the noise of a seed, for LTX-2.5: another seed gives other "
            "fine detail. Use it with VAEDecode or VAEDecodeTiled; the VAE that came in stays as it is.",
            search_aliases=["diffusion decoder", "diffusion VAE", "decode seed", "LTX-2.5 decode"],
            inputs=[
                io.Vae.Input("vae", tooltip="LTX-2.5 video VAE with the diffusion decoder"),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="seed of the decoder's noise; 0 = what ComfyUI's decode gives without this node",
                ),
            ],
            outputs=[io.Vae.Output(display_name="vae", tooltip="VAE for decoding; shares the weights")],
        )

    @classmethod
    def execute(cls, vae, seed):
        if not is_diffusion_decoder(vae):
            raise ValueError(
                f"vae is {type(vae.first_stage_model).__name__}, which decodes without noise of a seed: leave this "
                "node out, or load LTX-2.5's video VAE with the diffusion decoder"
            )
        return io.NodeOutput(with_decode_seed(vae, seed))
