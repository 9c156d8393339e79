"""Facts about a training text that choices rest on, from one reading of it."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tokenizer import CorpusCounts, CorpusError
from tokenizer.scripts import is_unspaced

from ..objectives import OBJECTIVES
from ..recipe import Recipe

_SAMPLE = 1_000_000  # characters that are counted before fewer lines are


class TextFacts(NamedTuple):
    """The size of a text, and its characters. A pair is two lines."""

    lines: int
    characters: int
    alphabet: int  # different characters that come more than once in a sample
    unspaced: float  # share of characters in scripts without spaces between words, 0 to 1


class CharacterSample:
    """Characters of a sample of lines that is spread over a whole text, however long it is.

    Of the first million characters all are counted; then those of every third line, every ninth,
    and so on, each for as many: sorted text, or text of several languages one after another, counts
    as a whole. Strides are odd, so that lines of both sides of pairs are counted.
    """

    def __init__(self) -> None:
        self._frequencies: Counter[str] = Counter()
        self._current: Counter[str] = Counter()  # of the present stride
        self._stride, self._counted = 1, 0
        self._unspaced = self._characters = 0  # as of the whole text

    def add(self, number: int, line: str) -> None:
        """Count a line by its number, from 0, unless it is left out."""
        if number % self._stride:
            return
        self._current.update(line)
        self._counted += len(line)
        if self._counted >= _SAMPLE:
            self._merge()
            self._stride, self._counted = 3 * self._stride, 0

    def _merge(self) -> None:
        unspaced = sum(n for character, n in self._current.items() if is_unspaced(character))
        self._unspaced += self._stride * unspaced
        self._characters += self._stride * self._current.total()
        self._frequencies.update(self._current)
        self._current.clear()

    def alphabet(self) -> int:
        """Return the number of different characters that come more than once."""
        self._merge()
        return sum(n > 1 for n in self._frequencies.values())

    def unspaced(self) -> float:
        """Return the share of characters in scripts without spaces, 0 to 1."""
        self._merge()
        return self._unspaced / max(1, self._characters)


def measure_text(lines: Iterable[str]) -> TextFacts:
    """Read lines, or chunks of running text, and return the facts about them."""
    count = characters = 0
    sample = CharacterSample()
    for line in lines:
        sample.add(count, line)
        count += 1
        characters += len(line)
    return TextFacts(count, characters, sample.alphabet(), sample.unspaced())


def measure_recipe(recipe: Recipe) -> TextFacts:
    """Return the facts about the text that a recipe trains and validates on.

    Raises OSError and CorpusError.
    """
    facts = measure_text(OBJECTIVES[recipe.objective].lines(recipe, CorpusCounts()))
    if not facts.characters:
        raise CorpusError("the training text is empty: no line has any text")
    return facts
