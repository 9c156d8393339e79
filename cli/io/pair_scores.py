"""Scores of translations: of a text's pairs, by one model or several together, or by two."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from tokenizer import CorpusCounts, is_blank
from transformer.abilities import require_ability
from transformer.evaluation import (
    Comparison,
    Score,
    check_comparable,
    check_tokenization,
    compare_translations,
    translation_scores,
)
from transformer.loading import LoadedModel
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

from ..console import progress_enabled
from ..options.evaluation import EvaluationOptions
from .evaluation_text import Pair, read_evaluation_pairs
from .filter import reading_counts
from .line_progress import LineProgress
from .outputs import output


class ScoredPairs(NamedTuple):
    """Scores of the translations of pairs' sources, by name, and what happened to these."""

    read: CorpusCounts
    counts: Counter[str]
    lines: int
    scores: dict[str, Score]
    versus: dict[str, Score]  # of the model that is compared; empty without one
    comparisons: dict[str, Comparison]


class PairScorer(NamedTuple):
    """Models that translate the sources of pairs, and are scored by the references."""

    models: Sequence[Path]  # whose probabilities are averaged
    options: EvaluationOptions
    arguments: TranslateArguments
    load: Callable[[Path], LoadedModel]
    quiet: bool

    def score_files(self) -> ScoredPairs:
        """Score the models on the pairs of files."""
        check_tokenization(self._tokenize)
        read = CorpusCounts()
        return self.score_pairs(read_evaluation_pairs(self.options, read), read)

    def score_pairs(self, pairs: Sequence[Pair], read: CorpusCounts) -> ScoredPairs:
        """Score the models on pairs. All that can be refused is, before the first translates."""
        versus, tokenize = self.options.versus, self._tokenize
        check_tokenization(tokenize)
        if versus is not None:
            check_comparable(len(pairs))
        sources, references = map(list, zip(*pairs, strict=True))
        counts = Counter[str]()
        loaded = [self.load(model) for model in self.models]
        other = [] if versus is None else [self.load(versus)]
        for each in [*loaded, *other]:
            require_ability(each.config, "translate", each.named_folder)
        texts = self._translate(loaded, sources, counts, out=self.options.save_outputs)
        counts["blank"] = 0  # told with all blank sources
        counts["blank_source"] = sum(map(is_blank, sources))
        counts["blank_reference"] = sum(map(is_blank, references))
        scores = translation_scores(texts, references, tokenize=tokenize)
        found = ScoredPairs(read, reading_counts(read) + counts, len(pairs), scores, {}, {})
        if not other:
            return found
        others = self._translate(other, sources, Counter(), out=None)
        return found._replace(
            versus=translation_scores(others, references, tokenize=tokenize),
            comparisons=compare_translations(texts, others, references, tokenize=tokenize),
        )

    @property
    def _tokenize(self) -> str:
        return self.options.tokenize or "auto"

    def _translate(
        self,
        loaded: Sequence[LoadedModel],
        sources: Sequence[str],
        counts: Counter[str],
        *,
        out: Path | None,
    ) -> list[str]:
        """Translate lines; write them to a file, if one is named, as they come."""
        texts, source = [], IterableSource(sources)
        progress = LineProgress(enabled=progress_enabled(self.quiet), total=len(sources))
        with nullcontext() if out is None else output(out) as writer, progress:
            answers = Session(loaded, processes=True).translate(source, self.arguments, counts)
            for answer in progress.counting(answers):
                texts.append(answer.outputs[0].text if answer.outputs else "")
                if writer is not None:
                    writer.line(" ".join(texts[-1].split("\n")))
        return texts
