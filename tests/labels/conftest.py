"""Files of text for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str, name: str = "text") -> str:
        (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
        return str(tmp_path / name)

    return write
