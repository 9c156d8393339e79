"""Layers that differ: what each takes from the list, and what they share."""

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from tests.models import model_inputs, tiny_config, tiny_model
from transformer.buffers import in_blocks
from transformer.config import TransformerConfig
from transformer.config_fields import config_from_fields, config_to_fields
from transformer.errors import ConfigError, UnknownNameError
from transformer.layer_spec import LayerSpec, RotaryScaling
from transformer.model import Transformer

WINDOW = LayerSpec(attention="sliding", window=3)
FULL = LayerSpec()
IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])
# Fields of a whole network, and the list that says the same of each layer.
ALIKE = [
    ({"attention": "sliding", "window": 3}, WINDOW),
    ({"attention": "sliding", "window": 3, "global_tokens": 2}, replace(WINDOW, global_tokens=2)),
    ({"attention": "strided", "stride": 3}, LayerSpec(attention="strided", stride=3)),
    (
        {"attention": "fixed", "stride": 3, "summary_tokens": 1},
        LayerSpec(attention="fixed", stride=3, summary_tokens=1),
    ),
    ({"positions": "rotary", "rotary_base": 50.0}, LayerSpec(positions="rotary", rotary_base=50.0)),
    (
        {"positions": "rotary", "rotary_scaling": RotaryScaling(factor=4.0)},
        LayerSpec(positions="rotary", rotary_scaling=RotaryScaling(factor=4.0)),
    ),
    ({"positions": "alibi"}, LayerSpec(positions="alibi")),
]


def logits(config: TransformerConfig) -> Tensor:
    """Of the same weights in all networks of these sizes."""
    model = Transformer(config)
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    with torch.no_grad():
        found: Tensor = model.eval()(model_inputs(IDS))
    return found


@pytest.mark.parametrize(("fields", "spec"), ALIKE)
def test_a_list_that_says_of_each_layer_what_a_field_says_is_that_field(fields, spec) -> None:
    config = tiny_config(positions="none")
    whole, listed = replace(config, **fields), replace(config, layers=(spec,))
    assert torch.equal(logits(listed), logits(whole))
    assert not torch.equal(logits(whole), logits(config))


def test_the_list_is_repeated_and_its_order_counts() -> None:
    config = tiny_config(decoder_layers=4)
    twice = logits(replace(config, layers=(WINDOW, FULL)))
    assert torch.equal(logits(replace(config, layers=(WINDOW, FULL, WINDOW, FULL))), twice)
    for other in ((FULL, WINDOW), (WINDOW, FULL, FULL), (WINDOW,), (FULL,)):
        assert not torch.allclose(logits(replace(config, layers=other)), twice, atol=1e-4)


def test_a_layer_sees_what_its_own_entry_says() -> None:
    """A change of the first token reaches the last one through the full layer alone, and two
    windows of 3 carry it 4 positions far."""
    for layers, seen in (((WINDOW, WINDOW), 5), ((WINDOW, FULL), 8), ((FULL, WINDOW), 8)):
        model = tiny_model(layers=layers)
        x_BTD = torch.randn(1, 8, model.config.d_model, requires_grad=True)
        for place in range(8):
            hidden_BTD = model.decoder(x_BTD)
            (gradient,) = torch.autograd.grad(hidden_BTD[0, place].sum(), x_BTD)
            assert bool(gradient[0, 0].any()) == (place < seen), (layers, place)


def test_layers_that_are_alike_share_a_cache_and_have_no_more_room_than_they_need() -> None:
    model = tiny_model(decoder_layers=4, layers=(WINDOW, FULL, FULL, WINDOW))
    cache = model.new_cache(1, 50).self_attention
    buffers = [part._buffers for part in cache.parts]
    shapes = [(each.parts, each.slots) for each in buffers]  # keys and values of a layer
    assert shapes == [(4, 3), (4, in_blocks(50))]


def test_a_configuration_reads_back_with_what_is_set_alone() -> None:
    config = tiny_config(layers=(WINDOW, FULL))
    fields = config_to_fields(config)
    assert fields["layers"] == ({"attention": "sliding", "window": 3}, {})
    assert config_from_fields({**fields, "layers": [*fields["layers"]]}) == config


def test_a_name_is_a_kind_of_attention() -> None:
    fields = config_to_fields(tiny_config())
    named = config_from_fields({**fields, "layers": ["sliding", {"window": 9}]})
    assert named.layers == (LayerSpec(attention="sliding"), LayerSpec(window=9))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([], "layers has 0 entries; it must have between 1 and 2"),
        ([{}] * 3, "layers has 3 entries; it must have between 1 and 2"),
        ([{"window": 0}], r"layers\[0\].window is 0; it must be at least 1"),
        (["full", {"window": 0}], r"layers\[1\].window is 0; it must be at least 1"),
        ([{}, {"windw": 3}], "no field of a layer is called 'windw'; did you mean window"),
        (["full", 3], r"layers\[1\] is 3; it must be a name of attention or a table$"),
        (
            [{}, {"positions": "learned"}],
            r"layers\[1\].positions is 'learned'; allowed: alibi, none, rotary$",
        ),
        ([{"positions": "rotry"}], r"layers\[0\].positions is 'rotry'; did you mean rotary\?"),
        ([{"rotary_scaling": {"kinds": 3}}], "no field of rotary_scaling is called 'kinds'; did"),
        ([{"rotary_base": 1.0}], r"rotary_base is 1.0"),
    ],
)
def test_what_a_list_cannot_say_is_refused(layers: list, words: str) -> None:
    fields = config_to_fields(tiny_config())
    with pytest.raises(ConfigError, match=words):
        config_from_fields({**fields, "layers": layers})


@pytest.mark.parametrize(
    "name", sorted({*TransformerConfig.__struct_fields__} - {*LayerSpec.__struct_fields__})
)
def test_a_field_that_no_layer_has_of_its_own_is_told_where_it_belongs(name: str) -> None:
    fields = config_to_fields(tiny_config())
    words = (
        rf"layers\[1\] has {name}, which belongs to \[model\], not to a layer: set model.{name};"
    )
    with pytest.raises(ConfigError, match=words):
        config_from_fields({**fields, "layers": ["full", {name: 3}]})


def test_a_kind_that_there_is_not_is_named() -> None:
    with pytest.raises(UnknownNameError, match="slidng"):
        tiny_model(layers=(LayerSpec(attention="slidng"),))
