"""Comparison of two models: their logits, and the texts of beam search or an encoder's vectors.

Shape suffixes: B texts, T tokens, V vocabulary.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data import pad_rows
from ..decoding.request import Request
from ..decoding.search import BeamParameters
from ..errors import ConfigError
from ..loading import LoadedModel, has_pooling, read_pooling_config
from .arguments import EmbedArguments
from .records import IterableSource
from .session import Session

_MAX_TEXT_TOKENS, _MAX_NEW_TOKENS, _BEAM_SIZE = 64, 32, 4


class Difference(NamedTuple):
    """The differences between two models on one text."""

    text: str
    max_logit_diff: float  # the largest absolute difference at any position
    same_output: bool | None  # of beam search; None for encoders
    max_vector_diff: float | None = None  # of pooled vectors: the same, where a model is for them

    @property
    def largest(self) -> float:
        """The larger difference, of logits or of vectors."""
        return max(self.max_logit_diff, self.max_vector_diff or 0.0)


@torch.inference_mode()
def compare_models(
    first: LoadedModel, second: LoadedModel, texts: Sequence[str], *, beams: int = _BEAM_SIZE
) -> list[Difference]:
    """Return the differences on each text, largest first; both models read the first one's ids.

    Raises ConfigError for models of other shapes or vocabulary sizes.
    """
    for field in ("shape", "vocab_size", "source_vocabulary"):
        first_value, second_value = getattr(first.config, field), getattr(second.config, field)
        if first_value != second_value:
            raise ConfigError(
                f"{first.folder} and {second.folder} cannot be compared: {field} is "
                f"{first_value}, {second_value}"
            )
    rows = [_encode(first, text) for text in texts]
    first_logits, second_logits = (_logits(model, rows) for model in (first, second))
    outputs = [_decode(model, rows, beams) for model in (first, second)]
    vectors = [_embed(model, texts) for model in (first, second)]
    differences = []
    for index, (text, row) in enumerate(zip(texts, rows, strict=True)):
        max_diff = (first_logits[index, : len(row)] - second_logits[index, : len(row)]).abs().max()
        same_output = None if outputs[0] is None else outputs[0][index] == outputs[1][index]  # type: ignore[index]
        vector_diff = None
        if vectors[0] is not None and vectors[1] is not None:
            vector_diff = _vector_diff(vectors[0][index], vectors[1][index])
        differences.append(Difference(text, float(max_diff), same_output, vector_diff))
    return sorted(differences, key=lambda difference: -difference.largest)


def compare_pooling(first: LoadedModel, second: LoadedModel) -> list[str]:
    """Return what differs between the settings with which two models' states are pooled."""
    if not (_is_pooled(first) or _is_pooled(second)):
        return []
    one, other = (read_pooling_config(model.folder)._asdict() for model in (first, second))
    names = [name for name in one if name != "dense" and one[name] != other[name]]
    return [f"{name} {one[name]!r}, {other[name]!r}" for name in names]


def _is_pooled(model: LoadedModel) -> bool:
    """Return True for an encoder, and for a decoder whose folder says how its states are pooled."""
    return not model.config.has_decoder or (
        not model.config.has_encoder and has_pooling(model.folder)
    )


def _embed(model: LoadedModel, texts: Sequence[str]) -> list[Tensor] | None:
    """Return the pooled vectors of texts, as `embed` computes them; None for other models."""
    if not _is_pooled(model):
        return None
    answers = Session([model]).embed(IterableSource(texts), EmbedArguments(), Counter())
    return [output.vector for answer in answers for output in answer.outputs]


def _vector_diff(first: Tensor, second: Tensor) -> float:
    """Return the largest difference of two vectors; infinite for vectors of different sizes."""
    return float((first - second).abs().max()) if first.shape == second.shape else math.inf


def _encode(model: LoadedModel, text: str) -> list[int]:
    """Encode a text with its special tokens, cut so that there is room to generate."""
    prefix_ids, suffix_ids = (
        model.special_affixes
        if model.config.has_encoder
        else (model.tokenizer.special_affixes()[0], [])
    )
    limit = (
        min(_MAX_TEXT_TOKENS, model.config.shorter_positions - _MAX_NEW_TOKENS)
        - len(prefix_ids)
        - len(suffix_ids)
    )
    ids = [*prefix_ids, *model.tokenizer.encode(text)[: max(1, limit)], *suffix_ids]
    return ids or [model.generation.end_id]


def _logits(model: LoadedModel, rows: list[list[int]]) -> Tensor:
    """Compute the logits (B, T, V); an encoder-decoder has each text as source and as target."""
    inputs = pad_rows(rows, model.device)
    if model.config.shape == "encoder-decoder":
        ids_BT = inputs.ids_BT.clamp(max=model.config.vocab_size - 1)
        inputs = inputs._replace(ids_BT=ids_BT, source=inputs)
    logits_BTV: Tensor = model.model(inputs)
    return logits_BTV.float().cpu()


def _decode(model: LoadedModel, rows: list[list[int]], beams: int) -> list[list[int]] | None:
    """Return the ids that beam search generates for each row; None for an encoder."""
    if not model.config.has_decoder:
        return None
    parameters = BeamParameters(end_ids=frozenset(model.generation.end_ids), beam=beams)
    if model.config.has_encoder:
        start_id = (
            model.generation.end_id if model.decoder_start_id is None else model.decoder_start_id
        )
        requests = [
            Request(prompt=[start_id], max_new_tokens=_MAX_NEW_TOKENS, source=row) for row in rows
        ]
    else:
        requests = [Request(prompt=row, max_new_tokens=_MAX_NEW_TOKENS) for row in rows]
    hypotheses = Session([model]).decode(requests, parameters)
    return [best.ids for best, *_ in hypotheses]
