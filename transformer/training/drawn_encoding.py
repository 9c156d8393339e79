"""Texts of files to ids on disk, with a report on them: the part that is alike for all kinds."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from tokenizer import CorpusError

from ..loading import ModelTexts
from .data_report import FileReport, Fingerprints, PartReport, UnknownCounter
from .drawn_corpus import DrawnGroup, Text

Known = TypeVar("Known")
Report = TypeVar("Report", bound=PartReport)


class DrawnEncoder(ABC, Generic[Text, Known, Report]):
    """Writer of the texts of files as a model reads them, and counts of those that are left out.

    What is `known` of the texts is their labels, or the template of their turns.
    """

    side: ClassVar[str] = "text"  # of the text, whose unknown characters are counted

    def __init__(self, texts: ModelTexts, known: Known, *, max_tokens: int) -> None:
        del known  # each kind has a name of its own for it
        self._tokenizer, self._max_tokens = texts.tokenizer, max_tokens
        self._unknown = UnknownCounter(texts.tokenizer)
        self._left_out: Counter[str] = Counter()  # by reason
        self._kept = self._tokens = self._longest = 0
        self._fingerprints = Fingerprints()

    def write(
        self,
        groups: Iterable[DrawnGroup[Text]],
        folder: Path,
        *,
        training: "DrawnEncoder[Text, Known, Report] | None" = None,
    ) -> Report:
        """Write texts below a folder; return the report on them.

        `training` is the encoder of those to look for these in. Without it, raises CorpusError
        where all are left out.
        """
        files: list[FileReport] = []
        self._write(self._counted(groups, files), folder)
        if training is None and not self._kept and (reason := self._nothing_kept()):
            raise CorpusError(reason)
        prints = self._fingerprints
        return self._report(
            {
                "files": files,
                "left_out": dict(self._left_out),
                "kept": self._kept,
                "tokens": self._tokens,
                "longest": self._longest,
                "repeats": prints.repeats(),
                "not_compared": prints.not_compared,
                "in_training": prints.count_in(training._fingerprints) if training else 0,
                "unknown": {self.side: self._unknown.report()},
            }
        )

    def _counted(
        self, groups: Iterable[DrawnGroup[Text]], files: list[FileReport]
    ) -> Iterator[DrawnGroup[Text]]:
        """Yield groups; count the texts of each once it is written."""
        for group in groups:
            before = self._kept + self._left_out.total()
            yield group
            files.append(FileReport(group.name, self._kept + self._left_out.total() - before))

    @abstractmethod
    def _write(self, groups: Iterable[DrawnGroup[Text]], folder: Path) -> None:
        """Write texts below a folder; count them."""

    @abstractmethod
    def _nothing_kept(self) -> str | None:
        """Return the reason why no text is kept; None if there is none."""

    @abstractmethod
    def _report(self, fields: dict[str, Any]) -> Report:
        """Return the report with these fields, which all kinds have, and its own."""
