"""The bytes that each token adds to a text, at its beginning or after other tokens."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from .errors import TokenizerOptionError
from .tokenizer import Tokenizer

# Steps of decoders that depend on one token and on whether it is the first, or on one character.
_LOCAL_STEPS = {"ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Strip", "WordPiece"}
_TRAILING = r"(?<! ) +\z"  # the pattern by which tokenizers drop spaces at the end

_PRINTABLE = [
    *range(33, 127),
    *range(161, 173),
    *range(174, 256),
]  # bytes that GPT-2's vocabulary writes as themselves
_UNPRINTABLE = [byte for byte in range(256) if byte not in _PRINTABLE]
# The bytes that characters of byte-level vocabularies stand for.
BYTE_OF = {chr(b): b for b in _PRINTABLE} | {chr(256 + n): b for n, b in enumerate(_UNPRINTABLE)}


@dataclass(frozen=True, kw_only=True)
class TokenBytes:
    """The bytes of all tokens by id; None for those that are no text."""

    initial: list[bytes | None]  # at the beginning of a text
    inner: list[bytes | None]  # after another token
    skipped_ids: frozenset[int]  # special tokens, which decoding skips
    trims_end: bool  # True if spaces at the end of a text are dropped


def is_local(tokenizer: Tokenizer) -> bool:
    """Return True if decoding treats each token by itself.

    Its text may depend on whether it is the first, and a space at the end of a text may be dropped.
    """
    steps = list(_steps(_decoder_state(tokenizer)))
    kinds = {step.get("type") for step in steps}
    if "ByteLevel" in kinds and kinds > {"ByteLevel", "Fuse"}:
        return False
    return kinds <= _LOCAL_STEPS and all(map(_is_local_step, steps))


_known: "WeakKeyDictionary[Tokenizer, dict[int, TokenBytes]]" = WeakKeyDictionary()


def token_bytes(tokenizer: Tokenizer, size: int) -> TokenBytes:
    """Return the bytes of the first `size` tokens, found out once.

    Raises TokenizerOptionError if a token's text depends on the tokens beside it.
    """
    by_size = _known.setdefault(tokenizer, {})
    if size not in by_size:
        by_size[size] = _decode_each(tokenizer, size)
    return by_size[size]


def _decode_each(tokenizer: Tokenizer, size: int) -> TokenBytes:
    """Return the bytes of all tokens, by decoding each alone and between others.

    Raises TokenizerOptionError if a token's text depends on the tokens beside it.
    """
    if not is_local(tokenizer):
        raise TokenizerOptionError(
            "a grammar cannot be enforced with this tokenizer: what a token adds to a text depends "
            "on the tokens beside it"
        )
    kinds = {step.get("type") for step in _steps(_decoder_state(tokenizer))}
    skipped_ids = frozenset(tokenizer.special_tokens().values())
    unknown = tokenizer.role("unknown")
    names = {i: tokenizer.token(i) for i in range(min(size, tokenizer.vocab_size))}
    ids = [i for i, name in names.items() if name is not None and i not in skipped_ids | {unknown}]
    anchor = _anchor(tokenizer, ids)
    start = tokenizer.decode([anchor])
    inside = tokenizer.decode([anchor, anchor]).removeprefix(start)
    initial_texts = tokenizer.decode_batch([[i, anchor] for i in ids])
    inner_texts = tokenizer.decode_batch([[anchor, i, anchor] for i in ids])
    initial: list[bytes | None] = [None] * size
    inner: list[bytes | None] = [None] * size
    for i, at_start, inside_text in zip(ids, initial_texts, inner_texts, strict=True):
        raw = _raw_bytes(names[i] or "", kinds)
        initial[i] = raw if "\ufffd" in at_start and raw else _strip_context("", at_start, inside)
        inner[i] = (
            raw if "\ufffd" in inside_text and raw else _strip_context(start, inside_text, inside)
        )
        if not inner[i]:
            initial[i] = inner[i] = None  # no text at all: it could be generated forever
    trims_end = any(_pattern(step) == _TRAILING for step in _steps(_decoder_state(tokenizer)))
    return TokenBytes(initial=initial, inner=inner, skipped_ids=skipped_ids, trims_end=trims_end)


def _decoder_state(tokenizer: Tokenizer) -> Any:
    decoder = tokenizer.backend.decoder
    return None if decoder is None else json.loads(decoder.__getstate__())


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps of a decoder, out of nested sequences; no decoder: no steps."""
    if part is None:
        return
    if part["type"] == "Sequence":
        for step in part["decoders"]:
            yield from _steps(step)
    else:
        yield part


def _is_local_step(step: dict[str, Any]) -> bool:
    if step["type"] == "Strip":
        return bool(step["start"] <= 1 and not step["stop"])
    if step["type"] == "Replace":
        replaced = step["pattern"].get("String")
        return _pattern(step) == _TRAILING or (replaced is not None and len(replaced) == 1)
    return True


def _pattern(step: dict[str, Any]) -> str | None:
    pattern = step.get("pattern")
    regex: str | None = pattern.get("Regex") if isinstance(pattern, dict) else None
    return regex


def _anchor(tokenizer: Tokenizer, ids: list[int]) -> int:
    """Return a token of plain text to decode others with: a single letter, if possible."""
    texts = tokenizer.decode_batch([[i] for i in ids])
    plain = [
        (len(text), not (text.isascii() and text.isalpha()), i)
        for i, text in zip(ids, texts, strict=True)
        if text and text == text.strip() and "\ufffd" not in text
    ]
    if not plain:
        raise TokenizerOptionError(
            "a grammar cannot be enforced with this tokenizer: no token of it is text"
        )
    return min(plain, key=lambda entry: (entry[1], entry[0], entry[2]))[2]


def _strip_context(before: str, text: str, after: str) -> bytes | None:
    """Return the text between two others as bytes; None if these have changed."""
    if len(text) < len(before) + len(after):
        return None
    if not (text.startswith(before) and text.endswith(after)):
        return None
    return text[len(before) : len(text) - len(after)].encode()


def _raw_bytes(name: str, kinds: set[Any]) -> bytes | None:
    """Return the bytes of a token that may be part of a character; None if its name has none."""
    if "ByteLevel" in kinds:
        values = [BYTE_OF.get(character) for character in name]
        return bytes(b for b in values if b is not None) if None not in values else name.encode()
    if "ByteFallback" in kinds and len(name) == 6 and name[:3] == "<0x" and name[5] == ">":
        try:
            return bytes([int(name[3:5], 16)])
        except ValueError:
            return None
    return None
