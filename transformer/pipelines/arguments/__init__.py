"""Arguments of the pipelines: the command line's options and Python's keywords, each defined once.

They import no torch, so that help pages come at once.
"""

from .classify import ClassifyArguments
from .embed import EmbedArguments
from .fill import FillArguments
from .generate import GenerateArguments
from .score import ScoreArguments
from .speculation import SpeculationArguments
from .tag import TagArguments
from .translate import TranslateArguments

__all__ = [
    "ClassifyArguments",
    "EmbedArguments",
    "FillArguments",
    "GenerateArguments",
    "ScoreArguments",
    "SpeculationArguments",
    "TagArguments",
    "TranslateArguments",
]
