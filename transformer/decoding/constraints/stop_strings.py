"""Stop strings, which end a text, are cut off, and are never shown."""

from collections.abc import Callable, Sequence

from tokenizer import Tokenizer
from tokenizer.token_bytes import is_local

from ...errors import ConfigError
from ..request import SequenceState

_CHARACTER_TOKENS = 4  # of one character, at most


def stop_condition(
    strings: Sequence[str],
    tokenizer: Tokenizer,
    *,
    continuing: bool = False,
    prefix_tokens: int = 0,
) -> Callable[[SequenceState], bool]:
    """Return a function for SearchOptions.stop: True if a row's text contains a stop string.

    A search calls it after each token, so it searches only the text that the last token may have
    completed. `continuing`: the text follows its prompt's, where a first space is not left out.
    `prefix_tokens`: as many tokens at the beginning are the user's own, and no string begins in
    them.

    Raises ConfigError for no strings and for an empty one.
    """
    longest = max(map(len, _require_strings(strings)))
    local = is_local(tokenizer)

    def stops(row: SequenceState) -> bool:
        ids = row.all_ids() if continuing or row.request.previous_context else row.generated_ids
        num_new = len(row.text_ids) - prefix_tokens
        if num_new <= 0:
            return False
        num_generated = min(len(ids), num_new)  # those of `ids`
        total, num_prompt = len(ids), len(ids) - num_generated
        count = longest + 2 * _CHARACTER_TOKENS if local else total
        while count < total:
            text = _new_text(tokenizer, ids[total - count :], num_prompt - total + count, longest)
            if text is not None:
                return _find_first(text, strings) is not None
            count *= 2
        text = tokenizer.decode(ids)
        return _find_first(text[len(tokenizer.decode(ids[:num_prompt])) :], strings) is not None

    return stops


def _new_text(
    tokenizer: Tokenizer, ids: Sequence[int], num_prompt: int, longest: int
) -> str | None:
    """Return the end of a text, from where its last token can have completed a string.

    None where these last tokens are too few to tell. The first `num_prompt` of them were not
    generated.
    """
    lead = _CHARACTER_TOKENS + 1  # unreliable: half a character, or a first space that is left out
    text = tokenizer.decode(ids)
    reliable_from = len(tokenizer.decode(ids[: max(lead, num_prompt)]))
    start = len(tokenizer.decode(ids[:-1])) - longest - _CHARACTER_TOKENS
    if not reliable_from or (start < reliable_from and num_prompt < lead):
        return None
    tail = text[max(start, reliable_from) :]
    return None if "\ufffd" in tail else tail  # half a character can spoil the next


def truncate_at_stop(text: str, strings: Sequence[str], start: int = 0) -> str:
    """Return the text before the first stop string from `start` on; all of it without one.

    >>> truncate_at_stop("one. two\\n\\nthree", [". ", "\\n"])
    'one'
    >>> truncate_at_stop("one. two\\n\\nthree", [". ", "\\n"], start=4)
    'one. two'
    """
    return text[: _find_first(text, _require_strings(strings), start)]


class StopStringBuffer:
    """A stream of text up to the first stop string.

    A possible beginning of a stop string is held back until it is clear that it is none. A string
    ends the text with the piece that completes one, as it ends a search; within that piece the
    first to begin counts, as for `truncate_at_stop`.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = _require_strings(strings)
        self._pending = ""
        self.stopped = False  # True: a stop string has occurred

    def feed(self, piece: str) -> str:
        """Add a piece; return the text that can be shown now."""
        if self.stopped:
            return ""
        text = self._pending + piece
        stop = _find_first(text, self._strings)
        if stop is not None:
            self.stopped, self._pending = True, ""
            return text[:stop]
        safe = len(text) - _partial_match_length(text, self._strings)
        self._pending = text[safe:]
        return text[:safe]

    def flush(self) -> str:
        """Return the text that was held back, once no more pieces come."""
        pending, self._pending = self._pending, ""
        return pending


def _require_strings(strings: Sequence[str]) -> Sequence[str]:
    """Return the strings; raise ConfigError if there are none or one is empty."""
    if not strings or not all(strings):
        raise ConfigError(f"stop strings are {list(strings)}; give at least one, and no empty one")
    return strings


def _find_first(text: str, strings: Sequence[str], start: int = 0) -> int | None:
    """Return the index, `start` or later, at which the first of the strings begins, or None."""
    indices = (text.find(string, start) for string in strings)
    return min((index for index in indices if index >= 0), default=None)


def _partial_match_length(text: str, strings: Sequence[str]) -> int:
    """Return the length of the longest end of a text that begins one of the strings."""
    longest = min(len(text), max(map(len, strings)) - 1)
    lengths = (n for n in range(longest, 0, -1) if any(s.startswith(text[-n:]) for s in strings))
    return next(lengths, 0)
