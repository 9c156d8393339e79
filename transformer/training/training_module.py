"""A model and its objective as one module."""

from torch import Tensor, nn

from ..data import Batch
from ..model import Transformer
from .objectives import Objective


class TrainingModule(nn.Module):
    """A model whose forward pass is the loss of its objective on a batch.

    Wrappers for several processes act on a module's forward, so a step is nothing but that.
    """

    def __init__(self, model: Transformer, objective: Objective, smoothing: float) -> None:
        super().__init__()
        self.model, self.objective, self.smoothing = model, objective, smoothing

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return sums over the batch's targets; see Objective.loss."""
        return self.objective.loss(self.model, batch, smoothing=self.smoothing)
