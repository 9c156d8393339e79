"""Lines of a stream: for filters as they come, for corpora whole and checked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from ..errors import CorpusError
from ..quantities import format_count
from .encodings import guess_encoding
from .names import display_name

MAX_LINE_BYTES = 1 << 20  # 1 MB takes seconds to encode; a filter shortens longer lines
MAX_RECORD_BYTES = 1 << 28  # of a line that must be whole in memory, such as a JSON object
_MAX_INVALID = 0.01  # share of a corpus's lines that may hold invalid UTF-8 …
_MAX_INVALID_CHARACTERS = 1e-4  # … unless even that is less than one character in ten thousand
_HOPELESS = 1000  # lines after which a text of mostly invalid ones is given up
_SAMPLE_BYTES = 4096  # of invalid lines, by which their encoding is guessed


@dataclass
class CorpusCounts:
    """The numbers of lines read, and of those changed in order to be read."""

    lines: int = 0
    replaced: int = 0  # lines with invalid UTF-8, shown as U+FFFD
    shortened: int = 0  # lines over MAX_LINE_BYTES
    notices: list[str] = field(default_factory=list)  # what else a user should know, each once
    # The bytes that are being read, as they are stored, and how many streams of them there were.
    stream: BinaryIO | None = field(default=None, compare=False, repr=False)
    streams: int = field(default=0, compare=False, repr=False)

    def follow(self, stream: BinaryIO) -> None:
        """Note the stream that is read from now on."""
        self.stream, self.streams = stream, self.streams + 1

    def notice(self, text: str) -> None:
        """Add a notice, once."""
        if text not in self.notices:
            self.notices.append(text)


class LinePiece(NamedTuple):
    """A line of a corpus, or a piece of one that is longer than MAX_LINE_BYTES."""

    text: str
    ends_line: bool


def byte_lines(stream: BinaryIO, counts: CorpusCounts) -> Iterator[bytes]:
    """Yield lines without their ends; those over MAX_LINE_BYTES are shortened and counted."""
    while raw := stream.readline(MAX_LINE_BYTES + 2):  # two bytes for the line's end
        counts.lines += 1
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES)
        line = _without_end(raw)
        if len(line) > MAX_LINE_BYTES:
            counts.shortened += 1
            line = _trim_partial_character(line[:MAX_LINE_BYTES])
        yield line


def _without_end(line: bytes) -> bytes:
    """Return a line without its end: LF, and one CR before it."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _trim_partial_character(cut: bytes) -> bytes:
    """Drop the up to three bytes of a UTF-8 character that was cut in two."""
    for end in range(len(cut), len(cut) - 4, -1):
        if cut[end - 1] < 0x80:
            return cut[:end]
        if cut[end - 1] >= 0xC0:  # a first byte, which encodes the character's length
            size = 2 if cut[end - 1] < 0xE0 else 3 if cut[end - 1] < 0xF0 else 4
            return cut if end - 1 + size <= len(cut) else cut[: end - 1]
    return cut


def decode_line(raw: bytes, counts: CorpusCounts) -> str:
    """Decode UTF-8, with U+FFFD in place of invalid bytes; such lines are counted."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        counts.replaced += 1
        return raw.decode("utf-8", errors="replace")


def replace_surrogates(value: str, counts: CorpusCounts) -> str:
    """Return a text with U+FFFD in place of lone surrogates, which no tokenizer takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        counts.replaced += 1
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


class CorpusLines:
    """The lines of one corpus file, which are not shortened.

    Reading raises CorpusError where more than 1% of them are no UTF-8, if that is to be checked.
    """

    def __init__(
        self, path: str, stream: BinaryIO, counts: CorpusCounts, *, checked: bool = True
    ) -> None:
        self.name = display_name(path)
        self.counts, self._checked = counts, checked
        self.stream = stream
        self.number = 0  # of the line that was read last, from 1
        self._invalid = self._invalid_characters = self._characters = 0
        self._sample = b""

    @property
    def location(self) -> str:
        """The file and the number of the line that was read last."""
        return f"{self.name}, line {self.number}"

    def __iter__(self) -> Iterator[str]:
        """Yield whole lines without their ends."""
        return (self._decode(_without_end(raw)) for raw in self._whole())

    def with_ends(self) -> Iterator[str]:
        """Yield whole lines with their ends."""
        return map(self._decode, self._whole())

    def _whole(self) -> Iterator[bytes]:
        readline, counts = self.stream.readline, self.counts
        while raw := readline(MAX_RECORD_BYTES):
            self.number += 1
            counts.lines += 1
            if len(raw) == MAX_RECORD_BYTES:
                raise CorpusError(f"{self.location} is longer than {MAX_RECORD_BYTES >> 20} MiB")
            yield raw
        self._check_encoding()

    def pieces(self) -> Iterator[LinePiece]:
        """Yield lines without their ends, long ones in pieces that are cut at spaces."""
        readline, counts, carried = self.stream.readline, self.counts, b""
        while raw := readline(MAX_LINE_BYTES):
            line, ended = carried + raw, raw.endswith(b"\n")
            carried = b""
            if not ended and len(raw) == MAX_LINE_BYTES:
                size = _cut_at_space(line)
                line, carried = line[:size], line[size:]
                yield LinePiece(self._decode(line), False)
                continue
            self.number += 1
            counts.lines += 1
            yield LinePiece(self._decode(_without_end(line)), True)
        if carried:
            self.number += 1
            counts.lines += 1
            yield LinePiece(self._decode(carried), True)
        self._check_encoding()

    def _decode(self, raw: bytes) -> str:
        self._characters += len(raw)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("utf-8", errors="replace")
        self.counts.replaced += 1
        self._invalid += 1
        self._invalid_characters += text.count("\ufffd")
        self._sample = self._sample or raw[:_SAMPLE_BYTES]
        if self.number > _HOPELESS and self._invalid > self.number // 2:
            self._check_encoding()
        return text

    def _check_encoding(self) -> None:
        """Raise CorpusError for more invalid UTF-8 than a few stray bytes."""
        few = self._invalid <= _MAX_INVALID * self.number
        if few or not self._checked:
            return
        if self._invalid_characters <= _MAX_INVALID_CHARACTERS * self._characters:
            return
        guess = guess_encoding(self._sample)
        raise CorpusError(
            f"{self.name} is not UTF-8: {self._invalid:,} of "
            f"{format_count(self.number, 'line')} cannot be read "
            f"as such; it may be {guess} (iconv -f {guess} -t utf-8 converts it)"
        )


def _cut_at_space(line: bytes) -> int:
    """Return the size of the part of a long line that ends before its last space.

    Without one in its last half, it ends between two characters.
    """
    space = line.rfind(b" ")
    return space if space > len(line) // 2 else len(_trim_partial_character(line))
