"""Decode noise of LTX-Video 0.9.x VAEs."""

from __future__ import annotations

from comfy_api.latest import io

from ...ltx.ltxv.decode import is_timestep_conditioned, with_decode_settings
from ...ltx.ltxv.presets import DECODE_NOISE_SCALE, DECODE_TIMESTEP
from ..node import Node


class LTXVDecodeSettings(Node):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="OnerLTXVDecodeSettings",
            display_name="LTXV Decode Settings",
            category="Oner/video",
            description="A VAE that decodes at a noise level of your choice, with noise from a seed, tone-mapped if "
            "asked. Use it with VAEDecode or VAEDecodeTiled; the VAE that came in stays as it is.",
            search_aliases=["Set VAE Decoder Noise", "decode timestep", "decode noise scale", "tone map"],
            inputs=[
                io.Vae.Input("vae", tooltip="VAE of LTX-Video 0.9.1 or later 0.9.x"),
                io.Float.Input(
                    "timestep",
                    default=DECODE_TIMESTEP,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="noise level the decoder is told (0..1)",
                ),
                io.Float.Input(
                    "noise_scale",
                    default=DECODE_NOISE_SCALE,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="share of noise mixed into the latent before decoding (0..1)",
                ),
                io.Int.Input(
                    "seed",
                    default=42,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="seed of that noise; drawn on the CPU, so equal on every machine",
                ),
                io.Float.Input(
                    "tone_map",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    advanced=True,
                    tooltip="compression of large values, after the noise as in the pipeline; 13B 0.9.8 distilled: 0.6",
                ),
            ],
            outputs=[io.Vae.Output(display_name="vae", tooltip="VAE for decoding; shares the weights")],
        )

    @classmethod
    def execute(cls, vae, timestep, noise_scale, seed, tone_map=0.0):
        if not is_timestep_conditioned(vae):
            raise ValueError(
                "vae has no decode timestep (LTX-Video 0.9.0 and LTX-2 decode without noise): leave this node out"
            )
        return io.NodeOutput(with_decode_settings(vae, timestep, noise_scale, seed, tone_map))
