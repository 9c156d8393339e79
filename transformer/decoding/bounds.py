"""What is said of numbers that cannot be asked for."""

from ..errors import ConfigError


def check(name: str, good: bool, value: float, allowed: str) -> None:
    """Raise a ConfigError that says what is allowed, unless the value is good."""
    if not good:
        raise ConfigError(f"{name} is {value:g}; it must be {allowed}")


def check_size(name: str, value: float) -> None:
    """Raise a ConfigError for what is no number of things."""
    check(name, value >= 1 and value % 1 == 0, value, "a whole number of at least 1")


def check_range(name: str, value: float, least: float, most: float) -> None:
    """Raise a ConfigError for a number that is not between two others, or is none."""
    check(name, least <= value <= most, value, f"between {least:g} and {most:,.10g}")
