"""Decoding: requests in, events out. Knows no folder, no line of text and no loaded model."""

from .engine import Engine, run, write
from .logits import PROCESSORS
from .request import Finished, Hypothesis, SearchOptions, Task, Token
from .search import SEARCHES, Search, deterministic_search
from .steppers import ModelStepper, Stepper

__all__ = [
    "PROCESSORS",
    "SEARCHES",
    "Engine",
    "Finished",
    "Hypothesis",
    "ModelStepper",
    "Search",
    "SearchOptions",
    "Stepper",
    "Task",
    "Token",
    "deterministic_search",
    "run",
    "write",
]
