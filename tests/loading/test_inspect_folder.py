"""A folder's configuration, before any weights are read."""

import json
from pathlib import Path

import pytest
import torch

from checkpoints import CheckpointError, save_tensors
from tests.models import tiny_model
from tokenizer import Tokenizer
from transformer.export import save_model
from transformer.layer_spec import LayerSpec
from transformer.loading import inspect_folder, summarize_model


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


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ({"positions": "none"}, "no positions, full attention, "),
        (
            {"layers": (LayerSpec(), LayerSpec(positions="none"))},
            "; no positions, full attent",
        ),
        ({"positions": "learned"}, "learned positions, full attention, "),
    ],
)
def test_the_positions_of_layers_are_told(
    tokenizer: Tokenizer, tmp_path: Path, layers: dict[str, object], told: str
) -> None:
    model = tiny_model(vocab_size=tokenizer.vocab_size, **layers)
    save_model(tmp_path, model.config, model.state_dict(), tokenizer, card={})
    assert told in dict(summarize_model(tmp_path))["layers"]
