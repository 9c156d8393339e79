"""Two devices compared: how far apart the same arithmetic may come out.

In float32 a sum of n numbers in another order differs by about 1e-7·√n of its size; through two
layers of the tiny models, whose logits are a few units large, that leaves 1e-5, and 1e-4 is ten
times as much. bfloat16 keeps 8 bits: each rounding moves a number by up to 0.4 percent of its size,
some ten follow one another on the way to a logit, and which ones there are differs between kernels.
A mistake (a mask, a position, a factor) moves logits by their own size.
"""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from transformer.model import Transformer

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}


def moved(model: Transformer, device: torch.device) -> Transformer:
    """A copy of a model on a device."""
    return copy.deepcopy(model).to(device)


def distance(found: Tensor, wanted: Tensor) -> float:
    """The norm of the difference, as a part of what is wanted."""
    found, wanted = found.detach().cpu().double(), wanted.detach().cpu().double()
    return float((found - wanted).norm() / wanted.norm().clamp(min=1e-12))


def assert_near(found: Tensor, wanted: Tensor, dtype: torch.dtype) -> None:
    assert found.shape == wanted.shape
    assert found.isfinite().all()
    assert distance(found, wanted) <= TOLERANCE[dtype]
    if dtype == torch.float32:  # number by number too
        torch.testing.assert_close(found.cpu(), wanted.cpu(), atol=1e-4, rtol=1e-4)


def gradients(model: Transformer) -> Tensor:
    """All of them as one vector."""
    return torch.cat([w.grad.flatten().cpu() for w in model.parameters() if w.grad is not None])


def assert_gradients_near(found: Transformer, exact: Transformer, dtype: torch.dtype) -> None:
    """In float32 weight by weight; those that are almost 0 (keys' biases, to which a softmax is
    blind) hold nothing but rounding, and are measured by all. In bfloat16 all together: on a CPU
    they lie up to 0.08 from those of float32, for differences of almost equal numbers lose bits."""
    if dtype == torch.bfloat16:
        assert distance(gradients(found), gradients(exact)) <= 0.15
        return
    floor = 0.03 * gradients(exact).norm()
    pairs = zip(found.named_parameters(), exact.parameters(), strict=True)
    for (name, weight), other in pairs:
        assert (weight.grad is None) == (other.grad is None), name
        if other.grad is not None:
            off = (weight.grad.cpu() - other.grad).norm()
            assert off <= TOLERANCE[dtype] * max(other.grad.norm(), floor), name


@contextmanager
def waits(device: torch.device) -> Iterator[list[str]]:
    """Where the host waits for CUDA within the block, as CUDA itself tells; never on a CPU."""
    found: list[str] = []
    if device.type != "cuda":
        yield found
        return
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
    told = [warning for warning in seen if "synchronizing CUDA" in str(warning.message)]
    found += [f"{warning.filename}:{warning.lineno}" for warning in told]
