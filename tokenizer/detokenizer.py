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
        self._ids, text = list(before), decode(before)
        self._shown = len(text)
        self._stream = self._stream_after(text)

    def _stream_after(self, text: str) -> DecodeStream | None:
        """Return a stream that goes on after all ids, whose text this is; None where none can."""
        if text.endswith(_REPLACEMENT):  # perhaps the beginning of a character
            return None
        return DecodeStream(ids=self._ids, skip_special_tokens=True)

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
        text = self._decode(self._ids)
        self._stream = self._stream_after(text)
        return "" if self._stream is None else text[self._shown :]

    def flush(self) -> str:
        """Return the text that was held back, after the last id."""
        return self._decode(self._ids)[self._shown :]
