"""Precision of matrix products in training and validation: a table of kinds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from ..tables import Table


class Precision(NamedTuple):
    """The type that products are computed in, and on a GPU the rounding of what stays float32."""

    dtype: torch.dtype = torch.float32
    tf32: bool = False  # 10 bits of mantissa instead of 23, on CUDA


_HALF = Precision(torch.bfloat16, tf32=True)

# By name and the device's type; `auto` is what is usual there.
PRECISIONS: Table[dict[str, Precision]] = Table(
    "precision",
    {
        "auto": {"cuda": _HALF, "cpu": Precision()},
        "float32": {"cuda": Precision(), "cpu": Precision()},
        "tf32": {"cuda": Precision(tf32=True), "cpu": Precision()},
        "bfloat16": {"cuda": _HALF, "cpu": _HALF},
    },
)


@contextmanager
def matmul_precision(name: str, device: torch.device) -> Iterator[None]:
    """Let products of float32 be rounded to TF32 where the precision has that; forward and
    backward."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda":  # on a CPU it would let oneDNN round to bfloat16
        tf32 = PRECISIONS[name][device.type].tf32
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def autocast(name: str, device: torch.device) -> torch.autocast:
    """Compute the products of a forward pass in the precision's type."""
    dtype = PRECISIONS[name][device.type].dtype
    half = dtype != torch.float32
    return torch.autocast(device.type, dtype=dtype if half else None, enabled=half)
