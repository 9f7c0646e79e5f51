"""With a window as long as the clip and no sink the rollout is core's autoregressive sampler."""

import comfy.samplers
import torch
from comfy.k_diffusion.sampling import sample_ar_video

from oner.longlive.presets import Settings
from oner.longlive.rollout import Rollout, Segment


def core_sample(patcher, noise, sigmas, text, seed, block):
    """Core's result before it is scaled for the VAE."""
    guider = comfy.samplers.CFGGuider(patcher)
    guider.set_conds([[text, {}]], [[text, {}]])
    guider.set_cfg(1.0)
    kept = []

    def keeping(*args, **kwargs):
        kept.append(sample_ar_video(*args, num_frame_per_block=block, **kwargs))
        return kept[0]

    with torch.random.fork_rng(devices=[]):
        guider.sample(noise, torch.zeros_like(noise), comfy.samplers.KSAMPLER(keeping), sigmas, seed=seed)
    return kept[0]


def test_unbounded_window_equals_core(patcher, network, prompts):
    seed, block, blocks, settings = 11, 3, 3, Settings(window=9, sink=0)
    shape = (1, 16, block * blocks, 4, 6)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    sigmas = torch.tensor(settings.schedule().sigmas)
    expected = core_sample(patcher, noise, sigmas, prompts[:1], seed, block)

    def same_noise(first, step, size):
        if step == 0:
            return noise[:, :, first : first + size[2]]
        generator = torch.Generator().manual_seed(seed + first // block * 1000 + step - 1)
        return torch.randn(size, generator=generator)

    take = Rollout(network, settings, [Segment(0, prompts[:1])], (1, 16, 4, 6), same_noise, torch.device("cpu"))
    ours = torch.cat([take.next_block() for _ in range(blocks)], dim=2)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=0)
