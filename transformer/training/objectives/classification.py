"""Classification and regression of texts."""

from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from ...config import TransformerConfig
from ...data import Data
from ...evaluation import Score, label_outputs, label_scores
from ...export import published_family
from ...families import FAMILIES
from ...families.label_heads import LabelHead
from ...heads import CLASSIFIER_LAYERS, LABEL_KINDS
from ...labels import LabelInventory
from ...loading import LoadedModel, ModelTexts
from ...pipelines.classification import answer_text
from ...pipelines.text_framing import TextFraming
from ..defaults import DEFAULTS
from ..drawn_corpus import LabelledTexts
from ..drawn_encoding import DrawnEncoder
from ..labelled_corpus import LabelledCorpus
from ..labelled_encoding import (
    LabelledEncoder,
    labelled_data,
    read_kept_texts,
    read_labels,
    write_labels,
)
from ..recipe import Recipe
from .base import VALID, Sample, Stop
from .labelled import LabelledObjective

_SHOWN = {"single": ("accuracy", "f1_macro"), "multi": ("f1_micro", "accuracy")}
_SHOWN["number"] = ("pearson", "spearman")


class Classification(LabelledObjective):
    """Labels of texts: one of several, any number of them, or a number; arXiv 1810.04805 §4.1.

    An encoder's first token, or a decoder's last one, is what the labels follow from.
    """

    texts: ClassVar[tuple[str, ...]] = ("labelled", "valid_labelled")
    metrics: ClassVar[tuple[str, ...]] = (
        *("accuracy", "f1_macro", "f1_micro", "pearson", "spearman", "loss"),
    )
    defaults: ClassVar[dict[str, Any]] = DEFAULTS["classification"]
    unit: ClassVar[str] = "text"
    corpus: ClassVar[type[LabelledTexts[Any, Any]]] = LabelledCorpus
    encoder: ClassVar[type[DrawnEncoder[Any, Any, Any]]] = LabelledEncoder

    def check(self, recipe: Recipe) -> None:
        """Implement Objective.check."""
        if recipe.data.label_kind:
            LABEL_KINDS.check(recipe.data.label_kind)
        super().check(recipe)

    def head_fields(
        self, network: TransformerConfig, labels: LabelInventory | None
    ) -> dict[str, Any]:
        """Implement Objective.head_fields; without labels, there are two."""
        number, kind = (2, "single") if labels is None else labels.head_size
        head = _published_head(network)
        return {
            "head": "classification",
            "labels": number,
            "label_kind": kind,
            "classifier_pooling": head.pooling,
            "classifier_layer": head.layer_in(network),
            "tie_output": True,
            "output_scale": 1.0,
            "output_bias": head.bias,
        }

    def labels(self, folder: Path) -> LabelInventory | None:
        """Implement Objective.labels. Raises CheckpointError."""
        return read_labels(folder)

    def framing_settings(self, texts: ModelTexts) -> dict[str, Any]:
        """Implement Objective.framing_settings: a network may have one type for both texts."""
        return {"token_types": 1} if TextFraming.lacks_type(texts) else {}

    def write_inventory(self, folder: Path, inventory: LabelInventory) -> None:
        """Implement LabelledObjective.write_inventory."""
        write_labels(folder, inventory)

    def open(self, recipe: Recipe, texts: ModelTexts, folder: Path, part: str) -> Data | None:
        """Implement Objective.open."""
        del texts
        tokens = recipe.training.batch_tokens
        return labelled_data(folder / part, max_tokens=tokens, seed=recipe.seed)

    def scores(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop
    ) -> dict[str, Score]:
        """Compute accuracy and F1, or correlations of numbers, on the validation text."""
        data = self.open(recipe, loaded.texts, folder, VALID)
        if data is None:
            return {}
        batches = takewhile(lambda _: not stop(), data.in_order())
        outputs, targets = label_outputs(loaded.model, batches)
        if stop():
            return {}
        kind = loaded.config.label_kind
        scores = label_scores(kind, outputs, targets, loaded.labels)
        return {name: scores[name] for name in _SHOWN[kind]}

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return validation texts with their labels, and those that the model gives."""
        data = labelled_data(folder / VALID, max_tokens=1, seed=0)
        if data is None or stop():
            return []
        samples: list[Sample] = []
        for row, texts, labels in read_kept_texts(folder / VALID, limit):
            outputs, _ = label_outputs(loaded.model, [data.make(np.array([row]))])
            said = answer_text(loaded, outputs[0])
            samples.append(
                [("text", " | ".join(texts)), ("label", ", ".join(labels)), ("output", said)]
            )
        return samples


def _published_head(network: TransformerConfig) -> LabelHead:
    """Return the head over labels of the published family that can express a network.

    Without one, it is BERT's of an encoder, and Llama's of a decoder.
    """
    body: dict[str, Any] = {"head": "none" if network.shape == "encoder" else "linear"}
    body |= {"labels": 0, "tie_output": True, "output_bias": False, "output_scale": 1.0}
    family = published_family(msgspec.structs.replace(network, **body))
    own = FAMILIES[family].label_heads.get("classification") if family else None
    if own is not None and own.layer_in(network) in CLASSIFIER_LAYERS:
        return own
    other = "bert" if network.shape == "encoder" else "llama"
    return FAMILIES[other].label_heads["classification"]
