"""The references of docs/, made from the code: python -m tests.docs.reference writes both."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, get_type_hints

import typer

import transduce
from cli.app import app
from cli.help.environment import ENVIRONMENT
from cli.help.render import panel_of, panels_in_order
from cli.options.groups import choices_of
from tests.docs.blocks import ROOT
from transduce import keywords
from transformer.pipelines import arguments
from transformer.pipelines.notices import NOTICES

ORDER = ("load", "Model", "Text", "TextScore", "train")  # of the Python reference; then others
COMMANDS, PYTHON = ROOT / "docs" / "commands.md", ROOT / "docs" / "python.md"

_COMMANDS_START = """\
`transduce COMMAND --help` shows the same at a terminal, `-h` what is used daily. Results go to
stdout, all else to stderr; a mistake is one line. At any place may stand `-q`, `-V` and `--debug`,
which shows a traceback with an error. Of an option that is given twice, the last value counts, and
a notice says so, unless it may be repeated. `transduce --install-completion` lets bash, zsh and
fish complete commands, options, names, files and models.
"""
_ENVIRONMENT_START = """\
## Environment

Variables that are read; an option wins over them.
"""
_NOTICES_START = """\
## Notices

What happened to a line is said of it: with `--json` its record then has a field `notices`, an
object with the names below, and Python's results have an attribute of that name. On stderr, the
lines of each kind are counted once, at the end. `score --json-input` repeats the notices of the
answers that it reads.
"""
_PYTHON_START = """\
`import transduce` takes a moment; PyTorch is imported with the first name that is used. The
examples follow one another. `transduce.__version__` is the version.

```python
import transduce
```
"""


def commands_page() -> str:
    """Return the reference of commands."""
    parts = [
        "# Commands\n\n<!-- Made by `make docs` from the code: change it there. -->\n",
        _COMMANDS_START,
    ]
    for name, command in commands().items():
        positional = [p for p in command.params if not p.opts[0].startswith("-")]
        usage = " ".join([f"transduce {name}", "[OPTIONS]", *(p.metavar for p in positional)])
        paragraphs = [_text(paragraph) for paragraph in command.help.split("\n\n")]
        parts.append(f"## transduce {name}\n\n`{usage}`\n\n" + "\n\n".join(paragraphs) + "\n")
        parts += _tables([p for p in command.params if p.expose_value])
    parts += [_ENVIRONMENT_START, _row("Variable", "Meaning") + _row("---", "---")]
    parts[-1] += "".join(_row(f"`{name}`", text) for name, text in ENVIRONMENT.items())
    parts += [_NOTICES_START, "".join(_notices_table())]
    return "\n".join(parts)


def _notices_table() -> Iterator[str]:
    yield _row("Name", "Value", "On stderr, before the number of lines") + _row(*["---"] * 3)
    for name, notice in NOTICES.items():
        option = f" ({notice.option})" if notice.option else ""
        yield _row(f"`{name}`", notice.detail, f"{notice.label}{option}")


def commands() -> dict[str, Any]:
    """Return every command by its words, as the parser has it."""
    top: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in top.commands.items():
        inner = getattr(command, "commands", {})
        found |= {f"{name} {n}": c for n, c in inner.items()} if inner else {name: command}
    return found


def _tables(parameters: list[Any]) -> Iterator[str]:
    """Yield a table for each group of the help page."""
    head = _row("Option", "Value", "Default", "Meaning") + _row("---", "---", "---", "---")
    for panel in panels_in_order(parameters):
        rows = [
            _row(_names(p), _value(p), _default(p), _cell(p.help))
            for p in parameters
            if panel_of(p) == panel
        ]
        yield (f"**{panel}**\n\n" if panel else "") + head + "".join(rows)


def _names(parameter: Any) -> str:
    if not parameter.opts[0].startswith("-"):
        return f"`{parameter.metavar}`"
    return ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])


def _value(parameter: Any) -> str:
    if getattr(parameter, "is_flag", False) or not parameter.opts[0].startswith("-"):
        return ""
    if names := choices_of(parameter):
        return ", ".join(f"`{name}`" for name in names)
    low, high = (getattr(parameter.type, end, None) for end in ("min", "max"))
    bounds = [f"≥ {low:g}"] if low is not None else []
    bounds += [f"≤ {high:g}"] if high is not None else []
    return " ".join([f"`{parameter.metavar}`", ", ".join(bounds)]).strip()


def _default(parameter: Any) -> str:
    environment = f", or `${parameter.envvar}`" if getattr(parameter, "envvar", None) else ""
    if parameter.required:
        return f"needed{environment}"
    value = parameter.default
    shown = "" if value in (None, False, "", ()) else f"`{value}`"
    return f"{shown}{environment}".removeprefix(", or ")


def _text(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def python_page() -> str:
    """Return the reference of the package `transduce`."""
    parts = [
        "# From Python\n\n<!-- Made by `make docs` from the code: change it there. -->\n",
        _PYTHON_START,
    ]
    for name in sorted(transduce.__all__, key=[*ORDER, *transduce.__all__].index):
        thing = getattr(transduce, name)
        (node,) = ast.parse(inspect.getsource(thing)).body
        parts.append(f"## {name}\n")
        if isinstance(node, ast.FunctionDef):
            parts += [_signatures([node], "transduce."), *_described(node)]
        elif isinstance(node, ast.ClassDef):
            parts += [*_described(node), *_fields(node, inspect.getsource(thing))]
            parts += _members(node)
    return "\n".join(parts)


def _members(kind: ast.ClassDef) -> Iterator[str]:
    """Yield the sections of a class's public methods and properties."""
    methods: dict[str, str] = {}  # the first that has these keywords
    functions = [node for node in kind.body if isinstance(node, ast.FunctionDef)]
    for name, group in groupby(functions, key=lambda node: node.name):
        *overloads, node = group
        if name.startswith("_"):
            continue
        yield f"### {kind.name}.{name}\n"
        if [ast.unparse(decorator) for decorator in node.decorator_list] == ["property"]:
            assert node.returns is not None
            yield f"A property: `{ast.unparse(node.returns)}`.\n"
        else:
            yield _signatures(overloads or [node], "")
        yield from _described(node)
        unpacked = node.args.kwarg and node.args.kwarg.annotation
        if isinstance(unpacked, ast.Subscript):
            keywords_type = ast.unparse(unpacked.slice)
            first = methods.setdefault(keywords_type, name)
            same = f"Keywords are those of [{first}](#model{first}).\n"
            yield _keywords(name, keywords_type) if first == name else same


def _signatures(nodes: Sequence[ast.FunctionDef], prefix: str) -> str:
    lines = []
    for node in nodes:
        node.args.args = [argument for argument in node.args.args if argument.arg != "self"]
        for argument in (*node.args.args, *node.args.kwonlyargs):
            argument.annotation = _unquoted(argument.annotation)
        returns = ast.unparse(_unquoted(node.returns) or ast.Constant(None))
        parameters = re.sub(r"(: [^=]+?)=", r"\1 = ", ast.unparse(node.args))
        lines.append(f"{prefix}{node.name}({parameters}) -> {returns}")
    return "```text\n" + "\n".join(lines) + "\n```\n"


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _described(node: ast.FunctionDef | ast.ClassDef) -> Iterator[str]:
    """Yield a docstring's text, and its example as a block that can be run."""
    text, _, example = (ast.get_docstring(node) or "").partition("\n\n>>> ")
    yield f"{text}\n"
    if example:
        lines = [f">>> {line}" if not n else line for n, line in enumerate(example.splitlines())]
        code = [re.sub(r"^(?:(>>> |\.\.\. )|)", _comment, line) for line in lines]
        code = [line.removesuffix("  # doctest: +SKIP") for line in code]
        yield "```python\n" + "\n".join(code) + "\n```\n"


def _comment(prompt: re.Match[str]) -> str:
    return "" if prompt[1] else "# "  # lines without a prompt are results


def _fields(kind: ast.ClassDef, source: str) -> Iterator[str]:
    """Yield a table of a class's attributes, with the comments beside them."""
    rows = []
    for node in kind.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            comment = source.splitlines()[node.lineno - 1].partition("  # ")[2]
            shown = ast.unparse(_unquoted(node.annotation) or node.annotation)
            rows.append(_row(f"`{node.target.id}`", f"`{_cell(shown)}`", _cell(comment)))
    if rows:
        yield _row("Attribute", "Type", "Meaning") + _row("---", "---", "---") + "".join(rows)


def _keywords(method: str, kind: str) -> str:
    """Return the table of a method's keyword arguments, which are a command's options."""
    types = get_type_hints(getattr(keywords, kind))
    fields = dataclasses.fields(getattr(arguments, f"{method.capitalize()}Arguments"))
    rows = [
        _row(
            f"`{f.name}`",
            f"`{_type(types[f.name])}`",
            f"`{f.default!r}`",
            f"`{f.metadata['flag'].name}`",
        )
        for f in fields
    ]
    head = _row("Keyword", "Type", "Default", "Option") + _row("---", "---", "---", "---")
    link = f"[transduce {method}](commands.md#transduce-{method})"
    return f"Keywords are options of {link}, which says what they mean:\n\n{head}{''.join(rows)}"


def _type(kind: Any) -> str:
    text = inspect.formatannotation(kind)
    return _cell(re.sub(r"\b(?:[a-z]+\.)+(?=\w)", "", text))


def main() -> None:
    """Write both references."""
    for path, page in ((COMMANDS, commands_page()), (PYTHON, python_page())):
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
