"""Llama (arXiv 2307.09288, 2407.21783) and Mistral (arXiv 2310.06825)."""

from typing import Any

from ..config import TransformerConfig
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .gated_decoders import (
    IGNORED,
    UNUSED_WINDOW,
    Defaults,
    decoder_label_heads,
    read_decoder,
    write_decoder,
)
from .name_map import NameMap

LLAMA_NAMES = NameMap(
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


_LLAMA = Defaults(d_ff=11_008, max_positions=2048)
_MISTRAL = Defaults(d_ff=14_336, max_positions=131_072, kv_heads=8)
_MISTRAL_WINDOW = 4096


def _read_llama(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    mlp = reader.flag("mlp_bias", False)
    attention = reader.flag("attention_bias", False)
    return read_decoder(reader, names, _LLAMA, bias=mlp, attention_bias=attention)


def _read_mistral(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.get("layer_types", list)  # repeats what sliding_window says
    for unsupported in ("mlp_bias", "attention_bias"):  # of a Llama
        reader.must_be(unsupported, False)
    window = reader.get("sliding_window", int)
    if window is None and not reader.is_null("sliding_window"):
        window = _MISTRAL_WINDOW
    return read_decoder(
        reader,
        names,
        _MISTRAL,
        attention="full" if window is None else "sliding",
        window=UNUSED_WINDOW if window is None else window,
    )


def _write_llama(config: TransformerConfig) -> dict[str, Any]:
    attention = config.has_attention_bias
    return {**write_decoder(config), "mlp_bias": config.bias, "attention_bias": attention}


def _write_mistral(config: TransformerConfig) -> dict[str, Any]:
    window = config.window if config.attention == "sliding" else None
    return {**write_decoder(config), "sliding_window": window}


LLAMA = Family(
    read=_read_llama,
    write=_write_llama,
    names=lambda _config: LLAMA_NAMES,
    ignored=IGNORED,
    architecture="LlamaForCausalLM",
    prefix="model.",
    tied_by_default=False,
).with_label_heads(**decoder_label_heads("Llama"))
MISTRAL = Family(
    read=_read_mistral,
    write=_write_mistral,
    names=lambda _config: LLAMA_NAMES,
    ignored=IGNORED,
    architecture="MistralForCausalLM",
    prefix="model.",
    tied_by_default=False,
).with_label_heads(**decoder_label_heads("Mistral"))
