"""Characters that a tokenizer does not know: those it turns into its unknown token, or drops."""

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers

from .special import BYTE_TOKENS

_MODELS_WITH_UNKNOWN = (models.BPE, models.WordPiece, models.WordLevel)


def unknown_token_id(backend: tokenizers.Tokenizer) -> int | None:
    """Return the id of the token for unknown text, or None if no text can have any."""
    model = backend.model
    if isinstance(model, models.Unigram):
        state = json.loads(model.__getstate__())
        unknown, byte_fallback = state["unk_id"], state["byte_fallback"]
    else:
        name = model.unk_token if isinstance(model, _MODELS_WITH_UNKNOWN) else None
        unknown = None if name is None else backend.token_to_id(name)
        byte_fallback = isinstance(model, models.BPE) and model.byte_fallback
    if unknown is None or (byte_fallback and _has_all(backend, BYTE_TOKENS)):
        return None
    return int(unknown)


class UnknownCharacters:
    """Detector of characters that a tokenizer does not know.

    They are told by the offsets of unknown tokens; ids from `known_ids` on are unknown, too. Where
    a model has no unknown token, as a BPE model may, it drops what it has no token for, without an
    offset: each character is then tried by itself.
    """

    def __init__(
        self, backend: tokenizers.Tokenizer, unknown_id: int | None, known_ids: int | None
    ) -> None:
        self._backend, self._unknown_id, self._known_ids = backend, unknown_id, known_ids
        self._dropped: dict[str, bool] = {}

    @cached_property
    def may_drop(self) -> bool:
        """True if the model lacks an unknown token and the tokens of some characters."""
        model = self._backend.model
        if not isinstance(model, models.BPE) or self._unknown_id is not None:
            return False
        if model.byte_fallback and _has_all(self._backend, BYTE_TOKENS):
            return False
        steps = (self._backend.normalizer, self._backend.pre_tokenizer)
        states = (json.loads(step.__getstate__()) for step in steps if step is not None)
        byte_level = any("ByteLevel" in step_types(state) for state in states)
        return not (byte_level and _has_all(self._backend, pre_tokenizers.ByteLevel.alphabet()))

    def in_text(self, text: str) -> str:
        """Return the unknown characters of a text, in order."""
        if self.may_drop:
            return "".join(filter(self._is_dropped, text))
        encoding = self._backend.encode(text, add_special_tokens=False)
        parts = (
            text[start:end]
            for token_id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
            if self._is_unknown(token_id)
        )
        return "".join(part.strip(" ") or part for part in parts)

    def _is_unknown(self, token_id: int) -> bool:
        beyond = self._known_ids is not None and token_id >= self._known_ids
        return token_id == self._unknown_id or beyond

    def _is_dropped(self, character: str) -> bool:
        if character not in self._dropped:
            ids = self._backend.encode(character, add_special_tokens=False).ids
            text = self._backend.decode(ids, skip_special_tokens=False)
            damaged = "\ufffd" in text and character != "\ufffd"
            empty = not text.strip() if character.strip() else not ids
            self._dropped[character] = damaged or empty
        return self._dropped[character]


def _has_all(backend: tokenizers.Tokenizer, names: Iterable[str]) -> bool:
    return all(backend.token_to_id(name) is not None for name in names)


def step_types(state: Any) -> set[str]:
    """Return the types of a component and of all steps in it."""
    types, pending = set(), [state]
    while pending:
        step = pending.pop()
        types.add(step["type"])
        pending += [*step.get("normalizers", ()), *step.get("pretokenizers", ())]
    return types
