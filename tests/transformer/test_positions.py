"""Positions by their equations: each value worked out from its paper, one at a time."""

import math

import pytest
import torch
from torch import Tensor, nn

from tests.models import model_inputs, tiny_config, tiny_model
from transformer.errors import ConfigError, UnknownNameError
from transformer.layer_spec import RotaryScaling
from transformer.positions import POSITIONS, alibi_slopes
from transformer.rotation import rotate

ANYWHERE = ("none", "rotary", "relative", "alibi")  # kinds that know distances alone


def of(name: str, *, causal: bool = True, **changes: object) -> nn.Module:
    return POSITIONS[name](tiny_config(**changes), causal=causal)


@pytest.mark.parametrize(
    ("name", "last"), [("sinusoidal-halves", 4.0), ("sinusoidal-tensor2tensor", 3.0)]
)
def test_waves_in_halves_have_their_sines_first(name: str, last: float) -> None:
    """`sin(pos / 10000^(i/last))` for i = 0 … 3, then the cosines, of a width of 8."""
    found = of(name, d_model=8).embed(torch.zeros(1, 1, 8), torch.tensor([[5]]))[0, 0]
    angles = [5 / 10_000 ** (i / last) for i in range(4)]
    wanted = [*map(math.sin, angles), *map(math.cos, angles)]
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)


def test_learned_positions_are_rows_of_a_table_behind_an_offset() -> None:
    learned = of("learned", position_offset=2, max_positions=4)
    rows = torch.arange(6.0)[:, None].expand(6, 16)
    learned.embedding.weight.data = rows.contiguous()
    found = learned.embed(torch.zeros(1, 4, 16), torch.arange(4)[None])
    assert found[0, :, 0].tolist() == [2, 3, 4, 5]


def test_padding_has_some_learned_position() -> None:
    """Its values do not matter; a table has no row -1."""
    learned = of("learned", position_offset=0)
    learned.embedding.weight.data.zero_()
    assert learned.embed(torch.ones(1, 1, 16), torch.tensor([[-1]])).sum() == 16


def test_rotary_turns_pairs_of_halves_forward() -> None:
    """`(a, b) → (a·cos - b·sin, b·cos + a·sin)`, the pair 1 of 2 by `pos·100^(-1/2)`."""
    rotation = of("rotary", d_head=4, rotary_base=100.0).rotation(torch.tensor([[3]]))
    found = rotate(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4), rotation).flatten()
    one, two = 3.0, 0.3
    wanted = [
        math.cos(one) - 3 * math.sin(one),
        2 * math.cos(two) - 4 * math.sin(two),
        3 * math.cos(one) + math.sin(one),
        4 * math.cos(two) + 2 * math.sin(two),
    ]
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)


def test_a_rotation_is_exact_and_keeps_the_precision_of_what_it_turns() -> None:
    x = torch.randn(1, 1, 1, 4).bfloat16()
    rotation = of("rotary").rotation(torch.tensor([[1000]]))
    found = rotate(x, rotation)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, rotate(x.float(), rotation).bfloat16())


def stretched(**scaling: float) -> list[float]:
    """By what each frequency of the base 10^4, width 4, is multiplied; they are 1 and 0.01."""
    make = {"d_head": 4, "rotary_base": 10_000.0}
    cos, sin = of("rotary", rotary_scaling=RotaryScaling(**scaling), **make).rotation(
        torch.tensor([[1]])
    )
    angles = torch.atan2(sin, cos).flatten().tolist()
    return [angles[0], angles[1] * 100]


def test_linear_scaling_by_hand() -> None:
    assert stretched(kind="linear", factor=4.0) == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize(
    ("turns", "wanted"),
    [
        (1.0, 1 / 8),  # as often as low: slow, and wholly stretched
        (2.0, 1 / 3 + 2 / 3 / 8),  # a third of the way from 1 to 4
        (4.0, 1.0),  # as often as high: fast, and as it was
    ],
)
def test_llama3_scaling_by_hand(turns: float, wanted: float) -> None:
    """The slow frequency of 0.01 turns that often within a context of `turns · 2π / 0.01`."""
    context = round(turns * 2 * math.pi / 0.01)
    found = stretched(kind="llama3", factor=8.0, original_context=context)
    assert found == [pytest.approx(1.0), pytest.approx(wanted, abs=1e-3)]


def test_a_fraction_of_each_head_is_turned_and_the_rest_stays() -> None:
    """Half of a head of 8 is a head of 4: the same angles for its first numbers."""
    whole = of("rotary", d_head=4).rotation(torch.tensor([[3]]))
    part = of("rotary", d_head=8, rotary_fraction=0.5).rotation(torch.tensor([[3]]))
    assert torch.equal(part, whole)
    x = torch.randn(1, 1, 1, 8)
    found = rotate(x, part)
    assert torch.equal(found[..., :4], rotate(x[..., :4], whole))
    assert torch.equal(found[..., 4:], x[..., 4:])


LONGROPE = {
    "kind": "longrope",
    "original_context": 4,
    "factor": 16.0,
    "short_factors": (2.0, 4.0),
    "long_factors": (8.0, 5.0),
}


def test_longrope_divides_each_frequency_by_its_own_factor_as_long_as_the_text_is() -> None:
    """Four tokens are short, five are long, in one batch and one row; padding is none.

    ln 16 / ln 4 = 2, so that all is multiplied by √3.
    """
    scaling = RotaryScaling(**LONGROPE)
    kind = of("rotary", d_head=4, rotary_base=10_000.0, rotary_scaling=scaling)
    short, long = [1 / 2, 0.01 / 4], [1 / 8, 0.01 / 5]
    rows = [[0, 1, 2, 3, -1, -1, -1], [0, 1, 2, 3, 4, 0, 1], [0, 1, 0, 1, 2, 3, 4]]
    cos, sin = kind.rotation(torch.tensor(rows))
    torch.testing.assert_close(cos**2 + sin**2, torch.full_like(cos, 3.0))
    angles = torch.atan2(sin, cos)[:, :, 0]  # (3, 7, 2)
    for row, place, wanted in ((0, 1, short), (1, 1, long), (1, 6, short), (2, 1, short)):
        assert angles[row, place].tolist() == pytest.approx(wanted), (row, place)
    assert angles[2, 3].tolist() == pytest.approx(long)


def test_longrope_of_tokens_after_others_goes_by_their_own_positions() -> None:
    """So a token that is read beside later ones, as a draft, is as it is alone."""
    kind = of("rotary", d_head=4, rotary_scaling=RotaryScaling(**LONGROPE))
    together = kind.rotation(torch.tensor([[2, 3, 4, 5]]))
    for place in range(4):
        alone = kind.rotation(torch.tensor([[2 + place]]))
        assert torch.equal(together[:, :, place], alone[:, :, 0])


def test_longrope_takes_an_attention_factor_as_it_is() -> None:
    scaling = RotaryScaling(**LONGROPE, attention_factor=2.0)
    cos, sin = of("rotary", d_head=4, rotary_scaling=scaling).rotation(torch.tensor([[3]]))
    torch.testing.assert_close(cos**2 + sin**2, torch.full_like(cos, 4.0))


def test_longrope_needs_a_factor_for_each_pair() -> None:
    words = "short_factors has 2 entries; it must have 4, one for each pair of rotated dimensions"
    with pytest.raises(ConfigError, match=words):
        of("rotary", d_head=8, rotary_scaling=RotaryScaling(**LONGROPE))


def test_an_unknown_scaling_is_refused_when_a_model_is_built() -> None:
    with pytest.raises(UnknownNameError, match="no rotary scaling is called 'lineal'"):
        of("rotary", rotary_scaling=RotaryScaling(kind="lineal"))


def buckets(distances: list[int], *, causal: bool) -> list[int]:
    """The bucket of keys so far behind a query, negative: ahead; of 8 buckets up to 16."""
    kind = of("relative", causal=causal, relative_buckets=8, relative_max_distance=16, heads=1)
    kind.embedding.weight.data = torch.arange(8.0)[:, None]
    keys = torch.tensor([[50 - distance for distance in distances]])
    return kind.bias(torch.tensor([[50]]), keys).flatten().int().tolist()


def test_relative_buckets_of_a_decoder_by_hand() -> None:
    """0 to 3 are exact; then 4 + ⌊4·log(d/4)/log(16/4)⌋: from 5.66, 8, 11.3 on one more. What lies
    ahead is as if it were here."""
    behind = [0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 99]
    assert buckets(behind, causal=True) == [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7, 7, 7]
    assert buckets([-1, -40], causal=True) == [0, 0]


def test_relative_buckets_of_an_encoder_by_hand() -> None:
    """Four look back (0 and 1 exact, 2 + ⌊2·log(d/2)/log 8⌋, from 5.66 on one more), four ahead."""
    assert buckets([0, 1, 2, 5, 6, 99], causal=False) == [0, 1, 2, 2, 3, 3]
    assert buckets([-1, -2, -5, -6, -99], causal=False) == [5, 6, 6, 7, 7]


def test_a_relative_bias_is_of_head_query_and_key() -> None:
    kind = of("relative", causal=True, relative_buckets=8, relative_max_distance=16, heads=2)
    kind.embedding.weight.data = torch.arange(16.0).view(8, 2)
    found = kind.bias(torch.tensor([[2, 3]]), torch.tensor([[0, 1, 2]]))
    assert found.tolist() == [[[[4, 2, 0], [6, 4, 2]], [[5, 3, 1], [7, 5, 3]]]]


def test_alibi_takes_more_from_what_is_further_on_either_side() -> None:
    found = of("alibi", heads=2, d_model=16).bias(torch.tensor([[1]]), torch.tensor([[0, 1, 3]]))
    assert found.tolist() == [[[[-1 / 16, 0, -2 / 16]], [[-1 / 256, 0, -2 / 256]]]]


def test_alibi_slopes_between_powers_of_two_are_every_other_one_above() -> None:
    assert alibi_slopes(6) == [2.0**-n for n in (2, 4, 6, 8, 1, 3)]


def states(name: str, shape: str, first: int) -> Tensor:
    torch.manual_seed(0)
    model = tiny_model(shape, positions=name)
    ids_BT = torch.arange(4, 12)[None]
    return model.hidden(model_inputs(ids_BT, positions_BT=torch.arange(first, first + 8)[None]))


@pytest.mark.parametrize("shape", ["encoder", "decoder"])
@pytest.mark.parametrize("name", POSITIONS)
@torch.no_grad()
def test_only_some_kinds_know_where_a_text_stands(name: str, shape: str) -> None:
    """Moved by 5, texts are the same to kinds that know distances, and others to the rest."""
    same = torch.allclose(states(name, shape, 0), states(name, shape, 5), atol=1e-5)
    assert same is (name in ANYWHERE)


@pytest.mark.parametrize("name", POSITIONS)
@torch.no_grad()
def test_every_kind_but_none_knows_the_order_of_tokens(name: str) -> None:
    """An encoder of a text turned around: without positions its states are turned around, too."""
    model = tiny_model("encoder", positions=name)
    ids_BT = torch.tensor([[4, 9, 6, 4, 7]])
    turned = model.hidden(model_inputs(ids_BT.flip(1))).flip(1)
    assert torch.allclose(model.hidden(model_inputs(ids_BT)), turned, atol=1e-5) is (
        name in {"none", "alibi"}
    )
