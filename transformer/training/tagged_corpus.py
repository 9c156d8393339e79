"""The tagged texts that a recipe names, their scheme, and the tags in them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from tokenizer import CorpusCounts
from tokenizer.quantities import format_count

from ..errors import ConfigError
from ..labels import (
    LabelInventory,
    LabelValues,
    TaggedFile,
    TaggedText,
    TagRepair,
    collect_labels,
    detect_scheme,
    quoted_labels,
    read_tagged,
)
from .drawn_corpus import LabelledTexts


class TagInventory(NamedTuple):
    """The tags that a model can give, and their scheme; None: each stands for itself."""

    labels: LabelInventory
    scheme: str | None


@dataclass
class TaggedCorpus(LabelledTexts[TaggedText, TagInventory]):
    """The tagged texts of a recipe's files, whose tags are repaired to obey one scheme.

    That is the one of the training files (`detect_scheme`). Words of validation files with a tag
    that these lack are kept: a model cannot be right about them, and it is told.
    """

    @property
    def paths(self) -> list[str]:
        """See DrawnCorpus."""
        return self.recipe.tagged

    @property
    def valid_paths(self) -> list[str]:
        """See DrawnCorpus."""
        return self.recipe.valid_tagged

    def check(self) -> None:
        """See DrawnCorpus."""
        if not self.recipe.tagged:
            raise ConfigError("tagging needs texts whose words have tags: give --tagged FILE")

    @cached_property
    def scheme(self) -> str | None:
        """The scheme of the tags of the training files; None: each stands for itself."""
        return detect_scheme(text.tags for path in self.paths for text in self._read(path))

    def inventory(self) -> TagInventory:
        """See LabelledTexts."""
        quiet, notices = replace(self, counts=CorpusCounts()), list[str]()
        texts = (text for path in self.paths for text in quiet.read(path))
        labels = collect_labels(
            (LabelValues((tag,)) for text in texts for tag in text.tags),
            "single",
            name=" + ".join(self.paths),
            noun="word",
            notices=notices,
        )
        for notice in notices:
            self.counts.notice(notice)
        return TagInventory(labels, self.scheme)

    def lines(self) -> Iterator[str]:
        """See DrawnCorpus."""
        for group in self.training():
            yield from (text.text for text in group.texts)

    def content(self, text: TaggedText) -> str:
        """See DrawnCorpus."""
        return text.text

    def read(self, path: str) -> Iterator[TaggedText]:
        """See DrawnCorpus. Tags are repaired, and it is told."""
        repair = TagRepair(self.scheme, str(path))
        for text in self._read(path, self.counts):
            yield text._replace(tags=tuple(repair(text.tags)))
        if notice := repair.notice():
            self.counts.notice(notice)

    def _read(self, path: str, counts: CorpusCounts | None = None) -> Iterator[TaggedText]:
        return read_tagged(TaggedFile(path, tuple(self.recipe.columns)), counts)

    def compared(self, path: str, inventory: TagInventory) -> Iterator[TaggedText]:
        """See LabelledTexts. Texts with such a tag are kept."""
        unseen: Counter[str] = Counter()
        for text in self.read(path):
            unseen.update(inventory.labels.unseen(text.tags))
            yield text
        if unseen:
            names = quoted_labels(tag for tag, _ in unseen.most_common())
            self.counts.notice(
                f"{path}: {format_count(unseen.total(), 'word')} with a tag that the training text "
                f"lacks, which cannot be told right: {names}"
            )
