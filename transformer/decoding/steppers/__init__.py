"""Step functions: a model, an ensemble, and the state that they keep of rows."""

from .ensemble import COMBINATIONS, EnsembleStepper
from .model import ModelStepper
from .stepper import HiddenStateStepper, Reorderable, RewindingStepper, Stepper

__all__ = [
    "COMBINATIONS",
    "EnsembleStepper",
    "HiddenStateStepper",
    "ModelStepper",
    "Reorderable",
    "RewindingStepper",
    "Stepper",
]
