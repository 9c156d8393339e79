"""Block-sparse attention costs T^1.5, and is taken in parts where that is less than a mask."""

import math
from dataclasses import replace

import pytest
import torch
from msgspec import structs
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from tests.transformer.test_block_sparse import (
    HEADS,
    every_direction,
    mixed,
    scope_of,
    some_sides,
)
from transformer.attention import ATTENTION, Tokens, block_sparse
from transformer.attention.kernels import PlainKernel

every_kind = pytest.mark.parametrize("kind", ("strided", "fixed"))


class Largest(TorchDispatchMode):
    """Watches for the largest tensor that is computed."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for each in found if isinstance(found, tuple | list) else [found]:
            if isinstance(each, Tensor):
                held = each.untyped_storage().nbytes() // each.element_size()
                self.elements = max(self.elements, held)
        return found


@every_kind
@every_direction
def test_cost_grows_as_the_power_of_one_and_a_half(monkeypatch, kind: str, is_causal: bool) -> None:
    """Of texts four times as long, in blocks of √T, 4^1.5 = 8 times as many products are computed,
    and no tensor has as many numbers as a text has pairs."""
    monkeypatch.setattr(block_sparse, "choose_kernel", lambda *_: PlainKernel())
    flops = []
    for length in (1024, 4096):
        stride = math.isqrt(length)
        scope = scope_of(kind, (stride, 1), is_causal=is_causal)
        sides = some_sides(length, dtype=torch.float32)
        with FlopCounterMode(display=False) as counter, Largest() as largest:
            mixed(scope, sides).sum().backward()
        flops.append(counter.get_total_flops())
        assert largest.elements <= 2 * HEADS * length * stride
    assert flops[1] / flops[0] == pytest.approx(8, rel=0.05)


@every_kind
@pytest.mark.parametrize(
    ("size", "length", "positions", "parts"),
    [
        ((64, 8), 160, "none", False),
        ((64, 8), 256, "none", True),
        ((64, 8), 256, "rotary", True),
        ((64, 8), 256, "alibi", False),
        ((16, 2), 240, "none", True),  # as other tests have them
        ((16, 2), 240, "capped", False),
    ],
)
def test_parts_are_taken_where_they_cost_less_and_scores_have_no_bias(
    kind: str, size: tuple[int, int], length: int, positions: str, parts: bool
) -> None:
    capped = positions == "capped"
    scope = scope_of(kind, size, is_causal=True, positions="none" if capped else positions)
    if capped:
        scope = replace(scope, config=structs.replace(scope.config, attention_softcap=30.0))
    tokens = Tokens.of(torch.randn(1, length, 1), None)
    attend = ATTENTION[kind].mixing(scope, tokens, None, None).attend
    assert (attend.func is block_sparse.block_sparse_attention) == parts
    assert parts or attend.keywords["mask"].shape[-2:] == (length, length)


@every_kind
def test_a_text_of_one_block_needs_no_mask(kind: str) -> None:
    for stride, length, keywords in ((8, 8, {"causal"}), (8, 9, {"mask"}), (400, 400, {"causal"})):
        scope = scope_of(kind, (stride, 2), is_causal=True)
        tokens = Tokens.of(torch.randn(1, length, 1), None)
        assert ATTENTION[kind].mixing(scope, tokens, None, None).attend.keywords.keys() == keywords
