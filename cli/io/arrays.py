"""NumPy arrays in files, written row by row, of a length that is known at the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy


@contextmanager
def open_array(path: Path, width: int) -> Iterator["ArrayWriter"]:
    """Open a file for the rows of an array, whose number its header tells in the end."""
    with path.open("wb") as stream:
        writer = ArrayWriter(stream, width)
        try:
            yield writer
        finally:
            writer.finish()


class ArrayWriter:
    """Writer of the rows (D) of a matrix of float32 to a file; nothing is kept in memory.

    The header has room for any number of rows, so that it can be written again at the end.
    """

    def __init__(self, stream: BinaryIO, width: int) -> None:
        self._stream, self._width, self._rows = stream, width, 0
        self._stream.write(self._header())

    def row(self, vector_D: npt.NDArray[np.float32]) -> None:
        """Append a row."""
        assert vector_D.shape == (self._width,)
        self._stream.write(np.ascontiguousarray(vector_D, dtype="<f4").tobytes())
        self._rows += 1

    def finish(self) -> None:
        """Write the number of rows into the header."""
        self._stream.seek(0)
        self._stream.write(self._header())

    def _header(self) -> bytes:
        buffer = BytesIO()
        shape = (self._rows, self._width)
        npy.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
        return buffer.getvalue()
