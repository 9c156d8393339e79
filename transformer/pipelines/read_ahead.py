"""A source of lines that are read ahead, so that decoding continues while input is slow."""

from collections import deque
from collections.abc import Iterable
from threading import Condition, Thread
from typing import Self

from .records import Line, LineSource

_MAX_LINES, _MAX_CHARACTERS = 4096, 1 << 24  # limits of what is read ahead


class ReadAhead(LineSource):
    """Lines of an iterable that a thread of its own reads, until the context ends."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._source = lines
        self._lines: deque[Line] = deque()
        self._characters = 0
        self._ended = self._closed = False
        self._error: BaseException | None = None
        self._changed = Condition()

    def __enter__(self) -> Self:
        Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        """See LineSource. Raises an error of reading once all lines before it are taken."""
        with self._changed:
            while wait and not self._lines and not self._ended:
                self._changed.wait()
            taken = [self._lines.popleft() for _ in range(min(limit, len(self._lines)))]
            self._characters -= sum(len(line.text) for line in taken)
            self._changed.notify_all()
            if taken or not self._ended:
                return taken
            if self._error is not None:
                raise self._error
            return None

    def _read(self) -> None:
        """Read until the end, an error, or the exit from the context: the body of the thread."""
        try:
            for line in self._source:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or not self._is_full())
                    if self._closed:
                        return
                    self._lines.append(line)
                    self._characters += len(line.text)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return len(self._lines) >= _MAX_LINES or self._characters >= _MAX_CHARACTERS
