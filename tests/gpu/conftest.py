"""The device under test, and arithmetic that can be compared."""

import os
from collections.abc import Iterator

import pytest
import torch

# These tests' own test, on a machine without CUDA: TRANSDUCE_GPU_TESTS_ON=cpu.
ON = os.environ.get("TRANSDUCE_GPU_TESTS_ON", "cuda")


@pytest.fixture(scope="session")
def device() -> torch.device:
    if ON == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    return torch.empty(0, device=ON).device  # CUDA's with its number, which weights have too


@pytest.fixture(autouse=True)
def _full_float32() -> Iterator[None]:
    """TF32 off, as it is where nobody asked for it: ten bits of mantissa would hide mistakes."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)
