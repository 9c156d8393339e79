"""LED (arXiv 2004.05150): BART's layers, with Longformer's attention in the encoder."""

from typing import Any

from msgspec import structs

from ..config import TransformerConfig
from .attention_windows import with_windows, write_windows
from .bart import EMBEDDINGS, LAYERS, Variant, write_bart
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .name_map import NameMap

_SELF = "{p}encoder.layers.{i}.self_attn"
_PARTS = f"{_SELF}.longformer_self_attn"
_LAYERS = f"""{LAYERS}
    encoder.layers.{{i}}.attention.qkv = {_PARTS}.{{query,key,value}}
    encoder.layers.{{i}}.attention.global_qkv = {_PARTS}.{{query,key,value}}_global
    encoder.layers.{{i}}.attention.out = {_SELF}.output
"""
_SHARED, _SEPARATE = (NameMap(_LAYERS + embeddings, prefix="led.") for embeddings in EMBEDDINGS)
_VARIANT = Variant(positions="learned", embedding_norm=True, prefix="led.")
_SOURCE, _TARGET = (f"max_{side}_position_embeddings" for side in ("encoder", "decoder"))


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.rename({"attention_probs_dropout_prob": "attention_dropout"})
    # what the first files say beside
    reader.must_be("attention_mode", "longformer")
    source, target = reader.integer(_SOURCE, 16_384), reader.integer(_TARGET, 1024)
    reader.must_be("scale_embedding", False)
    config = with_windows(_VARIANT.read(reader, names), reader)
    positions = {
        "max_positions": source,
        "max_target_positions": None if target == source else target,
    }
    return structs.replace(config, **positions)


def _write(config: TransformerConfig) -> dict[str, Any]:
    options = write_bart(config)
    del options["max_position_embeddings"], options["scale_embedding"]
    lengths = {_SOURCE: config.max_positions, _TARGET: config.target_positions}
    return {**options, **lengths, **write_windows(config)}


LED = Family(
    read=_read,
    write=_write,
    names=lambda config: _SHARED if config.share_embeddings else _SEPARATE,
    ignored=("*shared.weight",),
    architecture="LEDForConditionalGeneration",
    prefix="led.",
    outside=("lm_head", "final_logits_bias"),
    stacks=("encoder", "decoder"),
)
