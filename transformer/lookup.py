"""Tables of trained vectors."""

from torch import nn


class Embedding(nn.Embedding):
    """One trained vector for each id; without values on the meta device, for which torch would
    first import its whole compiler: a second and 100 MiB before any model is loaded."""

    def reset_parameters(self) -> None:
        """See torch."""
        if not self.weight.is_meta:
            super().reset_parameters()
