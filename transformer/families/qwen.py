"""Qwen2 (arXiv 2407.10671), which Qwen1.5 and Qwen2.5 are too, and Qwen3 (arXiv 2505.09388)."""

from typing import Any

from ..config import TransformerConfig
from ..layer_spec import LayerSpec
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
from .layer_types import (
    SLIDING,
    by_turns,
    count_listed_layers,
    layer_types_of,
    read_used_windows,
    write_used_windows,
)
from .llama import LLAMA_NAMES

QWEN3_NAMES = LLAMA_NAMES.with_lines(QK_NORM_LINES)

_QWEN2 = Defaults(d_ff=22_016, max_positions=32_768, vocab_size=151_936, kv_heads=32)
_QWEN3 = _QWEN2._replace(d_head=128)
_WINDOW, _FIRST_LOCAL = 4096, 28


def _read_layers(reader: ConfigReader) -> tuple[LayerSpec, ...] | None:
    """Read the windows, which the layers from `max_window_layers` on have, if any has one."""
    first = reader.integer("max_window_layers", _FIRST_LOCAL)
    count = count_listed_layers(reader, _QWEN2.layers)
    layers = read_used_windows(
        reader, count, default_window=_WINDOW, is_local=lambda number: number >= first
    )
    return by_turns(layers)


def _write_layers(config: TransformerConfig) -> dict[str, Any]:
    """Return the options of windows; programs that know no lists read `max_window_layers`."""
    kinds = layer_types_of(config)
    first = kinds.index(SLIDING) if SLIDING in kinds else len(kinds)
    return {**write_used_windows(config), "max_window_layers": first}


def _read_qwen2(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.must_be("attention_bias", True)  # of a Llama
    for unsupported in ("mlp_bias", "use_mrope"):  # of a Llama, of Qwen2-VL
        reader.must_be(unsupported, False)
    return read_decoder(
        reader,
        names,
        _QWEN2,
        attention_bias=True,
        attention_output_bias=False,
        layers=_read_layers(reader),
    )


def _write_qwen2(config: TransformerConfig) -> dict[str, Any]:
    return {**write_decoder(config), **_write_layers(config)}


def _read_qwen3(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.must_be("mlp_bias", False)  # of a Llama
    return read_decoder(
        reader,
        names,
        _QWEN3,
        attention_bias=reader.flag("attention_bias", False),
        qk_norm="per-head",
        layers=_read_layers(reader),
    )


def _write_qwen3(config: TransformerConfig) -> dict[str, Any]:
    return {**_write_qwen2(config), "attention_bias": config.has_attention_bias}


QWEN2 = Family(
    read=_read_qwen2,
    write=_write_qwen2,
    names=lambda _config: LLAMA_NAMES,
    ignored=IGNORED,
    architecture="Qwen2ForCausalLM",
    prefix="model.",
    tied_by_default=False,
).with_label_heads(**decoder_label_heads("Qwen2"))
QWEN3 = Family(
    read=_read_qwen3,
    write=_write_qwen3,
    names=lambda _config: QWEN3_NAMES,
    ignored=IGNORED,
    architecture="Qwen3ForCausalLM",
    prefix="model.",
    tied_by_default=False,
).with_label_heads(**decoder_label_heads("Qwen3"))
