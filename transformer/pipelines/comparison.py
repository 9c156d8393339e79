"""Comparison of two models: their logits and the text that beam search generates.

Shape suffixes: B texts, T tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data import pad_rows
from ..decoding.request import Request
from ..decoding.search import BeamParameters
from ..errors import ConfigError
from ..loading import LoadedModel
from .session import Session

_MAX_TEXT_TOKENS, _MAX_NEW_TOKENS, _BEAM_SIZE = 64, 32, 4


class Difference(NamedTuple):
    """The differences between two models on one text."""

    text: str
    max_logit_diff: float  # the largest absolute difference at any position
    same_output: bool | None  # of beam search; None for encoders


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
    differences = []
    for index, (text, row) in enumerate(zip(texts, rows, strict=True)):
        max_diff = (first_logits[index, : len(row)] - second_logits[index, : len(row)]).abs().max()
        same_output = None if outputs[0] is None else outputs[0][index] == outputs[1][index]  # type: ignore[index]
        differences.append(Difference(text, float(max_diff), same_output))
    return sorted(differences, key=lambda difference: -difference.max_logit_diff)


def _encode(model: LoadedModel, text: str) -> list[int]:
    """Encode a text with its special tokens, cut so that there is room to generate."""
    prefix_ids, suffix_ids = (
        model.special_affixes
        if model.config.has_encoder
        else (model.tokenizer.special_affixes()[0], [])
    )
    limit = (
        min(_MAX_TEXT_TOKENS, model.config.max_positions - _MAX_NEW_TOKENS)
        - len(prefix_ids)
        - len(suffix_ids)
    )
    ids = [*prefix_ids, *model.tokenizer.encode(text)[: max(1, limit)], *suffix_ids]
    return ids or [model.generation.end_id]


def _logits(model: LoadedModel, rows: list[list[int]]) -> Tensor:
    """Compute the logits (B, T, V); an encoder-decoder has each text as source and as target."""
    ids_BT, positions_BT = pad_rows(rows, model.device)
    source = {}
    if model.config.shape == "encoder-decoder":
        source = {"source_BS": ids_BT, "source_positions_BS": positions_BT}
        ids_BT = ids_BT.clamp(max=model.config.vocab_size - 1)
    logits_BTV: Tensor = model.model(ids_BT, positions_BT=positions_BT, **source)
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
