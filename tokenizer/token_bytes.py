"""What each token adds to a text: the same bytes wherever it stands, or others where it begins."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import TokenizerOptionError
from .tokenizer import Tokenizer

# Steps of decoders that look at one token, and at whether it is the first, or at one character.
_LOCAL = {"ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece"}
_TRAILING = r"(?<! ) +\z"  # how the tokenizers that leave a last space out do it

_SHOWN = [
    *range(33, 127),
    *range(161, 173),
    *range(174, 256),
]  # bytes that GPT-2 writes as they are
_HIDDEN = [byte for byte in range(256) if byte not in _SHOWN]
_BYTES = {chr(b): b for b in _SHOWN} | {chr(256 + n): b for n, b in enumerate(_HIDDEN)}


@dataclass(frozen=True, kw_only=True)
class TokenBytes:
    """The bytes of all tokens, by id; None for those that are no text."""

    first: list[bytes | None]  # where the token begins a text
    later: list[bytes | None]  # where it follows another
    silent: frozenset[int]  # ids that decoding leaves out
    trimmed: bool  # whether a space at a text's end is left out


def is_local(tokenizer: Tokenizer) -> bool:
    """Whether a token's part of a decoded text depends at most on whether it is the first, and a
    space at the end on being there."""
    steps = list(_steps(_state(tokenizer)))
    kinds = {step.get("type") for step in steps}
    if "ByteLevel" in kinds and kinds > {"ByteLevel", "Fuse"}:
        return False
    return kinds <= _LOCAL and all(map(_is_narrow, steps))


def token_bytes(tokenizer: Tokenizer, size: int) -> TokenBytes:
    """Found by decoding each token, alone and between others.

    Raises TokenizerOptionError where a token's text depends on which others are beside it.
    """
    if not is_local(tokenizer):
        raise TokenizerOptionError(
            "a grammar cannot be kept with this tokenizer: what a token adds to a text depends on "
            "the tokens beside it"
        )
    kinds = {step.get("type") for step in _steps(_state(tokenizer))}
    silent = frozenset(tokenizer.special_tokens().values())
    unknown = tokenizer.role("unknown")
    names = {i: tokenizer.token(i) for i in range(min(size, tokenizer.vocab_size))}
    ids = [i for i, name in names.items() if name is not None and i not in silent | {unknown}]
    anchor = _anchor(tokenizer, ids)
    start = tokenizer.decode([anchor])
    inside = tokenizer.decode([anchor, anchor]).removeprefix(start)
    firsts = tokenizer.decode_batch([[i, anchor] for i in ids])
    laters = tokenizer.decode_batch([[anchor, i, anchor] for i in ids])
    first: list[bytes | None] = [None] * size
    later: list[bytes | None] = [None] * size
    for i, begun, between in zip(ids, firsts, laters, strict=True):
        raw = _raw(names[i] or "", kinds)
        first[i] = raw if "\ufffd" in begun and raw else _between("", begun, inside)
        later[i] = raw if "\ufffd" in between and raw else _between(start, between, inside)
        if not later[i]:
            first[i] = later[i] = None  # no text at all: it could come for ever
    trimmed = any(_pattern(step) == _TRAILING for step in _steps(_state(tokenizer)))
    return TokenBytes(first=first, later=later, silent=silent, trimmed=trimmed)


def _state(tokenizer: Tokenizer) -> Any:
    decoder = tokenizer.backend.decoder
    return None if decoder is None else json.loads(decoder.__getstate__())


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """The steps of a decoder, out of sequences in sequences; none puts spaces between tokens."""
    if part is None:
        return
    if part["type"] == "Sequence":
        for step in part["decoders"]:
            yield from _steps(step)
    else:
        yield part


def _is_narrow(step: dict[str, Any]) -> bool:
    if step["type"] == "Strip":
        return bool(step["start"] <= 1 and not step["stop"])
    if step["type"] == "Replace":
        replaced = step["pattern"].get("String")
        return _pattern(step) == _TRAILING or (replaced is not None and len(replaced) == 1)
    return True


def _pattern(step: dict[str, Any]) -> str | None:
    pattern = step.get("pattern")
    found: str | None = pattern.get("Regex") if isinstance(pattern, dict) else None
    return found


def _anchor(tokenizer: Tokenizer, ids: list[int]) -> int:
    """A token of plain text to put beside others: if possible a single letter."""
    texts = tokenizer.decode_batch([[i] for i in ids])
    plain = [
        (len(text), not (text.isascii() and text.isalpha()), i)
        for i, text in zip(ids, texts, strict=True)
        if text and text == text.strip() and "\ufffd" not in text
    ]
    if not plain:
        raise TokenizerOptionError(
            "a grammar cannot be kept with this tokenizer: no token of it is text"
        )
    return min(plain, key=lambda found: (found[1], found[0], found[2]))[2]


def _between(before: str, text: str, after: str) -> bytes | None:
    """A text without those around it; None where they have changed."""
    if len(text) < len(before) + len(after):
        return None
    if not (text.startswith(before) and text.endswith(after)):
        return None
    return text[len(before) : len(text) - len(after)].encode()


def _raw(name: str, kinds: set[Any]) -> bytes | None:
    """The bytes of a token that may be less than a character."""
    if "ByteLevel" in kinds:
        known = [_BYTES.get(character) for character in name]
        return bytes(b for b in known if b is not None) if None not in known else name.encode()
    if "ByteFallback" in kinds and len(name) == 6 and name[:3] == "<0x" and name[5] == ">":
        try:
            return bytes([int(name[3:5], 16)])
        except ValueError:
            return None
    return None
