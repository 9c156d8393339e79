"""Decoding: steppers, processors, searches; text in → text out."""

from .comparing import Difference, compare
from .generation import (
    GenerationOptions,
    PromptError,
    encode_prompt,
    generate,
    stream,
    stream_text,
)
from .lines import Answer, Given, Line, LineError, Output, Source
from .processors import PROCESSORS
from .search import SEARCHES, Engine, Search, deterministic_search, run, write
from .stepper import ModelStepper, Stepper
from .tasks import Finished, Hypothesis, SearchOptions, Task, Token
from .translation import TranslationOptions, translate, translate_lines

__all__ = [
    "PROCESSORS",
    "SEARCHES",
    "Answer",
    "Difference",
    "Engine",
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
    "generate",
    "run",
    "stream",
    "stream_text",
    "translate",
    "translate_lines",
    "write",
]
