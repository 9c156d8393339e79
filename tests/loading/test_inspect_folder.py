"""A folder's configuration, before any weights are read."""

import json
from pathlib import Path

import pytest
import torch

from checkpoints import CheckpointError, save_tensors
from transformer.loading import inspect_folder


def test_a_network_that_is_not_possible_is_refused_by_its_file(tmp_path: Path) -> None:
    """Whatever family it is of: the numbers are checked in one place."""
    config = {"model_type": "gpt2", "n_embd": 16, "n_head": 3}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_tensors(tmp_path / "model.safetensors", {"wte.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError) as refused:
        inspect_folder(tmp_path)
    assert str(refused.value).startswith(
        f"{tmp_path / 'config.json'}: d_model 16 is not a multiple"
    )
