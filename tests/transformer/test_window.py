"""A sliding window in parts or in a band: which of them, and what each gives."""

import pytest
import torch

from tests.transformer.test_block_sparse import scope_of, some_sides
from transformer.attention import (
    ATTENTION,
    Band,
    Scope,
    Tokens,
    banded_attention,
    block_sparse,
    dense_attention,
)
from transformer.config import TransformerConfig
from transformer.positions import POSITIONS

SLIDING = ATTENTION["sliding"]


@pytest.mark.parametrize(
    ("window", "fields", "is_causal", "parts"),
    [
        (256, {}, True, True),
        (256, {}, False, True),
        (64, {}, True, False),  # pairs of a band cost less than the merge
        (256, {"global_tokens": 4}, True, True),
        (256, {"global_tokens": 32}, True, True),
        (1, {}, True, False),
        (256, {"global_tokens": 4}, False, False),  # they see all tokens
        (256, {"global_tokens": 257}, True, False),  # more than a block
        (256, {"positions": "alibi"}, True, False),
        (256, {"attention_softcap": 30.0}, True, False),
    ],
)
def test_parts_are_taken_where_there_are_some_and_a_band_costs_more(
    window, fields, is_causal, parts
) -> None:
    config = TransformerConfig(
        shape="decoder", vocab_size=9, d_model=24, heads=4, decoder_layers=1, attention="sliding",
        window=window, **({"positions": "none"} | fields),
    )  # fmt: skip
    positions = POSITIONS[config.positions](config, causal=is_causal)
    scope, length = Scope(config, positions, is_causal), max(4 * window, 128) + 9
    check_against_mask(scope, length, parts)


@pytest.mark.parametrize("length", [2 * 256 + 3, 3 * 256])
@pytest.mark.parametrize("first", [255, 256, 300])
def test_more_first_tokens_than_a_block_has_are_in_a_band(length: int, first: int) -> None:
    """In two or three blocks parts would cost less."""
    check_against_mask(scope_of("sliding", (256, first), is_causal=True), length, None)


def check_against_mask(scope: Scope, length: int, parts: bool | None) -> None:
    sides = some_sides(length, rows=2, dtype=torch.float32)
    attend = SLIDING.mixing(scope, Tokens.of(sides[0].flatten(2), None), None, None).attend
    assert parts is None or (attend.func is not banded_attention) == parts
    order_1T, cap = torch.arange(length)[None], scope.config.attention_softcap
    mask = SLIDING.make_mask(scope, order_1T, order_1T)
    wanted = dense_attention(*sides, scale=1.0, mask=mask, softcap=cap)
    found = attend(*sides, scale=1.0, softcap=cap, dropout=0.0)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_weights_are_dropped_in_a_band_whose_mask_is_made_once(monkeypatch) -> None:
    scope, made, dropped = scope_of("sliding", (256, 2), is_causal=True), [], []
    sides = some_sides(600, dtype=torch.float32)

    def attend(self, *_):
        made.append(self)
        return lambda *sides, scale, softcap, dropout: dropped.append(dropout) or sides[0]

    monkeypatch.setattr(Band, "attend", attend)
    mixing = SLIDING.mixing(scope, Tokens.of(sides[0].flatten(2), None), None, None)
    for dropout in (0.0, 0.5, 0.25):
        mixing(*sides, layer=0, dropout=dropout)
    assert made == [Band(256, 2)]
    assert dropped == [0.5, 0.25]


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_the_cost_of_parts_is_counted_once(kind: str) -> None:
    scope = scope_of(kind, (256, 2), is_causal=True)
    tokens = Tokens.of(torch.randn(1, 2048, 1), None)
    ATTENTION[kind].mixing(scope, tokens, None, None)
    counted = block_sparse._cost.cache_info().misses
    ATTENTION[kind].mixing(scope, tokens, None, None)
    assert block_sparse._cost.cache_info().misses == counted
