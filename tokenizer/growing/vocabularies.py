"""The vocabularies of tokenizer.json that can grow, by the kind of their model."""

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import TokenizerError
from ..scripts import unspaced_script
from ..special import BYTE_TOKENS
from ..token_bytes import BYTE_OF
from ..unknown import step_types

_SPACES = "▁ "
_JOINERS = "\u200c\u200d"  # inside words of Persian and of Indian languages


class GrowingVocabulary(ABC):
    """The tokens of a tokenizer.json, to which others are added, by its contents `state`.

    Raises TokenizerError for a model to which none can be added, with the reason.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.model = state["model"]
        steps = filter(None, (state["pre_tokenizer"], state["normalizer"]))
        self.spells_bytes = any("ByteLevel" in step_types(step) for step in steps)
        added = {token["id"]: token["content"] for token in state["added_tokens"]}
        self.names: dict[int, str] = {**self._model_names(), **added}
        self.ids = {name: token_id for token_id, name in self.names.items()}
        self.learned = {"▁", *self._model_names().values()}  # no further token has such a name
        self.first_id = max(self.names, default=-1) + 1
        # The library gives added tokens ids after the model's: all that there are become its own.
        for token_id in sorted(self.names.keys() - self._model_names().keys()):
            self._append(token_id, self.names[token_id], None)

    @property
    def joins_pieces(self) -> bool:
        """True if its tokens may be longer than a character."""
        return True

    @property
    def next_id(self) -> int:
        """The id of the next token."""
        return max(self.names, default=-1) + 1

    def add(self, name: str, *, score: float | None = None) -> int:
        """Add a token by its exact name; return its id. `score` is a logarithm of probability."""
        token_id = self.next_id
        self.names[token_id], self.ids[name] = name, token_id
        self.learned.add(name)
        self._append(token_id, name, score)
        return token_id

    def add_merge(self, left: str, right: str) -> None:
        """Note that two tokens become the one that both are, where a model asks for that."""
        del left, right

    def score(self, name: str) -> float:
        """Return a token's score; 0 in vocabularies without scores."""
        del name
        return 0.0

    def joined(self, left: str, right: str) -> str:
        """Return the name of the token that two others make."""
        return left + right

    def is_in_words(self, name: str) -> bool:
        """Return True for a token of letters alone, with a space before them at most.

        Joined digits and marks would change texts of all languages.
        """
        text = self._text_of(name)
        if self.spells_bytes:
            values = bytes(BYTE_OF.get(character, 0) for character in text)
            return all(v >= 0x80 or chr(v).isalpha() for v in values.removeprefix(b" "))
        letters = text[1:] if text.startswith(tuple(_SPACES)) else text
        return all(unicodedata.category(c)[0] in "LM" or c in _JOINERS for c in letters)

    def count_characters(self, names: Iterable[str]) -> int:
        """Count the characters of the text that tokens make, without spaces."""
        if self.spells_bytes:  # each character has one byte that continues none
            spelled = (BYTE_OF.get(character, 0) for name in names for character in name)
            return sum(value & 0xC0 != 0x80 and value != 0x20 for value in spelled)
        return sum(len(self._text_of(name).strip(_SPACES)) for name in names)

    def begins_word(self, name: str) -> bool:
        """Return True for a token that begins with a space."""
        return name.startswith(tuple(_SPACES))

    def lacks(self, character: str) -> bool:
        """Return True for a visible character of normalized text that no token is."""
        is_visible = unicodedata.category(character)[0] not in "CZ" or character in _JOINERS
        return is_visible and not self.spells_bytes and character not in self.learned

    def _text_of(self, name: str) -> str:
        """Return the text of a token, as the pieces of a word have it."""
        return name

    def forms_of(self, character: str) -> tuple[str, ...]:
        """Return the names of a character's tokens."""
        return (character,)

    def spelling_of(self, character: str) -> tuple[int, ...]:
        """Return the ids in which a character is spelled that no token has: of bytes, or none."""
        if not self.model.get("byte_fallback"):
            return ()
        names = [BYTE_TOKENS[byte] for byte in character.encode()]
        return tuple(self.ids[name] for name in names if name in self.ids)

    @abstractmethod
    def _model_names(self) -> Mapping[int, str]:
        """Return the names of the model's own tokens by their ids."""

    @abstractmethod
    def _append(self, token_id: int, name: str, score: float | None) -> None:
        """Add a token to the model; without a score, one that no text has."""


class _ById(GrowingVocabulary):
    """A vocabulary with ids beside its names."""

    def _model_names(self) -> dict[int, str]:
        return {token_id: name for name, token_id in self.model["vocab"].items()}

    def _append(self, token_id: int, name: str, score: float | None) -> None:
        del score
        self.model["vocab"][name] = token_id


class BpeVocabulary(_ById):
    """Byte-pair encoding, arXiv 1508.07909: new merges stand after the old ones."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        for key in ("end_of_word_suffix", "continuing_subword_prefix"):
            if self.model.get(key):
                raise TokenizerError(
                    f"its pieces are marked by {self.model[key]!r} ({key}), which is not supported"
                )

    @property
    def joins_pieces(self) -> bool:
        """False for a vocabulary of characters, which has no merges."""
        return bool(self.model["merges"])

    def add_merge(self, left: str, right: str) -> None:
        """Implement GrowingVocabulary.add_merge."""
        self.model["merges"].append([left, right])


class WordPieceVocabulary(_ById):
    """WordPiece, arXiv 1609.08144: the longest token that a word begins with, and so on."""

    @property
    def _mark(self) -> str:
        return str(self.model["continuing_subword_prefix"])

    def joined(self, left: str, right: str) -> str:
        """Implement GrowingVocabulary.joined."""
        return left + right.removeprefix(self._mark)

    def _text_of(self, name: str) -> str:
        return name.removeprefix(self._mark)

    def forms_of(self, character: str) -> tuple[str, ...]:
        """Return a character at the beginning of a word and inside; Chinese ones are words."""
        inside = () if unspaced_script(character) == "han" else (self._mark + character,)
        return (character, *inside)


class UnigramVocabulary(GrowingVocabulary):
    """A unigram language model, arXiv 1804.10959: the likeliest pieces of a text.

    No score is below the least there was: the unknown token's follows from that.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        scores = [score for _, score in state["model"]["vocab"]]
        self._least = min(scores, default=0.0)
        super().__init__(state)

    def score(self, name: str) -> float:
        """Implement GrowingVocabulary.score."""
        return float(self.model["vocab"][self.ids[name]][1])

    def _model_names(self) -> dict[int, str]:
        return {token_id: name for token_id, (name, _) in enumerate(self.model["vocab"])}

    def _append(self, token_id: int, name: str, score: float | None) -> None:
        entries = self.model["vocab"]
        if token_id != len(entries):
            raise TokenizerError(f"no token has the id {len(entries)}, although {token_id} is one")
        entries.append([name, max(self._least, self._least if score is None else score)])


VOCABULARIES: dict[str, type[GrowingVocabulary]] = {
    "BPE": BpeVocabulary,
    "WordPiece": WordPieceVocabulary,
    "Unigram": UnigramVocabulary,
}
