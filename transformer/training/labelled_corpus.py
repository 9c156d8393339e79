"""The labelled texts that a recipe names, and the labels in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from .drawn_corpus import DrawnGroup, LabelledTexts

LabelledGroup = DrawnGroup[LabelledText]


@dataclass
class LabelledCorpus(LabelledTexts[LabelledText, LabelInventory]):
    """The labelled texts of a recipe's files.

    Validation texts with a label that the training files lack are left out, and told.
    """

    @property
    def paths(self) -> list[str]:
        """See DrawnCorpus."""
        return self.recipe.labelled

    @property
    def valid_paths(self) -> list[str]:
        """See DrawnCorpus."""
        return self.recipe.valid_labelled

    def check(self) -> None:
        """See DrawnCorpus."""
        if not self.recipe.labelled:
            raise ConfigError("classification needs texts with labels: give --labelled FILE")

    def inventory(self) -> LabelInventory:
        """See LabelledTexts."""
        name = " + ".join(self.recipe.labelled)
        quiet = replace(self, counts=CorpusCounts())
        texts = (text for path in self.recipe.labelled for text in quiet.read(path))
        kind, notices = self.recipe.label_kind or None, list[str]()
        found = collect_labels((t.labels for t in texts), kind, name=name, notices=notices)
        for notice in notices:
            self.counts.notice(notice)
        return found

    def lines(self) -> Iterator[str]:
        """See DrawnCorpus."""
        for group in self.training():
            for text in group.texts:
                yield from text.texts

    def content(self, text: LabelledText) -> str:
        """See DrawnCorpus."""
        return "\n".join(text.texts)

    def read(self, path: str, known: Sequence[str] = ()) -> Iterator[LabelledText]:
        """See DrawnCorpus. Known labels tell a table's column of them."""
        columns, separator = tuple(self.recipe.columns), self.recipe.label_separator or None
        yield from read_labelled(
            LabelledFile(path, columns, separator, frozenset(known)), self.counts
        )

    def compared(self, path: str, inventory: LabelInventory) -> Iterator[LabelledText]:
        """See LabelledTexts. Texts with such a label are left out."""
        unseen, texts = UnseenLabels(inventory, str(path)), self.read(path, inventory.names)
        yield from (text for text in texts if unseen.check(text.labels.values))
        if notice := unseen.notice():
            self.counts.notice(notice)
