"""Decoding of ids one at a time, as they are generated."""

from collections.abc import Callable, Sequence

import tokenizers
from tokenizers.decoders import DecodeStream

from .backend_errors import backend_errors

Decode = Callable[[Sequence[int]], str]


_REPLACEMENT = "\ufffd"
_CHANGED = "Invalid prefix"  # how the library says that an id changed the text before it


class IncrementalDetokenizer:
    """Decoder of a growing text, whose output never ends inside a character.

    Where ids are bytes, one that makes no text with those before it changes these to U+FFFD, one
    for each. What was shown of them stays as it was.
    """

    def __init__(
        self, backend: tokenizers.Tokenizer, decode: Decode, before: Sequence[int]
    ) -> None:
        """Go on after ids that were shown already; `decode` gives the text of ids."""
        self._backend, self._decode = backend, decode
        self._stream: DecodeStream | None = DecodeStream(ids=list(before), skip_special_tokens=True)
        self._ids = list(before)
        self._shown = len(decode(before))

    def feed(self, token_id: int) -> str:
        """Return the text that an id completes; empty if it ends inside a character."""
        self._ids.append(token_id)
        with backend_errors("the tokenizer cannot be used with this text"):
            text = self._step(token_id)
        self._shown += len(text)
        return text

    def _step(self, token_id: int) -> str:
        """Return what comes to the text with the last id."""
        if self._stream is not None:
            try:
                return self._stream.step(self._backend, token_id) or ""
            except Exception as error:
                if _CHANGED not in str(error):
                    raise
                self._stream = None  # which does not go on from there
        new = self._decode(self._ids)[self._shown :]
        return "" if new.endswith(_REPLACEMENT) else new

    def flush(self) -> str:
        """Return the text that was held back, after the last id."""
        return self._decode(self._ids)[self._shown :]
