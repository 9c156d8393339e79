"""What all tests share: few threads, fixed seeds."""

import pytest
import torch

torch.set_num_threads(1)  # tiny models run fastest on one thread


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
