"""Scores of a model's labels on texts that have labels."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tokenizer import CorpusCounts
from transformer.evaluation import THRESHOLD, LabelReport, label_report
from transformer.labels import LabelInventory, LabelledText, References, label_references
from transformer.loading import LoadedModel
from transformer.pipelines.arguments import ClassifyArguments
from transformer.pipelines.classification import SECOND, LabelScore
from transformer.pipelines.records import IterableSource, Line
from transformer.pipelines.session import Session

from ..console import progress_enabled
from .line_progress import LineProgress
from .outputs import output


class ScoredLabels(NamedTuple):
    """The scores of a model's labels, and what happened to the texts."""

    read: CorpusCounts
    counts: Counter[str]
    texts: int
    report: LabelReport


class LabelScorer(NamedTuple):
    """A classifier that gives texts labels, as `classify` does, and is scored by their own."""

    loaded: LoadedModel
    batch_tokens: int
    save_outputs: Path | None
    quiet: bool

    def score(self, texts: Sequence[LabelledText], name: str, read: CorpusCounts) -> ScoredLabels:
        """Score the model on texts of that name. Raises CorpusError if none can be compared."""
        labels, kind = self.loaded.labels, self._kind(texts)
        inventory = LabelInventory(() if kind == "number" else labels, kind)
        references = label_references(texts, inventory, name=name)
        for notice in references.notices:
            read.notice(notice)
        counts = Counter[str]()
        outputs = list(self._classify(references, kind, counts))
        outputs_NL = np.array(outputs).reshape(len(outputs), -1)
        report = label_report(kind, outputs_NL, references.targets, references.names)
        return ScoredLabels(read, counts, len(outputs), report)

    def _kind(self, texts: Sequence[LabelledText]) -> str:
        """Return the kind of labels; the one label of a cross-encoder is a number, as texts are."""
        kind, labels = self.loaded.config.label_kind, self.loaded.labels
        given = {label for text in texts for label in text.labels.values}
        is_score = kind == "multi" and len(labels) == 1 and given and labels[0] not in given
        return "number" if is_score else kind

    def _classify(
        self, references: References, kind: str, counts: Counter[str]
    ) -> Iterator[list[float]]:
        """Yield the probabilities, or the number, of each text; write them, if a file is named."""
        labels, texts = self.loaded.labels, references.texts
        arguments = ClassifyArguments(top_k=len(labels), batch_tokens=self.batch_tokens)
        source = IterableSource(_line(number, text) for number, text in enumerate(texts))
        progress = LineProgress(enabled=progress_enabled(self.quiet), total=len(texts))
        opened = nullcontext() if self.save_outputs is None else output(self.save_outputs)
        with opened as writer, progress:
            answers = Session([self.loaded]).classify(source, arguments, counts)
            for text, answer in zip(texts, progress.counting(answers), strict=True):
                ranked = answer.outputs[0]
                if writer is not None:
                    writer.line(_row(text, ranked, kind))
                scores = dict(ranked)
                yield [scores[label] for label in labels]


def _row(text: LabelledText, ranked: Sequence[LabelScore], kind: str) -> str:
    """Return the labels of a text, those that it is given, the first one's score, and the text."""
    own, score = ",".join(text.labels.values), f"{ranked[0].score:.6f}"
    given = [ranked[0].label]
    if kind == "multi":
        given = [label for label, chance in ranked if chance >= THRESHOLD]
    cells = [own, *([] if kind == "number" else [",".join(given)]), score, *text.texts]
    return "\t".join(" ".join(cell.split()) for cell in cells)


def _line(number: int, text: LabelledText) -> Line:
    first, *second = text.texts
    return Line(number, first, fields={SECOND: second[0]} if second else {})
