"""Transduce: trains tokenizers and Transformers; generates and translates text.

>>> import transduce
>>> model = transduce.load("runs/en-de")  # doctest: +SKIP
>>> model.translate("A dog runs.")  # doctest: +SKIP
'Ein Hund läuft.'
"""

from typing import TYPE_CHECKING, Any

from ._packages import require_own_packages

require_own_packages()

if TYPE_CHECKING:
    from checkpoints import CheckpointError
    from transformer.errors import ConfigError, LineError
    from transformer.pipelines.classification import LabelScore, TextLabels
    from transformer.pipelines.filling import Fill, TextFills
    from transformer.pipelines.scoring import TextScore
    from transformer.pipelines.tagging import TaggedSpan, TextSpans

    from .model import Model
    from .model_loading import load
    from .results import Text
    from .training import train

__all__ = [
    "CheckpointError",
    "ConfigError",
    "Fill",
    "LabelScore",
    "LineError",
    "Model",
    "TaggedSpan",
    "Text",
    "TextFills",
    "TextLabels",
    "TextScore",
    "TextSpans",
    "load",
    "train",
]
_MODULES = {
    "CheckpointError": "checkpoints",
    "ConfigError": "transformer.errors",
    "LineError": "transformer.errors",
    "LabelScore": "transformer.pipelines.classification",
    "TaggedSpan": "transformer.pipelines.tagging",
    "TextLabels": "transformer.pipelines.classification",
    "TextSpans": "transformer.pipelines.tagging",
    "Fill": "transformer.pipelines.filling",
    "TextFills": "transformer.pipelines.filling",
    "TextScore": "transformer.pipelines.scoring",
    "Model": "transduce.model",
    "Text": "transduce.results",
    "load": "transduce.model_loading",
    "train": "transduce.training",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch on first access, so that the rest starts at once."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("transduce")
    if name in _MODULES:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
