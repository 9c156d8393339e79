"""Longformer (arXiv 2004.05150): RoBERTa's layers, with windows and global tokens."""

from typing import Any

from ..config import TransformerConfig
from .attention_windows import with_windows, write_windows
from .bert import (
    IGNORED,
    POSITIONS,
    encoder_names,
    read_roberta,
    with_roberta_heads,
    write_roberta,
)
from .config_reader import ConfigReader, TensorNames
from .family import Family

_LAYER = "{p}encoder.layer.{i}.attention.self"
_GLOBAL = f"encoder.layers.{{i}}.attention.global_qkv = {_LAYER}.{{query,key,value}}_global\n"
_NAMES = encoder_names(
    "longformer.",
    positions=POSITIONS + _GLOBAL,
    head="lm_head",
    dense="dense",
    norm="layer_norm",
)


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    # what the first files say beside
    reader.must_be("attention_mode", "longformer")
    reader.must_be("ignore_attention_mask", False)
    config = read_roberta(reader, names, prefix="longformer.", vocab_size=30_522)
    return with_windows(config, reader)


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {**write_roberta(config), **write_windows(config)}


LONGFORMER = with_roberta_heads(
    Family(
        read=_read,
        write=_write,
        names=lambda config: _NAMES[config.tie_output],
        ignored=IGNORED,
        architecture="LongformerForMaskedLM",
        bare_architecture="LongformerModel",
        prefix="longformer.",
    ),
    "Longformer",
)
