"""Global tokens of texts: which ones see all of a text and are seen by all, in models that ask."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tokenizer import Tokenizer
from tokenizer.quantities import format_count

from ..attention import names_global_tokens
from ..errors import ConfigError, LineError
from ..loading import LoadedModel
from .records import Line

FIELD = "global"  # of a JSON record: spans of characters, whose tokens are global
GlobalIndices = tuple[int, ...] | None  # in what a model reads; None: the first token
_Range = tuple[int, int]


class TokenPlace(NamedTuple):
    """The tokens of a text that a model reads: which they are, and where they stand.

    `characters` is the index in the record's text of the first character that was encoded.
    """

    before: int  # tokens that stand before them
    start: int = 0
    end: int | None = None
    characters: int = 0


class GlobalTokenChoice(NamedTuple):
    """The rule by which tokens of a text are global: so many of the first ones, and a record's."""

    number: int | None
    tokenizer: Tokenizer
    reads_spans: bool

    @classmethod
    def of(cls, loaded: LoadedModel, number: int | None) -> "GlobalTokenChoice":
        """Return the rule for a model. Raises ConfigError if it is asked of another kind."""
        named = names_global_tokens(loaded.config)
        if number is not None and not named:
            raise ConfigError(
                f"--global-tokens: {loaded.named_folder} has no such tokens; only longformer "
                "attention, as of Longformer and LED, is told of them"
            )
        return cls(number, loaded.tokenizer, named)

    def has_spans(self, line: Line) -> bool:
        """Return True if a line's record names spans, to a model that reads them."""
        return self.reads_spans and line.fields.get(FIELD) is not None

    def spans(self, line: Line) -> list[_Range]:
        """Return the spans of characters that a line's record names; of other models, none.

        Raises LineError for what are no spans of its text.
        """
        if not self.has_spans(line):
            return []
        value = line.fields[FIELD]
        if not isinstance(value, list):
            raise _no_spans(value)
        return [_span(each, line.text) for each in value]

    def indices(
        self,
        length: int,
        text: str = "",
        spans: Sequence[_Range] = (),
        place: TokenPlace | None = None,
    ) -> GlobalIndices:
        """Return the global tokens of a row of so many tokens, special ones counted.

        Those of `spans` are tokens of `text`, of which the row has what `place` says.
        """
        if self.number is None and not spans:
            return None
        first = range(min(1 if self.number is None else self.number, length))
        if not spans or place is None:
            return tuple(first)
        ranges = self.tokenizer.encode_with_offsets(text).offsets[place.start : place.end]
        named = (
            place.before + index
            for index, (start, end) in enumerate(ranges)
            if any(
                start < to - place.characters and end > since - place.characters
                for since, to in spans
            )
        )
        return tuple(sorted({*first, *named}))


def _span(value: Any, text: str) -> _Range:
    """Return a span, which is a pair of numbers or an object with start and end."""
    ends = [value.get("start"), value.get("end")] if isinstance(value, dict) else value
    if not (isinstance(ends, list) and len(ends) == 2 and all(type(end) is int for end in ends)):
        raise _no_spans(value)
    start, end = ends
    if not 0 <= start < end <= len(text):
        raise LineError(
            f"the field {FIELD!r} has the characters {start:,} to {end:,}; the text has "
            f"{format_count(len(text), 'character')}"
        )
    return start, end


def _no_spans(value: Any) -> LineError:
    shown = str(value)[:40]
    return LineError(
        f"the field {FIELD!r} has {shown!r}, where spans of characters are expected: [[0, 5], …]"
    )
