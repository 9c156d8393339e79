"""The loss of a model on a batch."""

from torch import Tensor

from .inputs import Batch
from .model import Transformer


def batch_loss(
    model: Transformer, batch: Batch, *, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Return sums over the targets: the smoothed loss, with gradients, and the plain one.

    See the loss of the model's head; in nats unless labels are numbers.
    """
    hidden_BTD = model.hidden(batch.inputs)
    return model.head.loss(hidden_BTD, model.embedding.weight, batch, smoothing=smoothing)
