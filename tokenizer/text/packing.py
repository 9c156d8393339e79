"""Streams of bytes that are made while they are read or written: unpacked, decoded, packed."""

import bz2
import gzip
import importlib
import io
import lzma
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import BinaryIO, cast

from ..errors import CorpusError

CHUNK = 1 << 16  # bytes read at once
DAMAGES = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError)


class ChunkedStream(io.RawIOBase):
    """A stream of the bytes that a function returns, chunk by chunk, after those read already."""

    def __init__(self, read: Callable[[int], bytes], head: bytes = b"") -> None:
        self._read, self._rest = read, head

    def readable(self) -> bool:
        """See RawIOBase."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See RawIOBase."""
        chunk = self._rest or self._read(len(buffer))
        size = min(len(chunk), len(buffer))
        buffer[:size] = chunk[:size]
        self._rest = chunk[size:]
        return size


def buffered(read: Callable[[int], bytes], head: bytes = b"") -> BinaryIO:
    """Return a stream with fast lines of what a function returns."""
    return io.BufferedReader(ChunkedStream(read, head), CHUNK)


def unpacked(path: str, name: str, packed: BinaryIO) -> BinaryIO:
    """Return the unpacked bytes of a file. Reading raises CorpusError where it is damaged."""

    def read(size: int) -> bytes:
        try:
            return packed.read1(size)  # type: ignore[attr-defined, no-any-return]
        except OSError as error:
            if error.errno is not None and not isinstance(error, DAMAGES):
                raise  # of the file itself, as from a bad disk
            raise CorpusError(f"{path} is a damaged {name} file: {error}") from None
        except Exception as error:
            if not isinstance(error, DAMAGES) and type(error).__name__ != "ZstdError":
                raise
            raise CorpusError(f"{path} is a damaged {name} file: {error}") from None

    return buffered(read)


def open_gzip(stream: BinaryIO) -> BinaryIO:
    """Unpack gzip: all of its members, and no zeros behind them."""
    return cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb"))


def open_bzip2(stream: BinaryIO) -> BinaryIO:
    """Unpack bzip2."""
    return cast(BinaryIO, bz2.BZ2File(stream))


def open_xz(stream: BinaryIO) -> BinaryIO:
    """Unpack xz, or the older lzma."""
    return cast(BinaryIO, lzma.LZMAFile(stream))


def open_zstd(stream: BinaryIO) -> BinaryIO:
    """Unpack zstd. Raises CorpusError where Python cannot."""
    return cast(BinaryIO, zstd_module().ZstdFile(stream))


def create_gzip(stream: BinaryIO) -> BinaryIO:
    """Pack as gzip, without a name or a time: equal texts are equal files."""
    return cast(BinaryIO, gzip.GzipFile("", "wb", fileobj=stream, mtime=0))


def create_bzip2(stream: BinaryIO) -> BinaryIO:
    """Pack as bzip2."""
    return cast(BinaryIO, bz2.BZ2File(stream, "wb"))


def create_xz(stream: BinaryIO) -> BinaryIO:
    """Pack as xz."""
    return cast(BinaryIO, lzma.LZMAFile(stream, "wb"))


def create_lzma(stream: BinaryIO) -> BinaryIO:
    """Pack as the older lzma."""
    return cast(BinaryIO, lzma.LZMAFile(stream, "wb", format=lzma.FORMAT_ALONE))


def create_zstd(stream: BinaryIO) -> BinaryIO:
    """Pack as zstd. Raises CorpusError where Python cannot."""
    return cast(BinaryIO, zstd_module().ZstdFile(stream, "wb"))


def zstd_module() -> ModuleType:
    """Return Python's module for zstd, or the package with the same one for older Pythons."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise CorpusError(
        "zstd needs Python 3.14 or the package backports.zstd (pip install backports.zstd); "
        "or use the program zstd"
    )
