"""What a family cannot express, told by the field that says it and not by names of weights."""

import pytest
import torch

from tests.models import tiny_config
from transformer.attention import ATTENTION
from transformer.errors import ConfigError
from transformer.export.published import _as_family
from transformer.layer_spec import LayerSpec
from transformer.model import Transformer

LLAMA = {
    "positions": "rotary",
    "norm": "rmsnorm",
    "norm_placement": "pre",
    "final_norm": True,
    "bias": False,
    "feedforward": "swiglu",
    "embedding_scale": False,
}
BERT = {
    "shape": "encoder",
    "positions": "learned",
    "norm_placement": "post",
    "feedforward": "gelu",
    "embedding_scale": False,
    "embedding_norm": True,
    "token_types": 2,
    "output_bias": True,
    "head": "masked",
}
OTHER_KINDS = sorted(ATTENTION.keys() - {"full"})


def refusal(family: str, *further: str, **fields: object) -> str:
    """Of a network, which may have further weights."""
    with torch.device("meta"):
        model = Transformer(tiny_config(**fields))
    tensors = {name: torch.randn(each.shape) for name, each in model.state_dict().items()}
    tensors |= dict.fromkeys(further, torch.zeros(2))
    with pytest.raises(ConfigError) as refused:
        _as_family(family, model.config, tensors)
    return str(refused.value)


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_kind_of_attention_is_refused_by_its_name(kind: str) -> None:
    told = f"it supports attention 'full' here, not '{kind}'"
    if kind != "ssru":  # which no encoder has
        assert refusal("bert", **BERT, attention=kind) == told
    if kind != "longformer":  # which no decoder has
        layers = (LayerSpec(), LayerSpec(attention=kind))
        assert refusal("llama", **LLAMA, attention=kind) == told
        assert refusal("llama", **LLAMA, layers=layers) == told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"qk_norm": "per-head"}, "it supports qk_norm 'none' here, not 'per-head'"),
        ({"norm_placement": "sandwich"}, "it supports norm_placement 'pre' here, not 'sandwich'"),
        ({"positions": "learned"}, "it supports positions 'rotary' here, not 'learned'"),
        ({"embedding_norm": True}, "it supports embedding_norm False here, not True"),
        ({"token_types": 2}, "it supports token_types 0 here, not 2"),
    ],
)
def test_weights_that_a_family_lacks_are_refused_by_their_field(fields: dict, told: str) -> None:
    assert refusal("llama", **{**LLAMA, **fields}) == told


def test_weights_that_no_field_tells_of_are_not_left_out() -> None:
    told = "its networks have no place for the weights decoder.layers.1.gate.weight"
    assert refusal("llama", "decoder.layers.1.gate.weight", **LLAMA) == told
