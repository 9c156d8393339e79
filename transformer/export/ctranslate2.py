"""Export of models for CTranslate2, through its own specification of a Transformer."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from checkpoints import write_folder
from tokenizer import Tokenizer

from ..attention import SelfAttention
from ..config import TransformerConfig
from ..config_fields import field_in_words, own_fields, require_known_fields
from ..errors import ConfigError, MissingExtraError
from ..feedforward import FEEDFORWARDS
from ..layers import CrossLayer, Layer, Stack
from ..loading.load import TOKENIZER, LoadedModel
from ..registry import Registry

_ACTIVATIONS = Registry(
    "activation of CTranslate2",
    {
        "relu": "RELU",
        "reglu": "RELU",
        "gelu": "GELU",
        "geglu": "GELU",
        "gelu-tanh": "GELUTanh",
        "geglu-tanh": "GELUTanh",
        "gelu-sigmoid": "GELUSigmoid",
        "silu": "SWISH",
        "swiglu": "SWISH",
    },
)

_REFUSAL = "CTranslate2 has no such networks"

# Fields that are exported or refused below, and those that only training reads.
_KNOWN_FIELDS = """
    shape vocab_size d_model d_ff encoder_layers decoder_layers heads kv_heads d_head positions
    max_positions max_target_positions position_offset
    rotary_base rotary_scaling rotary_fraction relative_buckets
    relative_max_distance attention window global_tokens stride summary_tokens
    random_features redraw_features layers attention_scale attention_softcap qk_norm
    feedforward norm norm_eps norm_placement final_norm bias attention_bias
    attention_output_bias embedding_scale embedding_norm token_types share_embeddings
    source_vocab_size tie_output output_scale output_bias logit_softcap head dropout
    attention_dropout activation_dropout initialization initialization_std labels label_kind
    classifier_pooling classifier_layer
"""
KNOWN_FIELDS = frozenset(_KNOWN_FIELDS.split())


def export_ctranslate2(loaded: LoadedModel, out: Path) -> None:
    """Write a folder that CTranslate2 loads, with the tokenizer.

    Raises MissingExtraError without the library, and ConfigError for unsupported networks.
    """
    try:
        from ctranslate2 import specs  # noqa: PLC0415  (an extra)
    except ImportError:
        raise MissingExtraError("models for CTranslate2", "ctranslate2", extra="export") from None
    config = loaded.config
    _check(config)
    shared = {
        "pre_norm": config.norm_placement == "pre",
        "no_final_norm": not config.final_norm,
        "activation": specs.common_spec.Activation[_ACTIVATIONS[config.feedforward]],
        "layernorm_embedding": config.embedding_norm,
        "ffn_glu": FEEDFORWARDS[config.feedforward].gated,
        "rms_norm": config.norm == "rmsnorm",
    }
    if config.has_encoder:
        layers = (config.encoder_layers, config.decoder_layers)
        relative = config.positions == "relative"
        spec = specs.TransformerSpec.from_config(
            layers, config.heads, relative_attention_bias=relative, **shared
        )
        _encoder(spec.encoder, loaded)
        _register_vocabularies(spec, loaded)
    else:
        spec = specs.TransformerDecoderModelSpec.from_config(
            config.decoder_layers, config.heads, **_rotary(config), **_heads(config), **shared
        )
        spec.register_vocabulary(_names(loaded.tokenizer, config.vocab_size))
    _decoder(spec.decoder, loaded)
    _settings(spec.config, loaded)
    spec.validate()
    spec.optimize()
    write_folder(out, lambda folder: _write(folder, spec, loaded))


def _check(config: TransformerConfig) -> None:
    """Raise ConfigError for networks that CTranslate2 computes differently, or not at all."""
    require_known_fields(config, KNOWN_FIELDS, refusal=_REFUSAL)
    has_cross_attention = config.has_encoder and config.has_decoder
    supported = {
        "shape": config.has_decoder,
        "positions": config.positions in _positions(has_cross_attention=has_cross_attention),
        "attention": config.attention == "full",
        "layers": not own_fields(config),
        "max_target_positions": config.max_target_positions is None,
        "head": config.head == "linear",
        "token_types": config.token_types == 0,
        "kv_heads": not has_cross_attention or config.key_value_heads == config.heads,
        "rotary_scaling": config.rotary_scaling is None,
        "rotary_fraction": config.rotary_fraction == 1.0,
        "attention_softcap": config.attention_softcap is None,
        "qk_norm": config.qk_norm == "none",
        "attention_output_bias": config.has_attention_output_bias == config.has_attention_bias,
        "logit_softcap": config.logit_softcap is None,
        "feedforward": config.feedforward in _ACTIVATIONS,
        "norm": config.norm in {"layernorm", "rmsnorm"},
        "norm_placement": config.norm_placement in {"pre", "post"},
        "final_norm": config.norm_placement == "pre" or not config.final_norm,
    }
    for name, is_supported in supported.items():
        if not is_supported:
            raise ConfigError(f"{_REFUSAL}: {field_in_words(config, name)}")


def _positions(*, has_cross_attention: bool) -> set[str]:
    tables = {"learned", "sinusoidal", "sinusoidal-halves", "sinusoidal-tensor2tensor"}
    return {*tables, "relative" if has_cross_attention else "rotary"}


def _rotary(config: TransformerConfig) -> dict[str, Any]:
    if config.positions != "rotary":
        return {}
    return {"rotary_dim": 0, "rotary_interleave": False, "rotary_base": config.rotary_base}


def _heads(config: TransformerConfig) -> dict[str, Any]:
    grouped = {"num_heads_kv": config.key_value_heads}
    explicit = {"head_dim": config.head_width}
    return {
        **(grouped if config.key_value_heads != config.heads else {}),
        **(explicit if config.head_width * config.heads != config.d_model else {}),
    }


def _encoder(spec: Any, loaded: LoadedModel) -> None:
    model = loaded.model
    assert model.encoder is not None
    embedding = model.source_embedding or model.embedding
    _stack(spec, model.encoder, loaded, embedding_norm=0)
    spec.embeddings[0].weight = embedding.weight


def _decoder(spec: Any, loaded: LoadedModel) -> None:
    model = loaded.model
    assert model.decoder is not None
    _stack(spec, model.decoder, loaded, embedding_norm=-1)
    spec.embeddings.weight = model.embedding.weight
    weight, bias = model.projection()
    spec.projection.weight = weight
    if bias is not None:
        spec.projection.bias = bias
    if loaded.config.output_scale != 1.0:
        spec.scale_outputs = loaded.config.output_scale


def _stack(spec: Any, stack: Stack, loaded: LoadedModel, *, embedding_norm: int) -> None:
    config = loaded.config
    spec.scale_embeddings = math.sqrt(config.d_model) if config.embedding_scale else 1.0
    if config.positions not in {"relative", "rotary"}:
        positions = torch.arange(config.max_positions)[None]
        zeros = torch.zeros(1, config.max_positions, config.d_model)
        spec.position_encodings.encodings = stack.positions.embed(zeros, positions)[0]
    if config.final_norm:
        _norm(spec.layer_norm, stack.norm)
    if config.embedding_norm:
        _norm(spec.layernorm_embedding, loaded.model.embedding_norms[embedding_norm])
    for layer_spec, layer in zip(spec.layer, stack.layers, strict=True):
        assert isinstance(layer, Layer)
        _layer(layer_spec, layer, config)
        if config.positions == "relative":
            bias = stack.positions.get_parameter("embedding.weight")
            layer_spec.self_attention.relative_attention_bias = bias
            max_distance = torch.tensor(config.relative_max_distance, dtype=torch.int32)
            layer_spec.self_attention.relative_attention_max_distance = max_distance.numpy()


def _layer(spec: Any, layer: Layer, config: TransformerConfig) -> None:
    assert isinstance(layer.attention, SelfAttention)
    _linear(spec.self_attention.linear[0], layer.attention.qkv)
    _linear(spec.self_attention.linear[1], layer.attention.out)
    _norm(spec.self_attention.layer_norm, layer.attention_residual.norm)
    attentions = [spec.self_attention]
    if isinstance(layer, CrossLayer):
        attentions.append(spec.attention)
        _linear(spec.attention.linear[0], layer.cross.q)
        _linear(spec.attention.linear[1], layer.cross.kv)
        _linear(spec.attention.linear[2], layer.cross.out)
        _norm(spec.attention.layer_norm, layer.cross_residual.norm)
    scale = _attention_scale(config)
    if scale is not None:
        for attention in attentions:
            attention.queries_scale = scale
    _feedforward(spec.ffn, layer)


def _attention_scale(config: TransformerConfig) -> float | None:
    """Return the scale of attention scores, or None if CTranslate2 derives the same.

    It takes heads for d_model / heads wide unless a decoder alone says otherwise (`_heads`).
    """
    if config.has_encoder and config.head_width * config.heads != config.d_model:
        return config.scale
    return config.attention_scale


def _feedforward(spec: Any, layer: Layer) -> None:
    up = layer.feedforward.up
    parts = 2 if layer.feedforward.kind.gated else 1
    weights = up.weight.chunk(parts)
    biases = up.bias.chunk(parts) if up.bias is not None else [None] * parts
    specs = [spec.linear_0, spec.linear_0_noact] if parts == 2 else [spec.linear_0]
    for part, weight, bias in zip(specs, weights, biases, strict=True):
        _matrix(part, weight, bias)
    _linear(spec.linear_1, layer.feedforward.down)
    _norm(spec.layer_norm, layer.feedforward_residual.norm)


def _linear(spec: Any, linear: nn.Linear) -> None:
    _matrix(spec, linear.weight, linear.bias)


def _matrix(spec: Any, weight: Tensor, bias: Tensor | None) -> None:
    spec.weight = weight.contiguous()
    if bias is not None:
        spec.bias = bias.contiguous()


def _norm(spec: Any, norm: nn.Module) -> None:
    spec.gamma = norm.get_parameter("weight")
    if isinstance(norm, nn.LayerNorm):
        spec.beta = norm.bias


def _register_vocabularies(spec: Any, loaded: LoadedModel) -> None:
    config = loaded.config
    spec.register_source_vocabulary(_names(loaded.tokenizer, config.source_vocabulary))
    spec.register_target_vocabulary(_names(loaded.target_tokenizer, config.vocab_size))


def _names(tokenizer: Tokenizer, size: int) -> list[str]:
    """Return the names of all tokens, with placeholders for ids that the tokenizer leaves unused.

    A piece that never comes from a text is stored with a space before it, which is removed.
    """
    names = [tokenizer.token(token) for token in range(size)]
    plain = [n[1:] if n and len(n) > 1 and n[0] == " " else n for n in names]
    return [f"<unused {i}>" if name is None else name for i, name in enumerate(plain)]


def _settings(settings: Any, loaded: LoadedModel) -> None:
    generation, tokenizer = loaded.generation, loaded.target_tokenizer
    settings.layer_norm_epsilon = loaded.config.norm_eps
    unknown = tokenizer.role("unknown")
    names = {
        "bos_token": generation.bos_token_id,
        "eos_token": generation.end_id,
        "unk_token": generation.end_id if unknown is None else unknown,
    }
    if loaded.config.has_encoder:
        names["decoder_start_token"] = loaded.decoder_start_id
    for name, token in names.items():
        if token is not None:
            setattr(settings, name, tokenizer.token(token))


def _write(folder: Path, spec: Any, loaded: LoadedModel) -> None:
    spec.save(str(folder))
    loaded.tokenizer.save(folder / TOKENIZER)
    if loaded.target_tokenizer is not loaded.tokenizer:
        loaded.target_tokenizer.save(folder / "target_tokenizer.json")
