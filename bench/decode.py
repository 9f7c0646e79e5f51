"""VAE decoding at real sizes with random weights: as ComfyUI does it, and with what torch offers beside.

`vae.decode` is what a VAE Decode node calls: the decoder, then float32 on the CPU. `decoder` is the network alone.

    python bench/decode.py [--tiny] [--out FILE] [--compile]
"""

from __future__ import annotations

import start

arguments = start.parse(__doc__, compile={"action": "store_true", "help": "compile the decoders too"})
start.start(highvram=True)

import comfy.model_management
import torch
import weights

TINY = arguments.tiny
DEVICE = start.device()
DTYPE = torch.bfloat16 if DEVICE.type == "cuda" else torch.float32

# name: VAE, latent, multiply-adds times 2 in units of 1e12
CASES = {
    "Wan 2.1, 480x832, 81 frames": ("wan-2.1", (1, 16, 21, 60, 104), 272.7),
    "LTX-2, 704x1280, 121 frames": ("ltx-2", (1, 128, 16, 22, 40), 138.0),
    "Wan 2.2, 704x1280, 29 frames": ("wan-2.2", (1, 48, 8, 44, 80), 529.0),
}


def measure(log: start.Log, name: str, kind: str, shape: tuple[int, ...], tflop: float) -> None:
    vae = weights.vae(kind, tiny=TINY, dtype=DTYPE)
    comfy.model_management.load_models_gpu([vae.patcher], force_full_load=True)
    if TINY:
        shape = (*shape[:2], 2, 2, 2)
    latent = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    network = vae.first_stage_model
    x = latent.to(DEVICE, DTYPE)

    def add(label: str, run, repeats: int = 2, **more: object) -> None:
        with log.trying(f"{name}, {label}"):
            peak = start.peak_gib(run)
            ms = start.median_ms(run, repeats, warm=0)
            log.add(f"{name}, {label}", ms=round(ms, 1), tflops=round(tflop / ms * 1000, 1), peak_gib=peak, **more)

    add("vae.decode", lambda: vae.decode(latent))
    add("decoder", lambda: network.decode(x))
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=True):
        add("decoder, cuDNN benchmark", lambda: network.decode(x))
        weights.lay_out(network, torch.channels_last_3d)
        add(
            "decoder, channels last, cuDNN benchmark",
            lambda: network.decode(x.to(memory_format=torch.channels_last_3d)),
        )
    if arguments.compile:
        decode = torch.compile(network.decode, backend="eager" if TINY else "inductor", dynamic=False)
        last = x.to(memory_format=torch.channels_last_3d)
        add("decoder, channels last, compiled", lambda: decode(last))
    weights.lay_out(network, torch.contiguous_format)


def main() -> None:
    log = start.Log("decode", arguments.out)
    with torch.inference_mode():
        for name, case in CASES.items():
            with log.trying(name):
                measure(log, name, *case)
            comfy.model_management.unload_all_models()
            comfy.model_management.soft_empty_cache()


if __name__ == "__main__":
    main()
