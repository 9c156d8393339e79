"""Instructions: conversations of which the answers are predicted."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tokenizer import CorpusCounts

from ...chat.template import read_chat_template
from ...data import ConversationData, Data, TokenStore
from ...decoding.request import Request
from ...loading import LoadedModel, ModelTexts
from ...pipelines.arguments import GenerateArguments
from ..conversation_encoding import IDS, PREDICTED, ConversationEncoder
from ..conversations import ConversationCorpus
from ..data_report import DataReport
from ..defaults import DEFAULTS
from ..drawn_corpus import DrawnCorpus
from ..recipe import Recipe
from .base import TRAIN, VALID, Sample, Stop, single_session
from .drawn import DrawnObjective
from .rules import ConversationRules, ObjectiveRules

_SAMPLE_TOKENS = 60


class Instructions(DrawnObjective):
    """Answers in conversations: `p(answer | all before it)`, of each turn."""

    shapes: ClassVar[tuple[str, ...]] = ("decoder",)
    metrics: ClassVar[tuple[str, ...]] = ("loss",)
    texts: ClassVar[tuple[str, ...]] = ("conversations", "valid_conversations")
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["instructions"]
    corpus: ClassVar[type[DrawnCorpus[Any]]] = ConversationCorpus
    rules: ClassVar[ObjectiveRules] = ConversationRules(
        presets=("write-tiny", "write-small"),
        learning_rates=(3e-3, 1e-3),
        vocabulary=1.5,
        min_vocabulary=400,
        reading=3.0,
        epochs=3.0,
        length="data.max_tokens",
    )

    def prepare(
        self, recipe: Recipe, texts: ModelTexts, folder: Path, counts: CorpusCounts
    ) -> DataReport:
        """Implement Objective.prepare."""
        template = read_chat_template(texts.folder, texts.tokenizer)
        corpus = ConversationCorpus(recipe.data, counts, recipe.seed)
        train, valid = (
            ConversationEncoder(texts, template, max_tokens=recipe.data.max_tokens)
            for _ in range(2)
        )
        training = train.write(corpus.training(), folder / TRAIN)
        validation = valid.write(corpus.validation(), folder / VALID, training=train)
        return DataReport(training, validation if validation.files else None)

    def open(self, recipe: Recipe, texts: ModelTexts, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        del texts
        ids, predicted = (TokenStore(folder / part / name) for name in (IDS, PREDICTED))
        if not len(ids):
            return None
        return ConversationData(
            ids, predicted, max_tokens=recipe.training.batch_tokens, seed=recipe.seed
        )

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return the first turns of validation conversations, with references and answers."""
        del recipe
        ids, predicted = (TokenStore(folder / VALID / name) for name in (IDS, PREDICTED))
        session, tokenizer = single_session(loaded, stop), loaded.tokenizer
        parameters = session.generation_parameters(GenerateArguments(temperature=0.0))
        samples: list[Sample] = []
        for row in range(min(limit, len(ids))):
            if stop():
                return []
            marks = np.asarray(predicted[row])
            start = int(marks.argmax())
            length = int((marks[start:] == 0).argmax()) or len(marks) - start
            prompt, answer = ids[row][:start].tolist(), ids[row][start : start + length].tolist()
            room = max(1, min(_SAMPLE_TOKENS, loaded.config.max_positions - len(prompt)))
            ((hypothesis,),) = session.decode(
                [Request(prompt=prompt, max_new_tokens=room)], parameters
            )
            texts = (prompt, answer, hypothesis.ids)
            labels = ("prompt", "reference", "output")
            samples.append(
                [(label, tokenizer.decode(t)) for label, t in zip(labels, texts, strict=True)]
            )
        return samples
