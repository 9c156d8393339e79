"""Translation, from pairs of lines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from tokenizer import CorpusCounts

from ...data import Data, PairData, TokenStore
from ...errors import MissingExtraError
from ...evaluation import Score, can_score_translations, check_tokenization, translation_scores
from ...loading import LoadedModel, ModelTexts
from ...pipelines.arguments import TranslateArguments
from ...pipelines.framing import pair_framing
from ...pipelines.records import IterableSource
from ..corpora import PairCorpus
from ..data_recipe import has_validation, mixes
from ..data_report import DataReport
from ..defaults import DEFAULTS
from ..encoding import SIDES, PairEncoder, PairLimits, count_kept_pairs, read_kept_pairs
from ..mixture import corpus_shares, mix
from ..recipe import Recipe
from .base import TRAIN, VALID, Objective, Sample, Stop, single_session
from .rules import ObjectiveRules, PairRules


class Translation(Objective):
    """Translation: `p(target | source)`, from pairs of lines."""

    shapes: ClassVar[tuple[str, ...]] = ("encoder-decoder",)
    corpora: ClassVar[str | None] = "pairs"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "bleu", "chrf")
    texts: ClassVar[tuple[str, ...]] = (
        *("source", "target", "pairs"),
        *("valid_source", "valid_target", "valid_pairs"),
    )
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["translation"]
    # manythings (47,415 pairs): translate-tiny 43.8 BLEU after 400 seconds, translate-small 38.9
    # after 550. A Multi30k model (2.6 M weights) on 5,693, 150 steps: loss 2.78 and 9.1 BLEU
    # at 1e-3, a quarter of a new one's rate; 3.28 and 8.2 at 3e-4.
    rules: ClassVar[ObjectiveRules] = PairRules(
        presets=("translate-tiny", "translate-small", "base"),
        learning_rates=(4e-3, 1e-3, 7e-4),
        vocabulary=2.8,
        min_vocabulary=300,
        reading=5.0,
        epochs=40.0,
        length="data.max_tokens",
        target_length="data.max_target_tokens",
        training={"ema": 0.99},
    )

    def check(self, recipe: Recipe) -> None:
        """Implement Objective.check."""
        PairCorpus(recipe.data, CorpusCounts(), recipe.seed).check()
        if not has_validation(recipe.data):
            return
        if recipe.validation.metric != "loss" and not can_score_translations():
            raise MissingExtraError(
                f"validation by {recipe.validation.metric}",
                "sacrebleu",
                extra="eval",
                instead="begin a run with --set validation.metric=loss",
            )
        if can_score_translations():
            check_tokenization(recipe.validation.tokenize)

    def max_length(self, recipe: Recipe) -> int:
        """Implement Objective.max_length."""
        return recipe.data.max_tokens

    def max_target_length(self, recipe: Recipe) -> int:
        """Implement Objective.max_target_length."""
        return recipe.data.max_target_tokens or recipe.data.max_tokens

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Implement Objective.lines."""
        return PairCorpus(recipe.data, counts, recipe.seed).lines()

    def has_random_split(self, recipe: Recipe) -> bool:
        """Implement Objective.has_random_split."""
        return PairCorpus(recipe.data, CorpusCounts(), recipe.seed).has_random_split

    def prepare(
        self, recipe: Recipe, texts: ModelTexts, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Implement Objective.prepare."""
        limits = PairLimits(self.max_length(recipe), self.max_target_length(recipe))
        train, valid = (PairEncoder(texts, limits) for _ in range(2))
        corpus = PairCorpus(recipe.data, counts, recipe.seed, valid.can_read)
        training = train.write(corpus.training(), folder / TRAIN)
        shares = corpus_shares(recipe.data, training.files)
        training = msgspec.structs.replace(training, shares=shares)
        validation = valid.write(
            corpus.validation(), folder / VALID, keep_texts=True, training=train
        )
        return DataReport(training, validation if validation.files else None)

    def open(self, recipe: Recipe, texts: ModelTexts, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        source, target = (TokenStore(folder / part / side) for side in SIDES)
        if not len(source):
            return None
        framing, max_tokens = pair_framing(texts), recipe.training.batch_tokens

        def batches(*stores: TokenStore) -> PairData:
            return PairData(*stores, framing=framing, max_tokens=max_tokens, seed=recipe.seed)

        if part == TRAIN and mixes(recipe.data):
            return mix(
                recipe, folder, lambda *rows: batches(source.rows(*rows), target.rows(*rows))
            )
        return batches(source, target)

    def scored_part(self, recipe: Recipe, folder: Path) -> dict[str, str]:
        """Implement Objective.scored_part."""
        some = count_kept_pairs(folder / VALID) > recipe.validation.max_lines
        return {"pairs": "spread evenly"} if some else {}

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Compute BLEU and chrF of greedy or beam output; nothing without sacrebleu."""
        if not can_score_translations():
            return {}
        pairs = read_kept_pairs(folder / VALID, recipe.validation.max_lines)
        sources, references = zip(*pairs, strict=True)
        hypotheses = self._translate(loaded, recipe, sources, stop)
        if stop():
            return {}
        return translation_scores(
            hypotheses,
            references,
            tokenize=recipe.validation.tokenize,
            compare_with_chance=recipe.validation.metric != "loss",
        )

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return lines from all over the validation text, with references and translations."""
        pairs = read_kept_pairs(folder / VALID, limit)
        outputs = self._translate(loaded, recipe, [source for source, _ in pairs], stop)
        return [
            [("source", source), ("reference", target), ("output", output)]
            for (source, target), output in zip(pairs, outputs, strict=False)
        ]

    def _translate(
        self, loaded: LoadedModel, recipe: Recipe, lines: Sequence[str], stop: Stop
    ) -> list[str]:
        """Translate lines as the model does by itself, without repairs; end early at `stop()`."""
        arguments = TranslateArguments(beam=recipe.validation.beam, no_guard=True)
        session = single_session(loaded, stop)
        answers = session.translate(IterableSource(lines), arguments, Counter())
        texts = (answer.outputs[0].text if answer.outputs else "" for answer in answers)
        return [" ".join(text.split("\n")) for text in texts]
