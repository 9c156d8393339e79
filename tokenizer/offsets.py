"""The characters of a text that each token stands for, through normalization and back.

The `tokenizers` library follows each character through its normalizers, but for three things:

- of what is composed, it names the first character alone: `e` of `e` and an accent that are `é`;
- a token has the space before it, which it begins with;
- where `▁` is put before a text, the token of it alone has the text's first character.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .scripts import is_attached

_SPACE_SIGNS = "▁Ġ"  # the space in the names of tokens: SentencePiece's, GPT-2's


class OffsetEncoding(NamedTuple):
    """Ids, and for each the range of the text's characters that it stands for.

    Ranges are in order. Several tokens may stand for one character: bytes of it, or the letters
    that it is normalized to. A range is empty for a `▁` that no character of the text is.
    """

    ids: list[int]
    offsets: list[tuple[int, int]]


def token_ranges(
    text: str, names: Sequence[str], offsets: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return the ranges of tokens, by their names and the library's offsets.

    White space around a token is not in its range, unless it is all that there is. Marks and
    joiners that no token has belong to the token before them.
    """
    covered = bytearray(len(text))
    for start, end in offsets:
        covered[start:end] = b"\1" * (end - start)
    ranges, last = [], 0
    for name, (start, end) in zip(names, offsets, strict=True):
        is_prefix = last <= start and _is_prefix(name, text[start:end])
        ranges.append((start, start) if is_prefix else _range(text, covered, start, end))
        last = end
    return ranges


def _range(text: str, covered: bytearray, start: int, end: int) -> tuple[int, int]:
    if start < end:
        while end < len(text) and not covered[end] and is_attached(text[end]):
            end += 1
    if not text[start:end].strip():
        return start, end
    while text[start].isspace():
        start += 1
    while text[end - 1].isspace():
        end -= 1
    return start, end


def _is_prefix(name: str, text: str) -> bool:
    """Return True for the name of a space alone, whose text has none."""
    return not name.strip(_SPACE_SIGNS) and bool(text.strip()) and text not in _SPACE_SIGNS
