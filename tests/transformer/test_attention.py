"""Attention by the kernels, by products and by hand; the sliding window; positions by hand."""

import math

import pytest
import torch
from torch import nn

from tests.models import VOCABULARY, model_inputs, tiny_config, tiny_model
from transformer import positions
from transformer.attention import dense_attention, eager_attention, sdpa_attention
from transformer.layer_spec import RotaryScaling
from transformer.masks import (
    additive,
    causal,
    mask_padding,
    padded_positions,
    padding,
    sliding_window,
)
from transformer.positions import POSITIONS, alibi_slopes
from transformer.rotation import rotate


def heads(length: int, groups: int = 4) -> torch.Tensor:
    return torch.randn(2, length, groups, 8)


def test_attention_worked_by_hand() -> None:
    """Scores 0 and ln 3 give weights 1/4 and 3/4."""
    q = torch.tensor([1.0]).view(1, 1, 1, 1)
    k = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1)
    v = torch.tensor([8.0, 4.0]).view(1, 2, 1, 1)
    for attend in (dense_attention, sdpa_attention, eager_attention):
        assert attend(q, k, v, scale=1.0).item() == pytest.approx(5.0)


def test_capped_scores_by_hand() -> None:
    """With a cap of ln 3, a huge score counts as ln 3, and a score of 0 as 0."""
    q = torch.tensor([1e6]).view(1, 1, 1, 1)
    k = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    v = torch.tensor([8.0, 4.0]).view(1, 2, 1, 1)
    for attend in (dense_attention, eager_attention):
        found = attend(q, k, v, scale=1.0, softcap=math.log(3))
        assert found.item() == pytest.approx(5.0)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 2, 6])
@pytest.mark.parametrize("kind", ["none", "causal", "boolean", "additive"])
def test_the_kernels_equal_the_equation(kind: str, length: int, groups: int) -> None:
    q, k, v = heads(length), heads(length, groups), heads(length, groups)
    seen = torch.rand(2, 1, length, length) > 0.3
    seen[..., 0] = True
    how = {
        "none": {},
        "causal": {"causal": True},
        "boolean": {"mask": seen},
        "additive": {"mask": additive(seen) + torch.randn(2, 4, length, length)},
    }[kind]
    wanted = eager_attention(q, k, v, scale=0.3, **how)
    for attend in (dense_attention, sdpa_attention):
        torch.testing.assert_close(attend(q, k, v, scale=0.3, **how), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("queries", [1, 4, 15, 16])
@pytest.mark.parametrize("kind", ["none", "boolean", "additive"])
def test_few_queries_are_a_product_of_all_rows_and_heads(
    monkeypatch, kind: str, queries: int, groups: int
) -> None:
    """So are those of a step; nothing is copied of keys that are laid out by heads."""
    read, product = [], torch.baddbmm

    def watched(mask, queries, keys, **scale) -> torch.Tensor:
        read.append(keys.data_ptr())
        return product(mask, queries, keys, **scale)

    monkeypatch.setattr(torch, "baddbmm", watched)
    q = torch.randn(3, queries, 4, 32)
    k, v = (torch.randn(3, groups, 40, 32).transpose(1, 2)[:, :33] for _ in range(2))
    seen = torch.rand(3, 1, queries, 33) > 0.3
    seen[..., 0] = True
    mask = {"none": None, "boolean": seen, "additive": additive(seen)}[kind]
    wanted = eager_attention(q, k, v, scale=0.3, mask=mask)
    with torch.no_grad():
        found = dense_attention(q, k, v, scale=0.3, mask=mask)
        dense_attention(q, k, v, scale=0.3, mask=mask, dropout=0.5)  # of a model in training
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert read == [k.data_ptr()] * (queries < 16)


@pytest.mark.parametrize("length", [8, 300])
def test_bfloat16_training_on_a_cpu_takes_another_way_to_the_same_numbers(length: int) -> None:
    q, k, v = (heads(length).bfloat16().requires_grad_() for _ in range(3))
    found = dense_attention(q, k, v, scale=0.3, causal=True)
    wanted = eager_attention(q.float(), k.float(), v.float(), scale=0.3, causal=True)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), wanted, atol=0.03, rtol=0.03)


def test_a_sliding_window_with_a_global_token() -> None:
    positions = torch.arange(6)[None]
    seen = sliding_window(positions, positions, window=2, global_tokens=1)
    seen = seen & causal(positions, positions)
    assert seen[0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 0, 1, 1, 0, 0],
        [1, 0, 0, 1, 1, 0],
        [1, 0, 0, 0, 1, 1],
    ]


def test_global_tokens_see_all_and_are_seen_by_all() -> None:
    positions = torch.arange(5)[None]
    assert sliding_window(positions, positions, window=1, global_tokens=2)[0].int().tolist() == [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0],
        [1, 1, 0, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_padding_is_not_seen_and_sees_all() -> None:
    positions = torch.tensor([[0, 1, -1]])
    seen = mask_padding(positions, positions, causal(positions, positions))
    assert seen[0].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_sinusoids_are_the_papers() -> None:
    config = tiny_config(d_model=6, heads=2)
    x = POSITIONS["sinusoidal"](config, causal=True).embed(
        torch.zeros(1, 50, 6), torch.arange(50)[None]
    )
    for position in (0, 1, 49):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert x[0, position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert x[0, position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


@pytest.mark.parametrize("kind", POSITIONS)
def test_what_was_kept_while_decoding_serves_training_and_other_types(kind: str) -> None:
    model = tiny_model(positions=kind)
    ids_BT = torch.randint(0, VOCABULARY, (2, 9))
    with torch.inference_mode():
        decoded = model(model_inputs(ids_BT))
    trained = model(model_inputs(ids_BT))
    torch.testing.assert_close(trained, decoded)
    trained.sum().backward()
    assert model.bfloat16()(model_inputs(ids_BT)).dtype == torch.bfloat16
    torch.testing.assert_close(
        model.double()(model_inputs(ids_BT)).float(), decoded, atol=0.1, rtol=0.1
    )


@pytest.mark.parametrize("kind", [name for name in POSITIONS if name.startswith("sinusoidal")])
def test_sinusoids_reach_beyond_what_is_kept_of_them(monkeypatch, kind: str) -> None:
    """Past max_positions they grow with the text; of too many they are computed as they come."""
    positions_BT = torch.arange(70)[None]
    wanted = POSITIONS[kind](tiny_config(max_positions=70), causal=True).embed(
        torch.zeros(1, 70, 16), positions_BT
    )
    x_BTD = torch.zeros(1, 70, 16)
    kept = POSITIONS[kind](tiny_config(max_positions=4), causal=True)
    kept.embed(torch.zeros(1, 2, 16), positions_BT[:, :2])
    assert torch.equal(kept.embed(x_BTD, positions_BT), wanted)
    kept = POSITIONS[kind](tiny_config(max_positions=4), causal=True)
    late_BT = torch.tensor([[69]])
    assert torch.equal(kept.embed(x_BTD[:, :1], late_BT, 70), wanted[:, 69:])
    monkeypatch.setattr(positions, "_MAX_CACHED_POSITIONS", 69)
    assert torch.equal(kept.embed(x_BTD, positions_BT), wanted)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    kind = POSITIONS["rotary"](tiny_config(), causal=True)
    q, k = torch.randn(1, 1, 1, 4), torch.randn(1, 1, 1, 4)

    def product(first: int, second: int) -> float:
        turned = [
            rotate(x, kind.rotation(torch.tensor([[place]])))
            for x, place in ((q, first), (k, second))
        ]
        return float((turned[0] * turned[1]).sum())

    assert product(3, 1) == pytest.approx(product(19, 17), abs=1e-5)
    assert product(0, 0) == pytest.approx(float((q * k).sum()), abs=1e-6)


def test_linear_scaling_divides_positions_and_llama3_spares_fast_frequencies() -> None:
    def angles(position: int, scaling: RotaryScaling | None) -> torch.Tensor:
        config = tiny_config(rotary_scaling=scaling, d_head=64, rotary_base=500_000.0)
        cos, sin = POSITIONS["rotary"](config, causal=True).rotation(torch.tensor([[position]]))
        return torch.atan2(sin, cos).flatten()

    linear = angles(4, RotaryScaling(kind="linear", factor=4.0))
    torch.testing.assert_close(linear, angles(1, None))
    llama = angles(1, RotaryScaling(kind="llama3", factor=8.0))
    torch.testing.assert_close(llama[:8], angles(1, None)[:8])
    torch.testing.assert_close(llama[-3:], angles(1, None)[-3:] / 8)


def test_relative_buckets_are_exact_when_near_and_shared_when_far() -> None:
    kind = POSITIONS["relative"](tiny_config(), causal=True)
    nn.init.normal_(kind.embedding.weight)
    bias = kind.bias(torch.tensor([[200]]), torch.arange(201)[None])[0, :, 0]
    by_distance = bias.flip(-1)
    assert len({round(v, 6) for v in by_distance[0, :16].tolist()}) == 16
    assert torch.equal(by_distance[:, 128], by_distance[:, 200])
    two_sided = POSITIONS["relative"](tiny_config(), causal=False)
    nn.init.normal_(two_sided.embedding.weight)
    both = two_sided.bias(torch.tensor([[5]]), torch.arange(11)[None])[0, 0, 0]
    assert both[4] != both[6]


def test_alibi_slopes_of_a_power_of_two_and_of_another_number() -> None:
    assert alibi_slopes(8) == [2.0**-n for n in range(1, 9)]
    assert alibi_slopes(3) == [2.0**-4, 2.0**-8, 2.0**-2]


def test_all_but_padding_is_seen_and_of_nothing_else_all() -> None:
    positions_BS = torch.tensor([[0, 1, -1], [-1, -1, -1], [5, -1, 6]])
    seen = [[1, 1, 0], [1, 1, 1], [1, 0, 1]]
    assert padding(positions_BS)[:, 0, 0].int().tolist() == seen


def test_padding_positions() -> None:
    assert padded_positions(torch.tensor([0, 2]), 2).tolist() == [[-1, -1], [0, 1]]
