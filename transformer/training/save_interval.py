"""The interval of saves between validations, as recipes write it. Imports no torch."""

from typing import NamedTuple

from ..durations import parse_duration
from ..errors import ConfigError


class SaveInterval(NamedTuple):
    """The steps or the seconds after which a run is saved between validations; 0: never."""

    steps: int = 0
    seconds: float = 0.0


def parse_save_interval(value: int | str) -> SaveInterval:
    """Return the interval that `training.save_every` means. Raises ConfigError.

    >>> parse_save_interval("10m"), parse_save_interval(500)
    (SaveInterval(steps=0, seconds=600.0), SaveInterval(steps=500, seconds=0.0))
    """
    text = str(value).strip()
    if text.isascii() and text.isdecimal():
        return SaveInterval(steps=int(text))
    try:
        return SaveInterval(seconds=parse_duration("training.save_every", text))
    except ConfigError:
        raise ConfigError(
            f"training.save_every is {value!r}; it must be a time, such as 10m or 90s, or a "
            "number of steps, such as 500 (0: save at validations alone)"
        ) from None
