"""Precision of matrix products in training and validation: a registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from ..registry import Registry


class Precision(NamedTuple):
    """The data type of matrix products, and the rounding of float32 products on CUDA."""

    dtype: torch.dtype = torch.float32
    tf32: bool = False  # on CUDA: 10 bits of mantissa instead of 23


_BFLOAT16 = Precision(torch.bfloat16, tf32=True)

# By name and device type; `auto` is the common choice on that device.
PRECISIONS: Registry[dict[str, Precision]] = Registry(
    "precision",
    {
        "auto": {"cuda": _BFLOAT16, "cpu": Precision()},
        "float32": {"cuda": Precision(), "cpu": Precision()},
        "tf32": {"cuda": Precision(tf32=True), "cpu": Precision()},
        "bfloat16": {"cuda": _BFLOAT16, "cpu": _BFLOAT16},
    },
)


@contextmanager
def tf32_rounding(name: str, device: torch.device) -> Iterator[None]:
    """Let CUDA round float32 products to TF32 if, and only if, the precision has `tf32`.

    Backward passes must run inside this context too.
    """
    if device.type != "cuda":  # on a CPU the same setting lets oneDNN round to bfloat16
        yield
        return
    previous = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if PRECISIONS[name]["cuda"].tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(previous)


@contextmanager
def forward_precision(name: str, device: torch.device) -> Iterator[None]:
    """Run a forward pass with the precision's data type and rounding of matrix products."""
    dtype = PRECISIONS[name][device.type].dtype
    reduced = dtype != torch.float32
    with (
        tf32_rounding(name, device),
        torch.autocast(device.type, dtype=dtype if reduced else None, enabled=reduced),
    ):
        yield
