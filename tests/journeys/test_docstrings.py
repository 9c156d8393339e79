"""The journeys' own book."""

import os
from pathlib import Path

from tests.journeys import docstrings


def test_docstrings_are_found_where_python_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f'"""{"A long sentence. " * 6}"""\ndef f():\n    """Short."""\n')
    (tmp_path / "b.py").write_text("this is no Python")
    assert list(docstrings.docstrings(tmp_path)) == [("A long sentence. " * 6).strip()]
    assert any(docstrings.docstrings(Path(os.__file__).parent / "json"))
