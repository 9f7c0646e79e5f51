"""A Hugging Face text encoder folder as a ComfyUI CLIP: what Gemma, T5 and UMT5 share.

Core's encoder classes take a config dict, but core's loader picks them by the weight shapes of the released sizes. Here
config.json decides. The result is core's own CLIP on core's patcher: offload, LoRA, hooks and quantised ops work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comfy.sd
import comfy.utils
import torch
from comfy import sd1_clip
from torch import Tensor

from . import files, hf_folder
from .hf_folder import shown
from .prompts import cut_prompt

GEMMA_4 = ("gemma4_unified", "gemma4_unified_text", "gemma4", "gemma4_text")
FAMILIES = {
    "t5": "T5 (LTX-Video)",
    "umt5": "UMT5 (Wan)",
    **dict.fromkeys(("gemma3", "gemma3_text"), "Gemma 3 (LTX-2)"),
    **dict.fromkeys(GEMMA_4, "Gemma 4 (LTX-2.5)"),
}
UNUSED_T5 = ("decoder.", "lm_head.")


class FolderTokenizer:
    """A tokenizer file with the calls that core's SDTokenizer makes; BOS and EOS are added here, not by the file.

    tokenizer.json (tokenizers) or a .model (sentencepiece): both come with ComfyUI, and neither needs the network.
    """

    FILES = ("tokenizer.json", "spiece.model", "tokenizer.model")

    def __init__(self, file: Path, bos: int | None = None, eos: int | None = None):
        self.file, self.bos, self.eos = file, bos, eos
        self.backend: Any
        if file.suffix == ".json":
            from tokenizers import Tokenizer

            self.backend = files.load_tokenizer(file, Tokenizer.from_file)
            self.backend.no_padding()
            self.backend.no_truncation()
        else:
            from sentencepiece import SentencePieceProcessor

            self.backend = files.load_tokenizer(file, lambda path: SentencePieceProcessor(model_file=path))
        if not (self.backend.get_vocab_size() if file.suffix == ".json" else self.backend.get_piece_size()):
            raise ValueError(f"{file.name} is a tokenizer without a word: download it again")

    @classmethod
    def from_pretrained(cls, folder: str, **special: int | None) -> FolderTokenizer:
        return cls(hf_folder.find_tokenizer(Path(folder), cls.FILES), **special)

    def __call__(self, text: str) -> dict[str, list[int]]:
        if half := next((letter for letter in text if "\ud800" <= letter <= "\udfff"), ""):
            raise ValueError(f"the prompt holds {half!a}, half a character: type that place anew")
        if self.file.suffix == ".json":
            ids = self.backend.encode(text, add_special_tokens=False).ids
        else:
            ids = self.backend.encode(text)
        start = [] if self.bos is None else [self.bos]
        return {"input_ids": start + ids + ([] if self.eos is None else [self.eos])}

    def get_vocab(self) -> dict[str, int]:
        if self.file.suffix == ".json":
            return self.backend.get_vocab()
        return {self.backend.id_to_piece(i): i for i in range(self.backend.get_piece_size())}

    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str:
        ids = [int(i) for i in ids]
        if self.file.suffix == ".json":
            return self.backend.decode(ids, skip_special_tokens=skip_special_tokens)
        return self.backend.decode([i for i in ids if i not in (self.bos, self.eos)] if skip_special_tokens else ids)

    def state_dict(self) -> dict[str, Tensor]:
        """The file's bytes under the key that core's single-file encoders carry them in."""
        key = "tokenizer_json" if self.file.suffix == ".json" else "spiece_model"
        return {key: torch.frombuffer(bytearray(self.file.read_bytes()), dtype=torch.uint8)}


def load_strictly(
    load: Callable[[dict[str, Tensor]], tuple], weights: dict[str, Tensor]
) -> tuple[list[str], list[str]]:
    """Core's `load_sd` with an error for weights that do not cover the encoder, where core warns and goes on."""
    try:
        missing, unexpected = load(weights)
    except RuntimeError as error:  # torch's list of shapes that differ
        sizes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        raise ValueError(
            f"{len(sizes)} weights do not have the shapes of config.json (first: {next(iter(sizes), error)}): download "
            "the folder again"
        ) from error
    missing = [key for key in missing if not key.endswith("logit_scale")]
    if missing:
        shown = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
        raise ValueError(f"the weight files lack {len(missing)} tensors that config.json asks for: {shown}")
    return missing, unexpected


def check_architecture(folder: Path, config: dict, *accepted: str) -> None:
    """Raise ValueError unless config.json is one of the accepted model types and not in a foreign quantised format."""
    found = str(config.get("model_type", "an unknown model"))
    wanted = " or ".join(sorted({FAMILIES[kind] for kind in accepted}))
    if found not in accepted:
        fits = f"; {found} is {FAMILIES[found]}: change `type`" if found in FAMILIES else ""
        raise ValueError(f"{shown(folder)} is {found}, but this type needs {wanted}{fits}")
    if "quantization_config" in config:
        settings = config["quantization_config"]
        method = settings.get("quant_method", "unknown") if isinstance(settings, dict) else settings
        raise ValueError(
            f"{shown(folder)} is quantised with {method}, which ComfyUI cannot read: use the unquantised folder"
        )


def check_sizes(folder: Path, config: dict, names: Iterable[str]) -> None:
    """Raise ValueError unless a config has a whole number under every name."""
    if absent := [name for name in names if name not in config]:
        raise ValueError(f"{shown(folder)}: config.json lacks {', '.join(absent)}: download it again")
    if odd := [name for name in names if not files.is_whole(config[name])]:
        value = str(config[odd[0]])[:40]
        raise ValueError(f"{shown(folder)}: config.json has {odd[0]} {value!r}, no whole number: download it again")


def text_part(folder: Path, config: dict) -> dict:
    """The text part of a config.json, in which every group of settings is an object."""
    text = config.get("text_config", config)
    if not isinstance(text, dict):
        raise ValueError(f"{shown(folder)}: text_config of config.json is no object: download it again")
    for name in ("rope_parameters", "rope_scaling"):
        group = text.get(name)
        parts = group.values() if isinstance(group, dict) and name == "rope_parameters" else ()
        if not isinstance(group, dict | None) or not all(isinstance(part, dict | None) for part in parts):
            raise ValueError(f"{shown(folder)}: {name} of config.json is no object: download it again")
    return text


def check_embedding(folder: Path, embedding: Tensor | None, width: int, words: int, rows: int | None = None) -> int:
    """How many rows a token embedding has.

    Raises ValueError unless it is [rows, width], with a row for each of the tokenizer's words.
    """
    if embedding is None:
        raise ValueError(f"{shown(folder)} has no token embedding: it is not a complete language model")
    if embedding.ndim != 2 or embedding.shape[1] != width or rows not in (None, embedding.shape[0]):
        shape = "x".join(map(str, embedding.shape))
        raise ValueError(
            f"{shown(folder)}: the weights do not have the shapes of config.json (the token embedding is {shape}, not "
            f"{rows or 'words'}x{width}): download the folder again"
        )
    if words > 1.01 * embedding.shape[0]:  # tokenizers have a few tokens more than some text-only folders' weights
        raise ValueError(
            f"{shown(folder)}: the tokenizer has {words} words, the token embedding {embedding.shape[0]}: take the "
            "tokenizer that belongs to the folder"
        )
    return embedding.shape[0]


def t5_config(folder: Path, config: dict) -> dict:
    """The config dict of core's T5 for a T5 or UMT5 config.json; ValueError for what core's T5 has fixed otherwise."""
    fixed = {
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
        "layer_norm_epsilon": 1e-6,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    for name, value in fixed.items():
        if config.get(name, value) != value:
            raise ValueError(f"{shown(folder)}: {name} is {config[name]}; ComfyUI's T5 has {value}")
    activation = config.get("feed_forward_proj", "gated-gelu" if config["model_type"] == "umt5" else "relu")
    if activation not in ("gated-gelu", "relu"):
        raise ValueError(f"{shown(folder)}: feed_forward_proj is {activation}; ComfyUI's T5 has gated-gelu and relu")
    gated = activation == "gated-gelu"
    names = ("d_model", "d_kv", "d_ff", "num_heads", "num_layers", "vocab_size")
    check_sizes(folder, config, names)
    sizes = {name: config[name] for name in names}
    return {
        **sizes,
        "model_type": config["model_type"],
        "is_gated_act": gated,
        "dense_act_fn": "gelu_pytorch_tanh" if gated else "relu",
    }


def t5_key(key: str) -> str | None:
    """Name in core's T5 of a tensor of a transformers T5 or UMT5; None for decoder tensors."""
    if key.startswith(UNUSED_T5):
        return None
    return "shared.weight" if key == "encoder.embed_tokens.weight" else key


def build_clip(
    folder: Path,
    encoder: Callable[..., torch.nn.Module],
    tokenizer: sd1_clip.SD1Tokenizer,
    weights: dict[str, Tensor],
    reload: tuple[Callable[..., comfy.sd.CLIP], tuple],
    model_options: dict,
    disable_dynamic: bool,
) -> comfy.sd.CLIP:
    """Core's CLIP around an encoder class and a tokenizer, loaded with the weights.

    `reload` = (loader, args): how the patcher makes its non-dynamic copy. Weights stay in the dtype they are stored in;
    activations are fp32, as in core. Raises ValueError if the weights do not cover the encoder.
    """
    quantised = comfy.utils.detect_layer_quantization(weights, "")
    if quantised is not None:
        model_options = {**model_options, "quantization_metadata": quantised}
    stored = next((w.dtype for key, w in weights.items() if key.endswith("norm.weight")), None)
    dtype = model_options.get("dtype") or stored
    try:
        with files.taken_by_core(shown(folder), "is no text encoder that ComfyUI can take", passing=(ValueError,)):
            clip = comfy.sd.CLIP(
                SimpleNamespace(params={}, clip=encoder, tokenizer=lambda **_: tokenizer),
                parameters=comfy.utils.calculate_parameters(weights),
                state_dict=[weights],
                model_options={**model_options, "dtype": dtype},
                disable_dynamic=disable_dynamic,
            )
    except ValueError as error:
        raise ValueError(error if str(error).startswith(shown(folder)) else f"{shown(folder)}: {error}") from error
    clip.patcher.cached_patcher_init = (reload_patcher, reload)
    return clip


def reload_patcher(load: Callable[..., comfy.sd.CLIP], args: tuple, disable_dynamic: bool = False):
    """The patcher of a fresh copy of a folder's encoder, read from disk again."""
    return load(*args, disable_dynamic=disable_dynamic).patcher


class PromptTokenizer(sd1_clip.SDTokenizer):
    """Core's prompt syntax (weights in parentheses) over a T5 or UMT5 folder's tokenizer; at most `limit` tokens."""

    def __init__(self, folder: str, key: str, min_length: int, limit: int, width: int):
        super().__init__(
            folder,
            tokenizer_class=FolderTokenizer,
            tokenizer_args={"eos": 1},
            embedding_key=key,
            embedding_size=width,
            min_length=min_length,
            max_length=99999999,
            has_start_token=False,
            pad_with_end=False,
            pad_to_max_length=False,
        )
        self.limit = limit

    def tokenize_with_weights(self, text, return_word_ids=False, **kwargs):
        sections = super().tokenize_with_weights(text, return_word_ids, **kwargs)
        return [cut_prompt(section, self.limit, self.embedding_key, ends=True) for section in sections]

    def state_dict(self) -> dict[str, Tensor]:
        return self.tokenizer.state_dict()


def load_t5(
    folder: str,
    model_type: str,
    encoder: Callable[..., torch.nn.Module],
    key: str,
    min_length: int,
    limit: int,
    reload: tuple[Callable[..., comfy.sd.CLIP], tuple],
    model_options: dict,
    disable_dynamic: bool,
) -> comfy.sd.CLIP:
    """A T5 or UMT5 folder as a CLIP whose prompts are padded to at least `min_length` tokens and cut at `limit`.

    `encoder` is one of core's SD1ClipModel classes and `key` its name there, which also names its config option.
    """
    place = Path(folder)
    config = hf_folder.read_config(place)
    check_architecture(place, config, model_type)
    own = t5_config(place, config)
    own_tokenizer = PromptTokenizer(folder, key, min_length, limit, own["d_model"])
    tokenizer = sd1_clip.SD1Tokenizer(clip_name=key, tokenizer=lambda **_: own_tokenizer)
    weights = hf_folder.read_weights(place, t5_key, comfy.utils.load_torch_file)
    words = len(own_tokenizer.inv_vocab)
    check_embedding(place, weights.get("shared.weight"), own["d_model"], words, own["vocab_size"])
    options = {**model_options, f"{key}_model_config": own}
    return build_clip(place, encoder, tokenizer, weights, reload, options, disable_dynamic)
