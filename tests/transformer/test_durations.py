"""Durations on the command line and in recipes."""

import pytest

from transformer.durations import parse_duration
from transformer.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h", 3600), ("1h30m", 5400), ("0.5h", 1800), (" 1D2h ", 93600)],
)
def test_a_duration_has_units(text: str, seconds: float) -> None:
    assert parse_duration("--time", text) == seconds


@pytest.mark.parametrize("text", ["", "20", "m", "0s", "-5m", "20 min", "1.2.3s", "5m1h", "nan"])
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--time is .* such as 90s, 20m or 1h30m"):
        parse_duration("--time", text)
