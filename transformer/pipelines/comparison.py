"""Whether two model folders answer alike.

Shape suffixes: B texts, T tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ..data import pad_rows
from ..decoding.engine import decode_all
from ..decoding.request import Request, SearchOptions
from ..decoding.search import SEARCHES
from ..decoding.steppers.model import ModelStepper
from ..errors import ConfigError
from ..loading import LoadedModel

_LONGEST, _NEW, _BEAMS = 64, 32, 4  # tokens of a text, tokens to write, beams


class Difference(NamedTuple):
    """How two models differ on one text."""

    text: str
    logits: float  # the largest absolute difference
    beams: bool | None  # whether beam search wrote the same; None for encoders


@torch.inference_mode()
def compare_models(
    first: LoadedModel, second: LoadedModel, texts: Sequence[str], *, beams: int = _BEAMS
) -> list[Difference]:
    """The differences on each text, largest first. Both models read the first's ids.

    Raises ConfigError where the models cannot be compared at all.
    """
    for field in ("shape", "vocab_size", "source_vocabulary"):
        one, other = getattr(first.config, field), getattr(second.config, field)
        if one != other:
            raise ConfigError(
                f"{first.folder} and {second.folder} cannot be compared: {field} is {one}, {other}"
            )
    rows = [_row(first, text) for text in texts]
    ours, theirs = (_logits(model, rows) for model in (first, second))
    written = [_write(model, rows, beams) for model in (first, second)]
    found = []
    for place, (text, row) in enumerate(zip(texts, rows, strict=True)):
        gap = (ours[place, : len(row)] - theirs[place, : len(row)]).abs().max()
        same = None if written[0] is None else written[0][place] == written[1][place]  # type: ignore[index]
        found.append(Difference(text, float(gap), same))
    return sorted(found, key=lambda difference: -difference.logits)


def _row(model: LoadedModel, text: str) -> list[int]:
    before, after = (
        model.special_affixes
        if model.config.has_encoder
        else (model.tokenizer.special_affixes()[0], [])
    )
    most = min(_LONGEST, model.config.max_positions - _NEW) - len(before) - len(after)
    row = [*before, *model.tokenizer.encode(text)[: max(1, most)], *after]
    return row or [model.generation.end_id]


def _logits(model: LoadedModel, rows: list[list[int]]) -> Tensor:
    """Every position's (B, T, V); an encoder-decoder reads the texts and is given them to write."""
    ids_BT, positions_BT = pad_rows(rows, model.device)
    source = {}
    if model.config.shape == "encoder-decoder":
        source = {"source_BS": ids_BT, "source_positions_BS": positions_BT}
        ids_BT = ids_BT.clamp(max=model.config.vocab_size - 1)
    logits_BTV: Tensor = model.model(ids_BT, positions_BT=positions_BT, **source)
    return logits_BTV.float().cpu()


def _write(model: LoadedModel, rows: list[list[int]], beams: int) -> list[list[int]] | None:
    """What beam search writes, or nothing for an encoder."""
    if not model.config.has_decoder:
        return None
    options = SearchOptions(end=frozenset(model.generation.end_ids), beam=beams)
    if model.config.has_encoder:
        start = (
            model.generation.end_id if model.decoder_start_id is None else model.decoder_start_id
        )
        tasks = [Request(prompt=[start], max_new_tokens=_NEW, source=row) for row in rows]
    else:
        tasks = [Request(prompt=row, max_new_tokens=_NEW) for row in rows]
    found = decode_all(ModelStepper(model.model), SEARCHES["beam"](options), tasks)
    return [best.ids for best, *_ in found]
