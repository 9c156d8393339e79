"""Tiny models with a head over labels: random weights, a tokenizer that knows every byte."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from tests.masked_models import CONTEXT, masked_tokenizer
from tests.models import tiny_model
from transformer.export import save_model
from transformer.presets import preset_config

LABELS = ("city", "person", "thing")


TAGS = ("B-city", "I-city", "B-person", "I-person")


def write_tagger(folder: Path, names: Sequence[str] = TAGS, **changes: Any) -> Path:
    """Write an encoder that tags the words of texts, in windows of up to 32 tokens."""
    fields = {"head": "tagging", "classifier_layer": "none", **changes}
    return write_classifier(folder, names=names, **fields)


def write_classifier(
    folder: Path, kind: str = "single", names: Sequence[str] = LABELS, **changes: Any
) -> Path:
    """Write an encoder that classifies texts of up to 32 tokens."""
    tokenizer = masked_tokenizer()
    affixes = ([tokenizer.require_role("begin")], [tokenizer.require_role("end")])
    names = ("LABEL_0",) if kind == "number" else names
    bert = structs.asdict(preset_config("bert-tiny", vocab_size=tokenizer.vocab_size))
    sizes = {"d_model": 16, "d_ff": 24, "heads": 4, "encoder_layers": 2, "max_positions": CONTEXT}
    head = {"head": "classification", "labels": len(names), "label_kind": kind}
    model = tiny_model(**{**bert, **sizes, **head, "classifier_layer": "tanh", **changes})
    folder.mkdir(parents=True, exist_ok=True)
    save_model(
        *(folder, model.config, model.state_dict(), tokenizer),
        card={},
        source_affixes=affixes,
        labels=names,
    )
    return folder
