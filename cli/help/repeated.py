"""Options that a command line has more than once, of which one value counts."""

from collections.abc import Iterator
from typing import Any

from .render import is_argument

_SHOWN = 60  # characters of a value


def values_of(context: Any, args: list[str]) -> dict[str, list[str]]:
    """Return all values of each option on a command line, by its parameter; of a flag its names.

    The parser itself keeps the last one alone.
    """
    command = context.command
    parser = type(command.make_parser(context))(context)
    for option in (each for each in command.params if not is_argument(each)):
        if option.is_flag:
            for name in (*option.opts, *option.secondary_opts):
                parser.add_option(option, [name], option.name, action="append_const", const=name)
        else:
            parser.add_option(option, option.opts, option.name, action="append", nargs=option.nargs)
    return {name: list(values) for name, values in parser.parse_args([*args])[0].items()}


def repeated_notices(context: Any, args: list[str]) -> Iterator[str]:
    """Yield a notice for each option whose values differ, as far as one alone counts."""
    given = values_of(context, args)
    for option in context.command.params:
        values = given.get(option.name, [])
        if is_argument(option) or len(values) < 2:
            continue
        names = "/".join(option.opts)
        if option.is_flag:
            if {*values} & {*option.secondary_opts} and {*values} - {*option.secondary_opts}:
                yield _notice("/".join([*option.opts, *option.secondary_opts]), values)
        elif not option.multiple:
            yield from _differing(names, values)
        elif option.metavar == "KEY=VALUE":
            by_key: dict[str, list[str]] = {}
            for value in values:
                by_key.setdefault(value.partition("=")[0], []).append(value.partition("=")[2])
            for key, inner in by_key.items():
                yield from _differing(f"{names} {key}", inner)


def _differing(names: str, values: list[str]) -> Iterator[str]:
    if len({*values}) > 1:
        yield _notice(names, values)


def _notice(names: str, values: list[str]) -> str:
    *others, last = (value if len(value) <= _SHOWN else f"{value[:_SHOWN]} …" for value in values)
    ignored = [value for value in dict.fromkeys(others) if value != last]
    are = "is" if len(ignored) == 1 else "are"
    return (
        f"{names} is given {len(values)} times: {last} is used, {', '.join(ignored)} {are} ignored"
    )
