"""Names and docstrings of the packages follow the project's rules."""

import ast
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("transduce", "cli", "transformer", "tokenizer", "checkpoints")
OPENINGS = {"What", "Whether", "How", "Which", "Of"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    return [
        (path.relative_to(ROOT).as_posix(), node)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]


def repeated_classes(found: Iterable[tuple[str, ast.AST]]) -> list[str]:
    places = defaultdict(list)
    for path, node in found:
        if isinstance(node, ast.ClassDef):
            places[node.name.lstrip("_")].append(f"{path}:{node.lineno}")
    return [f"{name}: {', '.join(at)}" for name, at in sorted(places.items()) if len(at) > 1]


def misleading_openings(found: Iterable[tuple[str, ast.AST]]) -> list[str]:
    offenders = []
    for path, node in found:
        text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if text and text.split()[0].strip(",;:") in OPENINGS:
            offenders.append(f"{path}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}")
    return offenders


def test_no_class_name_is_defined_twice() -> None:
    repeated = repeated_classes(nodes())
    assert not repeated, "\n" + "\n".join(repeated)


def test_no_docstring_opens_with_a_clause() -> None:
    offenders = misleading_openings(nodes())
    assert not offenders, "\n" + "\n".join(offenders)


def test_offenders_are_listed_with_their_places() -> None:
    source = '"""How it is."""\n\n\nclass A:\n    """Of b."""\n\n\ndef f():\n    class _A: ...\n'
    found = [("a.py", node) for node in ast.walk(ast.parse(source))]
    assert repeated_classes(iter(found)) == ["A: a.py:4, a.py:9"]
    assert misleading_openings(iter(found)) == ["a.py:1: How it is.", "a.py:4: Of b."]
