"""Random small models of every family, as transformers builds and saves them."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from torch import Tensor

VOCABULARY = 37
_GPT2 = dict(n_embd=16, n_layer=2, n_head=4, n_positions=40, n_inner=24, eos_token_id=2)
_LLAMA = dict(
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
)
_LINEAR = dict(rope_type="linear", rope_theta=1e4, factor=2.0)
_BERT = {**_LLAMA, "max_position_embeddings": 42}
_BART = dict(
    d_model=16,
    encoder_layers=2,
    decoder_layers=1,
    encoder_attention_heads=4,
    decoder_attention_heads=4,
    encoder_ffn_dim=24,
    decoder_ffn_dim=24,
    max_position_embeddings=40,
    pad_token_id=1,
    bos_token_id=0,
    eos_token_id=2,
    decoder_start_token_id=2,
    forced_eos_token_id=None,
)
_T5 = dict(d_model=16, d_kv=6, d_ff=24, num_layers=2, num_heads=4, decoder_start_token_id=0)
_LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=500.0,
    factor=4.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=16,
)
_GEMMA = dict(
    **{**_LLAMA, "num_hidden_layers": 3},
    num_key_value_heads=2,
    head_dim=8,
    sliding_window=5,
    query_pre_attn_scalar=8,
)
_LOCAL, _GLOBAL = "sliding_attention", "full_attention"
_GEMMA3_ROPE = {
    _LOCAL: dict(rope_type="default", rope_theta=100.0),
    _GLOBAL: dict(rope_type="linear", rope_theta=1e5, factor=8.0),
}
_PHI3 = {**_LLAMA, "hidden_size": 32, "pad_token_id": 0, "eos_token_id": 2}
_LONGROPE = dict(
    rope_type="longrope",
    rope_theta=100.0,
    short_factor=[1.0, 1.25, 1.5, 2.0],
    long_factor=[1.5, 2.0, 4.0, 8.0],
)
_SU = dict(  # transformers needs the context twice under this name
    type="su",
    short_factor=[1.0, 1.25, 1.5],
    long_factor=[1.5, 2, 4],
    original_max_position_embeddings=4,
)


class Family(NamedTuple):
    """A family: transformers' names, sizes, and the options that real configurations vary."""

    config: str
    model: str
    sizes: dict[str, Any]
    variants: tuple[dict[str, Any], ...]


FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        "GPT2Config",
        "GPT2LMHeadModel",
        _GPT2,
        (
            {},
            dict(n_inner=None, activation_function="relu", layer_norm_epsilon=1e-3),
            dict(tie_word_embeddings=False, scale_attn_weights=False),
            dict(activation_function="quick_gelu", reorder_and_upcast_attn=True),
        ),
    ),
    "llama": Family(
        "LlamaConfig",
        "LlamaForCausalLM",
        _LLAMA,
        (
            {},
            dict(num_key_value_heads=2, rope_parameters=_LLAMA3, tie_word_embeddings=True),
            dict(head_dim=6, attention_bias=True, rms_norm_eps=1e-3),
            dict(num_key_value_heads=1, mlp_bias=True, hidden_act="gelu"),
            dict(rope_parameters=_LINEAR),
        ),
    ),
    "mistral": Family(
        "MistralConfig",
        "MistralForCausalLM",
        dict(num_key_value_heads=2, **_LLAMA),
        (
            dict(sliding_window=None),
            dict(sliding_window=3),
            dict(sliding_window=5, head_dim=6, tie_word_embeddings=True),
        ),
    ),
    "qwen2": Family(
        "Qwen2Config",
        "Qwen2ForCausalLM",
        dict(num_key_value_heads=2, **_LLAMA),
        (
            {},
            dict(num_key_value_heads=1, rope_parameters=_LLAMA3, tie_word_embeddings=True),
            dict(head_dim=6, use_sliding_window=True, sliding_window=3, max_window_layers=1),
            dict(
                use_sliding_window=True,
                sliding_window=4,
                num_hidden_layers=3,
                layer_types=["sliding_attention", "full_attention", "full_attention"],
                hidden_act="gelu",
            ),
            dict(use_sliding_window=True, sliding_window=5, max_window_layers=0, rms_norm_eps=1e-3),
        ),
    ),
    "qwen3": Family(
        "Qwen3Config",
        "Qwen3ForCausalLM",
        dict(num_key_value_heads=2, head_dim=6, **_LLAMA),
        (
            {},
            dict(head_dim=10, attention_bias=True, rms_norm_eps=1e-3),
            dict(num_key_value_heads=1, rope_parameters=_LLAMA3, tie_word_embeddings=True),
            dict(use_sliding_window=True, sliding_window=3, max_window_layers=1),
            dict(
                num_key_value_heads=4,
                use_sliding_window=True,
                sliding_window=4,
                layer_types=["sliding_attention", "full_attention"],
                rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0),
            ),
        ),
    ),
    "smollm3": Family(
        "SmolLM3Config",
        "SmolLM3ForCausalLM",
        dict(num_key_value_heads=2, pad_token_id=None, bos_token_id=1, eos_token_id=2, **_LLAMA),
        (
            {},
            dict(no_rope_layer_interval=2, num_hidden_layers=3, tie_word_embeddings=False),
            dict(no_rope_layers=[0, 1, 1], attention_bias=True, head_dim=6, hidden_act="gelu"),
            dict(
                no_rope_layer_interval=2,
                num_hidden_layers=4,
                use_sliding_window=True,
                sliding_window=3,
                mlp_bias=True,
            ),
            dict(
                no_rope_layers=[0, 1],
                use_sliding_window=True,
                sliding_window=4,
                layer_types=["full_attention", "sliding_attention"],
                rope_parameters=_LLAMA3,
                rms_norm_eps=1e-3,
            ),
            dict(
                no_rope_layers=[1, 0, 0],
                num_hidden_layers=3,
                use_sliding_window=True,
                sliding_window=4,
                layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                num_key_value_heads=1,
            ),
        ),
    ),
    "olmo2": Family(
        "Olmo2Config",
        "Olmo2ForCausalLM",
        dict(pad_token_id=None, eos_token_id=2, **_LLAMA),
        (
            {},
            dict(num_key_value_heads=2, rope_parameters=_LLAMA3, tie_word_embeddings=True),
            dict(head_dim=6, attention_bias=True, rms_norm_eps=1e-3),
            dict(num_key_value_heads=1, hidden_act="gelu"),
            dict(rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0)),
        ),
    ),
    "gemma2": Family(
        "Gemma2Config",
        "Gemma2ForCausalLM",
        _GEMMA,
        (
            {},
            dict(attn_logit_softcapping=2.0, final_logit_softcapping=1.5, num_hidden_layers=4),
            dict(attn_logit_softcapping=None, final_logit_softcapping=None, num_key_value_heads=1),
            dict(sliding_window=3, layer_types=[_GLOBAL, _LOCAL, _LOCAL], attention_bias=True),
            dict(tie_word_embeddings=False, query_pre_attn_scalar=3, num_key_value_heads=4),
            dict(head_dim=6, hidden_activation="silu", rope_parameters=_LINEAR, rms_norm_eps=1e-3),
            dict(layer_types=[_GLOBAL] * 3, sliding_window=64),
        ),
    ),
    "gemma3_text": Family(
        "Gemma3TextConfig",
        "Gemma3ForCausalLM",
        _GEMMA,
        (
            dict(num_hidden_layers=7),
            dict(sliding_window_pattern=2, sliding_window=3, rope_parameters=_GEMMA3_ROPE),
            dict(layer_types=[_GLOBAL, _LOCAL, _LOCAL], attention_bias=True, rms_norm_eps=1e-3),
            dict(tie_word_embeddings=False, query_pre_attn_scalar=3, num_key_value_heads=1),
            dict(final_logit_softcapping=1.5, head_dim=6, hidden_activation="silu"),
            dict(layer_types=[_GLOBAL] * 3, rope_parameters={_GLOBAL: _LLAMA3}),
            dict(
                rope_parameters={_LOCAL: _LINEAR, _GLOBAL: _LINEAR},
                layer_types=[_LOCAL, _GLOBAL, _LOCAL],
            ),
        ),
    ),
    "phi3": Family(
        "Phi3Config",
        "Phi3ForCausalLM",
        _PHI3,
        (
            {},
            dict(num_key_value_heads=2, sliding_window=5, tie_word_embeddings=True),
            dict(num_key_value_heads=1, head_dim=6, hidden_act="gelu", rms_norm_eps=1e-3),
            dict(rope_parameters=dict(_LONGROPE), original_max_position_embeddings=4),
            dict(rope_parameters=dict(_LONGROPE), original_max_position_embeddings=32),
            dict(  # Phi-4-mini
                rope_scaling=dict(_SU),
                partial_rotary_factor=0.75,
                original_max_position_embeddings=4,
                num_key_value_heads=2,
                sliding_window=64,
            ),
            dict(
                rope_parameters=dict(_LONGROPE, factor=2.0, attention_factor=1.5),
                original_max_position_embeddings=4,
                sliding_window=3,
            ),
        ),
    ),
    "bert": Family(
        "BertConfig",
        "BertForMaskedLM",
        _BERT,
        ({}, dict(hidden_act="gelu_new", type_vocab_size=1), dict(tie_word_embeddings=False)),
    ),
    "roberta": Family(
        "RobertaConfig",
        "RobertaForMaskedLM",
        _BERT,
        ({}, dict(type_vocab_size=1, pad_token_id=3), dict(layer_norm_eps=1e-3)),
    ),
    "distilbert": Family(
        "DistilBertConfig",
        "DistilBertForMaskedLM",
        dict(dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=42),
        ({}, dict(activation="relu"), dict(tie_word_embeddings=False)),
    ),
    "xlm-roberta": Family("XLMRobertaConfig", "XLMRobertaForMaskedLM", _BERT, ({},)),
    "roformer": Family(
        "RoFormerConfig",
        "RoFormerForMaskedLM",
        _BERT,
        (
            {},
            dict(hidden_act="gelu_new", type_vocab_size=1, layer_norm_eps=1e-3),
            dict(tie_word_embeddings=False, num_attention_heads=2),
        ),
    ),
    "longformer": Family(
        "LongformerConfig",
        "LongformerForMaskedLM",
        {**_BERT, "attention_window": 4},
        (
            {},
            dict(attention_window=[4, 8], type_vocab_size=1),
            dict(attention_window=[12, 6], pad_token_id=3),
            dict(attention_window=16, layer_norm_eps=1e-3, num_attention_heads=2),
            dict(attention_window=[4, 8, 4], num_hidden_layers=3, tie_word_embeddings=False),
        ),
    ),
    "bart": Family(
        "BartConfig",
        "BartForConditionalGeneration",
        _BART,
        (
            {},
            dict(scale_embedding=True, activation_function="relu"),
            dict(tie_word_embeddings=False, decoder_layers=2),
        ),
    ),
    "led": Family(
        "LEDConfig",
        "LEDForConditionalGeneration",
        {
            **{name: value for name, value in _BART.items() if name != "max_position_embeddings"},
            "max_encoder_position_embeddings": 40,
            "max_decoder_position_embeddings": 36,
            "attention_window": 4,
        },
        (
            {},
            dict(attention_window=[4, 8], activation_function="relu"),
            dict(attention_window=[12, 6], decoder_layers=3),
            dict(attention_window=16, tie_word_embeddings=False),
            dict(max_decoder_position_embeddings=40, encoder_layers=1, decoder_layers=2),
        ),
    ),
    "mbart": Family(
        "MBartConfig",
        "MBartForConditionalGeneration",
        _BART,
        ({}, dict(scale_embedding=True, activation_function="gelu_new")),
    ),
    "pegasus": Family(
        "PegasusConfig",
        "PegasusForConditionalGeneration",
        {**_BART, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0},
        (dict(scale_embedding=True), dict(activation_function="relu")),
    ),
    "marian": Family(
        "MarianConfig",
        "MarianMTModel",
        {**_BART, "pad_token_id": VOCABULARY - 1, "decoder_start_token_id": VOCABULARY - 1},
        (
            dict(scale_embedding=True, activation_function="swish"),
            {},
            dict(share_encoder_decoder_embeddings=False, decoder_vocab_size=VOCABULARY + 4),
        ),
    ),
    "m2m_100": Family(
        "M2M100Config", "M2M100ForConditionalGeneration", _BART, ({}, dict(scale_embedding=False))
    ),
    "t5": Family(
        "T5Config",
        "T5ForConditionalGeneration",
        _T5,
        (
            {},
            dict(feed_forward_proj="gated-gelu", tie_word_embeddings=False),
            dict(feed_forward_proj="gated-silu", relative_attention_num_buckets=8),
            dict(num_decoder_layers=1, relative_attention_max_distance=20, d_kv=4),
        ),
    ),
}
CASES = [(name, number) for name, f in FAMILIES.items() for number in range(len(f.variants))]


def randomize(model: Any) -> None:
    """Change all weights at random: biases and norms too, where mistakes would hide."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.2 * torch.randn_like(weight))
        for key, buffer in model.named_buffers():
            if key == "final_logits_bias":
                buffer.normal_()


def make(name: str, number: int, folder: Path, **saving: Any) -> Any:
    """A variant of a family with random weights, saved as transformers saves it."""
    family = FAMILIES[name]
    torch.manual_seed(number)
    options = {"vocab_size": VOCABULARY, **family.sizes, **family.variants[number]}
    model = getattr(transformers, family.model)(getattr(transformers, family.config)(**options))
    untie(model, options)
    randomize(model)
    model.eval().save_pretrained(folder, **saving)
    return model


def untie(model: Any, options: dict[str, Any]) -> None:
    """transformers' T5 ties its output whatever it is told, and reads untied files rightly."""
    if model.config.model_type == "t5" and options.get("tie_word_embeddings") is False:
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.shared.weight))


def first_is_global(model: Any, ids_BT: Tensor) -> dict[str, Tensor]:
    """What transformers must be told for the first token to be global, as it is here."""
    if not hasattr(model.config, "attention_window"):
        return {}
    mask_BT = torch.zeros_like(ids_BT)
    mask_BT[:, 0] = 1
    return {"global_attention_mask": mask_BT}


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    fields = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))


def padded(rows: int, length: int, *, avoid: int | None) -> tuple[Tensor, Tensor]:
    """Ids (rows, length) and how long each row is, falling by two; padding is `avoid`'s id."""
    ids_BT = torch.randint(4, VOCABULARY - 1, (rows, length))
    lengths_B = torch.tensor([length - 2 * row for row in range(rows)])
    hidden_BT = torch.arange(length) >= lengths_B[:, None]
    return ids_BT.masked_fill(hidden_BT, 0 if avoid is None else avoid), lengths_B
