"""The first bytes of files that are no plain text: a registry of those to unpack and to refuse."""

import io
import re
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from ..errors import CorpusError
from .packing import (
    create_bzip2,
    create_gzip,
    create_lzma,
    create_xz,
    create_zstd,
    open_bzip2,
    open_gzip,
    open_xz,
    open_zstd,
)


class Packing(NamedTuple):
    """A compression: files are unpacked by their first bytes, and packed by their names."""

    pattern: re.Pattern[bytes]
    open: Callable[[BinaryIO], BinaryIO]
    create: Callable[[BinaryIO], BinaryIO]
    suffixes: tuple[str, ...]  # the first is the usual one

    def check(self) -> None:
        """Raise CorpusError where Python cannot pack like this."""
        self.create(io.BytesIO()).close()


class Binary(NamedTuple):
    """A kind of file that holds no text to read, and the way to its text."""

    name: str
    pattern: re.Pattern[bytes]
    remedy: str


HEAD_BYTES = 512  # that all patterns fit in: tar names itself at byte 257

PACKINGS: dict[str, Packing] = {
    "gzip": Packing(
        re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"), open_gzip, create_gzip, (".gz", ".gzip")
    ),
    "bzip2": Packing(
        re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), open_bzip2, create_bzip2, (".bz2", ".bzip2")
    ),
    "xz": Packing(re.compile(rb"\xfd7zXZ\x00"), open_xz, create_xz, (".xz",)),
    "lzma": Packing(
        re.compile(rb"\x5d\x00\x00[\x00-\xff]{2}(\xff{8}|[\x00-\xff]{5}\x00{3})"),
        open_xz,
        create_lzma,
        (".lzma",),
    ),
    "zstd": Packing(
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        open_zstd,
        create_zstd,
        (".zst", ".zstd"),
    ),
}

_UNZIP = "unpack it and give the text that is in it"
_AS_TEXT = "save it as plain text"
_AS_ROWS = "convert it to JSONL or CSV"
_ZIP = rb"PK\x03\x04[\x00-\xff]{26,200}?"  # a header, and the name of its first file
_OPCODES = rb"([\]}(]q\x00|c[a-z_]{2}|X[\x00-\xff]{2}\x00\x00))"
_MODEL = "it holds weights, and no text to read"

BINARIES: list[Binary] = [
    Binary(name, re.compile(pattern), remedy)
    for name, pattern, remedy in [
        ("an Office document", _ZIP + rb"(\[Content_Types\]|word/|xl/|ppt/|_rels/)", _AS_TEXT),
        ("an OpenDocument file", _ZIP + rb"mimetypeapplication/vnd\.oasis", _AS_TEXT),
        ("an EPUB book", _ZIP + rb"mimetypeapplication/epub", _AS_TEXT),
        ("a PyTorch file", _ZIP + rb"/(data\.pkl|byteorder|\.format_version)", _MODEL),
        ("a NumPy archive", _ZIP + rb"\.npy", _AS_ROWS),
        ("a zip archive", rb"PK(\x03\x04|\x05\x06|\x07\x08)", _UNZIP),
        ("a tar archive", rb"[\x00-\xff]{257}ustar", _UNZIP),
        ("a 7z archive", rb"7z\xbc\xaf\x27\x1c", _UNZIP),
        ("a RAR archive", rb"Rar!\x1a\x07", _UNZIP),
        ("an lz4 file", rb"\x04\x22\x4d\x18", "unpack it with lz4 -d"),
        ("a file of compress", rb"\x1f\x9d[\x80-\x9f]", "unpack it with uncompress"),
        ("a PDF document", rb"%PDF-\d\.\d", "extract its text, say with pdftotext"),
        ("an RTF document", rb"\{\\rtf\d", _AS_TEXT),
        ("an Office document", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _AS_TEXT),
        ("a parquet file", rb"PAR1[\x00-\x1f]", _AS_ROWS),
        ("an Arrow file", rb"ARROW1\x00\x00|\xff\xff\xff\xff[\x00-\xff]{2}\x00\x00", _AS_ROWS),
        ("an Avro file", rb"Obj\x01", _AS_ROWS),
        ("an ORC file", rb"ORC[\x00-\x1f]", _AS_ROWS),
        ("an HDF5 file", rb"\x89HDF\r\n\x1a\n", _AS_ROWS),
        ("an SQLite database", rb"SQLite format 3\x00", _AS_ROWS),
        ("a NumPy array", rb"\x93NUMPY", _AS_ROWS),
        ("a pickle", rb"\x80([\x04\x05]\x95[\x00-\xff]{5}\x00{3}|[\x02\x03]" + _OPCODES, _AS_ROWS),
        ("a safetensors file", rb"[\x00-\xff]{5}\x00{3}\{\s*\"", _MODEL),
        ("a GGUF file", rb"GGUF[\x00-\x0f]\x00", _MODEL),
        (
            "an image",
            rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a([\x00-\xff][\x00-\x1f]){2}|RIFF[\x00-\xff]{4}WEBP",
            "give text",
        ),
        ("a sound file", rb"RIFF[\x00-\xff]{4}WAVE|ID3[\x02-\x04]\x00|fLaC\x00", "give text"),
        ("a program", rb"\x7fELF[\x01\x02]|MZ[\x00-\xff]{2}[\x00-\x0f]\x00", "give text"),
    ]
]

# Beginnings of the patterns: a pipe that gives only one of these is waited for.
_BEGINNINGS = [
    b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"\x5d\x00\x00\x00\x00", b"\x28\xb5\x2f\xfd",
    b"PK\x03\x04", b"7z\xbc\xaf", b"%PDF-1", b"\x80\x04\x95", b"PAR1", b"\xff\xfe\x00\x00",
    b"\x00\x00\xfe\xff", b"\xfe\xff", b"\xef\xbb\xbf",
]  # fmt: skip


def find_packing(head: bytes) -> str | None:
    """Return the name of the compression that a file begins with, or None."""
    return next((name for name, kind in PACKINGS.items() if kind.pattern.match(head)), None)


def refuse_binary(head: bytes, path: str) -> None:
    """Raise CorpusError, which names the kind, for a file that begins like one of BINARIES."""
    for kind in BINARIES:
        if kind.pattern.match(head):
            raise CorpusError(f"{path} is {kind.name}, not text: {kind.remedy}")


def is_undecided(head: bytes) -> bool:
    """Return True if more bytes are needed to tell a binary file from text."""
    return any(len(head) < len(first) and first.startswith(head) for first in _BEGINNINGS)
