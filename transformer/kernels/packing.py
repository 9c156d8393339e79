"""The linear maps of a network, replaced by maps that are laid out for a CPU's kernel."""

from torch import nn

from ..uninitialized import Linear
from .linear import LinearKernel, PackedLinear, can_hold

# Numbers of a matrix up to which F.linear is as fast as a kernel's call, for one row to eight.
SMALL = 131_072


def pack_linear_maps(network: nn.Module, kernel: LinearKernel) -> int:
    """Replace the large linear maps of a network, whose own weights are let go one by one.

    It can be neither trained nor saved afterwards. Returns how many maps the kernel cannot hold,
    which stay.
    """
    left = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if not isinstance(child, Linear) or child.weight.numel() <= SMALL:
                continue
            if can_hold(kernel, child.weight):
                setattr(parent, name, PackedLinear(child.weight, child.bias, kernel))
            else:
                left += 1
    return left
