"""The changes that a page makes to the project: python -m tests.docs.add_one PAGE... in a copy.

"In `FILE`:" and a block of diff change a file, in which the old lines must occur once; `@@` stands
between changes. "New file `FILE`:" and a block of Python make one. Then the other blocks are run in
order, and must write what the pages show.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import Block, blocks

_FILE = re.compile(r"(In|in|New file) `([^`]+)`:$")  # at the end of the line before a block


def change(page: Path) -> None:
    """Change the files in the current folder as a page says. Raises AssertionError."""
    for block in blocks(page.read_text(encoding="utf-8")):
        named = _FILE.search(block.before)
        with _located(page, block):
            if block.language == "diff":
                assert named is not None, "the line before a diff does not end with its file"
                apply(block.text, Path(named[2]))
            elif named is not None:
                Path(named[2]).write_text(block.text, encoding="utf-8")


def run_page(page: Path) -> None:
    """Run the blocks of a page that changes nothing any more. Raises AssertionError."""
    names: dict[str, object] = {}
    written = ""
    for block in blocks(page.read_text(encoding="utf-8")):
        with _located(page, block):
            if block.is_output:
                assert written == block.text, f"written was\n{written}"
            elif block.language in {"sh", "python"} and not _FILE.search(block.before):
                written = run(block, names)


@contextlib.contextmanager
def _located(page: Path, block: Block) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        where = f"{page.name}:{block.line}"
        raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error


def run(block: Block, names: dict[str, object]) -> str:
    """Run a block of sh or Python; return what it writes to stdout."""
    if block.language == "sh":
        from tests.docs.shell import run_script  # only now, for it imports what pages change

        return run_script(block.text)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(block.text, "block", "exec"), names)
    return out.getvalue()


def apply(diff: str, file: Path) -> None:
    """Change a file: old lines, which must occur once in it, become new ones."""
    text = file.read_text(encoding="utf-8")
    for change in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = change.splitlines(keepends=True)
        old, new = (
            "".join(line[1:] or "\n" for line in lines if line[0] in signs)
            for signs in (" -\n", " +\n")
        )
        assert text.count(old) == 1, f"{file} has {text.count(old)} times\n{old}"
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    pages = [Path(name) for name in sys.argv[1:]]
    for step in (change, run_page):
        for path in pages:
            step(path)
