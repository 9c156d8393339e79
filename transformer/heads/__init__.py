"""Output heads and their registry."""

from ..registry import Registry
from .base import Head, TokenHead
from .classification import (
    CLASSIFIER_LAYERS,
    SequenceClassificationHead,
    TokenClassificationHead,
)
from .label_kinds import LABEL_KINDS, LabelKind
from .language import LinearHead, MaskedLMHead, NoHead

HEADS: Registry[type[Head]] = Registry(
    "head",
    {
        "linear": LinearHead,
        "masked": MaskedLMHead,
        "classification": SequenceClassificationHead,
        "tagging": TokenClassificationHead,
        "none": NoHead,
    },
)

__all__ = [
    "CLASSIFIER_LAYERS",
    "HEADS",
    "LABEL_KINDS",
    "Head",
    "LabelKind",
    "TokenHead",
]
