"""Facts about a training text that choices rest on, from one reading of it."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tokenizer import CorpusCounts, CorpusError
from tokenizer.scripts import is_unspaced

from ..objectives import OBJECTIVES
from ..recipe import Recipe

_SAMPLE = 1_000_000  # characters whose frequencies are counted


class TextFacts(NamedTuple):
    """The size of a text, and its characters. A pair is two lines."""

    lines: int
    characters: int
    bytes: int
    alphabet: int  # different characters that come more than once in a sample
    unspaced: float  # share of characters in scripts without spaces between words, 0 to 1

    @property
    def pairs(self) -> int:
        """The number of pairs, of a text that consists of pairs."""
        return self.lines // 2

    @property
    def bytes_per_character(self) -> float:
        """The mean length of a character in UTF-8."""
        return self.bytes / max(1, self.characters)


def measure_text(lines: Iterable[str]) -> TextFacts:
    """Read lines, or chunks of running text, and return the facts about them."""
    count = characters = size = 0
    frequencies: Counter[str] = Counter()
    for line in lines:
        count += 1
        if characters < _SAMPLE:
            frequencies.update(line)
        characters += len(line)
        size += len(line) if line.isascii() else len(line.encode("utf-8", "surrogatepass"))
    unspaced = sum(n for character, n in frequencies.items() if is_unspaced(character))
    return TextFacts(
        lines=count,
        characters=characters,
        bytes=size,
        alphabet=sum(n > 1 for n in frequencies.values()),
        unspaced=unspaced / max(1, frequencies.total()),
    )


def measure_recipe(recipe: Recipe) -> TextFacts:
    """Return the facts about the text that a recipe trains and validates on.

    Raises OSError and CorpusError.
    """
    facts = measure_text(OBJECTIVES[recipe.objective].lines(recipe, CorpusCounts()))
    if not facts.characters:
        raise CorpusError("the training text is empty: no line has any text")
    return facts
