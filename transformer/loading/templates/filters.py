"""Filters that templates have, each with what it costs."""

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import filters as natives
from jinja2 import pass_context
from jinja2.filters import FILTERS as NATIVES
from jinja2.runtime import Context
from markupsafe import escape

from .meter import SLOT, RunawayError, meter_of, size, whole
from .operations import binary, compare, percent, text_method

_MAX_INDENT = 32  # characters
_MAX_DIGITS = 1000  # of a number that is read
_MAX_PRECISION = 100

Filter = Callable[..., Any]  # of the context, the value and what was given


def _flat(name: str) -> Filter:
    """One of jinja's that looks at a value's surface alone."""
    native: Callable[..., Any] = NATIVES[name]

    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        meter_of(context).spend()
        return native(*_given(native, context), value, *args, **kwargs)

    return run


def _method(name: str) -> Filter:
    """A filter that is a text's method."""
    return lambda context, value, *args: text_method(
        meter_of(context), name, meter_of(context).text(value), *args
    )


def _each(name: str) -> Filter:
    """One of jinja's that goes over values by an attribute, a filter or a test.

    Its answer is made at once, as an iterator: what is lazy would be paid for by nobody.
    """
    native: Callable[..., Any] = NATIVES[name]

    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        values = _attributes(context, value, args, kwargs)
        return iter(list(native(*_given(native, context), values, *args, **kwargs)))

    return run


def _sorting(name: str, *, lazy: bool = False) -> Filter:
    """One of jinja's that compares values with each other."""
    native: Callable[..., Any] = NATIVES[name]

    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        mapping = isinstance(value, dict)
        values = _attributes(context, value, args, kwargs)
        meter_of(context).weigh(
            value if mapping else values, times=2 + 2 * len(values).bit_length()
        )
        found = native(*_given(native, context), value if mapping else values, *args, **kwargs)
        return iter(list(found)) if lazy else found

    return run


def _given(native: Callable[..., Any], context: Context) -> tuple[Any, ...]:
    """What a function of jinja's wants to be given first."""
    wanted = getattr(native, "jinja_pass_arg", None)
    if wanted is None:
        return ()
    return (context if wanted.name == "context" else context.environment,)


def _attributes(context: Context, value: Any, args: Any, kwargs: Any) -> list[Any]:
    """The values to go over, of each of which an attribute such as `a.b.c` may be sought."""
    values = meter_of(context).items(value)
    given = sum(len(a) for a in (*args, *kwargs.values()) if isinstance(a, str))
    meter_of(context).spend(SLOT * (1 + given) * len(values))
    return values


def _items(context: Context, value: Any) -> Iterator[Any]:
    meter_of(context).spend(SLOT * size(value))
    return iter(list(natives.do_items(value)))


def _list(context: Context, value: Any) -> list[Any]:
    return meter_of(context).items(value)


def _reverse(context: Context, value: Any) -> Any:
    if isinstance(value, str):
        return meter_of(context).text(value)[::-1]
    return iter(meter_of(context).items(value)[::-1])


def _string(context: Context, value: Any) -> str:
    return meter_of(context).text(value)


def _escape(context: Context, value: Any) -> str:
    text = meter_of(context).text(value)
    meter_of(context).spend(5 * len(text))
    return str(escape(text))


def _trim(context: Context, value: Any, chars: str | None = None) -> Any:
    return text_method(meter_of(context), "strip", meter_of(context).text(value), chars)


def _replace(context: Context, value: Any, old: Any, new: Any, count: int | None = None) -> Any:
    old, new, text = map(meter_of(context).text, (old, new, value))
    return text_method(meter_of(context), "replace", text, old, new, -1 if count is None else count)


def _title(context: Context, value: Any) -> str:
    text = meter_of(context).text(value)
    meter_of(context).spend(4 * SLOT * len(text))
    return natives.do_title(text)


def _wordcount(context: Context, value: Any) -> int:
    text = meter_of(context).text(value)
    meter_of(context).spend(4 * SLOT * len(text))
    return natives.do_wordcount(text)


def _truncate(context: Context, value: Any, *args: Any, **kwargs: Any) -> str:
    meter_of(context).weigh([*args, *kwargs.values()])
    return natives.do_truncate(context.environment, meter_of(context).text(value), *args, **kwargs)


def _join(context: Context, value: Any, d: Any = "", attribute: Any = None) -> str:
    meter, values = meter_of(context), _picked(context, value, attribute)
    texts, separator = [meter.text(value) for value in values], meter.text(d)
    meter.spend(len(separator) * len(texts) + sum(map(len, texts)))
    return separator.join(texts)


def _sum(context: Context, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    add = functools.partial(binary, meter_of(context), "+")
    return functools.reduce(add, _picked(context, value, attribute), start)


def _picked(context: Context, value: Any, attribute: Any) -> list[Any]:
    """Values, or an attribute of each."""
    values = _attributes(context, value, (attribute,), {})
    if attribute is None:
        return values
    return list(map(natives.make_attrgetter(context.environment, attribute), values))


def _indent(
    context: Context, value: Any, width: int | str = 4, first: bool = False, blank: bool = False
) -> str:
    text = meter_of(context).text(value)
    lines: list[str] = text_method(meter_of(context), "splitlines", text)
    meter_of(context).spend(
        2 * len(text) + len(lines) * (width if isinstance(width, int) else len(width))
    )
    return natives.do_indent(text, width, first, blank)


def _tojson(  # noqa: PLR0917  (as transformers has it)
    context: Context,
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As transformers has it: for texts, not for pages. An indented line is at most as deep as
    values may be."""
    spaces = indent if isinstance(indent, int) else size(indent or "")
    if spaces > _MAX_INDENT or any(len(text) > _MAX_INDENT for text in separators or ()):
        raise RunawayError(f"writes JSON with more than {_MAX_INDENT} characters between values")
    meter_of(context).weigh(value, times=2)
    meter_of(context).spend(_deep_indents(value, max(0, spaces)))
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _deep_indents(value: Any, spaces: int) -> int:
    """Characters that indent a value's lines; the value was weighed."""
    total, level = 0, [value]
    for depth in range(1, 1000):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list | tuple):
                inner.extend(item)
        if not inner or not spaces:
            break
        total += 2 * spaces * depth * len(inner)
        level = inner
    return total


def _int(context: Context, value: Any, default: Any = 0, base: int = 10) -> Any:
    if isinstance(value, str) and len(value) > _MAX_DIGITS:
        raise RunawayError(f"reads a number of {len(value):,} digits")
    meter_of(context).spend(_MAX_DIGITS)
    return whole(natives.do_int(value, default, base))


def _float(context: Context, value: Any, default: Any = 0.0) -> Any:
    meter_of(context).spend(size(value) if isinstance(value, str) else 0)
    return natives.do_float(value, default)


def _round(context: Context, value: Any, precision: int = 0, method: Any = "common") -> Any:
    if not isinstance(value, int | float) or abs(precision) > _MAX_PRECISION:
        raise RunawayError("rounds what is no number, or to too many digits")
    meter_of(context).spend()
    return natives.do_round(whole(value), precision, method)


def _format(context: Context, value: Any, *args: Any, **kwargs: Any) -> str:
    return percent(meter_of(context), meter_of(context).text(value), kwargs or args)


def _say(context: Context, value: Any) -> str:
    """What is written: twice, for pieces are put together in the end."""
    text = meter_of(context).text(value)
    meter_of(context).spend(len(text))
    return text


def _compare(context: Context, values: list[Any], names: tuple[str, ...]) -> bool:
    return compare(meter_of(context), values, names)


def _made(context: Context, value: Any) -> Any:
    """A list, a mapping or a part of something, that is there now."""
    meter_of(context).spend(len(value) if isinstance(value, str) else SLOT * size(value))
    return value


def _key(context: Context, value: Any) -> Any:
    """A key of a mapping, before it is hashed."""
    meter_of(context).weigh(value)
    return value


def _tick(context: Context, value: Any) -> Any:
    """A step of a loop."""
    meter_of(context).spend()
    return value


# Those that begin with a NUL are put in by `rewriting.py`. Left out is what pages need, not texts.
_OWN: dict[str, Filter] = {
    **{name: _flat(name) for name in ("abs", "count", "d", "default", "first", "last", "length")},
    **{name: _method(name) for name in ("capitalize", "lower", "upper")},
    **{name: _each(name) for name in ("map", "reject", "rejectattr", "select", "selectattr")},
    **{name: _sorting(name) for name in ("dictsort", "max", "min", "sort")},
    "e": _escape,
    "escape": _escape,
    "float": _float,
    "format": _format,
    "indent": _indent,
    "int": _int,
    "items": _items,
    "join": _join,
    "list": _list,
    "replace": _replace,
    "reverse": _reverse,
    "round": _round,
    "safe": _string,
    "string": _string,
    "sum": _sum,
    "title": _title,
    "tojson": _tojson,
    "trim": _trim,
    "truncate": _truncate,
    "unique": _sorting("unique", lazy=True),
    "wordcount": _wordcount,
    "\0compare": _compare,
    "\0key": _key,
    "\0made": _made,
    "\0say": _say,
    "\0tick": _tick,
}
FILTERS: dict[str, Filter] = {name: pass_context(run) for name, run in _OWN.items()}
