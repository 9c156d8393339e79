"""Scores of a model's tags on texts whose words have tags."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from tokenizer import CorpusCounts
from transformer.evaluation import TagReport, tag_report
from transformer.labels import Span, TaggedText, TagReferences, tag_references
from transformer.loading import LoadedModel
from transformer.pipelines.arguments import TagArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.tagging import tag_lines

from ..console import progress_enabled
from .line_progress import LineProgress
from .outputs import output


class ScoredTags(NamedTuple):
    """The scores of a model's tags, and what happened to the texts."""

    read: CorpusCounts
    counts: Counter[str]
    texts: int
    words: int
    report: TagReport


class TagScorer(NamedTuple):
    """A tagger that gives words tags, as `tag` does, and is scored by their own."""

    loaded: LoadedModel
    batch_tokens: int
    save_outputs: Path | None
    quiet: bool

    def score(self, texts: Sequence[TaggedText], name: str, read: CorpusCounts) -> ScoredTags:
        """Score the model on texts of that name. Raises CorpusError if none can be compared."""
        references = tag_references(texts, self.loaded.labels, name=name)
        for notice in references.notices:
            read.notice(notice)
        counts = Counter[str]()
        given = [*self._tag(references, counts)]
        truth = [text.tags for text in references.texts]
        report = tag_report(truth, given, are_spans=references.scheme is not None)
        return ScoredTags(read, counts, len(truth), sum(map(len, truth)), report)

    def _tag(self, references: TagReferences, counts: Counter[str]) -> Iterator[list[str]]:
        """Yield the tags that each text's words are given; write them, if a file is named."""
        texts = references.texts
        source = IterableSource(text.text for text in texts)
        arguments = TagArguments(batch_tokens=self.batch_tokens)
        progress = LineProgress(enabled=progress_enabled(self.quiet), total=len(texts))
        opened = nullcontext() if self.save_outputs is None else output(self.save_outputs)
        with opened as writer, progress:
            answers = tag_lines(
                *(self.loaded, source, arguments, counts), lambda line: texts[line.number].words
            )
            for text, answer in zip(texts, progress.counting(answers), strict=True):
                found = answer.outputs[0] if answer.outputs else []
                spans = [Span(each.start, each.end, each.label) for each in found]
                given = references.tags_of(spans, text.words)
                if writer is not None:
                    for row in _rows(text, given):
                        writer.line(row)
                    writer.line("")
                yield given


def _rows(text: TaggedText, given: Sequence[str]) -> Iterator[str]:
    """Yield each word with its own tag and the one that it is given."""
    for (start, end), *tags in zip(text.words, text.tags, given, strict=True):
        yield "\t".join(" ".join(cell.split()) for cell in (text.text[start:end], *tags))
