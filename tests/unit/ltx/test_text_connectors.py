"""A prompt's way to LTX-2's blocks: our encoder and core's connectors against transformers and diffusers, padded."""

import pytest
import torch
from safetensors.torch import save_file

from oner.ltx import text_encoder as ltx
from tiny.text import projection_weights, write_text_encoder

PROMPT = "A red ball moves slowly to the left, the camera on it."
CORE = {
    "V1": {"caption_channels": 32, "cross_attention_dim": 64, "audio_cross_attention_dim": 32},
    "V2": {
        "caption_channels": 32,
        "cross_attention_dim": 64,
        "audio_cross_attention_dim": 32,
        "caption_proj_before_connector": True,
        "caption_projection_first_linear": False,
        "cross_attention_adaln": True,
        "apply_gated_attention": True,
        "connector_apply_gated_attention": True,
        "connector_attention_head_dim": 32,
        "audio_connector_attention_head_dim": 16,
    },
}
RENAMES = (
    ("_embeddings_connector", "_connector"),
    ("transformer_1d_blocks", "transformer_blocks"),
    ("q_norm", "norm_q"),
    ("k_norm", "norm_k"),
)


def core_model(generation):
    import comfy.ops
    from comfy.ldm.lightricks.av_model import LTXAVModel

    config = {
        "num_attention_heads": 2,
        "attention_head_dim": 32,
        "num_layers": 1,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 16,
        "connector_num_attention_heads": 2,
        "connector_attention_head_dim": 16,
        "connector_num_layers": 2,
    }
    model = LTXAVModel(**config | CORE[generation], dtype=torch.float32, operations=comfy.ops.manual_cast)
    generator = torch.Generator().manual_seed(1)
    weights = {
        key: torch.randn(value.shape, generator=generator) / max(1, value.shape[-1]) ** 0.5
        for key, value in model.state_dict().items()
        if "embeddings_connector" in key
    }
    model.load_state_dict(weights, strict=False)
    return model.eval(), weights


def diffusers_connectors(generation, weights):
    from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors

    two = generation == "V2"
    heads = {
        f"{kind}_connector_{name}": value
        for kind, head in (("video", 32 if two else 16), ("audio", 16))
        for name, value in (("num_attention_heads", 2), ("attention_head_dim", head), ("num_layers", 2))
    }
    model = LTX2TextConnectors(
        caption_channels=32,
        text_proj_in_factor=3,
        rope_type="split",
        per_modality_projections=two,
        proj_bias=two,
        video_hidden_dim=64,
        audio_hidden_dim=32,
        video_gated_attn=two,
        audio_gated_attn=two,
        **heads,
    )
    named = {}
    for key, value in weights.items():
        for old, new in RENAMES:
            key = key.replace(old, new)
        named[key] = value
    for key, value in projection_weights(generation).items():
        name = key.removeprefix("text_embedding_projection.").replace("aggregate_embed", "text_proj_in")
        named[name] = value
    model.load_state_dict(named)
    return model.eval()


def padded_states(folder, prompt):
    """All hidden states [1, 1024, C, S] of the left-padded prompt and its mask, by transformers."""
    from transformers import AutoTokenizer, Gemma3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
    inputs = tokenizer(prompt, padding="max_length", max_length=1024, return_tensors="pt")
    model = Gemma3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    out = model(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, output_hidden_states=True)
    return torch.stack(out.hidden_states, dim=-1), inputs.attention_mask


@pytest.mark.parametrize("generation", ["V1", "V2"])
def test_the_context_of_the_blocks_is_the_references(tmp_path, generation):
    folder = write_text_encoder(tmp_path / "gemma", "gemma3", nested=False)
    save_file(projection_weights(generation), tmp_path / "projection.safetensors")
    clip = ltx.load_gemma(str(folder), str(tmp_path / "projection.safetensors"))
    ((cond, extra),) = clip.encode_from_tokens_scheduled(clip.tokenize(PROMPT))
    core, weights = core_model(generation)
    context = core.preprocess_text_embeds(cond, unprocessed=extra["unprocessed_ltxav_embeds"])

    states, mask = padded_states(folder, PROMPT)
    video, audio, _ = diffusers_connectors(generation, weights)(states, mask)
    expected = torch.cat([video, audio], dim=-1)
    assert context.shape == expected.shape
    assert context.shape[1] == 1024
    assert (context - expected).abs().max() / expected.abs().max() < 1e-5
