"""Llama (arXiv 2307.09288, 2407.21783) and Mistral (arXiv 2310.06825)."""

from typing import Any

from .activations import GATED_ACTIVATIONS, published_name
from .config_reader import ConfigReader, Fields, Names
from .family import Family
from .gpt2 import tied
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


def _common(reader: ConfigReader, weights: Names, *, kv_heads: int | None) -> Fields:
    heads = reader.integer("num_attention_heads", 32)
    width = reader.integer("hidden_size", 4096)
    reader.must_be("partial_rotary_factor", 1.0)
    return {
        "shape": "decoder",
        "vocab_size": reader.integer("vocab_size", 32_000),
        "d_model": width,
        "d_ff": reader.integer("intermediate_size"),
        "decoder_layers": reader.integer("num_hidden_layers", 32),
        "heads": heads,
        "kv_heads": reader.integer("num_key_value_heads", kv_heads or heads),
        "d_head": reader.integer("head_dim", width // max(1, heads)),
        "positions": "rotary",
        **_rotary(reader),
        "feedforward": reader.choice("hidden_act", GATED_ACTIVATIONS, "silu"),
        "norm": "rmsnorm",
        "norm_eps": reader.number("rms_norm_eps", 1e-6),
        "norm_placement": "pre",
        "final_norm": True,
        "bias": False,
        "embedding_scale": False,
        "tie_output": tied(reader, weights, False, "lm_head.weight", "model.embed_tokens.weight"),
        "dropout": 0.0,
        "attention_dropout": reader.number("attention_dropout", 0.0),
        "initialization": "gpt2",
    }


def _rotary(reader: ConfigReader) -> Fields:
    """The base and its scaling, under their names of any year."""
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
    context = reader.integer("max_position_embeddings", 2048)
    return {"rotary_base": base, "rotary_scaling": scaling, "max_positions": context}


def _linear(reader: ConfigReader) -> Fields:
    return {"kind": "linear", "factor": reader.number("factor", 1.0)}


def _llama3(reader: ConfigReader) -> Fields:
    return {
        "kind": "llama3",
        "factor": reader.number("factor", 8.0),
        "low": reader.number("low_freq_factor", 1.0),
        "high": reader.number("high_freq_factor", 4.0),
        "original_context": reader.integer("original_max_position_embeddings", 8192),
    }


_SCALINGS = {"default": lambda _reader: None, "linear": _linear, "llama3": _llama3}


def _read_llama(reader: ConfigReader, weights: Names) -> Fields:
    mlp = reader.flag("mlp_bias", False)
    attention = reader.flag("attention_bias", False)
    fields = _common(reader, weights, kv_heads=None)
    return {**fields, "bias": mlp, "attention_bias": attention}


def _read_mistral(reader: ConfigReader, weights: Names) -> Fields:
    reader.get("layer_types", list)  # says again what sliding_window says
    window = reader.get("sliding_window", int)
    fields = _common(reader, weights, kv_heads=8)
    return {**fields, **({"attention": "sliding", "window": window} if window else {})}


def _write(fields: Fields) -> Fields:
    return {
        "vocab_size": fields["vocab_size"],
        "hidden_size": fields["d_model"],
        "intermediate_size": fields["d_ff"],
        "num_hidden_layers": fields["decoder_layers"],
        "num_attention_heads": fields["heads"],
        "num_key_value_heads": fields["kv_heads"] or fields["heads"],
        "head_dim": fields["d_head"] or fields["d_model"] // fields["heads"],
        "hidden_act": published_name(fields["feedforward"], GATED_ACTIVATIONS),
        "max_position_embeddings": fields["max_positions"],
        "rms_norm_eps": fields["norm_eps"],
        "tie_word_embeddings": fields["tie_output"],
        "attention_dropout": fields["attention_dropout"],
        **_write_rotary(fields),
    }


def _write_rotary(fields: Fields) -> Fields:
    base, scaling = fields["rotary_base"], fields["rotary_scaling"]
    if scaling is None:
        return {"rope_theta": base, "rope_scaling": None}
    theirs: dict[str, Any] = {"rope_type": scaling["kind"], "factor": scaling["factor"]}
    if scaling["kind"] == "llama3":
        theirs["low_freq_factor"] = scaling["low"]
        theirs["high_freq_factor"] = scaling["high"]
        theirs["original_max_position_embeddings"] = scaling["original_context"]
    return {"rope_theta": base, "rope_scaling": theirs}


def _write_llama(fields: Fields) -> Fields:
    attention = fields["bias"] if fields["attention_bias"] is None else fields["attention_bias"]
    return {**_write(fields), "mlp_bias": fields["bias"], "attention_bias": attention}


def _write_mistral(fields: Fields) -> Fields:
    window = fields["window"] if fields["attention"] == "sliding" else None
    return {**_write(fields), "sliding_window": window}


_IGNORED = ("*.rotary_emb.inv_freq",)

LLAMA = Family(
    read=_read_llama,
    write=_write_llama,
    names=lambda _fields: _NAMES,
    ignored=_IGNORED,
    architecture="LlamaForCausalLM",
)
MISTRAL = Family(
    read=_read_mistral,
    write=_write_mistral,
    names=lambda _fields: _NAMES,
    ignored=_IGNORED,
    architecture="MistralForCausalLM",
)
