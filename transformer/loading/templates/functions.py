"""Tests and functions that templates have, each with what it costs."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import safe_range
from jinja2.tests import TESTS as NATIVES
from jinja2.utils import Namespace

from .meter import RunawayError, meter_of
from .operations import binary, contains, ordered

_MAX_FORMAT = 200  # characters of a date's

_PLAIN = """boolean callable defined false float integer iterable mapping none number sameas
    sequence string true undefined"""
_CASES = ("lower", "upper")
_ORDERS = {
    "eq": ("==", "eq", "equalto"),
    "ne": ("!=", "ne"),
    "gt": (">", "gt", "greaterthan"),
    "gteq": (">=", "ge"),
    "lt": ("<", "lt", "lessthan"),
    "lteq": ("<=", "le"),
}


class RaisedError(TemplateError):
    """A template's own complaint of a conversation."""


def _plain(name: str) -> Callable[..., bool]:
    native: Any = NATIVES[name]

    def run(context: Context, value: Any, *args: Any) -> bool:
        meter_of(context).spend()
        return bool(native(value, *args))

    return run


def _case(name: str) -> Callable[..., bool]:
    native: Any = NATIVES[name]
    return lambda context, value: bool(native(meter_of(context).text(value)))


def _order(name: str) -> Callable[..., bool]:
    return lambda context, value, other: ordered(meter_of(context), name, value, other)


def _in(context: Context, value: Any, values: Any) -> bool:
    return contains(meter_of(context), value, values)


def _divisible(context: Context, value: Any, number: Any) -> bool:
    return bool(binary(meter_of(context), "%", value, number) == 0)


_TESTS: dict[str, Callable[..., bool]] = {
    **{name: _plain(name) for name in _PLAIN.split()},
    **{name: _case(name) for name in _CASES},
    **{alias: _order(name) for name, aliases in _ORDERS.items() for alias in aliases},
    "divisibleby": _divisible,
    "even": lambda context, value: _divisible(context, value, 2),
    "in": _in,
    "odd": lambda context, value: not _divisible(context, value, 2),
}
TESTS = {name: pass_context(run) for name, run in _TESTS.items()}


@pass_context
def _range(context: Context, *args: int) -> range:
    """Python's, of at most 100,000 numbers."""
    meter_of(context).spend()
    return safe_range(*args)


@pass_context
def _dict(context: Context, *args: Any, **kwargs: Any) -> dict[Any, Any]:
    meter = meter_of(context)
    given = [each if isinstance(each, dict) else meter.items(each) for each in args]
    meter.weigh([*given, kwargs])
    return dict(*given, **kwargs)


@pass_context
def _namespace(context: Context, *args: Any, **kwargs: Any) -> Namespace:
    given: dict[Any, Any] = _dict(context, *args, **kwargs)
    if any(str(name).startswith("_") for name in given):
        raise RunawayError("calls a value by a name of Python's own")
    return Namespace(given)


@pass_context
def _raise_exception(context: Context, message: Any = "") -> None:
    raise RaisedError(meter_of(context).text(message))


@pass_context
def _strftime_now(context: Context, form: str) -> str:
    """Today's date, as it is written."""
    if len(form) > _MAX_FORMAT or any(digit in form for digit in "0123456789"):
        raise RunawayError("writes a date in a way that is not allowed")
    meter_of(context).spend(_MAX_FORMAT)
    return datetime.now().strftime(form)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "dict": _dict,
    "namespace": _namespace,
    "raise_exception": _raise_exception,
    "range": _range,
    "strftime_now": _strftime_now,
}
