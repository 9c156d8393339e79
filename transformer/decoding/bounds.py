"""Checks of numeric options."""

from ..errors import ConfigError


def check(name: str, valid: bool, value: float, allowed: str) -> None:
    """Raise ConfigError, which says what is allowed, unless the value is valid."""
    if not valid:
        raise ConfigError(f"{name} is {value:g}; it must be {allowed}")


def check_size(name: str, value: float) -> None:
    """Raise ConfigError unless the value is a whole number of at least 1."""
    check(name, value >= 1 and value % 1 == 0, value, "a whole number of at least 1")


def check_range(name: str, value: float, minimum: float, maximum: float) -> None:
    """Raise ConfigError unless the value is between two bounds, these included."""
    check(name, minimum <= value <= maximum, value, f"between {minimum:g} and {maximum:,.10g}")
