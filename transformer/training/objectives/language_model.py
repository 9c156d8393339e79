"""Language modelling, from running text."""

from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

from tokenizer import CorpusCounts, CorpusError
from tokenizer.quantities import format_count

from ...data import Data, TokenStore, WindowData
from ...loading import LoadedModel, ModelTexts
from ...pipelines.arguments import GenerateArguments
from ..corpora import RunningCorpus
from ..data_report import DataReport
from ..defaults import DEFAULTS
from ..encoding import TEXT, TextEncoder
from ..recipe import Recipe
from ..sample_prompt import sample_prompt
from .base import TRAIN, VALID, Objective, Sample, Stop, single_session
from .rules import ObjectiveRules, RunningTextRules

_PROMPT_TOKENS = 8  # tokens of the validation text that a sample continues


class LanguageModel(Objective):
    """Language modelling: `p(next token | all previous ones)`, from running text."""

    shapes: ClassVar[tuple[str, ...]] = ("decoder",)
    metrics: ClassVar[tuple[str, ...]] = ("loss",)
    texts: ClassVar[tuple[str, ...]] = ("text", "valid_text")
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["language-model"]
    # 450 kB of Shakespeare (write-tiny, 1,000 tokens): 2.55 bits a byte after 80 seconds.
    rules: ClassVar[ObjectiveRules] = RunningTextRules(
        presets=("write-tiny", "write-small"),
        learning_rates=(3e-3, 1e-3),
        vocabulary=1.5,
        min_vocabulary=400,
        reading=3.0,
        epochs=20.0,
        length="training.context",
    )

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
        self, recipe: Recipe, texts: ModelTexts, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Implement Objective.prepare."""
        corpus = RunningCorpus(recipe.data, counts)
        train, valid = TextEncoder(texts), TextEncoder(texts)
        training = train.write(corpus.training(), folder / TRAIN)
        validation = valid.write(corpus.validation(), folder / VALID, training=train)
        return DataReport(training, validation if validation.files else None)

    def open(self, recipe: Recipe, texts: ModelTexts, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        del texts
        store = TokenStore(folder / part / TEXT)
        if not len(store.ids):
            return None
        training = recipe.training
        if len(store.ids) < 3:
            tokens = format_count(len(store.ids), "token")
            raise CorpusError(f"the {part} text has {tokens} with its ends; at least 3 are needed")
        return WindowData(
            store.ids, context=training.context, max_tokens=training.batch_tokens, seed=recipe.seed
        )

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return a few words of the validation text and the model's continuation."""
        del recipe, limit
        length = min(_PROMPT_TOKENS, loaded.config.max_positions // 2)
        ids = TokenStore(folder / VALID / TEXT).ids
        prompt = sample_prompt(ids, loaded.tokenizer, length)
        if len(loaded.tokenizer.encode(prompt)) >= loaded.config.max_positions:
            return []  # it ends inside a character, of which U+FFFD takes more tokens
        arguments = GenerateArguments(temperature=0.8, top_p=0.95, max_tokens=60, seed=0)
        pieces = single_session(loaded, stop).stream(prompt, arguments, Counter())
        shown = "".join(takewhile(lambda _: not stop(), pieces))
        return [[("sample", prompt + shown)]]
