"""Operators and methods that templates have, each with what it costs."""

import operator
import re
from collections.abc import Callable, ItemsView, KeysView, Sequence
from string import Formatter
from typing import Any

from jinja2 import Undefined

from .meter import MAX_BITS, SLOT, Meter, RunawayError, whole

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "**": operator.pow,
    "%": operator.mod,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}
_HOLDERS = (list, tuple, dict, KeysView, ItemsView)
# A field of `"%s" % value` and of `"{}".format(value)`: no wider than 999 characters.
_PERCENT = re.compile(r"%(?:\(\w*\))?[-#0 +]{0,4}[0-9]{0,3}(?:\.[0-9]{0,3})?[diouxXeEfFgGcrsa%]")
_BRACES = re.compile(r"(?!.*[0-9]{4})[^{}]{0,20}", re.DOTALL)
_FIELD_UNITS = 1000
_LINE_END = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def binary(meter: Meter, name: str, left: Any, right: Any) -> Any:
    """`left + right` and the like, of numbers, texts and lists."""
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if isinstance(left, Undefined) or isinstance(right, Undefined):
        meter.spend()  # and it says that it is undefined
    elif numbers:
        meter.spend(SLOT)
        _check_numbers(name, left, right)
        return whole(OPERATORS[name](left, right))
    elif name == "%" and isinstance(left, str):
        return percent(meter, left, right)
    elif name == "+" and _alike(left, right):
        meter.spend(_unit(left) * (len(left) + len(right)))
    elif name == "*" and isinstance(left, int) and isinstance(right, str | list | tuple):
        meter.spend(_unit(right) * len(right) * max(0, whole(left)))
    elif name == "*" and isinstance(right, int) and isinstance(left, str | list | tuple):
        meter.spend(_unit(left) * len(left) * max(0, whole(right)))
    else:
        kinds = f"{type(left).__name__} and {type(right).__name__}"
        raise TypeError(f"there is no {kinds} with {name} between them")
    return OPERATORS[name](left, right)


def _alike(left: Any, right: Any) -> bool:
    return any(isinstance(left, k) and isinstance(right, k) for k in (str, list, tuple))


def _unit(value: Any) -> int:
    return 1 if isinstance(value, str) else SLOT


def _check_numbers(name: str, left: Any, right: Any) -> None:
    """Refuse products and powers before they are made."""
    whole(left)
    whole(right)
    power = name == "**" and isinstance(left, int) and isinstance(right, int)
    if power and left.bit_length() * abs(right) > MAX_BITS:
        raise RunawayError(f"computes with numbers of more than {MAX_BITS:,} bits")


def compare(meter: Meter, values: list[Any], names: Sequence[str]) -> bool:
    """`a < b < c` and the like."""
    for name, left, right in zip(names, values, values[1:], strict=False):
        if name in {"in", "notin"}:
            found = contains(meter, left, right) == (name == "in")
        else:
            found = ordered(meter, name, left, right)
        if not found:
            return False
    return True


def ordered(meter: Meter, name: str, left: Any, right: Any) -> bool:
    """`left == right` and the like: values of two kinds differ at once."""
    if isinstance(left, str) and isinstance(right, str):
        meter.spend(min(len(left), len(right)))
    elif isinstance(left, _HOLDERS) and isinstance(right, _HOLDERS):
        meter.weigh([left, right])
    else:
        meter.spend()
    return bool(_COMPARISONS[name](left, right))


def contains(meter: Meter, item: Any, values: Any) -> bool:
    """`item in values`."""
    if isinstance(values, str):
        meter.spend(len(values))
    elif isinstance(values, dict):
        meter.weigh(item)  # which is hashed
    else:
        values = meter.items(values)
        meter.weigh([item, values])
    return item in values


def percent(meter: Meter, text: str, values: Any) -> str:
    """`text % values`."""
    if "%" in _PERCENT.sub("", text):
        raise RunawayError("formats a text in a way that is not allowed")
    meter.weigh(values, times=1 + text.count("%"))
    meter.spend(len(text) + _FIELD_UNITS * text.count("%"))
    return str(text % values)


def braces(meter: Meter, text: str, *args: Any, **kwargs: Any) -> str:
    """`text.format(…)`, of values as they are."""
    meter.spend(SLOT * len(text))
    fields = [(name, spec) for _, name, spec, _ in Formatter().parse(text) if name is not None]
    if not all(
        re.fullmatch(r"\w*", name) and _BRACES.fullmatch(spec or "") for name, spec in fields
    ):
        raise RunawayError("formats a text in a way that is not allowed")
    meter.weigh([*args, *kwargs.values()], times=1 + len(fields))
    meter.spend(_FIELD_UNITS * len(fields))
    return text.format(*args, **kwargs)


Cost = Callable[..., int]  # of a text and arguments, in units


def linear(text: str, *args: Any) -> int:
    """A look at the text and at each argument."""
    return len(text) + sum(map(_length, args))


def _length(value: Any) -> int:
    if isinstance(value, tuple):
        return SLOT * len(value) + sum(map(_length, value))
    return len(value) if isinstance(value, str) else 0


def stripping(text: str, chars: str | None = None) -> int:
    """Each character may be compared with each of `chars`."""
    return len(text) * (1 + len(chars or ""))


def backwards(text: str, sought: str = "", *_: Any) -> int:
    """A search from the end, which compares anew at each character."""
    return len(text) * (1 + len(sought) // 4)


def splitting(text: str, sep: str | None = None, maxsplit: int = -1) -> int:
    """A list, with a header for each of the new texts."""
    parts = len(text) // 2 if sep is None else text.count(sep)
    if maxsplit >= 0:
        parts = min(parts, maxsplit)
    return backwards(text, sep or "") + 4 * SLOT * (parts + 1)


def splitting_lines(text: str, keepends: bool = False) -> int:
    """A list of lines; characters of ten kinds end them."""
    del keepends
    return len(text) + 4 * SLOT * (1 + len(_LINE_END.findall(text)))


def replacing(text: str, old: str, new: str, count: int = -1) -> int:
    """Two looks, and what is put in."""
    times = text.count(old)
    return 2 * len(text) + (times if count < 0 else min(times, count)) * len(new)


def casing(text: str, *_: Any) -> int:
    """A look at each character's properties; some become three."""
    return 4 * len(text)


_LINEAR = """count endswith find index isalnum isalpha isascii isdecimal isdigit islower isnumeric
    isspace istitle isupper partition removeprefix removesuffix startswith"""
_CASING = "capitalize casefold lower swapcase title upper"
TEXT: dict[str, Cost] = {  # methods of a text that are Python's own
    **dict.fromkeys(_LINEAR.split(), linear),
    **dict.fromkeys(_CASING.split(), casing),
    **dict.fromkeys(("lstrip", "rstrip", "strip"), stripping),
    **dict.fromkeys(("rfind", "rindex", "rpartition"), backwards),
    **dict.fromkeys(("rsplit", "split"), splitting),
    "replace": replacing,
    "splitlines": splitting_lines,
}


def text_method(meter: Meter, name: str, text: str, *args: Any, **kwargs: Any) -> Any:
    """A text's method, called."""
    if name == "format":
        return braces(meter, text, *args, **kwargs)
    if name == "join":
        parts = meter.items(*args, **kwargs)
        meter.weigh(parts)
        meter.spend(len(text) * len(parts))
        return text.join(parts)
    meter.spend(TEXT[name](text, *args, **kwargs))
    return getattr(str, name)(text, *args, **kwargs)


def dict_method(meter: Meter, name: str, values: dict[Any, Any], *args: Any) -> Any:
    """A mapping's method, called."""
    meter.weigh(list(args[:1]))  # a key, which is hashed
    return getattr(dict, name)(values, *args)


def list_method(meter: Meter, name: str, values: Any, *args: Any) -> Any:
    """A list's method, called."""
    meter.weigh(values)
    meter.weigh(list(args))
    return getattr(type(values), name)(values, *args)


Method = Callable[..., Any]
METHODS: dict[type, tuple[frozenset[str], Method]] = {
    str: (frozenset({*TEXT, "format", "join"}), text_method),
    dict: (frozenset({"get", "items", "keys", "values"}), dict_method),
    list: (frozenset({"count", "index"}), list_method),
    tuple: (frozenset({"count", "index"}), list_method),
}
_LOOP = """cycle depth depth0 first index index0 last length nextitem previtem revindex
    revindex0"""
LOOP = frozenset(_LOOP.split())
