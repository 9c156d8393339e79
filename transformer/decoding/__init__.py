"""Decoding: steppers, processors, searches; text in → text out."""

from .comparing import Difference, compare
from .generation import (
    GenerationOptions,
    PromptError,
    encode_prompt,
    generate_texts,
    stream_text,
)
from .tasks import Hypothesis, SearchOptions
from .lines import Answer, Given, Line, LineError, Output, Source
from .processors import PROCESSORS
from .search import SEARCHES, Search, deterministic_search, run, write
from .stepper import ModelStepper, Stepper
from .tasks import Finished, Hypothesis, SearchOptions, Task, Token
from .translation import TranslationOptions, translate, translate_lines

__all__ = [
    "PROCESSORS",
    "SEARCHES",
    "Answer",
    "Difference",
    "Finished",
    "GenerationOptions",
    "Given",
    "Hypothesis",
    "Line",
    "LineError",
    "ModelStepper",
    "Output",
    "PromptError",
    "Search",
    "SearchOptions",
    "Source",
    "Stepper",
    "Task",
    "Token",
    "TranslationOptions",
    "compare",
    "deterministic_search",
    "encode_prompt",
    "generate_texts",
    "run",
    "stream_text",
    "translate",
    "translate_lines",
    "write",
]
