"""Templates of strangers, run within bounds. Imports jinja2."""

from .functions import RaisedError
from .meter import METER, Meter, RunawayError
from .sandbox import Sandbox

__all__ = ["METER", "Meter", "RaisedError", "RunawayError", "Sandbox"]
