"""Step functions: a model, an ensemble, and the state that they keep of rows."""

from .ensemble import COMBINATIONS, EnsembleStepper
from .model import ModelStepper
from .stepper import Reorderable, RewindingStepper, StateStepper, Stepper

__all__ = [
    "COMBINATIONS",
    "EnsembleStepper",
    "ModelStepper",
    "Reorderable",
    "RewindingStepper",
    "StateStepper",
    "Stepper",
]
