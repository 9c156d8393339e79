"""Strings that end a text: found while it is written, cut off, and never shown."""

from collections.abc import Callable, Sequence

from tokenizer import Tokenizer
from tokenizer.token_bytes import is_local

from ...errors import ConfigError
from ..request import SequenceState

_CHARACTER = 4  # tokens, at most, that a character is spread over


def stop_condition(
    strings: Sequence[str], tokenizer: Tokenizer, *, continuing: bool = False
) -> Callable[[SequenceState], bool]:
    """Whether what a row wrote holds one of some strings, for SearchOptions.stop: asked after each
    token, so only what the last one may have brought is looked at. `continuing`: the text follows
    its prompt's, where a first space is not left out.

    Raises ConfigError for no strings and for an empty one.
    """
    longest = max(map(len, _checked(strings)))
    local = is_local(tokenizer)

    def stops(row: SequenceState) -> bool:
        ids = row.all_ids() if continuing or row.request.previous_context else row.generated_ids
        own = min(len(ids), len(row.text_ids))  # of these, tokens that were written
        most, before = len(ids), len(ids) - own
        some = longest + 2 * _CHARACTER if local else most
        while some < most:
            text = _new(tokenizer, ids[most - some :], before - most + some, longest)
            if text is not None:
                return _first(text, strings) is not None
            some *= 2
        text = tokenizer.decode(ids)
        return _first(text[len(tokenizer.decode(ids[:before])) :], strings) is not None

    return stops


def _new(tokenizer: Tokenizer, ids: Sequence[int], before: int, longest: int) -> str | None:
    """The end of a text, from where a string may begin that its last token completes; None where
    these last tokens are too few to tell. The first `before` of them were not written."""
    lead = _CHARACTER + 1  # what cannot be trusted: half a character, or a space that is left out
    text = tokenizer.decode(ids)
    sure = len(tokenizer.decode(ids[: max(lead, before)]))
    start = len(tokenizer.decode(ids[:-1])) - longest - _CHARACTER
    if not sure or (start < sure and before < lead):
        return None
    found = text[max(start, sure) :]
    return None if "\ufffd" in found else found  # half a character can spoil those after it


def truncate_at_stop(text: str, strings: Sequence[str]) -> str:
    """The text before the first place where one of the strings begins; all of it where none does.

    >>> cut("one. two\\n\\nthree", [". ", "\\n"])
    'one'
    """
    return text[: _first(text, _checked(strings))]


class StopStringBuffer:
    """Shows a text piece by piece up to the first of some strings: what may be its beginning is
    held back until it is clear that it is not. A string ends the text with the piece that completes
    one, as it ends a search; within that piece the first to begin counts, as for `cut`."""

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = _checked(strings)
        self._held = ""
        self.stopped = False  # whether one of the strings was there

    def feed(self, piece: str) -> str:
        """What can be shown now."""
        if self.stopped:
            return ""
        text = self._held + piece
        place = _first(text, self._strings)
        if place is not None:
            self.stopped, self._held = True, ""
            return text[:place]
        kept = len(text) - _begun(text, self._strings)
        self._held = text[kept:]
        return text[:kept]

    def flush(self) -> str:
        """What was held back, once no more pieces come."""
        held, self._held = self._held, ""
        return held


def _checked(strings: Sequence[str]) -> Sequence[str]:
    if not strings or not all(strings):
        raise ConfigError(f"stop strings are {list(strings)}; there must be some, and none empty")
    return strings


def _first(text: str, strings: Sequence[str]) -> int | None:
    """Where the first of the strings begins."""
    places = (text.find(string) for string in strings)
    return min((place for place in places if place >= 0), default=None)


def _begun(text: str, strings: Sequence[str]) -> int:
    """The length of the longest end of a text that begins one of the strings."""
    most = min(len(text), max(map(len, strings)) - 1)
    ends = (n for n in range(most, 0, -1) if any(s.startswith(text[-n:]) for s in strings))
    return next(ends, 0)
