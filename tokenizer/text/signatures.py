"""The first bytes of files that are no plain text: a registry of those to unpack and to refuse."""

import io
import re
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from ..errors import CorpusError
from .encodings import MARKS
from .packing import (
    CHUNK,
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
    beginnings: tuple[bytes, ...]  # of the pattern: a pipe that gives only a part is waited for
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
    beginnings: tuple[bytes, ...] = ()  # as above; none where a pattern begins with any bytes


HEAD_BYTES = 512  # that all patterns fit in: tar names itself at byte 257

PACKINGS: dict[str, Packing] = {
    "gzip": Packing(
        re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"),
        (b"\x1f\x8b\x08",),
        open_gzip,
        create_gzip,
        (".gz", ".gzip"),
    ),
    "bzip2": Packing(
        re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
        tuple(b"BZh%d%s" % (size, block) for size in range(1, 10) for block in (b"1AY", b"\x17rE")),
        open_bzip2,
        create_bzip2,
        (".bz2", ".bzip2"),
    ),
    "xz": Packing(re.compile(rb"\xfd7zXZ\x00"), (b"\xfd7zXZ\x00",), open_xz, create_xz, (".xz",)),
    "lzma": Packing(
        re.compile(rb"\x5d\x00\x00[\x00-\xff]{2}(\xff{8}|[\x00-\xff]{5}\x00{3})"),
        (b"\x5d\x00\x00",),
        open_xz,
        create_lzma,
        (".lzma",),
    ),
    "zstd": Packing(
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
        open_zstd,
        create_zstd,
        (".zst", ".zstd"),
    ),
}

_UNZIP = "unpack it and give the text that is in it"
_AS_TEXT = "save it as plain text"
_AS_ROWS = "convert it to JSONL or CSV"
_ZIP = rb"PK\x03\x04[\x00-\xff]{26,200}?"  # a header, and the name of its first file
_OPCODES = rb"([\]}(]q\x00|c[a-z_]{2}|X[\x00-\xff]{2}\x00\x00|\x8a\nl\xfc))"
_MODEL = "it holds weights or a vocabulary, and no text to read"
_SOUND = rb"RIFF[\x00-\xff]{4}(WAVE|AVI )|ID3[\x02-\x04]\x00|fLaC\x00|OggS\x00[\x00-\x07]"
_PICTURE = (
    rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a([\x00-\xff][\x00-\x1f]){2}|RIFF[\x00-\xff]{4}WEBP|"
    rb"II\*\x00|MM\x00\*|BM[\x00-\xff]{4}\x00{4}|\x00\x00\x01\x00[\x01-\x20]\x00|8BPS\x00\x01"
)
_PROGRAM = (
    rb"\x7fELF[\x01\x02]|MZ[\x00-\xff]{2}[\x00-\x0f]\x00|\xca\xfe\xba\xbe|"
    rb"\xcf\xfa\xed\xfe|\xfe\xed\xfa[\xce\xcf]|\x00asm[\x01-\x0f]\x00"
)


def _binary(name: str, pattern: bytes, remedy: str, *beginnings: bytes) -> Binary:
    return Binary(name, re.compile(pattern), remedy, beginnings)


BINARIES: list[Binary] = [
    _binary("an Office document", _ZIP + rb"(\[Content_Types\]|word/|xl/|ppt/|_rels/)", _AS_TEXT),
    _binary("an OpenDocument file", _ZIP + rb"mimetypeapplication/vnd\.oasis", _AS_TEXT),
    _binary("an EPUB book", _ZIP + rb"mimetypeapplication/epub", _AS_TEXT),
    _binary("a PyTorch file", _ZIP + rb"/(data\.pkl|byteorder|\.format_version)", _MODEL),
    _binary("a NumPy archive", _ZIP + rb"\.npy", _AS_ROWS),
    _binary("a zip archive", rb"PK(\x03\x04|\x05\x06|\x07\x08)", _UNZIP, b"PK\x03\x04"),
    _binary("a tar archive", rb"[\x00-\xff]{257}ustar", _UNZIP),
    _binary("a 7z archive", rb"7z\xbc\xaf\x27\x1c", _UNZIP, b"7z\xbc\xaf\x27\x1c"),
    _binary("a RAR archive", rb"Rar!\x1a\x07", _UNZIP, b"Rar!\x1a\x07"),
    _binary("a cabinet archive", rb"MSCF\x00{4}", _UNZIP, b"MSCF\x00\x00\x00\x00"),
    _binary("a package", rb"!<arch>\n|\xed\xab\xee\xdb", _UNZIP, b"!<arch>\n", b"\xed\xab\xee\xdb"),
    _binary("an lz4 file", rb"\x04\x22\x4d\x18", "unpack it with lz4 -d", b"\x04\x22\x4d\x18"),
    _binary("an lzip file", rb"LZIP[\x00\x01]", "unpack it with lzip -d", b"LZIP\x01"),
    _binary("an lzop file", rb"\x89LZO\x00", "unpack it with lzop -d", b"\x89LZO\x00"),
    _binary("a Snappy file", rb"\xff\x06\x00\x00sNaPpY", "unpack it", b"\xff\x06\x00\x00sNaPpY"),
    _binary(
        "a file of compress",
        rb"\x1f\x9d[\x80-\x9f]",
        "unpack it with uncompress",
        b"\x1f\x9d\x90",
    ),
    _binary("a PDF document", rb"%PDF-\d\.\d", "extract its text, say with pdftotext", b"%PDF-1."),
    _binary("an RTF document", rb"\{\\rtf\d", _AS_TEXT, b"{\\rtf1"),
    _binary(
        "an Office document", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _AS_TEXT, b"\xd0\xcf\x11\xe0"
    ),
    _binary("a Kindle book", rb"[\x00-\xff]{60}BOOKMOBI", _AS_TEXT),
    _binary("a DjVu document", rb"AT&TFORM[\x00-\xff]{4}DJV", _AS_TEXT, b"AT&TFORM"),
    _binary("a parquet file", rb"PAR1[\x00-\x1f]", _AS_ROWS, b"PAR1\x15"),
    _binary(
        "an Arrow file",
        rb"ARROW1\x00\x00|FEA1[\x00-\x1f]|\xff\xff\xff\xff[\x00-\xff]{2}\x00\x00",
        _AS_ROWS,
        b"ARROW1\x00\x00",
    ),
    _binary("an Avro file", rb"Obj\x01", _AS_ROWS, b"Obj\x01"),
    _binary("an ORC file", rb"ORC[\x00-\x1f]", _AS_ROWS),
    _binary("an HDF5 file", rb"\x89HDF\r\n\x1a\n", _AS_ROWS, b"\x89HDF\r\n\x1a\n"),
    _binary("an SQLite database", rb"SQLite format 3\x00", _AS_ROWS, b"SQLite format 3\x00"),
    _binary("a NumPy array", rb"\x93NUMPY", _AS_ROWS, b"\x93NUMPY"),
    _binary("a MATLAB file", rb"MATLAB \d\.\d MAT-file, ", _AS_ROWS, b"MATLAB 5.0 MAT-file, "),
    _binary("a file of R", rb"RDX[23]\n[XAB]\n", _AS_ROWS, b"RDX3\nX\n"),
    _binary("an SPSS file", rb"\$FL[23]@\(#\)", _AS_ROWS, b"$FL2@(#)"),
    _binary("a Stata file", rb"<stata_dta><header>", _AS_ROWS, b"<stata_dta><header>"),
    _binary(
        "a pickle",
        rb"\x80([\x04\x05]\x95[\x00-\xff]{5}\x00{3}|[\x02\x03]" + _OPCODES,
        _AS_ROWS,
        b"\x80\x04\x95",
        b"\x80\x05\x95",
    ),
    _binary("a safetensors file", rb"[\x00-\xff]{5}\x00{3}\{\s*\"", _MODEL),
    _binary(
        "a GGUF file",
        rb"GGUF[\x00-\x0f]\x00|(lm|fm|tj)gg[\x00-\x0f]\x00",
        _MODEL,
        b"GGUF\x03\x00",
    ),
    _binary("a SentencePiece model", rb"\n[\x00-\x7f]\n[\x01-\x7f]<unk>", _MODEL),
    _binary("a fastText model", rb"\xba\x16\x4f\x2f", _MODEL, b"\xba\x16\x4f\x2f"),
    _binary(
        "a KenLM model",
        rb"mmap lm http://kheafield\.com/code",
        _MODEL,
        b"mmap lm http://kheafield",
    ),
    _binary(
        "an image",
        _PICTURE,
        "give text",
        b"\x89PNG\r\n",
        b"\xff\xd8\xff",
        b"II*\x00",
        b"MM\x00*",
    ),
    _binary("a sound or a film", _SOUND, "give text", b"ID3\x04\x00", b"fLaC\x00", b"OggS\x00"),
    _binary(
        "a film",
        rb"\x00\x00[\x00-\xff]{2}ftyp[a-zA-Z0-9 ]{4}|\x1aE\xdf\xa3",
        "give text",
        b"\x1aE\xdf\xa3",
    ),
    _binary("a program", _PROGRAM, "give text", b"\x7fELF\x02", b"\xca\xfe\xba\xbe"),
]
_BEGINNINGS = [
    *(beginning for packing in PACKINGS.values() for beginning in packing.beginnings),
    *(beginning for kind in BINARIES for beginning in kind.beginnings),
    *MARKS,
]


def find_packing(head: bytes) -> str | None:
    """Return the name of the compression that a file begins with, or None."""
    return next((name for name, kind in PACKINGS.items() if kind.pattern.match(head)), None)


def refuse_binary(head: bytes, path: str) -> None:
    """Raise CorpusError, which names the kind, for a file that begins like one of BINARIES."""
    for kind in BINARIES:
        if kind.pattern.match(head):
            raise CorpusError(f"{path} is {kind.name}, not text: {kind.remedy}")


def is_undecided(head: bytes) -> bool:
    """Return True if more bytes are needed to tell what a text is: its first line, or 64 KiB."""
    if any(len(head) < len(first) and first.startswith(head) for first in _BEGINNINGS):
        return True
    if b"\n" in head or len(head) >= CHUNK or find_packing(head) is not None:
        return False
    return not any(kind.pattern.match(head[:HEAD_BYTES]) for kind in BINARIES)
