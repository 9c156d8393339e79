"""The English that every Python installation carries: its standard library's docstrings.

python tests/journeys/docstrings.py FILE
"""

import ast
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
SHORTEST = 80  # characters; what is shorter is rarely a sentence


def docstrings(root: Path) -> Iterator[str]:
    """Return the docstrings of all modules, classes and functions below a folder, in order."""
    for path in sorted(root.rglob("*.py")):
        if LEFT_OUT.intersection(path.relative_to(root).parts):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):  # old escapes in old modules
                tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        for node in ast.walk(tree):
            text = ast.get_docstring(node) if isinstance(node, kinds) else None
            if text and len(text) >= SHORTEST:
                yield text.strip()


def write(file: Path) -> None:
    """One text, a blank line between two docstrings."""
    file.parent.mkdir(parents=True, exist_ok=True)
    texts = dict.fromkeys(docstrings(Path(os.__file__).parent))  # each once
    file.write_text("".join(f"{text}\n\n" for text in texts), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
