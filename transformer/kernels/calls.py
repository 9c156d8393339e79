"""A network's modules as plain objects that call one another, for inference alone.

A step of decoding for one text is hundreds of small calls, and each of a torch module looks for
hooks, and for its parts in three dictionaries: as much time as a small product.
"""

from typing import Any

from torch import nn

from ..dropout import Dropout


def bind_calls(network: nn.Module) -> None:
    """Let each module of a network call its parts as functions: forward, and nothing around it.

    The parts stay modules, with their names and weights; hooks are not called any more, and
    nothing is dropped. What is computed is what `forward` says, to the bit. The network cannot be
    moved, converted or pickled afterwards: the parts keep what they were bound to.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            module.__dict__[name] = _bound(child)
        module.__dict__.update(module._parameters)
        module.__dict__.update(module._buffers)
        if not isinstance(module, nn.ModuleList | nn.ModuleDict):
            module.__class__ = _without_hooks(type(module))


def _bound(child: nn.Module) -> Any:
    if isinstance(child, nn.ModuleList):
        return list(child)
    return _same if isinstance(child, Dropout | nn.Identity) else child


def _same(x: Any) -> Any:
    return x


_kinds: dict[type[nn.Module], type[nn.Module]] = {}


def _without_hooks(kind: type[nn.Module]) -> type[nn.Module]:
    """Return a class of modules whose calls are those of their forward: one for each kind."""
    own = {"__call__": kind.forward, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return _kinds.setdefault(kind, type(kind.__name__, (kind,), own))
