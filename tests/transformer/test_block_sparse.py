"""Block-sparse attention in parts equals its definition, whatever the kernel."""

import itertools
from functools import partial

import pytest
import torch
from torch import Tensor

from tests.models import SHAPES, VOCABULARY, tiny_model
from tests.transformer.test_banded import output_and_gradients
from transformer.attention import (
    ATTENTION,
    Band,
    BlockSparse,
    Scope,
    Tokens,
    WindowPath,
    block_sparse,
)
from transformer.attention.kernels import FusedKernel, PlainKernel
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.masks import padded_positions
from transformer.positions import POSITIONS

KINDS = ("strided", "fixed", "sliding")
HEADS, WIDTH = 4, 6
SIZES = [(1, 1), (2, 1), (3, 2), (8, 3), (16, 16)]  # of blocks and of summaries
LENGTHS = [1, 2, 5, 8, 9, 17, 40, 96]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_direction = pytest.mark.parametrize("is_causal", [True, False], ids=["causal", "both"])
every_kernel = pytest.mark.parametrize(
    "kernel", [FusedKernel(), PlainKernel()], ids=["fused", "plain"]
)


def sees(kind: str, i: int, j: int, *, stride: int, summary: int, is_causal: bool) -> bool:
    """The definition, in words of its own."""
    if is_causal and j > i:
        return False
    if kind == "strided":
        return (i - j) % stride == 0 or abs(i - j) < stride
    if kind == "sliding":  # with as many first tokens, in a decoder
        return abs(i - j) < stride or (is_causal and j < summary)
    return i // stride == j // stride or j % stride >= stride - summary


def definition(kind: str, length: int, size: tuple[int, int], is_causal: bool) -> Tensor:
    rule = partial(sees, kind, stride=size[0], summary=size[1], is_causal=is_causal)
    return torch.tensor([[rule(i, j) for j in range(length)] for i in range(length)])


def by_definition(sides: list[Tensor], seen_TT: Tensor, scale: float) -> Tensor:
    q, k, v = sides
    k, v = (x.repeat_interleave(q.size(2) // x.size(2), dim=2) for x in (k, v))
    scores = torch.einsum("bthk,bshk->bhts", scale * q, k).masked_fill(~seen_TT, float("-inf"))
    return torch.einsum("bhts,bshk->bthk", scores.softmax(dim=-1), v)


def some_sides(length: int, *, rows: int = 1, groups: int = 2, dtype=torch.float64) -> list[Tensor]:
    return [
        torch.randn(rows, length, heads, WIDTH, dtype=dtype, requires_grad=True)
        for heads in (HEADS, groups, groups)
    ]


def scope_of(
    kind: str, size: tuple[int, int], *, is_causal: bool, positions="none", **fields
) -> Scope:
    config = TransformerConfig(
        shape="decoder", vocab_size=9, d_model=HEADS * WIDTH, heads=HEADS, decoder_layers=1,
        attention=kind, stride=size[0], summary_tokens=size[1], window=size[0],
        global_tokens=size[1] if is_causal else 0, positions=positions, **fields,
    )  # fmt: skip
    return Scope(config, POSITIONS[positions](config, causal=is_causal), causal=is_causal)


def mixed(scope: Scope, sides: list[Tensor], positions_BT: Tensor | None = None) -> Tensor:
    tokens = Tokens.of(sides[0], positions_BT)
    mixing = ATTENTION[scope.config.attention].mixing(scope, tokens, None, None)
    found: Tensor = mixing(*sides, layer=0, dropout=0.0)
    return found


def in_parts(monkeypatch: pytest.MonkeyPatch, always: bool = True) -> None:
    monkeypatch.setattr(BlockSparse, "is_worthwhile", lambda *_, **__: always)
    monkeypatch.setattr(WindowPath, "prefers_parts", lambda *_, **__: always)
    monkeypatch.setattr(Band, "is_worthwhile", lambda *_: False)


def assert_same(found: Tensor, wanted: Tensor, sides: list[Tensor], tolerance: float) -> None:
    gradient = torch.randn_like(wanted)
    pairs = zip(
        [found, *torch.autograd.grad(found, sides, gradient)],
        [wanted, *torch.autograd.grad(wanted, sides, gradient)],
        strict=True,
    )
    for one, other in pairs:
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


@every_kind
@every_direction
@every_kernel
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_outputs_and_gradients_are_those_of_the_definition(
    monkeypatch, kind: str, is_causal: bool, kernel, size: tuple[int, int]
) -> None:
    if kind == "sliding" and size == (1, 1):
        pytest.skip("a window of one token has no part in the block before")
    in_parts(monkeypatch)
    monkeypatch.setattr(block_sparse, "choose_kernel", lambda *_: kernel)
    for length, groups in itertools.product(LENGTHS, (2, HEADS)):
        sides = some_sides(length, rows=2, groups=groups)
        scope = scope_of(kind, size, is_causal=is_causal)
        wanted = by_definition(sides, definition(kind, length, size, is_causal), scope.config.scale)
        assert_same(mixed(scope, sides), wanted, sides, 1e-10)


@every_kind
@every_direction
@pytest.mark.parametrize(("length", "size"), [(300, (17, 4)), (289, (17, 1)), (256, (64, 8))])
def test_long_texts_in_single_precision(
    monkeypatch, kind: str, is_causal: bool, length: int, size: tuple[int, int]
) -> None:
    in_parts(monkeypatch)
    sides = some_sides(length, dtype=torch.float32)
    scope = scope_of(kind, size, is_causal=is_causal)
    wanted = by_definition(sides, definition(kind, length, size, is_causal), scope.config.scale)
    assert_same(mixed(scope, sides), wanted, sides, 1e-5)


@every_kind
@every_direction
@pytest.mark.parametrize("parts", [True, False], ids=["parts", "mask"])
@torch.no_grad()
def test_what_is_not_seen_has_no_effect_on_a_bit_and_what_is_has_one(
    monkeypatch, kind: str, is_causal: bool, parts: bool
) -> None:
    in_parts(monkeypatch, parts)
    length, size = 23, (4, 2)
    scope, seen_TT = (
        scope_of(kind, size, is_causal=is_causal),
        definition(kind, length, size, is_causal),
    )
    q, k, v = some_sides(length)
    before = mixed(scope, [q, k, v])
    for j in range(length):
        other_k, other_v = k.clone(), v.clone()
        other_k[:, j] += 1
        other_v[:, j] += 1
        changed = (mixed(scope, [q, other_k, other_v]) != before)[0].flatten(1).any(dim=1)
        assert torch.equal(changed, seen_TT[:, j]), j


@every_kind
@every_direction
@every_kernel
def test_padding_on_the_right_changes_nothing(
    monkeypatch, kind: str, is_causal: bool, kernel
) -> None:
    in_parts(monkeypatch)
    monkeypatch.setattr(block_sparse, "choose_kernel", lambda *_: kernel)
    scope, lengths = scope_of(kind, (4, 1), is_causal=is_causal), [21, 20, 13, 3, 1, 0]
    sides = some_sides(21, rows=len(lengths))
    positions_BT = padded_positions(torch.tensor(lengths), 21)
    found = mixed(scope, sides, positions_BT)
    assert found.isfinite().all()
    found = found * (positions_BT >= 0)[..., None, None]
    gradients = torch.autograd.grad(found.square().sum(), sides)
    for row, length in enumerate(lengths[:-1]):
        alone = [x[row : row + 1, :length].detach().requires_grad_() for x in sides]
        wanted = mixed(scope, alone)
        torch.testing.assert_close(found[row : row + 1, :length], wanted, atol=1e-10, rtol=0)
        for mine, theirs in zip(
            gradients, torch.autograd.grad(wanted.square().sum(), alone), strict=True
        ):
            torch.testing.assert_close(mine[row, :length], theirs[0], atol=1e-10, rtol=0)
            assert not mine[row, length:].any()
    assert not any(x[-1].any() for x in gradients)


@every_kind
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_models_in_parts_are_those_of_the_dense_mask(
    monkeypatch, kind: str, shape: str, padded: bool, positions: str
) -> None:
    fields = {"attention": kind, "stride": 8, "summary_tokens": 3, "window": 8, "kv_heads": 2}
    model = tiny_model(shape, positions=positions, max_positions=45, **fields)
    ids_BT = torch.randint(0, VOCABULARY, (2, 45))
    positions_BT = padded_positions(torch.tensor([45, 18]), 45)
    inputs = {"positions_BT": positions_BT} if padded else {}
    if shape == "encoder-decoder":
        inputs |= {"source_BS": ids_BT.flip(1)}
        inputs |= {"source_positions_BS": positions_BT} if padded else {}
    found = []
    for parts in (True, False):
        in_parts(monkeypatch, parts)
        found.append(output_and_gradients(model, ids_BT, **inputs))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@every_kind
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@every_kernel
def test_half_precision_is_near(monkeypatch, kind: str, dtype, kernel) -> None:
    in_parts(monkeypatch)
    monkeypatch.setattr(block_sparse, "choose_kernel", lambda *_: kernel)
    scope = scope_of(kind, (8, 2), is_causal=True)
    sides = some_sides(70, dtype=dtype)
    exact = mixed(scope, [x.float() for x in sides])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mixed(scope, sides)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), exact, atol=2e-2, rtol=2e-2)
    for x in torch.autograd.grad(found.sum(), sides):
        assert x.dtype == dtype


@every_kind
@every_direction
def test_gradients_are_of_the_weights_that_are_kept(kind: str, is_causal: bool) -> None:
    """Against differences of outputs, with the same weights dropped in each pass."""
    scope = scope_of(kind, (3, 1), is_causal=is_causal)
    path = ATTENTION[kind].fast_path(scope.config)
    parts = (path.parts if isinstance(path, WindowPath) else path).parts(4, is_causal)
    attend = partial(block_sparse.block_sparse_attention, scale=1.0, stride=3, parts=parts)

    def dropped(*sides: Tensor) -> Tensor:
        torch.manual_seed(1)
        return attend(*sides, dropout=0.5)

    sides = [torch.randn(1, 12, heads, 2).double().requires_grad_() for heads in (2, 1, 1)]
    assert not torch.allclose(dropped(*sides), attend(*sides))
    assert torch.autograd.gradcheck(dropped, sides)


@pytest.mark.parametrize(
    ("own", "told"), [({}, r"8 \(so many unless set\)"), ({"summary_tokens": 5}, "5")]
)
def test_more_summary_tokens_than_a_block_has_are_refused(own: dict, told: str) -> None:
    remedy = "set model.summary_tokens to at most 4"
    with pytest.raises(
        ConfigError, match=f"^summary_tokens is {told}, above stride, 4: .*{remedy}$"
    ):
        tiny_model(attention="fixed", stride=4, **own)
    for fields in ({"attention": "fixed", "summary_tokens": 4}, {"attention": "strided"}):
        tiny_model(stride=4, **fields)
