"""The accuracy of a masked language model."""

from collections.abc import Iterable

import torch

from ..inputs import Batch
from ..model import Transformer
from .score import Score


@torch.no_grad()
def masked_accuracy(model: Transformer, batches: Iterable[Batch]) -> Score:
    """Return the share of the predicted tokens of which the likeliest token is right, in per cent.

    It says nothing of a model that predicts the same token everywhere.
    """
    right, total, predicted = 0, 0, set[int]()
    for batch in (each.to(model.device) for each in batches):
        hidden_ND, targets_N = model.hidden(batch.inputs).flatten(0, 1), batch.targets.flatten()
        if batch.predicted_N is not None:
            hidden_ND, targets_N = hidden_ND[batch.predicted_N], targets_N[batch.predicted_N]
        best_N = model.logits(hidden_ND[None])[0].argmax(dim=-1)
        right += int((best_N == targets_N).sum())
        total += len(targets_N)
        predicted |= {*best_N.tolist()}
    value = 100 * right / max(1, total)
    return Score(
        "accuracy", value, "of:masked tokens", f"{right:,} of {total:,}", len(predicted) > 1
    )
