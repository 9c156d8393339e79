"""A reader of SentencePiece's protobuf files as untrusted input.

message ModelProto { repeated Piece pieces = 1; TrainerSpec trainer_spec = 2;
                     NormalizerSpec normalizer_spec = 3; NormalizerSpec denormalizer_spec = 5; }
"""

import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from ..errors import TokenizerError

_MAX_PIECE_FIELDS, _MAX_PIECE_CHARACTERS = 16, 1 << 12  # in use are 3, and a dozen characters
MAX_FIELDS = 1 << 20  # of one message; the largest vocabulary in use, XLM-V's, has 901,629 pieces


class PieceType(IntEnum):
    """The type of a piece."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Algorithm(IntEnum):
    """The algorithm that splits texts into pieces."""

    UNIGRAM = 1
    BPE = 2
    WORD = 3
    CHAR = 4


class SentencePiece(NamedTuple):
    """An entry of a vocabulary."""

    text: str
    score: float = 0.0
    kind: PieceType = PieceType.NORMAL


@dataclass(frozen=True, kw_only=True)
class SentencePieceModel:
    """The contents of a model file that affect the splitting of texts."""

    pieces: tuple[SentencePiece, ...]
    algorithm: Algorithm = Algorithm.UNIGRAM
    byte_fallback: bool = False
    charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True


class _DamagedError(Exception):
    """Bytes that are no SentencePiece model, and the reason."""


def _varint(data: memoryview, offset: int) -> tuple[int, int]:
    value = shift = 0
    while offset < len(data) and shift < 70:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7
    raise _DamagedError("a number has no end")


_FIXED = {1: 8, 5: 4}  # bytes, by wire type


def _fields(data: memoryview, limit: int) -> Iterator[tuple[int, Any]]:
    """Yield (field number, value) of a message; a value is an int or a memoryview of bytes."""
    offset = count = 0
    while offset < len(data):
        key, offset = _varint(data, offset)
        wire = key & 7
        count += 1
        if key < 8:
            raise _DamagedError("a field has no number")
        if count > limit:
            raise _DamagedError("it has too many fields")
        if wire == 0:
            number, offset = _varint(data, offset)
            yield key >> 3, number
            continue
        if wire == 2:
            size, offset = _varint(data, offset)
        elif wire in _FIXED:
            size = _FIXED[wire]
        else:
            raise _DamagedError(f"wire type {wire} is not in use")
        if size > len(data) - offset:
            raise _DamagedError("it ends too early")
        yield key >> 3, data[offset : offset + size]
        offset += size


def _bytes(value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise _DamagedError("bytes are expected, not a number")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise _DamagedError("a number is expected, not bytes")
    return value


def _score(value: Any) -> float:
    raw = _bytes(value)
    if len(raw) != 4:
        raise _DamagedError("a score is not 4 bytes long")
    score: float = struct.unpack("<f", raw)[0]
    if not math.isfinite(score):
        raise _DamagedError("a score is not finite")
    return score


def _text(value: Any) -> str:
    return str(_bytes(value), "utf-8")


def _flag(value: Any) -> bool:
    return bool(_number(value))


def _message(
    value: Any, readers: dict[int, tuple[str, Callable[[Any], Any]]], limit: int = MAX_FIELDS
) -> dict[str, Any]:
    """Return a message's fields that have a reader; the last of a repeated one, as in protobuf."""
    values = {}
    for number, raw in _fields(_bytes(value), limit):
        if number in readers:
            name, read = readers[number]
            values[name] = read(raw)
    return values


_PIECE: dict[int, tuple[str, Callable[[Any], Any]]] = {
    1: ("text", _text),
    2: ("score", _score),
    3: ("kind", lambda value: PieceType(_number(value))),
}
_TRAINER: dict[int, tuple[str, Callable[[Any], Any]]] = {
    3: ("algorithm", lambda value: Algorithm(_number(value))),
    24: ("treat_whitespace_as_suffix", _flag),
    35: ("byte_fallback", _flag),
}
_NORMALIZER: dict[int, tuple[str, Callable[[Any], Any]]] = {
    2: ("charsmap", lambda value: bytes(_bytes(value))),
    3: ("add_dummy_prefix", _flag),
    4: ("remove_extra_whitespaces", _flag),
    5: ("escape_whitespaces", _flag),
}


_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")  # a token in base64, and its rank


def _parse(data: bytes) -> SentencePieceModel:
    pieces: list[SentencePiece] = []
    spec: dict[str, Any] = {}
    seen: set[int] = set()
    for number, value in _fields(memoryview(data), MAX_FIELDS):
        if number == 1:
            fields = {"text": "", **_message(value, _PIECE, _MAX_PIECE_FIELDS)}
            if not 0 < len(fields["text"]) <= _MAX_PIECE_CHARACTERS:
                raise _DamagedError("a piece is empty or too long")
            pieces.append(SentencePiece(**fields))
            continue
        if number in seen:
            raise _DamagedError(f"its field {number} is repeated")
        seen.add(number)
        if number in {2, 3}:
            spec |= _message(value, _TRAINER if number == 2 else _NORMALIZER)
        elif number == 5 and _message(value, _NORMALIZER).get("charsmap"):
            raise _DamagedError("its denormalizer_spec is not supported")
    if spec.pop("treat_whitespace_as_suffix", False):
        raise _DamagedError("its treat_whitespace_as_suffix is not supported")
    return SentencePieceModel(pieces=tuple(pieces), **spec)


def read_sentencepiece(data: bytes, *, name: str) -> SentencePieceModel:
    """Return the model of a SentencePiece file; `name` is for messages. Raises TokenizerError."""
    if _TIKTOKEN.match(data):
        raise TokenizerError(
            f"{name} is a table of tiktoken, as makers of models publish it, and not of "
            "SentencePiece; give the tokenizer.json of the same model"
        )
    try:
        model = _parse(data)
        if len({piece.text for piece in model.pieces}) < len(model.pieces):
            raise _DamagedError("a piece is repeated")
        if sum(piece.kind is PieceType.UNKNOWN for piece in model.pieces) != 1:
            raise _DamagedError("there must be one unknown piece")
    except (
        _DamagedError,
        ValueError,
    ) as error:  # ValueError: no UTF-8, no such kind
        raise TokenizerError(f"{name} is no usable SentencePiece model: {error}") from None
    return model
