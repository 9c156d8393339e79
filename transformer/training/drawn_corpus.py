"""Texts of files, of which some may be drawn for validation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, NamedTuple, TypeVar

from tokenizer import CorpusCounts, CorpusError

from .data_recipe import DataRecipe
from .random_split import DRAWS, DrawnRange, draw_number

Text = TypeVar("Text")
Inventory = TypeVar("Inventory")


class DrawnGroup(NamedTuple, Generic[Text]):
    """The texts of one file."""

    name: str
    texts: Iterator[Text]


@dataclass
class DrawnCorpus(ABC, Generic[Text]):
    """The texts of a recipe's files.

    Without validation files, about `valid_fraction` of them are drawn for validation: the seed and
    the text alone decide, so that equal texts stay together.
    """

    recipe: DataRecipe
    counts: CorpusCounts
    seed: int

    @property
    @abstractmethod
    def paths(self) -> list[str]:
        """The files to train on."""

    @property
    @abstractmethod
    def valid_paths(self) -> list[str]:
        """The files to validate on."""

    @abstractmethod
    def check(self) -> None:
        """Raise ConfigError if the recipe names no text of the kind."""

    @abstractmethod
    def lines(self) -> Iterator[str]:
        """Yield the texts of training, to train a vocabulary on."""

    @abstractmethod
    def read(self, path: str) -> Iterator[Text]:
        """Yield the texts of a file to train on."""

    @abstractmethod
    def content(self, text: Text) -> str:
        """Return what is drawn by: texts of equal content stay together."""

    def training(self) -> Iterator[DrawnGroup[Text]]:
        """Yield the texts to train on. Raises CorpusError if all are drawn for validation."""
        if self.has_random_split:
            self._check_some_are_left()
        yield from self._groups(validation=False)

    def drawn(self) -> Iterator[DrawnGroup[Text]]:
        """Yield the texts that are drawn for validation; none if there are files of them."""
        if self.has_random_split:
            yield from replace(self, counts=CorpusCounts())._groups(validation=True)

    @property
    def has_random_split(self) -> bool:
        """True if texts are drawn for validation."""
        return bool(self.recipe.valid_fraction) and not self.valid_paths

    def _groups(self, *, validation: bool) -> Iterator[DrawnGroup[Text]]:
        for path in self.paths:
            texts = self.read(path)
            if self.has_random_split:
                texts = (t for t in texts if (self._draw(t) < self._bound) == validation)
            yield DrawnGroup(str(path), texts)

    def _check_some_are_left(self) -> None:
        """Raise CorpusError if all texts are drawn for validation, as few or equal ones may be."""
        drawn = False
        for number in self._draws():
            if number >= self._bound:
                return
            drawn = True
        if drawn:
            raise CorpusError(
                "no text is left to train on: all are drawn for validation, where equal ones stay "
                "together; give more texts, files to validate on, or --valid-fraction 0"
            )

    def _draw(self, text: Text) -> int:
        return draw_number(self.content(text), self.seed)

    @cached_property
    def _bound(self) -> int:
        """The number below which texts are for validation; of few, the lowest one is."""
        bound, drawn = int(self.recipe.valid_fraction * DRAWS), DrawnRange()
        for number in self._draws():
            if number < bound:
                return bound
            drawn.add(number)
        return drawn.bound()

    def _draws(self) -> Iterator[int]:
        """Yield the draw of each text, as it is read; nothing of that is counted."""
        again = replace(self, counts=CorpusCounts())
        for path in self.paths:
            yield from map(self._draw, again.read(path))


class LabelledTexts(DrawnCorpus[Text], Generic[Text, Inventory]):
    """The texts of files with labels, of which training has an inventory."""

    @abstractmethod
    def inventory(self) -> Inventory:
        """Read the training files for their labels. Raises CorpusError for none to tell apart."""

    @abstractmethod
    def compared(self, path: str, inventory: Inventory) -> Iterator[Text]:
        """Yield the texts of a validation file; tell of labels that the inventory lacks."""

    def validation(self, inventory: Inventory) -> Iterator[DrawnGroup[Text]]:
        """Yield those to validate on; none if the recipe has no validation data."""
        for path in self.valid_paths:
            yield DrawnGroup(str(path), self.compared(path, inventory))
        yield from self.drawn()
