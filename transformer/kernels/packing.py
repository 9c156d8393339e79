"""The linear maps of a network, replaced by maps that are laid out for a CPU's kernel."""

from torch import nn

from ..uninitialized import Linear
from .linear import LinearKernel, PackedLinear, can_hold


def pack_linear_maps(network: nn.Module, kernel: LinearKernel) -> None:
    """Replace all linear maps of a network, whose own weights are let go one by one.

    It can be neither trained nor saved afterwards. A map that a kernel cannot hold stays.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear) and can_hold(kernel, child.weight):
                setattr(parent, name, PackedLinear(child.weight, child.bias, kernel))
