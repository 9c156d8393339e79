"""The labelled texts that a recipe names, and the labels in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from tokenizer import CorpusCounts

from ..errors import ConfigError
from ..labels import (
    LabelInventory,
    LabelledFile,
    LabelledText,
    UnseenLabels,
    collect_labels,
    read_labelled,
)
from .data_recipe import DataRecipe
from .random_split import DRAWS, DrawnRange, draw_number


class LabelledGroup(NamedTuple):
    """The labelled texts of one file."""

    name: str
    texts: Iterator[LabelledText]


@dataclass
class LabelledCorpus:
    """The labelled texts of a recipe's files.

    Without validation files, about `valid_fraction` of them are drawn for validation: the seed and
    the text alone decide, so that equal texts stay together. Validation texts with a label that the
    training files lack are left out, and told.
    """

    recipe: DataRecipe
    counts: CorpusCounts
    seed: int

    def check(self) -> None:
        """Raise ConfigError if the recipe names no labelled text."""
        if not self.recipe.labelled:
            raise ConfigError("classification needs texts with labels: give --labelled FILE")

    def inventory(self) -> LabelInventory:
        """Read the training files for their labels. Raises CorpusError where there are none."""
        name = " + ".join(self.recipe.labelled)
        quiet = replace(self, counts=CorpusCounts())
        texts = (text for path in self.recipe.labelled for text in quiet._read(path))
        kind, notices = self.recipe.label_kind or None, list[str]()
        found = collect_labels((t.labels for t in texts), kind, name=name, notices=notices)
        for notice in notices:
            self.counts.notice(notice)
        return found

    def training(self) -> Iterator[LabelledGroup]:
        """Yield the texts to train on."""
        yield from self._groups(validation=False)

    def validation(self, labels: LabelInventory) -> Iterator[LabelledGroup]:
        """Yield those to validate on; none if the recipe has no validation data."""
        for path in self.recipe.valid_labelled:
            yield LabelledGroup(str(path), self._known(path, labels))
        if self.has_random_split:
            yield from replace(self, counts=CorpusCounts())._groups(validation=True)

    def lines(self) -> Iterator[str]:
        """Yield the texts of training, to train a vocabulary on."""
        for group in self.training():
            for text in group.texts:
                yield from text.texts

    @property
    def has_random_split(self) -> bool:
        """True if texts are drawn for validation."""
        return bool(self.recipe.valid_fraction) and not self.recipe.valid_labelled

    def _groups(self, *, validation: bool) -> Iterator[LabelledGroup]:
        for path in self.recipe.labelled:
            texts = self._read(path)
            if self.has_random_split:
                texts = (t for t in texts if (self._draw(t.texts) < self._bound) == validation)
            yield LabelledGroup(str(path), texts)

    def _draw(self, texts: Sequence[str]) -> int:
        return draw_number("\n".join(texts), self.seed)

    @cached_property
    def _bound(self) -> int:
        """The number below which texts are for validation; of few, the lowest one is."""
        bound, drawn = int(self.recipe.valid_fraction * DRAWS), DrawnRange()
        again = replace(self, counts=CorpusCounts())
        for path in self.recipe.labelled:
            for text in again._read(path):
                number = self._draw(text.texts)
                if number < bound:
                    return bound
                drawn.add(number)
        return drawn.bound()

    def _known(self, path: str, labels: LabelInventory) -> Iterator[LabelledText]:
        unseen = UnseenLabels(labels, str(path))
        yield from (
            text for text in self._read(path, labels.names) if unseen.check(text.labels.values)
        )
        if notice := unseen.notice():
            self.counts.notice(notice)

    def _read(self, path: str, known: Sequence[str] = ()) -> Iterator[LabelledText]:
        columns, separator = tuple(self.recipe.columns), self.recipe.label_separator or None
        yield from read_labelled(
            LabelledFile(path, columns, separator, frozenset(known)), self.counts
        )
