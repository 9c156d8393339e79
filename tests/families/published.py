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
            dict(rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=2.0)),
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
