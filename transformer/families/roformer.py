"""RoFormer (arXiv 2104.09864): BERT's layers, with rotary positions in place of a table of them."""

from typing import Any

from ..config import TransformerConfig
from .bert import encoder_names, read_encoder, write_encoder
from .config_reader import ConfigReader, TensorNames
from .family import Family
from .label_heads import HIDDEN_ACT, LabelHead

# It rotates pairs (2i, 2i + 1) of a head's features.
_NAMES = encoder_names("roformer.", positions="", qkv="query ^pairs,key ^pairs,value")


def _read(reader: ConfigReader, names: TensorNames) -> TransformerConfig:
    reader.must_be("rotary_value", False)
    return read_encoder(
        reader,
        names,
        prefix="roformer.",
        positions="rotary",
        max_positions=1536,
        vocab_size=50_000,
    )


def _write(config: TransformerConfig) -> dict[str, Any]:
    return {**write_encoder(config), "rotary_value": False}


ROFORMER = Family(
    read=_read,
    write=_write,
    names=lambda config: _NAMES[config.tie_output],
    # Its sinusoids are computed, whether a file has them or not.
    ignored=("*encoder.embed_positions.weight", "*pooler.dense.*", "cls.seq_relationship.*"),
    architecture="RoFormerForMaskedLM",
    bare_architecture="RoFormerModel",
    prefix="roformer.",
    outside=("cls",),
).with_label_heads(
    classification=LabelHead(
        architecture="RoFormerForSequenceClassification",
        names="head.dense = classifier.dense\nhead = classifier.out_proj",
        layer=HIDDEN_ACT,
    ),
    tagging=LabelHead(architecture="RoFormerForTokenClassification", names="head = classifier"),
)
