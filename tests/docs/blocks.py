"""Fenced blocks of Markdown pages."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages whose blocks change the project, in a copy of it: see add_one.py.
CHANGES = {
    ROOT / "docs" / f"add-a-{name}.md"
    for name in ("family", "kind-of-attention", "logits-processor")
}

_FENCE = re.compile(r"```(\w*)")
_NOT_RUN = re.compile(r"<!-- not run: (.+) -->")


class Block(NamedTuple):
    """A fenced block, the number of its first line, and the line of text before it.

    `before` is empty directly after another block.
    """

    language: str
    text: str
    line: int
    before: str

    @property
    def not_run(self) -> str | None:
        """The reason why it is not run, if it is marked so."""
        mark = _NOT_RUN.fullmatch(self.before)
        return mark[1] if mark else None

    @property
    def is_output(self) -> bool:
        """True for text that directly follows a block: what that block writes."""
        return self.language == "text" and not self.before


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order. Raises ValueError for one that does not end."""
    found: list[Block] = []
    fence, start, body, before = None, 0, list[str](), ""
    for number, line in enumerate(page.splitlines(), 1):
        opening = _FENCE.fullmatch(line)
        if fence is not None and line == "```":
            found.append(Block(fence, "".join(f"{text}\n" for text in body), start, before))
            fence, before = None, ""
        elif fence is not None:
            body.append(line)
        elif opening is not None:
            fence, start, body = opening[1], number + 1, []
        elif line.strip():
            before = line.strip()
    if fence is not None:
        raise ValueError(f"the block in line {start} does not end")
    return found


def prose(page: str) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
