"""Phrases that a text must have: their ids, and whether a text has them."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from tokenizer import Tokenizer
from tokenizer.scripts import SENTENCE_ENDS, is_unspaced

from ..errors import ConfigError
from .glossary import split_words

_CONTEXTS = {" ": ("a", "1", "."), "": (".", ",", "。")}  # before a phrase, by what lies between
_MIN_INFLECTED, _MAX_SUFFIX = 4, 2  # letters of a word that may be inflected, and of its ending


class Phrase:
    """A phrase in the forms that it takes at the beginning of a text and inside of one."""

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        """Raise ConfigError for a phrase that the tokenizer cannot encode."""
        self._tokenizer, self._text = tokenizer, " ".join(text.split())
        ids = tokenizer.encode(self._text)
        # As the tokenizer writes it: in lower case, perhaps, or in another normal form.
        self.text = tokenizer.decode(ids).strip()
        if not self.text or tokenizer.unknown_id in ids:
            raise ConfigError(f"the tokenizer has no tokens for the phrase {self._text[:60]!r}")
        self.is_unspaced = is_unspaced(self.text[0])

    @cached_property
    def initial(self) -> list[int]:
        """The ids at the beginning of a text."""
        return self._tokenizer.encode(self._text)

    @cached_property
    def spaced(self) -> list[int]:
        """The ids inside a text, a space included, be it a part of the first token or of its own.

        In a script without spaces there is none.
        """
        return self._encode_inside("" if self.is_unspaced else " ")

    @cached_property
    def unspaced(self) -> list[int]:
        """The ids inside a text where no space precedes them."""
        return self._encode_inside("")

    @cached_property
    def capitalized(self) -> "Phrase":
        """This phrase as a sentence begins with it."""
        first_word = self._text.split()[0]
        is_name = any(character.isupper() for character in first_word[1:])
        capital = self._text[0].upper() + self._text[1:]
        if is_name or capital == self._text or self._tokenizer.unknown_characters([capital])[0]:
            return self
        return Phrase(self._tokenizer, capital)

    def _encode_inside(self, space: str) -> list[int]:
        for context in _CONTEXTS[space]:
            context_ids = self._tokenizer.encode(context)
            ids = self._tokenizer.encode(f"{context}{space}{self._text}")
            if ids[: len(context_ids)] == context_ids and len(ids) > len(context_ids):
                return ids[len(context_ids) :]
        return self.initial

    def is_in(self, text: str, *, inflects: bool = True) -> bool:
        """Return True if a text has the phrase as whole words; its last one may have an ending.

        Without `inflects` it may not. A capital at the beginning of a sentence makes no difference.
        """
        words = [word.text for word in split_words(text)]
        wanted = [word.text for word in split_words(self.text)]
        starts = range(len(words) - len(wanted) + 1)
        return any(_matches(words, start, wanted, inflects) for start in starts)


def repeats_words(text: str, before: str, rest: str, phrase: str) -> bool:
    """Return True if a text with a phrase says something twice that the text before says once.

    `rest` is the text before without what the phrase replaces. Words of few letters may be
    repeated, and endings make no difference.

    >>> before, rest = "Ein Hund rennt.", "Ein rennt."
    >>> repeats_words("Ein Köter rennt.", before, rest, "Köter")
    False
    >>> repeats_words("Ein Köter Hund rennt.", before, rest, "Köter")
    True
    """
    new, old, kept, own = map(_FormCounts, (text, before, rest, phrase))
    return any(
        old.count(word) and new.count(word) > kept.count(word) + own.count(word)
        for word in new.words
    )


class _FormCounts:
    """The words of several letters in a text, and how often it has them, in any form."""

    def __init__(self, text: str) -> None:
        words = (word.text.casefold() for word in split_words(text))
        self.words = Counter(word for word in words if len(word) >= _MIN_INFLECTED)
        self._stems = Counter[str]()  # of words with an ending
        for word, number in self.words.items():
            self._stems.update(dict.fromkeys(_stems(word), number))

    def count(self, word: str) -> int:
        """Count a word and its other forms."""
        shorter = sum(self.words[stem] for stem in _stems(word))
        return self.words[word] + shorter + self._stems[word]


def _stems(word: str) -> list[str]:
    """Return the words of which a word may be a form, with an ending."""
    lengths = range(max(_MIN_INFLECTED, len(word) - _MAX_SUFFIX), len(word))
    return [word[:length] for length in lengths if are_forms_of_one(word, word[:length])]


def are_forms_of_one(word: str, other: str) -> bool:
    """Return True for two forms of a word, of which one has an ending more.

    >>> are_forms_of_one("Hunde", "Hund"), are_forms_of_one("Hundert", "Hund")
    (True, False)
    """
    return word == other or _is_inflected(word, other) or _is_inflected(other, word)


def _matches(words: Sequence[str], start: int, wanted: Sequence[str], inflects: bool) -> bool:
    """Return True if a text's words from `start` on are those of a phrase."""
    written, expected = [*words[start : start + len(wanted)]], [*wanted]
    if not start or words[start - 1][-1] in SENTENCE_ENDS:
        written[0], expected[0] = _lower_first(written[0]), _lower_first(expected[0])
    return written[:-1] == expected[:-1] and (
        written[-1] == expected[-1] or (inflects and _is_inflected(written[-1], expected[-1]))
    )


def _lower_first(word: str) -> str:
    return word[0].lower() + word[1:]


def _is_inflected(word: str, form: str) -> bool:
    """Return True for a form with an ending.

    >>> _is_inflected("Hunde", "Hund"), _is_inflected("Hundert", "Hund"), _is_inflected("ist", "is")
    (True, False, False)
    """
    suffix = word.removeprefix(form)
    can_inflect = len(form) >= _MIN_INFLECTED and form.isalpha() and suffix != word
    return can_inflect and len(suffix) <= _MAX_SUFFIX and suffix.isalpha() and suffix.islower()
