"""Decoding: steppers, processors, searches; text in → text out."""

from .comparing import Difference, compare
from .generation import (
    GenerationOptions,
    PromptError,
    encode_prompt,
    generate_texts,
    stream_text,
)
from .hypothesis import Hypothesis, SearchOptions
from .processors import PROCESSORS
from .search import SEARCHES, deterministic_search
from .stepper import ModelStepper, Stepper
from .translation import Translation, TranslationOptions, translate_lines

__all__ = [
    "PROCESSORS",
    "SEARCHES",
    "Difference",
    "GenerationOptions",
    "Hypothesis",
    "ModelStepper",
    "PromptError",
    "SearchOptions",
    "Stepper",
    "Translation",
    "TranslationOptions",
    "compare",
    "deterministic_search",
    "encode_prompt",
    "generate_texts",
    "stream_text",
    "translate_lines",
]
