"""Text encoders of the LTX models from Hugging Face folders: Gemma 3 or 4 with LTX-2's projection, T5 for LTX-Video.

Source: LTX-2's prompt encoder (tokens stripped, BOS, at most 1024; all hidden states; Gemma 3 with projection V1 of
LTX-2 or V2 of LTX-2.3, Gemma 4 with V2 for LTX-2.5). Different: the reference pads prompts to 1024 on the left and
masks; here only the prompt's tokens run. That is exact: Gemma's rotary embedding is relative, masked pads reach no
prompt token, and the projections work per token or over prompt tokens. The connectors run in the model
(LTXAV.extra_conds), which fills the slots up to 1024 with those slots' learnable registers, as the reference
overwrites its pads after moving the prompt's tokens to the front.
"""

# B batch, L prompt tokens, S hidden states (embedding + layers), C Gemma's width

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.text_encoders.gemma4
import comfy.text_encoders.genmo
import comfy.text_encoders.lt
import comfy.utils
import torch
from comfy import sd1_clip
from einops import rearrange
from torch import Tensor

from ..utils import files, hf_folder, text_encoders
from ..utils.core import parse_version
from ..utils.prompts import cut_prompt
from . import gemma, gemma4
from .generation import is_ltx_2_5, need_core_for_2_5

MAX_TOKENS = 1024
T5_TOKENS, MAX_T5_TOKENS = 128, 256  # ComfyUI pads shorter prompts to the one, LTX-Video cuts longer ones at the other
# core's names for LTX-2's encoders in token dicts, for any size here; in LoRA keys both are called gemma3_12b
KEY, KEY_4 = "gemma3_12b", "gemma4"
PROJECTION = "text_embedding_projection."
V1 = {"aggregate_embed.weight"}
V2 = {f"{kind}_aggregate_embed.{part}" for kind in ("video", "audio") for part in ("weight", "bias")}
V2_WEIGHTS = {name for name in V2 if name.endswith("weight")}
GENERATIONS = {"V1": "LTX-2", "V2": "LTX-2.3"}
EPS = 1e-6


def project(linear: torch.nn.Module, x: Tensor) -> Tensor:
    """A projection of normalised features: in bf16 where the weights and the device are, else in fp32; fp32 out."""
    if linear.weight.dtype == torch.bfloat16 and comfy.model_management.should_use_bf16(x.device):
        x = x.to(torch.bfloat16)
    return linear(x).float()


class ProjectionV1(torch.nn.Module):
    """LTX-2: each hidden state scaled by its range over the prompt, one linear layer for video and audio."""

    def __init__(self, shapes: dict[str, list[int]], dtype, device, operations):
        super().__init__()
        wide, narrow = reversed(shapes["aggregate_embed.weight"])
        self.aggregate_embed = operations.Linear(wide, narrow, bias=False, dtype=dtype, device=device)

    def forward(self, states: Tensor) -> Tensor:
        over = {"dim": (1, 2), "keepdim": True}
        x = rearrange(states, "b s l c -> b l c s")
        x = 8.0 * (x - x.mean(**over)) / (x.amax(**over) - x.amin(**over) + EPS)
        return project(self.aggregate_embed, rearrange(x, "b l c s -> b l (c s)"))


class ProjectionV2(torch.nn.Module):
    """LTX-2.3, 2.5: each hidden state of each token divided by its RMS, one linear layer per modality; video first."""

    def __init__(self, shapes: dict[str, list[int]], dtype, device, operations):
        super().__init__()
        for name in ("video_aggregate_embed", "audio_aggregate_embed"):
            wide, narrow = reversed(shapes[f"{name}.weight"])
            bias = f"{name}.bias" in shapes
            setattr(self, name, operations.Linear(wide, narrow, bias=bias, dtype=dtype, device=device))

    def forward(self, states: Tensor) -> Tensor:
        x = states * torch.rsqrt(states.square().mean(-1, keepdim=True) + EPS)
        x = rearrange(x, "b s l c -> b l (c s)")
        heads = (self.video_aggregate_embed, self.audio_aggregate_embed)
        return torch.cat([project(h, x * math.sqrt(h.out_features / states.shape[-1])) for h in heads], dim=-1)


class GemmaStates(sd1_clip.SDClipModel):
    """All hidden states of Gemma for unpadded tokens: [B, S, L, C], the last one after the final norm."""

    def __init__(self, model_class: type, config: dict, dtype, device, model_options):
        super().__init__(
            textmodel_json_config=config,
            model_class=model_class,
            layer="all",
            layer_norm_hidden_state=False,
            special_tokens={"start": config["bos_token_id"], "pad": -1},  # no pads: a typed <pad> is a token
            dtype=dtype,
            device=device,
            model_options=model_options,
        )


class LTX2TextEncoder(torch.nn.Module):
    """Gemma and the projection, giving raw LTX-2 conditioning; the model's connectors do the rest."""

    def __init__(
        self, key: str, config: dict, shapes: dict[str, list[int]], projection_dtype, dtype, device, model_options
    ):
        super().__init__()
        self.key = key
        model_class = gemma4.Gemma4 if key == KEY_4 else gemma.Gemma3
        self.gemma3_12b = GemmaStates(model_class, config, dtype, device, model_options)
        projection = ProjectionV1 if shapes.keys() == V1 else ProjectionV2
        self.text_embedding_projection = projection(shapes, projection_dtype, device, comfy.ops.manual_cast)
        self.dtypes = {dtype, projection_dtype}
        # memory manager: five fp32 copies of a token's states (stacked, scaled, flattened), weights cast to fp32
        self.bytes_per_token = 5 * 4 * config["hidden_size"] * (config["num_hidden_layers"] + 1)
        self.bytes_of_mlp = 3 * 4 * config["hidden_size"] * config["intermediate_size"]
        self.bytes_of_projection = max(4 * math.prod(shape) for shape in shapes.values())

    def set_clip_options(self, options: dict) -> None:
        if options.get("layer") is not None:
            raise ValueError("LTX-2 reads every layer of Gemma: remove the node that sets the last layer of this CLIP")
        self.gemma3_12b.set_clip_options(options)

    def reset_clip_options(self) -> None:
        self.gemma3_12b.reset_clip_options()

    def encode_token_weights(self, token_weight_pairs: dict) -> tuple[Tensor, None, dict]:
        tokens = [pair[0] for section in token_weight_pairs[self.key] for pair in section]
        states = self.gemma3_12b([cut_prompt(tokens, MAX_TOKENS, "Gemma", ends=False)])[0]
        cond = self.text_embedding_projection(states)
        return cond.to(comfy.model_management.intermediate_device()), None, {"unprocessed_ltxav_embeds": True}

    def generate(self, tokens: dict, *args: Any, **kwargs: Any) -> list[int]:
        return self.gemma3_12b.generate(tokens[self.key], *args, **kwargs)

    def memory_estimation_function(self, token_weight_pairs: dict, device: torch.device | None = None) -> int:
        tokens = min(MAX_TOKENS, sum(map(len, token_weight_pairs.get(self.key, []))))
        cast = 0 if comfy.model_management.should_use_bf16(device) else self.bytes_of_projection
        return max(self.bytes_of_mlp, cast) + tokens * self.bytes_per_token

    def load_sd(self, sd: dict[str, Tensor]) -> tuple[list[str], list[str]]:
        prefixed = {k if k.startswith(PROJECTION) else f"gemma3_12b.transformer.{k}": v for k, v in sd.items()}
        assign = getattr(self, "can_assign_sd", False)  # set by core's CLIP: dynamic VRAM keeps the mapped tensors
        return text_encoders.load_strictly(
            lambda weights: self.load_state_dict(weights, strict=False, assign=assign), prefixed
        )


class LTXVideoT5(comfy.text_encoders.genmo.MochiT5XXL):
    def load_sd(self, sd):
        return text_encoders.load_strictly(super().load_sd, sd)


class RawPrompt:
    """A raw prompt: stripped, BOS first, no padding, no weights. Chat templates (prompt enhancers) pass unchanged.

    A mixin before core's tokenizer of the Gemma, which knows the template.
    """

    key: str
    turn: str  # what begins a chat

    def __init__(self, folder: str, config: dict):
        super().__init__(  # type: ignore[call-arg]
            folder,
            tokenizer_class=text_encoders.FolderTokenizer,
            tokenizer_args={"bos": config["bos_token_id"]},
            embedding_key=self.key,
            embedding_size=config["hidden_size"],
            max_length=99999999,
            has_end_token=False,
            pad_to_max_length=False,
            disable_weights=True,
        )

    def tokenize_with_weights(self, text, return_word_ids=False, image=None, **kwargs):
        if image is not None or kwargs.get("video") is not None or kwargs.get("audio") is not None:
            raise ValueError("this Gemma was loaded without its vision tower: use a single-file encoder for images")
        if not text.startswith(self.turn):
            text = text.strip()
        return super().tokenize_with_weights(text, return_word_ids, **kwargs)  # type: ignore[misc]

    def state_dict(self) -> dict[str, Tensor]:
        return self.tokenizer.state_dict()  # type: ignore[attr-defined]


class GemmaTokenizer(RawPrompt, comfy.text_encoders.lt.Gemma3_Tokenizer, sd1_clip.SDTokenizer):
    key, turn = KEY, "<start_of_turn>"


class Gemma4Tokenizer(RawPrompt, comfy.text_encoders.gemma4.Gemma4_Tokenizer, sd1_clip.SDTokenizer):
    key, turn = KEY_4, "<|turn>"


def read_projection(file: Path, config: dict, key: str) -> tuple[dict[str, list[int]], dict[str, Tensor]]:
    """Shapes and tensors of the text projection in an LTX-2 checkpoint or in a file of its own.

    Raises ValueError if there is none, or if it belongs to another Gemma or another LTX-2 generation than the file.
    `key` says which Gemma it is for.
    """
    shapes, metadata = files.read_header(file)
    names = {key.split(PROJECTION)[1]: key for key in shapes if PROJECTION in key}
    if names.keys() == {"weight"}:  # as ComfyUI saves it
        names = {"aggregate_embed.weight": names["weight"]}
    if not names:
        raise ValueError(f"{file.name} has no {PROJECTION}* tensors: choose the LTX-2 checkpoint, which carries them")
    if (given := names.keys()) not in (V1, V2, V2_WEIGHTS):
        raise ValueError(
            f"{file.name} has the text projection tensors {sorted(given)}; LTX-2 has {sorted(V1)}, LTX-2.3 and LTX-2.5 "
            f"{sorted(V2)}"
        )
    _check_generation(file, metadata, "V1" if given == V1 else "V2", key)
    states = config["num_hidden_layers"] + 1
    gives = config["hidden_size"] * states
    own = {name: shapes[key] for name, key in names.items()}
    for name, shape in own.items():
        if name.endswith("weight") and (len(shape) != 2 or shape[1] != gives):
            raise ValueError(
                f"the text projection of {file.name} reads {shape[-1]} features, but this Gemma gives {gives} "
                f"({states} states of {config['hidden_size']}): choose the Gemma 3 that the checkpoint was trained with"
            )
    tensors = files.check_tensors(files.read_tensors(file, names), file.name)
    return own, {PROJECTION + name: tensor for name, tensor in tensors.items()}


def _check_generation(file: Path, metadata: dict[str, str], found: str, key: str) -> None:
    """Raise ValueError if a file says that its projection is another one, or that it is for another Gemma."""
    version = metadata.get("model_version", "").replace("-", ".")
    # LTX-2.5 has its projection in the file of its text encoder, which names its Gemma and no version.
    if (is_ltx_2_5(version) or "gemma_config" in metadata) and key != KEY_4:
        raise ValueError(
            f"{file.name} holds the text projection of LTX-2.5, whose encoder is Gemma 4, and the folder is Gemma 3: "
            "choose a folder of Gemma 4, or the LTX-2 or LTX-2.3 checkpoint you sample with"
        )
    if key == KEY_4:
        if found == "V1" or (version and not is_ltx_2_5(version)):
            what = f"LTX {version}" if version else f"{GENERATIONS[found]}"
            raise ValueError(
                f"{file.name} holds the text projection of {what}, and the folder is Gemma 4, the encoder of LTX-2.5: "
                "choose LTX-2.5's text encoder file, gemma4-12b-with-proj-ltx-2.5"
            )
        return
    expected = found if not version else "V2" if parse_version(version) >= (2, 3) else "V1"
    if found != expected:
        raise ValueError(
            f"{file.name} says it is LTX {version}, but its text projection is that of {GENERATIONS[found]}: choose a "
            f"{GENERATIONS[expected]} file"
        )


def load_gemma(
    folder: str, projection: str, model_options: dict | None = None, disable_dynamic: bool = False
) -> comfy.sd.CLIP:
    """A Gemma folder and the file with LTX-2's text projection: the CLIP of LTX-2, LTX-2.3 (Gemma 3) or 2.5 (Gemma 4).

    Its conditioning is raw (`unprocessed_ltxav_embeds`): [1, L, caption width], or video and audio widths together.
    Raises ValueError for another architecture, missing files, a projection that does not fit, and for Gemma 4 if this
    ComfyUI has no LTX-2.5.
    """
    place, options = Path(folder), model_options or {}
    raw = hf_folder.read_config(place)
    text_encoders.check_architecture(place, raw, "gemma3", "gemma3_text", *text_encoders.GEMMA_4)
    key = KEY_4 if raw["model_type"] in text_encoders.GEMMA_4 else KEY
    if key == KEY_4:
        need_core_for_2_5(f"{hf_folder.shown(place)} (Gemma 4)")
    config = (gemma4 if key == KEY_4 else gemma).text_config(place, raw)
    shapes, projected = read_projection(Path(projection), config, key)
    make_tokenizer = Gemma4Tokenizer if key == KEY_4 else GemmaTokenizer
    tokenizer = sd1_clip.SD1Tokenizer(name=key, tokenizer=lambda **_: make_tokenizer(folder, config))
    weights = hf_folder.read_weights(place, gemma.gemma_key, comfy.utils.load_torch_file) | projected
    embedding = weights.get("model.embed_tokens.weight")
    words = len(getattr(tokenizer, key).inv_vocab)
    config["vocab_size"] = text_encoders.check_embedding(place, embedding, config["hidden_size"], words)
    projection_dtype = next(w.dtype for k, w in weights.items() if k.startswith(PROJECTION))

    def encoder(**params: Any) -> torch.nn.Module:
        return LTX2TextEncoder(key, config, shapes, projection_dtype, **params)

    reload = (load_gemma, (folder, projection, options))
    return text_encoders.build_clip(place, encoder, tokenizer, weights, reload, options, disable_dynamic)


def load_t5(folder: str, model_options: dict | None = None, disable_dynamic: bool = False) -> comfy.sd.CLIP:
    """A T5 folder as the CLIP of LTX-Video: [1, L, C] and an int attention_mask. ValueError if it is another model."""
    options = model_options or {}
    reload = (load_t5, (folder, options))
    return text_encoders.load_t5(
        folder, "t5", LTXVideoT5, "t5xxl", T5_TOKENS, MAX_T5_TOKENS, reload, options, disable_dynamic
    )
