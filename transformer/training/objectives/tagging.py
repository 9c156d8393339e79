"""Tagging of words: named entities and other spans, or a tag for each word."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...config import TransformerConfig
from ...data import Data
from ...evaluation import Score, tag_outputs, tag_scores
from ...labels import (
    LabelInventory,
    TaggedText,
    read_spans,
    span_tag,
    spans_of_characters,
    tells_spans,
)
from ...loading import LoadedModel, ModelTexts
from ...pipelines.text_framing import TextFraming
from ..defaults import DEFAULTS
from ..drawn_corpus import LabelledTexts
from ..drawn_encoding import DrawnEncoder
from ..encoding import spread_evenly
from ..recipe import Recipe
from ..tagged_corpus import TaggedCorpus, TagInventory
from ..tagged_encoding import (
    KeptText,
    TaggedEncoder,
    predicted_tags,
    read_kept_texts,
    read_tags_of,
    tagged_data,
    write_tags_of,
)
from .base import VALID, Sample, Stop
from .labelled import LabelledObjective


class Tagging(LabelledObjective):
    """A tag for each word, predicted at its first token; arXiv 1810.04805 §5.3.

    Tags of spans obey a scheme, such as BIO. Long texts are read in windows that overlap.
    """

    texts: ClassVar[tuple[str, ...]] = ("tagged", "valid_tagged")
    metrics: ClassVar[tuple[str, ...]] = ("span_f1", "accuracy", "loss")
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["tagging"]
    unit: ClassVar[str] = "word"
    corpus: ClassVar[type[LabelledTexts[Any, Any]]] = TaggedCorpus
    encoder: ClassVar[type[DrawnEncoder[Any, Any, Any]]] = TaggedEncoder

    def head_fields(
        self, network: TransformerConfig, labels: LabelInventory | None
    ) -> dict[str, Any]:
        """Implement Objective.head_fields; without labels, there are two."""
        del network
        return {
            "head": "tagging",
            "labels": 2 if labels is None else len(labels.names),
            "label_kind": "single",
            "tie_output": True,
            "output_scale": 1.0,
            "output_bias": True,
        }

    def labels(self, folder: Path) -> LabelInventory | None:
        """Implement Objective.labels. Raises CheckpointError."""
        return read_tags_of(folder).labels

    def write_inventory(self, folder: Path, inventory: TagInventory) -> None:
        """Implement LabelledObjective.write_inventory."""
        write_tags_of(folder, inventory)

    def open(self, recipe: Recipe, texts: ModelTexts, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        del texts
        tokens = recipe.training.batch_tokens
        return tagged_data(folder / part, max_tokens=tokens, seed=recipe.seed)

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Compute F1 of spans, or the accuracy of tags of words, on the validation text."""
        data = self.open(recipe, loaded.texts, folder, VALID)
        if data is None:
            return {}
        outputs = tag_outputs(loaded.model, takewhile(lambda _: not stop(), data.in_order()))
        if stop():
            return {}
        truth, said = [], []
        before, tags = _tokens_before(loaded, recipe), read_tags_of(folder)
        for first, kept in read_kept_texts(folder / VALID):
            rows = [outputs[first + n] for n in range(len(kept.windows))]
            truth.append(kept.text.tags)
            said.append(predicted_tags(kept, rows, tags, before=before))
        return tag_scores(truth, said, are_spans=tells_spans(tags.labels.names))

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return validation texts with their spans or tags, and those that the model gives."""
        data = tagged_data(folder / VALID, max_tokens=1, seed=0)
        if data is None or stop():
            return []
        before, tags = _tokens_before(loaded, recipe), read_tags_of(folder)
        samples: list[Sample] = []
        for first, kept in _spread_texts(folder / VALID, limit):
            numbers = range(first, first + len(kept.windows))
            batches = [data.make(np.array([row])) for row in numbers]
            outputs = tag_outputs(loaded.model, batches)
            said = predicted_tags(kept, [outputs[row] for row in numbers], tags, before=before)
            spans = tells_spans(tags.labels.names)
            shown = (_shown(kept.text, each, are_spans=spans) for each in (kept.text.tags, said))
            samples.append([("text", kept.text.text), *zip(("tags", "output"), shown, strict=True)])
        return samples


def _tokens_before(loaded: LoadedModel, recipe: Recipe) -> int:
    """Return the number of special tokens that stand before each window."""
    return len(TextFraming.of(loaded, recipe.data.max_tokens).before)


def _spread_texts(folder: Path, limit: int) -> Iterator[tuple[int, KeptText]]:
    """Yield up to `limit` texts from all over a part, of those with several tags, if any has."""
    all_of = [len({*kept.text.tags}) > 1 for _, kept in read_kept_texts(folder)]
    telling = [n for n, several in enumerate(all_of) if several] or [*range(len(all_of))]
    chosen = {telling[index] for index in spread_evenly(len(telling), limit)}
    yield from (each for n, each in enumerate(read_kept_texts(folder)) if n in chosen)


def _shown(text: TaggedText, tags: Sequence[str], *, are_spans: bool) -> str:
    """Return the spans of tags with their labels, or words with their tags, in a line."""
    if not are_spans:
        pairs = zip(text.words, tags, strict=True)
        return " ".join(f"{text.text[start:end]}/{tag}" for (start, end), tag in pairs)
    spans = spans_of_characters(read_spans([*map(span_tag, tags)]), text.words)
    return "; ".join(f"{label}: {text.text[start:end]}" for start, end, label in spans) or "none"
