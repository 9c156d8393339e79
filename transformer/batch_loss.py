"""The loss of a model on a batch.

Shape suffixes: B rows, T tokens, N predicted positions, D d_model, V vocabulary.
"""

from torch import Tensor

from .data import Batch
from .losses import projected_cross_entropy
from .model import Transformer


def batch_loss(
    model: Transformer, batch: Batch, *, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return sums over the targets, in nats: the smoothed loss, with gradients, and the NLL."""
    hidden_BTD = model.hidden(batch.inputs)
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1), batch.targets_BT.flatten()
    if batch.predicted_N is not None:
        hidden_ND = hidden_ND.index_select(0, batch.predicted_N)
        targets_N = targets_N.index_select(0, batch.predicted_N)
    features_ND = model.head.features(hidden_ND)
    weight_VD, bias_V = model.projection()
    return projected_cross_entropy(features_ND, weight_VD, bias_V, targets_N, smoothing=smoothing)
