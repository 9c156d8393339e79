"""First rows that look like the names of columns."""

import re
from collections.abc import Sequence

from .columns import listed

_NAMES = re.compile(
    r"(?:(?:the )?(?:source|target|src|tgt|trg|input|output|text|translation|original|sentence|"
    r"premise|hypothesis|query|passage|"
    r"label|lang(?:uage)?|prompt|completion|question|answer|id|column|english|german|deutsch|french|"
    r"fran[cç]ais|spanish|espa[nñ]ol|italian|italiano|portuguese|portugu[eê]s|dutch|nederlands|"
    r"russian|русский|chinese|中文|japanese|日本語|korean|한국어|arabic|العربية|hebrew|עברית|polish|"
    r"polski|czech|čeština|turkish|türkçe|"
    r"en|de|fr|es|it|pt|nl|ru|zh|ja|ko|ar|he|pl|cs|tr|sv|da|fi|hu|ro|uk|el|hi|vi|th|id)"
    r"(?:_[ab]|[ _.-]?(?:\d|pair|text|sentence|lang(?:uage)?|source|target|[a-z]{2}))?)"
)


def begins_with_names(name: str, cells: Sequence[str]) -> str | None:
    """Return the suspicion that a text's first row is one of names of columns, or None."""
    return f"{name} begins with names of columns ({listed(cells)})" if is_header(cells) else None


def is_header(cells: Sequence[str]) -> bool:
    """Return True if each cell of a first row, of several, is a usual name of a column.

    >>> is_header(["source", "target"]), is_header(["English", "A dog."]), is_header(["text"])
    (True, False, False)
    """
    return len(cells) > 1 and all(
        _NAMES.fullmatch(cell.strip().strip("\"'").lower()) for cell in cells
    )
