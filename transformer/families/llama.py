"""Llama (arXiv 2307.09288, 2407.21783) and Mistral (arXiv 2310.06825)."""

from collections.abc import Callable
from typing import Any

from ..config import RotaryScaling, TransformerConfig
from .activations import GATED_ACTIVATIONS, published_name
from .config_reader import ConfigReader, TensorNames, is_tied
from .family import Family
from .name_map import NameMap

_NAMES = NameMap(
    """
    embedding = {p}embed_tokens | lm_head
    head = lm_head
    decoder.layers.{i}.attention.qkv = {p}layers.{i}.self_attn.{q,k,v}_proj
    decoder.layers.{i}.attention.out = {p}layers.{i}.self_attn.o_proj
    decoder.layers.{i}.attention_residual.norm = {p}layers.{i}.input_layernorm
    decoder.layers.{i}.feedforward.up = {p}layers.{i}.mlp.{gate,up}_proj
    decoder.layers.{i}.feedforward.down = {p}layers.{i}.mlp.down_proj
    decoder.layers.{i}.feedforward_residual.norm = {p}layers.{i}.post_attention_layernorm
    decoder.norm = {p}norm
    """,
    prefix="model.",
)


_UNUSED_WINDOW = 256  # of full attention, which ignores it


def _read(
    reader: ConfigReader,
    names: TensorNames,
    *,
    kv_heads: int | None = None,
    bias: bool = False,
    attention_bias: bool | None = None,
    window: int | None = None,
) -> TransformerConfig:
    heads = reader.integer("num_attention_heads", 32)
    width = reader.integer("hidden_size", 4096)
    reader.must_be("partial_rotary_factor", 1.0)
    rotary_base, rotary_scaling = _read_rotary(reader)
    return TransformerConfig(
        shape="decoder",
        vocab_size=reader.integer("vocab_size", 32_000),
        d_model=width,
        d_ff=reader.integer("intermediate_size"),
        decoder_layers=reader.integer("num_hidden_layers", 32),
        heads=heads,
        kv_heads=reader.integer("num_key_value_heads", kv_heads or heads),
        d_head=reader.integer("head_dim", width // max(1, heads)),
        positions="rotary",
        max_positions=reader.integer("max_position_embeddings", 2048),
        rotary_base=rotary_base,
        rotary_scaling=rotary_scaling,
        attention="sliding" if window else "full",
        window=window or _UNUSED_WINDOW,
        feedforward=reader.choice("hidden_act", GATED_ACTIVATIONS, "silu"),
        norm="rmsnorm",
        norm_eps=reader.number("rms_norm_eps", 1e-6),
        norm_placement="pre",
        final_norm=True,
        bias=bias,
        attention_bias=attention_bias,
        embedding_scale=False,
        tie_output=is_tied(reader, names, False, "lm_head.weight", "model.embed_tokens.weight"),
        dropout=0.0,
        attention_dropout=reader.number("attention_dropout", 0.0),
        initialization="gpt2",
    )


def _read_rotary(reader: ConfigReader) -> tuple[float, RotaryScaling | None]:
    """Return the base and its scaling, under their names of any year."""
    nested = reader.get("rope_parameters", dict) or reader.get("rope_scaling", dict) or {}
    inner = ConfigReader(nested, f"{reader.source}: rope_scaling")
    kind = inner.get("rope_type", str, inner.get("type", str, "default"))
    base = reader.number("rope_theta", inner.number("rope_theta", 10_000.0))
    read_scaling = _SCALINGS.get(kind)
    if read_scaling is None:
        allowed = ", ".join(_SCALINGS)
        raise inner.error(f"rope_type is {kind!r}, which is not supported; only: {allowed}")
    scaling = read_scaling(inner)
    inner.finish()
    return base, scaling


def _read_linear(reader: ConfigReader) -> RotaryScaling:
    return RotaryScaling(kind="linear", factor=reader.number("factor", 1.0))


def _read_llama3(reader: ConfigReader) -> RotaryScaling:
    return RotaryScaling(
        kind="llama3",
        factor=reader.number("factor", 8.0),
        low=reader.number("low_freq_factor", 1.0),
        high=reader.number("high_freq_factor", 4.0),
        original_context=reader.integer("original_max_position_embeddings", 8192),
    )


_SCALINGS: dict[str, Callable[[ConfigReader], RotaryScaling | None]] = {
    "default": lambda _reader: None,
    "linear": _read_linear,
    "llama3": _read_llama3,
}


def _read_llama(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    mlp = reader.flag("mlp_bias", False)
    attention = reader.flag("attention_bias", False)
    return _read(reader, names, bias=mlp, attention_bias=attention)


def _read_mistral(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.get("layer_types", list)  # repeats what sliding_window says
    return _read(reader, names, kv_heads=8, window=reader.get("sliding_window", int))


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.decoder_layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.key_value_heads,
        "head_dim": config.head_width,
        "hidden_act": published_name(config.feedforward, GATED_ACTIVATIONS),
        "max_position_embeddings": config.max_positions,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_output,
        "attention_dropout": config.attention_dropout,
        "rope_theta": config.rotary_base,
        "rope_scaling": _write_scaling(config.rotary_scaling),
    }


def _write_scaling(scaling: RotaryScaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    options: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "llama3":
        options["low_freq_factor"] = scaling.low
        options["high_freq_factor"] = scaling.high
        options["original_max_position_embeddings"] = scaling.original_context
    return options


def _write_llama(config: TransformerConfig) -> dict[str, Any]:
    attention = config.has_attention_bias
    return {**_write(config), "mlp_bias": config.bias, "attention_bias": attention}


def _write_mistral(config: TransformerConfig) -> dict[str, Any]:
    window = config.window if config.attention == "sliding" else None
    return {**_write(config), "sliding_window": window}


_IGNORED = ("*.rotary_emb.inv_freq",)

LLAMA = Family(
    read=_read_llama,
    write=_write_llama,
    names=lambda _config: _NAMES,
    ignored=_IGNORED,
    architecture="LlamaForCausalLM",
)
MISTRAL = Family(
    read=_read_mistral,
    write=_write_mistral,
    names=lambda _config: _NAMES,
    ignored=_IGNORED,
    architecture="MistralForCausalLM",
)
