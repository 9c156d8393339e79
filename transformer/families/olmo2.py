"""OLMo 2 (arXiv 2501.00656), whose norms stand after attention and the feed-forward."""

from typing import Any

from ..config import TransformerConfig
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .gated_decoders import (
    IGNORED,
    QK_NORM_LINES,
    Defaults,
    decoder_label_heads,
    read_decoder,
    write_decoder,
)
from .llama import LLAMA_NAMES

OLMO2_NAMES = LLAMA_NAMES.with_lines(
    QK_NORM_LINES
    + """
    decoder.layers.{i}.attention_residual.norm = {p}layers.{i}.post_attention_layernorm
    decoder.layers.{i}.feedforward_residual.norm = {p}layers.{i}.post_feedforward_layernorm
    """
)

_DEFAULTS = Defaults(d_ff=11_008, max_positions=2048, vocab_size=50_304, norm_eps=1e-5)
_CLASSIFIER = "classification"  # transformers has no class of OLMo 2 that labels tokens


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.must_be("mlp_bias", False)  # of a Llama
    return read_decoder(
        reader,
        names,
        _DEFAULTS,
        attention_bias=reader.flag("attention_bias", False),
        qk_norm="all-heads",
        norm_placement="reordered",
    )


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {**write_decoder(config), "attention_bias": config.has_attention_bias}


OLMO2 = Family(
    read=_read,
    write=_write,
    names=lambda _config: OLMO2_NAMES,
    ignored=IGNORED,
    architecture="Olmo2ForCausalLM",
    prefix="model.",
    tied_by_default=False,
).with_label_heads(**{_CLASSIFIER: decoder_label_heads("Olmo2")[_CLASSIFIER]})
