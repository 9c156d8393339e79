"""Every pattern of softmax attention: who sees whom, pair by pair and bit for bit, and how many."""

import pytest
import torch
from torch import Tensor

from transformer.attention import ATTENTION, Scope, SoftmaxAttention, Tokens
from transformer.config import TransformerConfig
from transformer.positions import POSITIONS

# Longformer's global tokens are an input: test_longformer.py tries them so.
KINDS = {name: kind for name, kind in ATTENTION.items() if type(kind) is SoftmaxAttention}
FIELDS = {
    "full": [{}],
    "sliding": [{"window": 3}, {"window": 70}, {"window": 5, "global_tokens": 3}],
    "strided": [{"stride": 4}, {"stride": 16}],
    "fixed": [{"stride": 4, "summary_tokens": 1}, {"stride": 16, "summary_tokens": 5}],
}
CASES = [
    pytest.param(name, fields, length, id=f"{name}-{'-'.join(map(str, fields.values()))}-{length}")
    for name, variants in FIELDS.items()
    for fields in variants
    for length in (1, 23, 197)  # the last in blocks, where there are any
]


def test_every_pattern_is_tried_here() -> None:
    assert FIELDS.keys() == KINDS.keys()


def scope_of(name: str, fields: dict[str, int], *, causal: bool) -> Scope:
    config = TransformerConfig(
        shape="decoder", vocab_size=9, d_model=16, heads=2, decoder_layers=1, attention=name,
        positions="rotary", **fields,
    )  # fmt: skip
    return Scope(config, POSITIONS["rotary"](config, causal=causal), causal=causal)


def seen_by(name: str, scope: Scope, length: int) -> Tensor:
    """Who sees whom, (T, T), by the kind's own definition."""
    order_1T, pattern = torch.arange(length)[None], KINDS[name].pattern
    seen = torch.ones(1, length, length, dtype=torch.bool)
    seen = seen if pattern is None else pattern(scope.config, order_1T, order_1T)
    return seen[0].tril() if scope.causal else seen[0]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("name", "fields", "length"), CASES)
def test_a_token_changes_what_sees_it_and_not_a_bit_of_the_rest(name, fields, length, causal):
    scope = scope_of(name, fields, causal=causal)
    q, k, v = (torch.randn(1, length, 2, 8) for _ in range(3))
    mixing = KINDS[name].mixing(scope, Tokens.of(q, None), None, None)
    before, seen_TT = mixing(q, k, v, layer=0, dropout=0.0), seen_by(name, scope, length)
    for place in {0, 1, 2, length // 2, length - 17, length - 1} & {*range(length)}:
        other_k, other_v = k.clone(), v.clone()
        other_k[0, place], other_v[0, place] = torch.randn(2, 2, 8)
        after = mixing(q, other_k, other_v, layer=0, dropout=0.0)
        changed_T = (after != before).any(dim=-1).any(dim=-1)[0]
        assert torch.equal(changed_T, seen_TT[:, place]), place


def formula(name: str, fields: dict[str, int], length: int) -> int:
    """How many pairs a decoder's tokens see, summed token by token."""
    window, first = fields.get("window", length), fields.get("global_tokens", 0)
    stride, summary = fields.get("stride", 1), fields.get("summary_tokens", 0)
    counts = {
        "full": lambda i: i + 1,
        "sliding": lambda i: min(i + 1, window) + max(0, min(first, i + 1 - window)),
        "strided": lambda i: min(i + 1, stride) + i // stride,
        "fixed": lambda i: i % stride + 1 + i // stride * summary,
    }
    return sum(counts[name](i) for i in range(length))


@pytest.mark.parametrize(("name", "fields", "length"), CASES)
def test_as_many_pairs_are_seen_as_the_formula_says(name, fields, length) -> None:
    seen_TT = seen_by(name, scope_of(name, fields, causal=True), length)
    assert int(seen_TT.sum()) == formula(name, fields, length)
