"""Durations: as people write them (90s, 20m, 1h30m), and as a clock shows them."""

import re

from .errors import ConfigError

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:([0-9.]+){unit})?" for unit in _UNITS))


def parse_duration(name: str, text: str) -> float:
    """Return the seconds of a duration. Raises ConfigError, which calls it `name`.

    >>> parse_duration("--time", "1h30m"), parse_duration("--time", "90s")
    (5400.0, 90.0)
    """
    match = _DURATION.fullmatch(text.strip().lower())
    try:
        parts = [float(part or 0) for part in match.groups()] if match else []
    except ValueError:  # 1.2.3
        parts = []
    seconds = sum(part * size for part, size in zip(parts, _UNITS.values(), strict=False))
    if not seconds > 0:
        raise ConfigError(f"{name} is {text!r}; it must be a duration such as 90s, 20m or 1h30m")
    return seconds


def spell_duration(seconds: float) -> str:
    """Return a duration as people write it, which `parse_duration` reads, in whole seconds.

    >>> spell_duration(5400), spell_duration(90), spell_duration(0.2)
    ('1h30m', '1m30s', '1s')
    """
    rest, parts = max(1, round(seconds)), []
    for unit, size in _UNITS.items():
        number, rest = divmod(rest, size)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts)


def format_duration(seconds: float | None) -> str:
    """Format seconds as [hours:]minutes:seconds.

    >>> format_duration(3725)
    '1:02:05'
    """
    if seconds is None:
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
