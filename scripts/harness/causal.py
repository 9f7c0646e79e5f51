"""A tiny causal Wan model in a file as users have it, and takes made with it: for tests in and out of this process."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from . import pack

TEXT = 16  # width of the text embeddings
LATENT = (1, 16, 2, 2)  # B, C, H, W of a latent frame


def wan_weights(
    seed: int = 0, layers: int = 2, channels: int = 16, dim: int = 128, ffn: int = 64, text: int = TEXT
) -> dict[str, Tensor]:
    """Random weights of a Wan text-to-video model with plain key names, large enough to make blocks differ."""
    import comfy.ops
    from comfy.ldm.wan.model import WanModel

    with torch.device("meta"):
        model = WanModel(
            in_dim=channels,
            out_dim=channels,
            dim=dim,
            ffn_dim=ffn,
            num_heads=dim // 128,
            num_layers=layers,
            text_dim=text,
            cross_attn_norm=True,
            operations=comfy.ops.disable_weight_init,
        )
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in model.state_dict().items():
        scale = 0.3 if "modulation" in name or name.endswith("bias") else value[0].numel() ** -0.5
        offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        weights[name] = torch.randn(value.shape, generator=generator) * scale + offset
    return weights


def tiny_vae():
    """The tiny Wan 2.1 VAE of the goldens as core's VAE, float32."""
    import comfy.sd
    from safetensors.torch import load_file

    weights = load_file(pack.ROOT / "tests/golden/longlive/models/wan21_vae_tiny.safetensors")
    return comfy.sd.VAE(sd={name: tensor.float() for name, tensor in weights.items()}, dtype=torch.float32)


def tiny_prompts() -> Tensor:
    return torch.randn(3, 8, TEXT, generator=torch.Generator().manual_seed(7))


def tiny_recorder(
    folder: Path, patcher, segments: list, settings, *, vae=None, seed: int = 3, frames: int = 0, **options
):
    """A recorder of a new take in `folder`; `options` go to the rollout."""
    from oner.longlive.decode import StreamDecoder
    from oner.longlive.network import CausalNetwork
    from oner.longlive.rollout import Rollout, block_noise
    from oner.longlive.take import Recorder
    from oner.samplers.fingerprint import fingerprint

    network = CausalNetwork(patcher.model.diffusion_model, torch.float32)
    rollout = Rollout(
        network, settings, segments, LATENT, block_noise(seed), torch.device("cpu"), frames=frames, **options
    )
    identity = {"model": fingerprint(patcher), "shape": list(LATENT)}
    folder.mkdir(exist_ok=True)
    return Recorder(
        folder,
        rollout,
        identity,
        decoder=None if vae is None else StreamDecoder(vae.first_stage_model),
        to_vae=patcher.model.process_latent_out,
        from_vae=patcher.model.process_latent_in,
        tail=4,
    )


def main() -> None:
    """Make a take and print "block n" as blocks finish: MODEL FOLDER BLOCKS [FOLDER to continue]."""
    from oner.longlive.loader import load_patcher
    from oner.longlive.presets import Settings
    from oner.longlive.rollout import Segment
    from oner.longlive.take import Take, make, resume

    model, folder, blocks, *source = sys.argv[1:]
    with torch.inference_mode():
        patcher = load_patcher(model, model_options={"dtype": torch.float32})
        prompts = tiny_prompts()
        segments = [Segment(0, prompts[:1]), Segment(8, prompts[1:2])]
        recorder = tiny_recorder(Path(folder), patcher, segments, Settings(6, 2, 2, 2), vae=tiny_vae())
        if source:
            resume(Take(Path(source[0])), recorder)
        else:
            recorder.start()

        def report(_block: Tensor) -> None:
            recorder.flush()
            print(f"block {recorder.rollout.next_frame // 2}", flush=True)

        make(recorder, int(blocks), checkpoint_blocks=2, on_block=report)


if __name__ == "__main__":  # python -m harness.causal, from scripts/
    pack.alias_pack()
    pack.start_core()
    main()
