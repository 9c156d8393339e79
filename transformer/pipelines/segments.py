"""Segments of a line that are translated separately: the line itself, or its sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tokenizer import Tokenizer, is_blank
from tokenizer.segmentation.sentences import Segment, split_segments, split_sentences

from ..decoding.request import Request
from .records import MAX_CHARACTERS


class EncodedSegment(NamedTuple):
    """A segment of a line, and the ids of its text."""

    segment: Segment
    ids: list[int]

    @property
    def is_blank(self) -> bool:
        """True where there is nothing to translate."""
        return not self.ids or is_blank(self.segment.text)


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentRequest(Request):
    """A request for the translation of one segment of a line."""

    segments: Sequence[Segment]  # of the line
    index: int  # of the one that is translated

    @property
    def text(self) -> str:
        """The text that is translated."""
        return self.segments[self.index].text


def segment_of(request: Request) -> SegmentRequest:
    """Return a request of a translation as what it is: revisions copy all of its fields."""
    assert isinstance(request, SegmentRequest)
    return request


def encode_lines(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[EncodedSegment]]:
    """Encode each line as one segment; an empty one has none."""
    rows = tokenizer.encode_batch([text[: MAX_CHARACTERS + 1] for text in texts])
    return [
        [] if is_blank(text) else [EncodedSegment(Segment(text, ""), ids)]
        for text, ids in zip(texts, rows, strict=True)
    ]


def encode_sentences(text: str, tokenizer: Tokenizer, max_tokens: int) -> list[EncodedSegment]:
    """Encode the sentences of a line; none has more than `max_tokens`."""
    rows: dict[str, list[int]] = {}

    def size(part: str) -> int:
        rows[part] = tokenizer.encode(part)
        return len(rows[part])

    segments = split_segments(split_sentences(text[:MAX_CHARACTERS]), size, max_tokens)
    return [
        EncodedSegment(segment, rows.get(segment.text) or tokenizer.encode(segment.text))
        for segment in segments
    ]


def join_segments(
    segments: Sequence[Segment], texts: Mapping[int, str], *, is_cut: bool = False
) -> str:
    """Join the translations of segments, by index, with the white space between the segments.

    With `is_cut`, the text ends with the last translation.

    >>> segments = [Segment(" A.", " "), Segment("B.", " "), Segment("C.", "")]
    >>> join_segments(segments, {0: "X.", 1: "Y.", 2: "Z."})
    ' X. Y. Z.'
    >>> join_segments(segments, {0: "X.", 1: "Y"}, is_cut=True)
    ' X. Y'
    """
    joined, last = "", max(texts) if is_cut else len(segments)
    for index, (text, after) in enumerate(segments[: last + 1]):
        leading_space = text[: len(text) - len(text.lstrip())]
        joined += leading_space + texts.get(index, "") + ("" if index == last else after)
    return joined
