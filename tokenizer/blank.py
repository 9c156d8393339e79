"""Lines without anything to see, which have no words for a model."""

import re

# White space of any kind (U+00A0, U+3000 …), controls (NUL …), and what Unicode calls ignorable by
# default: joiners, marks of direction, fillers, variation selectors, tags; U+2800 is Braille's
# blank, U+FFF9 to U+FFFB enclose annotations.
_INVISIBLE = (
    r"\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_VISIBLE = re.compile(f"[^{_INVISIBLE}]")


def is_blank(text: str) -> bool:
    """Return True if a text has no visible character: white space and invisible ones at most.

    >>> is_blank(" \\u3000\\u200b"), is_blank("\\u200ba")
    (True, False)
    """
    return _VISIBLE.search(text) is None
