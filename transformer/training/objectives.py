"""Training objectives: a registry.

An objective knows the text that it needs, how to encode it to ids on disk, the batches to draw from
them, and how to score the model beyond its loss.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tokenizer import CorpusCounts, CorpusError, Tokenizer

from ..data import Data, PairData, TokenStore, WindowData
from ..errors import MissingExtraError
from ..evaluation import Score, can_score_translations, check_tokenization, translation_scores
from ..loading import LoadedModel
from ..pipelines.arguments import GenerateArguments, TranslateArguments
from ..pipelines.records import IterableSource
from ..pipelines.session import Session
from ..registry import Registry
from .corpora import PairCorpus, RunningCorpus
from .data_report import DataReport
from .defaults import DEFAULTS
from .encoding import SIDES, TEXT, PairEncoder, TextEncoder, read_kept_pairs
from .recipe import Recipe, has_validation

Stop = Callable[[], bool]  # True once work should end
Sample = list[tuple[str, str]]  # labels and texts

TRAIN, VALID = "train", "valid"
_PROMPT_TOKENS = 8  # tokens of the training text that a language model's sample continues


class Objective(Protocol):
    """A way of training models of one shape."""

    shape: ClassVar[str]  # of the models that it trains
    defaults: ClassVar[dict[str, Any]]  # the lowest layer of its recipes
    metrics: ClassVar[tuple[str, ...]]  # that can choose the best checkpoint
    texts: ClassVar[tuple[str, ...]]  # keys of the texts that it reads

    def check(self, recipe: Recipe) -> None:
        """Raise ConfigError if the recipe names no text of the kind that is needed.

        Raises MissingExtraError if its metric cannot be computed.
        """
        ...

    def max_length(self, recipe: Recipe) -> int:
        """Return the largest number of tokens in one sequence, which the model must support."""
        ...

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Yield the text to train a tokenizer on."""
        ...

    def draws_validation(self, recipe: Recipe) -> bool:
        """Return True if the recipe's seed decides which text is for validation."""
        ...

    def prepare(
        self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Write the ids of both parts below `folder`, and report on them."""
        ...

    def open(self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, part: str) -> Data | None:
        """Return the batches of a prepared part, TRAIN or VALID; None if it is empty."""
        ...

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Compute scores on the validation text other than the loss; none once `stop()` is True."""
        ...

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return up to `limit` samples of what the model generates; none after `stop()`."""
        ...


class Translation:
    """Sequence-to-sequence translation: `p(target | source)`, from pairs of lines."""

    shape: ClassVar[str] = "encoder-decoder"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "bleu", "chrf")
    texts: ClassVar[tuple[str, ...]] = (
        *("source", "target", "pairs"),
        *("valid_source", "valid_target", "valid_pairs"),
    )
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["translation"]

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

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Implement Objective.lines."""
        return PairCorpus(recipe.data, counts, recipe.seed).lines()

    def draws_validation(self, recipe: Recipe) -> bool:
        """Implement Objective.draws_validation."""
        return PairCorpus(recipe.data, CorpusCounts(), recipe.seed).draws

    def prepare(
        self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Implement Objective.prepare."""
        train, valid = (PairEncoder(tokenizer, max_tokens=recipe.data.max_tokens) for _ in range(2))
        corpus = PairCorpus(recipe.data, counts, recipe.seed, valid.can_read)
        training = train.write(corpus.training(), folder / TRAIN)
        validation = valid.write(
            corpus.validation(), folder / VALID, keep_texts=True, training=train
        )
        return DataReport(training, validation if validation.files else None)

    def open(self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        source, target = (TokenStore(folder / part / side) for side in SIDES)
        if not len(source):
            return None
        return PairData(
            source,
            target,
            start_id=tokenizer.require_role("begin"),
            end_id=tokenizer.require_role("end"),
            max_tokens=recipe.training.batch_tokens,
            seed=recipe.seed,
        )

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
        """Return the first validation line and others, with references and translations."""
        pairs = read_kept_pairs(folder / VALID, 1 if limit == 1 else recipe.validation.max_lines)
        pairs = [pairs[n] for n in sorted({len(pairs) * n // limit for n in range(limit)})]
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
        answers = _session(loaded, stop).translate(IterableSource(lines), arguments, Counter())
        texts = (answer.outputs[0].text if answer.outputs else "" for answer in answers)
        return [" ".join(text.split("\n")) for text in texts]


class LanguageModel:
    """Causal language modelling: `p(next token | all previous ones)`, from running text."""

    shape: ClassVar[str] = "decoder"
    metrics: ClassVar[tuple[str, ...]] = ("loss",)
    texts: ClassVar[tuple[str, ...]] = ("text", "valid_text")
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["language-model"]

    def check(self, recipe: Recipe) -> None:
        """Implement Objective.check."""
        RunningCorpus(recipe.data, CorpusCounts()).check()

    def max_length(self, recipe: Recipe) -> int:
        """Implement Objective.max_length."""
        return recipe.training.context

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Implement Objective.lines."""
        return RunningCorpus(recipe.data, counts).lines()

    def draws_validation(self, recipe: Recipe) -> bool:
        """Implement Objective.draws_validation: it is the end of the text."""
        del recipe
        return False

    def prepare(
        self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Implement Objective.prepare."""
        corpus = RunningCorpus(recipe.data, counts)
        train, valid = TextEncoder(tokenizer), TextEncoder(tokenizer)
        training = train.write(corpus.training(), folder / TRAIN)
        validation = valid.write(corpus.validation(), folder / VALID, training=train)
        return DataReport(training, validation if validation.files else None)

    def open(self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        del tokenizer
        store = TokenStore(folder / part / TEXT)
        if not len(store.ids):
            return None
        training = recipe.training
        if len(store.ids) < 3:
            raise CorpusError(f"the {part} text has {len(store.ids)} tokens; at least 3 are needed")
        return WindowData(
            store.ids, context=training.context, max_tokens=training.batch_tokens, seed=recipe.seed
        )

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Return no scores: perplexity follows from the loss."""
        del loaded, recipe, folder, stop
        return {}

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return the first words of the training text and the model's continuation."""
        del recipe, limit
        length = min(_PROMPT_TOKENS, loaded.config.max_positions // 2)
        first = TokenStore(folder / TRAIN / TEXT).ids[1 : 1 + length].tolist()
        prompt = loaded.tokenizer.decode(first)
        if len(loaded.tokenizer.encode(prompt)) >= loaded.config.max_positions:
            return []  # it ends inside a character, of which U+FFFD takes more tokens
        arguments = GenerateArguments(temperature=0.8, top_p=0.95, max_tokens=60, seed=0)
        pieces = _session(loaded, stop).stream(prompt, arguments, Counter())
        shown = "".join(takewhile(lambda _: not stop(), pieces))
        return [[("sample", prompt + shown)]]


def _session(loaded: LoadedModel, stop: Stop) -> Session:
    """Return a session with one engine, which computes with all threads beside training's."""
    return Session([loaded], max_engines=1, stop=stop)


OBJECTIVES: Registry[Objective] = Registry(
    "objective", {"translation": Translation(), "language-model": LanguageModel()}
)
