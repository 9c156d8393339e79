"""Training objectives: a registry.

An objective knows the text that it needs, how to encode it to ids on disk, the batches to draw from
them, and how to score the model beyond its loss.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tokenizer import CorpusCounts, CorpusError, TextChunk, Tokenizer

from ..data import Data, PairData, TokenStore, TokenWriter, WindowData
from ..errors import MissingExtraError
from ..evaluation import Score, can_score_translations, check_tokenization, translation_scores
from ..loading import LoadedModel
from ..pipelines.arguments import GenerateArguments, TranslateArguments
from ..pipelines.records import IterableSource
from ..pipelines.session import Session
from ..registry import Registry
from .corpora import PairCorpus, RunningCorpus
from .recipe import Recipe

Stop = Callable[[], bool]  # True once work should end

_ENCODE_BATCH = 1000  # lines that are tokenized together
TRAIN, VALID = "train", "valid"
_PROMPT_TOKENS = 8  # tokens of the training text that a language model's sample continues


class Objective(Protocol):
    """A way of training models of one shape."""

    shape: ClassVar[str]  # of the models that it trains
    defaults: ClassVar[dict[str, Any]]  # the lowest layer of its recipes
    metrics: ClassVar[tuple[str, ...]]  # that can choose the best checkpoint

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

    def prepare(
        self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, counts: CorpusCounts
    ) -> int:
        """Write ids below `folder`; return the number of examples left out for their length."""
        ...

    def open(self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, part: str) -> Data | None:
        """Return the batches of a prepared part, TRAIN or VALID; None if it is empty."""
        ...

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Compute scores on the validation text other than the loss; none once `stop()` is True."""
        ...

    def sample(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> list[tuple[str, str]]:
        """Return labels and texts that show what the model generates; none after `stop()`."""
        ...


def _write_validation_pairs(folder: Path, pairs: Sequence[tuple[str, str]]) -> None:
    """Write validation pairs as JSON, which keeps any line ends in them."""
    (folder / VALID / "shown.json").write_text(json.dumps(pairs), encoding="utf-8")


def _read_validation_pairs(folder: Path) -> list[tuple[str, str]]:
    pairs = json.loads((folder / VALID / "shown.json").read_text(encoding="utf-8"))
    return [(source, target) for source, target in pairs]


class Translation:
    """Sequence-to-sequence translation: `p(target | source)`, from pairs of lines."""

    shape: ClassVar[str] = "encoder-decoder"
    metrics: ClassVar[tuple[str, ...]] = ("loss", "bleu", "chrf")
    defaults: ClassVar[dict[str, Any]] = {
        "model": {"preset": "translate-small"},
        "training": {"label_smoothing": 0.1},
        "validation": {"metric": "bleu"},
    }

    def check(self, recipe: Recipe) -> None:
        """Implement Objective.check."""
        PairCorpus(recipe.data, CorpusCounts()).check()
        if recipe.validation.metric != "loss" and not can_score_translations():
            raise MissingExtraError(
                f"validation by {recipe.validation.metric}",
                "sacrebleu",
                extra="eval",
                instead="choose --set validation.metric=loss",
            )
        if can_score_translations():
            check_tokenization(recipe.validation.tokenize)

    def max_length(self, recipe: Recipe) -> int:
        """Implement Objective.max_length."""
        return recipe.data.max_tokens

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Implement Objective.lines."""
        return PairCorpus(recipe.data, counts).lines()

    def prepare(
        self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, counts: CorpusCounts
    ) -> int:
        """Implement Objective.prepare."""
        corpus = PairCorpus(recipe.data, counts)
        left_out = self._encode(corpus.training(), recipe, tokenizer, folder / TRAIN)
        self._encode(corpus.validation(), recipe, tokenizer, folder / VALID)
        shown = islice(
            replace(corpus, counts=CorpusCounts()).validation(), recipe.validation.max_lines
        )
        _write_validation_pairs(folder, list(shown))
        return left_out

    def _encode(
        self, pairs: Iterator[tuple[str, str]], recipe: Recipe, tokenizer: Tokenizer, folder: Path
    ) -> int:
        left_out = 0
        sizes = {"vocab_size": tokenizer.vocab_size}
        with (
            TokenWriter(folder / "source", **sizes) as source,
            TokenWriter(folder / "target", **sizes) as target,
        ):
            while batch := list(islice(pairs, _ENCODE_BATCH)):
                sides = [tokenizer.encode_batch(side) for side in zip(*batch, strict=True)]
                rows = [(s, t) for s, t in zip(*sides, strict=True) if s and t]
                fitting = [row for row in rows if max(map(len, row)) < recipe.data.max_tokens]
                left_out += len(rows) - len(fitting)
                source.write(s for s, _ in fitting)
                target.write(t for _, t in fitting)
        return left_out

    def open(self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        source, target = (TokenStore(folder / part / side) for side in ("source", "target"))
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
        sources, references = zip(*_read_validation_pairs(folder), strict=True)
        hypotheses = self._translate(loaded, recipe, sources, stop)
        if stop():
            return {}
        return translation_scores(
            hypotheses,
            references,
            tokenize=recipe.validation.tokenize,
            compare_with_chance=recipe.validation.metric != "loss",
        )

    def sample(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> list[tuple[str, str]]:
        """Return the first validation line, its reference and its translation."""
        source, target = _read_validation_pairs(folder)[0]
        output = " ".join(self._translate(loaded, recipe, [source], stop))
        return [("source", source), ("reference", target), ("output", output)]

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
    defaults: ClassVar[dict[str, Any]] = {
        "model": {"preset": "write-small"},
        "tokenizer": {"kind": "byte-bpe"},
        "training": {"schedule": "cosine", "warmup": 100, "weight_decay": 0.1, "beta2": 0.95},
    }

    def check(self, recipe: Recipe) -> None:
        """Implement Objective.check."""
        RunningCorpus(recipe.data, CorpusCounts()).check()

    def max_length(self, recipe: Recipe) -> int:
        """Implement Objective.max_length."""
        return recipe.training.context

    def lines(self, recipe: Recipe, counts: CorpusCounts) -> Iterator[str]:
        """Implement Objective.lines."""
        return RunningCorpus(recipe.data, counts).lines()

    def prepare(
        self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, counts: CorpusCounts
    ) -> int:
        """Write one stream of ids, with the end token before, between and after documents."""
        corpus = RunningCorpus(recipe.data, counts)
        self._encode(corpus.training(), tokenizer, folder / TRAIN)
        self._encode(corpus.validation(), tokenizer, folder / VALID)
        return 0

    def _encode(self, chunks: Iterator[TextChunk], tokenizer: Tokenizer, folder: Path) -> None:
        end = tokenizer.require_role("end")
        with TokenWriter(folder / "text", vocab_size=tokenizer.vocab_size) as writer:
            rows = [[end]]
            while batch := list(islice(chunks, _ENCODE_BATCH)):
                ids = tokenizer.encode_batch([chunk.text for chunk in batch])
                for row, chunk in zip(ids, batch, strict=True):
                    rows.append([*row, end] if chunk.ends_document else row)
                writer.write(rows)
                rows = []

    def open(self, recipe: Recipe, tokenizer: Tokenizer, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        del tokenizer
        store = TokenStore(folder / part / "text")
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

    def sample(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> list[tuple[str, str]]:
        """Return the first words of the training text and the model's continuation."""
        del recipe
        length = min(_PROMPT_TOKENS, loaded.config.max_positions // 2)
        first = TokenStore(folder / TRAIN / "text").ids[1 : 1 + length].tolist()
        prompt = loaded.tokenizer.decode(first)
        if len(loaded.tokenizer.encode(prompt)) >= loaded.config.max_positions:
            return []  # it ends inside a character, of which U+FFFD takes more tokens
        arguments = GenerateArguments(temperature=0.8, top_p=0.95, max_tokens=60)
        pieces = _session(loaded, stop).stream(prompt, arguments, Counter())
        shown = "".join(takewhile(lambda _: not stop(), pieces))
        return [("sample", prompt + shown)]


def _session(loaded: LoadedModel, stop: Stop) -> Session:
    """Return a session with one engine, which computes with all threads beside training's."""
    return Session([loaded], max_engines=1, stop=stop)


OBJECTIVES: Registry[Objective] = Registry(
    "objective", {"translation": Translation(), "language-model": LanguageModel()}
)
