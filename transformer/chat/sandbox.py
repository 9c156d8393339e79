"""Chat templates in jinja2's sandbox, with the names that transformers provides.

The sandbox restricts a template to its variables, but bounds neither time nor memory: both public
functions are run by `transformer.limited_process`.
"""

import functools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace


class _RefusedError(TemplateError):
    """A call of `raise_exception`."""


class _GenerationTag(Extension):
    """The tag `{% generation %}`, which marks text to learn; its contents are rendered."""

    tags = {"generation"}  # noqa: RUF012  (jinja2's way)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Namespace(Namespace):
    """A jinja2 namespace that refuses attribute names that Python itself looks up."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # no `self`, which is a name like others
        Namespace.__init__(args[0])
        for name, value in dict(*args[1:], **kwargs).items():
            args[0][name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if str(name).startswith("_"):
            raise SecurityError(f"no value may be called {name}")
        super().__setitem__(name, value)


def _raise_exception(message: Any = "") -> None:
    raise _RefusedError(str(message))


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return dict(*args, **kwargs)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Return JSON as plain text; jinja2's own filter escapes it for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    extensions = [_GenerationTag, "jinja2.ext.loopcontrols"]
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=extensions
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {
        "dict": _dict,
        "namespace": _Namespace,
        "raise_exception": _raise_exception,
        "strftime_now": _strftime_now,
    }
    return environment


@functools.lru_cache(maxsize=8)
def _compile(text: str) -> Template:
    return _environment().from_string(text)


def check_template(text: str) -> None:
    """Raise the error of jinja2 or Python's compiler for an invalid template."""
    _compile(text)


def render_template(
    text: str, variables: Mapping[str, Any], max_characters: int
) -> tuple[bool, str]:
    """Return True and the text of a conversation, or False and the template's reason to refuse it.

    Raises the error of a template that fails.
    """
    try:
        rendered = _compile(text).render(variables)
    except _RefusedError as error:
        return False, str(error)
    if len(rendered) > max_characters:
        raise ValueError(f"it writes more than {max_characters:,} characters")
    rendered.encode()  # a surrogate has no ids
    return True, rendered
