"""The samplers of the LTX-2 pipelines as ComfyUI SAMPLERs."""

from __future__ import annotations

from typing import Any

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


def need_ltx(model: Any) -> None:
    """Raise ValueError unless a BaseModel is LTX-Video or LTX-2."""
    if not hasattr(model.diffusion_model, "patchify_proj"):
        raise ValueError(
            f"this sampler takes LTX-Video and LTX-2, the guider's model is {type(model).__name__}: choose one of "
            "ComfyUI's samplers"
        )


def make_sampler(name: str, **options) -> MaskedSampler:
    """A sampler by the name of its solver, with that solver's options; it honours weighted references."""
    return MaskedSampler(SOLVERS[name], need_model=need_ltx, prepare=(weigh_references, compute_exactly), **options)
