"""The text side: a fixed random vector per word of the world's grammar, and the folders that make it a text encoder.

The folders are real T5, UMT5 and Gemma 3 models in Hugging Face layout; their attention and feed-forward outputs are
zero, so that they are embedding plus final norm, with a word tokenizer. Gemma has its mark in front and not behind.
Letters: B captions, L tokens, D channels.
"""

from __future__ import annotations

from pathlib import Path

import torch

from .world import VOCABULARY

WIDTH = 64
SPECIAL = ("<pad>", "</s>", "<unk>")
TOKENS = {word: i for i, word in enumerate((*SPECIAL, *VOCABULARY))}
LENGTH = 14  # the longest caption of one shape with its end mark is 11
SEED = 20


def vectors() -> torch.Tensor:
    """One vector of rms 1 per token. [len(TOKENS), D]"""
    table = torch.randn(len(TOKENS), WIDTH, generator=torch.Generator().manual_seed(SEED))
    return table / table.square().mean(1, keepdim=True).sqrt()


def encode(captions: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors [B, L, D], zero behind the end mark, and the mask [B, L] of tokens that count; "" is the mark alone."""
    ids = torch.zeros(len(captions), LENGTH, dtype=torch.long)
    for row, caption in zip(ids, captions, strict=True):
        tokens = [TOKENS.get(w, 2) for w in caption.lower().replace(",", " ").split()] + [1]
        row[: len(tokens)] = torch.tensor(tokens)
    mask = ids != 0
    return vectors()[ids] * mask[..., None], mask


def train(_seconds: float, _seed: int, folder: Path, _resume: bool) -> None:
    """Write the encoder folders below text_encoders; there is nothing to train."""
    write_folders(folder / "text_encoders")


def write_folders(folder: Path) -> None:
    """Write pocket_t5, pocket_umt5 and pocket_gemma below the folder."""
    from transformers import Gemma3TextConfig, Gemma3TextModel, T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

    shape = {
        "vocab_size": len(TOKENS),
        "d_model": WIDTH,
        "d_kv": 8,
        "d_ff": 16,
        "num_layers": 1,
        "num_heads": 1,
        "feed_forward_proj": "gated-gelu",
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }
    gemma = Gemma3TextConfig(
        vocab_size=len(TOKENS),
        hidden_size=WIDTH,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        layer_types=["full_attention"],
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    for name, config, kind in (
        ("pocket_t5", T5Config(**shape), T5EncoderModel),
        ("pocket_umt5", UMT5Config(**shape), UMT5EncoderModel),
        ("pocket_gemma", gemma, Gemma3TextModel),  # its norms add 1 to their weights
    ):
        model = kind(config)
        with torch.no_grad():
            for key, p in model.named_parameters():
                p.fill_(1.0) if "layer_norm" in key else p.zero_()
            model.get_input_embeddings().weight.copy_(vectors())
        model.half().save_pretrained(folder / name)
        _write_tokenizer(folder / name)


def _write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(TOKENS, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(",", "removed"), pre_tokenizers.WhitespaceSplit()]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", TOKENS["</s>"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    ).save_pretrained(folder)
