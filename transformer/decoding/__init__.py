"""Decoding: requests in, events out, without folders, lines of text or loaded models."""

from .engine import Engine, decode_all
from .logits import PROCESSORS
from .request import Hypothesis, Request, RequestFinished, SearchOptions, TokenEvent
from .scheduler import Scheduler
from .search import SEARCHES, Search, deterministic_search
from .steppers import ModelStepper, Stepper

__all__ = [
    "PROCESSORS",
    "SEARCHES",
    "Engine",
    "Hypothesis",
    "ModelStepper",
    "Request",
    "RequestFinished",
    "Scheduler",
    "Search",
    "SearchOptions",
    "Stepper",
    "TokenEvent",
    "decode_all",
    "deterministic_search",
]
