"""Language modelling, from running text."""

from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

from ...data import Data, Ids, PackedData, TokenStore, WindowData
from ...loading import LoadedModel, ModelTexts
from ...pipelines.arguments import GenerateArguments
from ..defaults import DEFAULTS
from ..encoding import TEXT
from ..recipe import Recipe
from ..sample_prompt import sample_prompt
from .base import VALID, Sample, Stop, single_session
from .rules import ObjectiveRules, RunningTextRules
from .running_text import RunningText

_PROMPT_TOKENS = 8  # tokens of the validation text that a sample continues


class LanguageModel(RunningText):
    """Language modelling: `p(next token | all previous ones)`, from running text."""

    shapes: ClassVar[tuple[str, ...]] = ("decoder",)
    begins_documents: ClassVar[bool] = True
    packs: ClassVar[bool] = True
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

    def batches(self, recipe: Recipe, texts: ModelTexts, ids: Ids) -> Data:
        """Implement RunningText.batches."""
        training = recipe.training
        size = {"context": training.context, "max_tokens": training.batch_tokens}
        if not training.pack:
            return WindowData(ids, **size, seed=recipe.seed)
        has_begin = bool(texts.tokenizer.special_affixes()[0])
        end_id = texts.generation.end_id
        return PackedData(ids, end_id=end_id, has_begin=has_begin, **size, seed=recipe.seed)

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return a few words of the validation text and the model's continuation."""
        del recipe, limit
        length = min(_PROMPT_TOKENS, loaded.config.max_positions // 2)
        ids = TokenStore(folder / VALID / TEXT).ids
        end_id = loaded.generation.end_id
        prompt = sample_prompt(ids, loaded.tokenizer, length, end_id=end_id)
        if len(loaded.tokenizer.encode(prompt)) >= loaded.config.max_positions:
            return []  # it ends inside a character, of which U+FFFD takes more tokens
        arguments = GenerateArguments(temperature=0.8, top_p=0.95, max_tokens=60, seed=0)
        pieces = single_session(loaded, stop).stream(prompt, arguments, Counter())
        shown = "".join(takewhile(lambda _: not stop(), pieces))
        return [[("sample", prompt + shown)]]
