"""Decoding: requests in, events out, without folders, lines of text or loaded models."""

from .engine import Engine, decode_all
from .logits import PROCESSORS
from .request import Hypothesis, Request, RequestFinished, TokenEvent
from .scheduler import Scheduler
from .search import SEARCHES, Search
from .search.parameters import SearchParameters
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
    "SearchParameters",
    "Stepper",
    "TokenEvent",
    "decode_all",
]
