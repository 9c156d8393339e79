"""Attention in blocks equals attention under the dense mask, whichever way a text is read."""

import itertools

import pytest
import torch
from torch import Tensor

from tests.models import SHAPES, VOCABULARY, model_inputs, tiny_model
from transformer.attention import Band, Tokens, banded_attention, make_band_mask
from transformer.attention.banded import MIN_BLOCK
from transformer.attention.global_tokens import GlobalTokens
from transformer.layers import Stack
from transformer.masks import mask_padding, padded_positions, sliding_window
from transformer.positions import POSITIONS

LENGTH = 3 * MIN_BLOCK + 5
BANDS = [(1, 0), (3, 2), (MIN_BLOCK, 1), (MIN_BLOCK + 6, 0)]
KINDS = [
    *itertools.product(BANDS, ["rotary"], [None]),
    *itertools.product([(9, 2)], POSITIONS, [None]),
    *itertools.product([(9, 0), (9, 2)], ["relative"], [1, 2]),
]
VARIANTS = [
    *(
        dict(window=window, global_tokens=tokens, positions=positions, kv_heads=heads)
        for (window, tokens), positions, heads in KINDS
    ),
    dict(window=9, global_tokens=2, positions="relative", attention_softcap=0.3),
]


def output_and_gradients(model, ids_BT: Tensor, **inputs: Tensor) -> list[Tensor]:
    model.zero_grad()
    hidden_BTD = model.hidden(model_inputs(ids_BT, **inputs))
    padded_BT = inputs.get("positions_BT")
    if padded_BT is not None:
        hidden_BTD = hidden_BTD * (padded_BT >= 0)[:, :, None]
    hidden_BTD.square().sum().backward()
    return [hidden_BTD.detach(), *(w.grad for w in model.parameters() if w.grad is not None)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
@pytest.mark.parametrize("padded", [False, True])
def test_blocks_give_what_the_dense_mask_gives(monkeypatch, shape, variant, padded) -> None:
    model = tiny_model(shape, attention="sliding", max_positions=LENGTH, **variant)
    ids_BT = torch.randint(0, VOCABULARY, (2, LENGTH))
    positions_BT = padded_positions(torch.tensor([LENGTH, LENGTH - 70]), LENGTH)
    inputs = {"positions_BT": positions_BT} if padded else {}
    if shape == "encoder-decoder":
        inputs |= {"source_BS": ids_BT.flip(1)}
        inputs |= {"source_positions_BS": positions_BT} if padded else {}
    in_blocks = output_and_gradients(model, ids_BT, **inputs)
    monkeypatch.setattr(Band, "is_worthwhile", lambda self, length: False)
    for found, wanted in zip(in_blocks, output_and_gradients(model, ids_BT, **inputs), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("length", "blocks"), [(2 * 64, False), (2 * 64 + 1, True)])
def test_blocks_are_taken_once_a_text_is_longer_than_two(length: int, blocks: bool) -> None:
    model = tiny_model(attention="sliding", window=5, max_positions=length)
    x_BTD = torch.randn(1, length, model.config.d_model)
    assert isinstance(model.decoder, Stack)
    (scope, _) = model.decoder.groups.mixings(Tokens.of(x_BTD, None), None, None)
    assert (scope.attend.func is banded_attention) == blocks
    if blocks:  # 3 blocks of 64 queries, each of which sees 2 · 64 keys
        assert scope.attend.keywords["band_mask"].mask_NhCS.shape == (3, 1, 64, 128)


@pytest.mark.parametrize("causal", [True, False])
def test_weights_are_dropped_in_blocks_and_for_global_tokens(causal: bool) -> None:
    """All keys alike and values of one: what is left of each query's weights, scaled up, sums to 1
    on the average, and to something else for each query."""
    band, positions_BT = Band(8, 3), torch.arange(LENGTH).expand(4, -1)

    def mask(queries_BT: Tensor, keys_BS: Tensor) -> Tensor:
        seen_BTS = sliding_window(queries_BT, keys_BS, window=8, global_tokens=3)
        if causal:
            seen_BTS = seen_BTS & (keys_BS[:, None] <= queries_BT[:, :, None])
        return mask_padding(queries_BT, keys_BS, seen_BTS)[:, None]

    same, ones = torch.zeros(4, LENGTH, 2, 4), torch.ones(4, LENGTH, 2, 4)
    first = GlobalTokens.first(3, positions_BT)
    seen = make_band_mask(band, positions_BT, mask, causal=causal, global_tokens=first)
    whole = banded_attention(same, same, ones, scale=1.0, band_mask=seen)
    torch.testing.assert_close(whole, ones)
    dropped = banded_attention(same, same, ones, scale=1.0, band_mask=seen, dropout=0.5)[..., 0]
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.05)
    assert dropped[:, :3].unique().numel() > 1
    assert dropped[:, 3:].unique().numel() > 5
    if not causal:  # of 197 weights about half are left
        assert dropped[:, :3].std() < 0.2 < dropped[:, 3:].std()


def test_a_window_that_a_text_does_not_fill_needs_no_mask() -> None:
    model = tiny_model(attention="sliding", window=8)
    assert isinstance(model.decoder, Stack)
    inside, outside = (
        model.decoder.groups.mixings(Tokens.of(torch.randn(1, length, 16), None), None, None)[0]
        for length in (8, 9)
    )
    assert inside.attend.keywords == {"causal": True}
    assert outside.attend.keywords["mask"].shape == (1, 1, 9, 9)


def test_a_padded_encoders_mask_has_one_row_for_all_queries() -> None:
    model = tiny_model("encoder")
    assert isinstance(model.encoder, Stack)
    positions_BT = padded_positions(torch.tensor([4, 2]), 4)
    tokens = Tokens.of(torch.randn(2, 4, 16), positions_BT)
    (scope, _) = model.encoder.groups.mixings(tokens, None, None)
    mask = scope.attend.keywords["mask"]
    assert mask.shape == (2, 1, 1, 4)
    assert mask.flatten(1).int().tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    nothing = model(
        model_inputs(torch.zeros(1, 3, dtype=torch.long), positions_BT=torch.full((1, 3), -1))
    )
    assert nothing.isfinite().all()
