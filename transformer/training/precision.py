"""Precision of matrix products in training and validation: a table of kinds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from ..registry import Registry


class Precision(NamedTuple):
    """The type that products are computed in, and on a GPU the rounding of what stays float32."""

    dtype: torch.dtype = torch.float32
    tf32: bool = False  # 10 bits of mantissa instead of 23, on CUDA


_BFLOAT16 = Precision(torch.bfloat16, tf32=True)

# By name and the device's type; `auto` is what is usual there.
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
    """Let CUDA round products of float32 to TF32 where the precision has that, and only there; a
    backward pass must stand in this too."""
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
    """Compute the products of a forward pass in the precision's type and rounding."""
    dtype = PRECISIONS[name][device.type].dtype
    reduced = dtype != torch.float32
    with (
        tf32_rounding(name, device),
        torch.autocast(device.type, dtype=dtype if reduced else None, enabled=reduced),
    ):
        yield
