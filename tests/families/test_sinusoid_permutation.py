"""Sinusoids in another order: the network stays, its features move."""

import itertools

import pytest
import torch

from tests.models import WiderConfig, model_inputs, tiny_model
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.families import permute_to_halved_sinusoids
from transformer.families.sinusoid_permutation import KNOWN_FIELDS
from transformer.model import Transformer


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        *itertools.product(
            ["encoder", "encoder-decoder"],
            [{}, {"head": "masked", "tie_output": False}, {"attention": "longformer"}],
        ),
        ("encoder-decoder", {"attention": "ssru"}),
    ],
)
@torch.no_grad()
def test_sinusoids_in_halves_are_the_same_network(shape: str, changes: dict) -> None:
    """Its features stand in another order, and logits are what they were."""
    given = {"feedforward": "geglu", "token_types": 2, "output_bias": True, "final_norm": True,
             "embedding_norm": True, **changes}  # fmt: skip
    model = tiny_model(shape, **given)
    tensors, config = permute_to_halved_sinusoids(model.state_dict(), model.config)
    permuted = Transformer(config).eval()
    permuted.load_state_dict(tensors)
    ids_BT = torch.arange(4, 10)[None]
    source = {"source_BS": ids_BT.flip(1)} if shape == "encoder-decoder" else {}
    torch.testing.assert_close(
        permuted(model_inputs(ids_BT, **source)), model(model_inputs(ids_BT, **source))
    )
    assert not torch.equal(permuted.embedding.weight, model.embedding.weight)


def test_every_field_is_known() -> None:
    """A new field of a configuration must be decided on here."""
    assert set(TransformerConfig.__struct_fields__) == KNOWN_FIELDS


def wider(**fields: object) -> WiderConfig:
    return WiderConfig(shape="decoder", vocab_size=9, d_model=8, decoder_layers=1, **fields)


def test_an_unknown_field_is_refused_unless_it_has_its_default() -> None:
    assert permute_to_halved_sinusoids({}, wider())[1].positions == "sinusoidal-halves"
    with pytest.raises(ConfigError, match=r"^sinusoids cannot be reordered .*: mixing is 0\.5$"):
        permute_to_halved_sinusoids({}, wider(mixing=0.5))


@pytest.mark.parametrize("field", ["positions", "norm", "norm_placement", "head"])
def test_an_unknown_part_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"^sinusoids cannot .*: {field} is 'new'$"):
        permute_to_halved_sinusoids({}, wider(**{field: "new"}))


@pytest.mark.parametrize("name", ["decoder.layers.0.attention.gate.weight", "mixer.bias"])
def test_an_unknown_tensor_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^sinusoids cannot .*: they have {name}$"):
        permute_to_halved_sinusoids({name: torch.zeros(8)}, wider())
