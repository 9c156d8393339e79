"""The tokens with which words begin and go on, from the bytes that each adds to a text."""

import unicodedata
from collections.abc import Collection
from functools import lru_cache

import torch

from tokenizer import Tokenizer
from tokenizer.scripts import SENTENCE_ENDS, is_unspaced
from tokenizer.token_bytes import is_local, token_bytes

from ..decoding.constraints.phrase_constraint import WordTokens

_JOINERS = "-'’_&\u00ad\u200c\u200d\u2010\u2011"  # a word goes on with them


@lru_cache(maxsize=1 << 14)
def character_class(character: str) -> str:
    """Classify a character as "space", part of a "word", or a word "alone"."""
    if character.isspace():
        return "space"
    if is_unspaced(character):
        return "alone"
    letter = character.isalnum() or unicodedata.category(character)[0] == "M" or character == "_"
    return "word" if letter else "alone"


def word_tokens(tokenizer: Tokenizer, size: int, end_ids: Collection[int]) -> WordTokens:
    """Return the parts that the first `size` tokens can take in words.

    Where a token's text depends on those beside it, each counts as a word.
    """
    if not is_local(tokenizer):
        ids = torch.tensor([n for n in range(size) if n not in end_ids], dtype=torch.long)
        return WordTokens([True] * size, ids[:0], ids, torch.arange(size))
    pieces = token_bytes(tokenizer, size).inner
    begins, within, writable, closing = [], [], [], list(end_ids)
    for token, piece in enumerate(pieces):
        text = "" if piece is None else _decode(piece)
        begins.append(bool(text) and (text[0].isspace() or is_unspaced(text[0])))
        if not text or token in end_ids:
            continue
        ends_sentence = any(character in SENTENCE_ENDS for character in text)
        writable += [] if ends_sentence else [token]
        within += [] if ends_sentence or begins[token] or not _continues(text) else [token]
        closing += [] if not begins[token] and _continues(text) else [token]
    parts = (torch.tensor(ids, dtype=torch.long) for ids in (within, writable, closing))
    return WordTokens(begins, *parts)


def _continues(text: str) -> bool:
    """Return True if what a token adds goes on with the word before it."""
    return character_class(text[0]) == "word" or text[0] in _JOINERS


def _decode(piece: bytes) -> str:
    """Decode the bytes of a token, which may be parts of characters.

    A character that is cut off is taken for one that begins alike; its later bytes for letters.

    >>> _decode("日".encode()[:2])[0] > "\\u6000", _decode("日".encode()[1:])
    (True, 'xx')
    """
    head = piece.lstrip(bytes(range(0x80, 0xC0)))
    text = "x" * (len(piece) - len(head))
    for padding in (b"", b"\x80", b"\x80\x80", b"\xa0\x80", b"\x90\x80\x80"):
        try:
            return text + (head + padding).decode()
        except UnicodeDecodeError:
            continue
    return text + head.decode(errors="replace")
