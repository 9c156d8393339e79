"""Training objectives: a registry.

An objective knows the text that it needs, how to encode it to ids on disk, the batches to draw from
them, the loss of a batch, and how to score the model beyond its loss.
"""

from ...registry import Registry
from .base import TRAIN, VALID, Objective, Sample, Stop
from .classification import Classification
from .denoising import Denoising
from .instructions import Instructions
from .language_model import LanguageModel
from .masked_lm import MaskedLM
from .prefix_lm import PrefixLM
from .span_corruption import SpanCorruption
from .tagging import Tagging
from .translation import Translation

OBJECTIVES: Registry[Objective] = Registry(
    "objective",
    {
        "translation": Translation(),
        "language-model": LanguageModel(),
        "instructions": Instructions(),
        "masked-lm": MaskedLM(),
        "span-corruption": SpanCorruption(),
        "denoising": Denoising(),
        "prefix-lm": PrefixLM(),
        "classification": Classification(),
        "tagging": Tagging(),
    },
)

__all__ = ["OBJECTIVES", "TRAIN", "VALID", "Objective", "Sample", "Stop"]
