"""Limits of tokenizer.json, so that neither the file nor a text can exhaust the memory."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import tokenizers
from tokenizers import Regex, normalizers

from .backend_errors import file_errors

MAX_VALUES = 3_000_000  # in a tokenizer.json; 260,000 tokens and their merges take half
MAX_GROWTH = 1000  # factor by which normalizing or decoding may lengthen a text
MAX_STEPS = 100  # of a normalizer, a decoder or a post-processor
MAX_PART_BYTES = 4 << 20  # a table of characters takes a tenth
MAX_ADDED = 10_000  # characters of an added token

# A repeated group that contains a repetition, or a back-reference: such patterns can backtrack
# without end, until the library's engine gives up with a panic.
_NESTED_QUANTIFIERS = re.compile(r"[+*}][^()]*\)[+*{]|\\[1-9]")


_NULL = msgspec.Raw(b"null")


class _AddedContent(msgspec.Struct):
    content: str


class _Parts(msgspec.Struct):
    normalizer: msgspec.Raw = _NULL
    decoder: msgspec.Raw = _NULL
    post_processor: msgspec.Raw = _NULL
    added_tokens: list[_AddedContent] | None = None


def parse_json(text: str, *, name: str) -> tokenizers.Tokenizer:
    """Return the library's object for a tokenizer.json's contents. Raises TokenizerError."""
    with file_errors(name):
        check_contents(text)
        return tokenizers.Tokenizer.from_str(text)


def check_contents(text: str) -> None:
    """Raise ValueError for invalid JSON, and for more than any tokenizer needs."""
    msgspec.json.decode(text, type=msgspec.Raw)  # checks the syntax without building objects
    if text.count(",") > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES:,} values")
    parts = msgspec.json.decode(text, type=_Parts)
    for name in ("normalizer", "decoder"):
        _check_growth(name, _parse_steps(name, getattr(parts, name)))
    for step in _parse_steps("post_processor", parts.post_processor):
        if len(step.get("single") or ()) > MAX_STEPS:
            raise ValueError(
                f"its post_processor has {len(step['single']):,} parts; at most {MAX_STEPS}"
            )
    for token in parts.added_tokens or ():
        check_added_token(token.content)


def check_added_token(content: str) -> None:
    """Raise ValueError for an added token as long as a text."""
    if len(content) > MAX_ADDED:
        raise ValueError(f"it has an added token of {len(content):,} characters")


def has_nested_quantifiers(backend: tokenizers.Tokenizer) -> bool:
    """Return True if a text could make the tokenizer's patterns backtrack without end."""
    parts = (backend.normalizer, backend.pre_tokenizer, backend.decoder)
    states = (json.loads(part.__getstate__()) for part in parts if part is not None)
    return any(
        _NESTED_QUANTIFIERS.search(_regex(step)) for state in states for step in _steps(state)
    )


def _parse_steps(name: str, part: msgspec.Raw) -> list[dict[str, Any]]:
    raw = bytes(part)
    if len(raw) > MAX_PART_BYTES:
        raise ValueError(f"its {name} has {len(raw):,} bytes; at most {MAX_PART_BYTES:,}")
    return list(_steps(msgspec.json.decode(raw)))


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps of a component, out of nested sequences."""
    pending = [part]
    while pending:
        step = pending.pop()
        if isinstance(step, list):
            pending += step
        elif isinstance(step, dict):
            yield step
            pending += [value for value in step.values() if isinstance(value, list)]


def _regex(step: dict[str, Any]) -> str:
    pattern = step.get("pattern")
    regex = pattern.get("Regex") if isinstance(pattern, dict) else None
    return regex if isinstance(regex, str) else ""


def _check_growth(name: str, steps: list[dict[str, Any]]) -> None:
    """Raise ValueError for steps that together make texts far longer."""
    if len(steps) > MAX_STEPS:
        raise ValueError(f"its {name} has {len(steps):,} steps; at most {MAX_STEPS}")
    growth = math.prod(map(_growth_factor, steps))
    if growth > MAX_GROWTH:
        raise ValueError(f"its {name} makes texts {growth:,.0f} times as long")


def _growth_factor(step: dict[str, Any]) -> float:
    """Return how many times longer a step can make a text of one character."""
    added = step.get("prepend") or step.get("content") or ""
    if not isinstance(added, str):
        return 1
    pattern = step.get("pattern")
    replaced = pattern.get("String") if isinstance(pattern, dict) else None
    if isinstance(replaced, str):
        return max(1.0, len(added) / max(1, len(replaced)))
    probe = normalizers.Replace(Regex(_regex(step)), "x").normalize_str("a") if added else "a"
    return max(1, len(added)) + (len(probe) > 1) * len(added)  # inserted between characters, too
