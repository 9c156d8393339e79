"""Help pages as text: all options of a command in groups, or those that are used daily."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from ..console import page_width, wants_plain_text
from ..options.groups import PANELS
from .environment import ENVIRONMENT
from .pages import PAGES, SHORT, Page

_BOLD, _PLAIN = "\033[1m", "\033[0m"
_HEAD = 28  # columns of an option's names
_SENTENCE = re.compile(r"(?<=[.)])\s+(?=[A-Z(0-9])")


def full_page(context: Any) -> str:
    """Return the page of `--help`: examples, then every option, by groups."""
    page, command = _page_of(context), context.command
    parts = [_usage(context), _paragraphs(command.help or ""), _examples(page)]
    parts += [_commands(context)] if hasattr(command, "commands") else []
    parameters = [p for p in command.get_params(context) if not p.hidden]
    for panel in panels_in_order(parameters):
        rows = ((_head(p), _text(p)) for p in parameters if panel_of(p) == panel)
        parts.append(_section(panel, rows))
    if context.parent is None:
        parts.append(_section("Environment", ENVIRONMENT.items()))
        parts.append(_wrapped("transduce COMMAND -h shows what is used daily, --help all of it."))
    return "\n\n".join(filter(None, parts))


def short_page(context: Any) -> str:
    """Return the page of `-h`: the options that are used daily, a sentence for each."""
    page, command = _page_of(context), context.command
    parameters = [p for p in command.get_params(context) if not p.hidden]
    named = {name: p for p in parameters for name in _names(p)}
    arguments = [p for p in parameters if is_argument(p)]
    daily = [named[name] for name in page.daily if name in named]
    intro = "\n".join(_wrapped(_first_paragraph(command.help or "")).splitlines()[:3])
    parts = [_usage(context), intro, _examples(page)]
    if hasattr(command, "commands"):
        parts.append(_commands(context))
    else:
        rows = [(_head(p), _sentence(p)) for p in [*arguments, *daily]]
        parts.append(_section("Used daily" if daily else "Arguments", rows))
    path, count = context.command_path, len(parameters) - len(arguments)
    if hasattr(command, "commands"):
        parts.append(_wrapped(f"{path} COMMAND -h shows the options that are used daily."))
    else:
        parts.append(_wrapped(f"{path} --help shows all {count} options."))
    return "\n\n".join(filter(None, parts))


def panels_in_order(parameters: Iterable[Any]) -> list[str]:
    """Return the groups of parameters in the order of a page."""
    return sorted({panel_of(parameter) for parameter in parameters}, key=_order)


def panel_of(parameter: Any) -> str:
    """Return the group of a parameter."""
    return parameter.rich_help_panel or ("Input" if is_argument(parameter) else "")


def is_argument(parameter: Any) -> bool:
    """Return True for what is given without a name."""
    return bool(parameter.param_type_name == "argument")


def _page_of(context: Any) -> Page:
    return PAGES.get(context.command_path.partition(" ")[2], Page())


def _order(panel: str) -> tuple[int, str]:
    return (PANELS.index(panel) if panel in PANELS else len(PANELS), panel)


def _usage(context: Any) -> str:
    command = context.command
    arguments = [p.metavar or p.name.upper() for p in command.params if is_argument(p)]
    words = ["COMMAND"] if hasattr(command, "commands") else arguments
    text = " ".join(["Usage:", context.command_path, "[OPTIONS]", *words])
    return _bold("Usage:") + _wrapped(text, "    ").removeprefix("Usage:")


def _examples(page: Page) -> str:
    lines = [line for example in page.examples for line in example.splitlines()]
    return "\n".join([_bold("Examples:"), *(f"  {line}" for line in lines)]) if lines else ""


def _commands(context: Any) -> str:
    shown = {name: c for name, c in context.command.commands.items() if not c.hidden}
    return _section("Commands", ((n, _first_paragraph(c.help or "")) for n, c in shown.items()))


def _head(parameter: Any) -> str:
    """Return a parameter's names and the word for its value, as in "-m, --model MODEL"."""
    if is_argument(parameter):
        return str(parameter.metavar or parameter.name.upper())
    names = "/".join([", ".join(parameter.opts), *parameter.secondary_opts])
    if parameter.is_flag:
        return names
    return f"{names} {parameter.metavar or 'VALUE'}"


def _text(parameter: Any) -> str:
    """Return a parameter's help with its default, as far as the text does not say it."""
    return _with_facts(" ".join((parameter.help or "").split()), parameter)


def _with_facts(text: str, parameter: Any) -> str:
    facts = []
    if parameter.required:
        facts.append("needed")
    elif parameter.default not in (None, False, "", (), []) and "Default:" not in text:
        facts.append(f"default: {_number(parameter.default)}")
    if variable := getattr(parameter, "envvar", None):
        facts.append(f"or ${variable}")
    return f"{text} [{', '.join(facts)}]" if facts else text


def _number(value: Any) -> str:
    return f"{value:,}" if type(value) is int and value >= 10**6 else str(value)


def _sentence(parameter: Any) -> str:
    """Return the first sentence of a parameter's help, and its default."""
    if (text := short_text(parameter)) is None:
        first, *others = _SENTENCE.split(" ".join((parameter.help or "").split()))
        default = [each for each in others if each.startswith("Default:")]
        text = " ".join([first, *default])
    return _with_facts(text, parameter)


def short_text(parameter: Any) -> str | None:
    """Return the text of -h that stands for a parameter's help, if there is one."""
    text = " ".join((parameter.help or "").split())
    return next((short for start, short in SHORT.items() if text.startswith(start)), None)


def _names(parameter: Any) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts, str(parameter.metavar)]


def _section(title: str, rows: Iterable[tuple[str, str]]) -> str:
    rows = list(rows)
    width = page_width()
    column = min(_HEAD if width > 60 else 4, max((len(head) for head, _ in rows), default=0) + 4)
    lines = [line for head, text in rows for line in _row(head, text, column, width)]
    return "\n".join([_bold(f"{title}:"), *lines]) if rows else ""


def _row(head: str, text: str, column: int, width: int) -> Iterator[str]:
    wrapped: Sequence[str] = textwrap.wrap(
        text, width - column, break_on_hyphens=False, break_long_words=True
    )
    if len(head) + 4 <= column and wrapped:
        yield f"  {_bold(head)}{' ' * (column - 2 - len(head))}{wrapped[0]}"
        wrapped = wrapped[1:]
    else:
        yield f"  {_bold(head)}"
    yield from (" " * column + line for line in wrapped)


def _paragraphs(text: str) -> str:
    return "\n\n".join(_wrapped(" ".join(each.split())) for each in text.split("\n\n"))


def _first_paragraph(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, page_width(), subsequent_indent=indent, break_on_hyphens=False)


def _bold(text: str) -> str:
    return f"{_BOLD}{text}{_PLAIN}"


def shown_on(stream: TextIO, page: str) -> str:
    """Return a page in bold and plain, for a terminal that shows that, else as plain text."""
    plain = wants_plain_text() or not stream.isatty()
    return page.replace(_BOLD, "").replace(_PLAIN, "") if plain else page
