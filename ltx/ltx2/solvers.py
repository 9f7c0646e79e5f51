"""The samplers of the LTX-2 pipelines as ComfyUI SAMPLERs."""

from __future__ import annotations

from ...samplers.euler import solve_ancestral, solve_cfg_pp, solve_euler, solve_gradient_estimation
from ...samplers.masked import MaskedSampler, Solver
from ...samplers.res2s import solve_res2s
from .block_choice import compute_exactly
from .reference_attention import weigh_references

SOLVERS: dict[str, Solver] = {
    "euler": solve_euler,
    "euler_ancestral_rf": solve_ancestral,
    "euler_cfg_pp": solve_cfg_pp,
    "gradient_estimation": solve_gradient_estimation,
    "res2s": solve_res2s,
}


def make_sampler(name: str, **options) -> MaskedSampler:
    """A sampler by the name of its solver, with that solver's options; it honours weighted references."""
    return MaskedSampler(SOLVERS[name], prepare=(weigh_references, compute_exactly), **options)
