"""What a tokenizer.json may ask for, so that neither it nor a text fills the memory."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import tokenizers
from tokenizers import Regex, normalizers

MAX_VALUES = 3_000_000  # of a tokenizer.json; a vocabulary of 260,000 and its merges have half
MAX_GROWTH = 1000  # times that a text may become longer when it is normalized or decoded
MAX_STEPS = 100  # of a normalizer, a decoder or a frame
MAX_PART_BYTES = 4 << 20  # a table of characters has a tenth
MAX_ADDED = 10_000  # characters of an added token

# A group that is repeated and has something repeated in it: patterns that can take forever, of
# which the library's engine tires in a panic.
_NESTED = re.compile(r"[+*}][^()]*\)[+*{]|\\[1-9]")


_NOTHING = msgspec.Raw(b"null")


class _Added(msgspec.Struct):
    content: str


class _Parts(msgspec.Struct):
    normalizer: msgspec.Raw = _NOTHING
    decoder: msgspec.Raw = _NOTHING
    post_processor: msgspec.Raw = _NOTHING
    added_tokens: list[_Added] | None = None


def check_contents(text: str) -> None:
    """Raise ValueError for what is no JSON, and for more than a tokenizer has."""
    msgspec.json.decode(text, type=msgspec.Raw)  # takes no memory
    if text.count(",") > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES:,} values")
    parts = msgspec.json.decode(text, type=_Parts)
    for name in ("normalizer", "decoder"):
        _check_growth(name, _read(name, getattr(parts, name)))
    for step in _read("frame", parts.post_processor):
        if len(step.get("single") or ()) > MAX_STEPS:
            raise ValueError(f"its frame has {len(step['single']):,} parts; at most {MAX_STEPS}")
    for token in parts.added_tokens or ():
        check_added(token.content)


def check_added(content: str) -> None:
    """Raise ValueError for an added token that is a text."""
    if len(content) > MAX_ADDED:
        raise ValueError(f"it has an added token of {len(content):,} characters")


def may_run_away(backend: tokenizers.Tokenizer) -> bool:
    """Whether texts are cut by patterns that some text may be too much for."""
    parts = (backend.normalizer, backend.pre_tokenizer, backend.decoder)
    states = (json.loads(part.__getstate__()) for part in parts if part is not None)
    return any(_NESTED.search(_regex(step)) for state in states for step in _steps(state))


def _read(name: str, part: msgspec.Raw) -> list[dict[str, Any]]:
    raw = bytes(part)
    if len(raw) > MAX_PART_BYTES:
        raise ValueError(f"its {name} has {len(raw):,} bytes; at most {MAX_PART_BYTES:,}")
    return list(_steps(msgspec.json.decode(raw)))


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """The steps of a part, out of sequences in sequences."""
    left = [part]
    while left:
        step = left.pop()
        if isinstance(step, list):
            left += step
        elif isinstance(step, dict):
            yield step
            left += [value for value in step.values() if isinstance(value, list)]


def _regex(step: dict[str, Any]) -> str:
    pattern = step.get("pattern")
    found = pattern.get("Regex") if isinstance(pattern, dict) else None
    return found if isinstance(found, str) else ""


def _check_growth(name: str, steps: list[dict[str, Any]]) -> None:
    """Refuse steps that each make a text longer, and together without end."""
    if len(steps) > MAX_STEPS:
        raise ValueError(f"its {name} has {len(steps):,} steps; at most {MAX_STEPS}")
    growth = math.prod(map(_growth, steps))
    if growth > MAX_GROWTH:
        raise ValueError(f"its {name} makes texts {growth:,.0f} times as long")


def _growth(step: dict[str, Any]) -> float:
    """How many times longer a step may make a text of one character."""
    added = step.get("prepend") or step.get("content") or ""
    if not isinstance(added, str):
        return 1
    pattern = step.get("pattern")
    replaced = pattern.get("String") if isinstance(pattern, dict) else None
    if isinstance(replaced, str):
        return max(1.0, len(added) / max(1, len(replaced)))
    probe = normalizers.Replace(Regex(_regex(step)), "x").normalize_str("a") if added else "a"
    return max(1, len(added)) + (len(probe) > 1) * len(added)  # between characters, too
