"""Errors of this package that are the user's to fix, each with the program's exit code.

ValueError
├── UnknownNameError          2   a name that no registry, recipe or option knows
├── ConfigError               2   settings that describe nothing possible
│   ├── MissingExtraError     1   an optional package that is not installed
│   ├── DivergedError         1   training without finite numbers
│   └── BusyError             1   a run's folder in which another process trains
├── MissingModelError         3   a model's folder that there is not
└── LineError                 4   a line that cannot be answered
    └── PromptError           4   a prompt that does not fit the model
ChildProcessError
└── LostProcessError          1   a process of the program's own that has ended too early
"""

from typing import ClassVar


class UnknownNameError(ValueError):
    """A name that no registry, recipe or option knows. The message names the nearest ones."""

    exit_code: ClassVar[int] = 2


class ConfigError(ValueError):
    """Settings that describe no possible network, search or run."""

    exit_code: ClassVar[int] = 2


class MissingExtraError(ConfigError):
    """An optional package that something needs and that is not installed."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, package: str, *, extra: str, instead: str = "") -> None:
        remedy = f"pip install 'transduce[{extra}]'{f', or {instead}' if instead else ''}"
        super().__init__(f"{what}: this needs {package}; {remedy}")


class DivergedError(ConfigError):
    """Training whose loss or gradients are no finite numbers any more."""

    exit_code: ClassVar[int] = 1


class BusyError(ConfigError):
    """A run's folder in which another process trains."""

    exit_code: ClassVar[int] = 1


class MissingModelError(ValueError):
    """A name of a model that is neither a folder here nor one that the hub may have."""

    exit_code: ClassVar[int] = 3


class LineError(ValueError):
    """A line that cannot be answered; the lines after it still are."""

    exit_code: ClassVar[int] = 4


class PromptError(LineError):
    """A prompt that does not fit the model."""


class LostProcessError(ChildProcessError):
    """A process of the program's own that has ended too early, as where memory runs out."""

    exit_code: ClassVar[int] = 1
