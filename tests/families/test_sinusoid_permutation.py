"""Sinusoids in another order: the network stays, its features move."""

import pytest
import torch

from tests.models import tiny_model
from transformer.config import config_from_fields, config_to_fields
from transformer.families import sines_first
from transformer.model import Transformer


@pytest.mark.parametrize("changes", [{}, {"head": "masked", "tie_output": False}])
@pytest.mark.parametrize("shape", ["encoder", "encoder-decoder"])
@torch.no_grad()
def test_waves_in_halves_are_the_same_network(shape: str, changes: dict) -> None:
    """Its features stand in another order, and logits are what they were."""
    given = {"feedforward": "geglu", "token_types": 2, "output_bias": True, "final_norm": True,
             "embedding_norm": True, **changes}  # fmt: skip
    model = tiny_model(shape, **given)
    tensors, fields = sines_first(model.state_dict(), config_to_fields(model.config))
    turned = Transformer(config_from_fields(fields)).eval()
    turned.load_state_dict(tensors)
    ids_BT = torch.arange(4, 10)[None]
    source = {"source_BS": ids_BT.flip(1)} if shape == "encoder-decoder" else {}
    torch.testing.assert_close(turned(ids_BT, **source), model(ids_BT, **source))
    assert not torch.equal(turned.embedding.weight, model.embedding.weight)
