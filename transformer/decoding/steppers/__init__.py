"""Step functions: a model, several models together, and what they keep of rows."""

from .ensemble import COMBINATIONS, EnsembleStepper
from .model import ModelStepper
from .stepper import Follower, RewindingStepper, StateStepper, Stepper

__all__ = [
    "COMBINATIONS",
    "EnsembleStepper",
    "Follower",
    "ModelStepper",
    "RewindingStepper",
    "StateStepper",
    "Stepper",
]
