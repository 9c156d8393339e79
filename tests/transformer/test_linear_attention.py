"""Linear attention: its definition, the chunks that compute it, and the state that is left."""

import pytest
import torch
from torch import Tensor

from tests.models import VOCABULARY, model_inputs, tiny_model
from transformer.attention import ATTENTION, Scope, Tokens, recurrence
from transformer.attention.linear import LinearAttention, log_decays
from transformer.attention.recurrence import CHUNK
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.masks import padded_positions
from transformer.positions import POSITIONS, Positions

KINDS = [name for name, kind in ATTENTION.items() if type(kind) is LinearAttention]
HEADS, WIDTH = 2, 4
Sides = tuple[Tensor, ...]  # queries, keys and values


def features(x: Tensor) -> Tensor:
    """The paper's, in its own words: elu(x) + 1."""
    return torch.where(x > 0, x + 1, x.exp())


def turned(x_K: Tensor, position: int) -> Tensor:
    """Each pair (i, i + K/2) of features turned by its angle."""
    half = len(x_K) // 2
    angles = position * 10_000.0 ** (-torch.arange(half).double() * 2 / len(x_K))
    first, second = x_K[:half], x_K[half:]
    return torch.cat(
        [first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()]
    )


def equation(sides: Sides, *, decays: list[float], causal: bool, rotary: bool) -> Tensor:
    """`o_i = Σ_j γ^(i-j) φ(q_i)·φ(k_j) v_j / Σ_j γ^(i-j) φ(q_i)·φ(k_j)`, token by token."""
    q, k, v = (side.double() for side in sides)
    turn = turned if rotary else lambda x, _: x
    out = torch.zeros_like(q)
    for head, gamma in enumerate(decays):
        for i in range(len(q)):
            total, values = 0.0, torch.zeros(WIDTH, dtype=torch.double)
            for j in range(i + 1 if causal else len(q)):
                query, key, faded = features(q[i, head]), features(k[j, head]), gamma ** (i - j)
                total += faded * (query @ key)
                values += faded * (turn(query, i) @ turn(key, j)) * v[j, head]
            out[i, head] = values / total
    return out


def scope_of(kind: str, *, causal: bool = True, positions: str = "none") -> Scope:
    config = TransformerConfig(
        shape="decoder", vocab_size=9, d_model=HEADS * WIDTH, heads=HEADS, decoder_layers=1,
        attention=kind, positions=positions,
    )  # fmt: skip
    made: Positions = POSITIONS[positions](config, causal=causal)
    return Scope(config, made, causal=causal)


def mixed(kind: str, sides: Sides, scope: Scope, **tokens: Tensor) -> Tensor:
    """Of one row, (T, H, K)."""
    some = Tokens.of(sides[0][None], tokens.get("positions_BT"), tokens.get("segments_BT"))
    mixing = ATTENTION[kind].mixing(scope, some, None, None)
    found: Tensor = mixing(*(side[None] for side in sides), layer=0, dropout=0.0)
    return found[0]


def some_sides(length: int) -> Sides:
    return tuple(torch.randn(length, HEADS, WIDTH).requires_grad_() for _ in range(3))


def decays_of(kind: str, *, causal: bool) -> list[float]:
    fades = kind == "linear-decay" and causal
    return [1 - 2.0 ** (-5 - head) if fades else 1.0 for head in range(HEADS)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("positions", ["none", "rotary"])
@pytest.mark.parametrize("length", [1, 5, 8, 9])
def test_values_and_gradients_are_those_of_the_equation(
    monkeypatch, kind: str, causal: bool, positions: str, length: int
) -> None:
    """Chunks of 4, spans of 8: texts of less, of whole ones, and of one token more."""
    monkeypatch.setattr(recurrence, "CHUNK", 4)
    monkeypatch.setattr(recurrence, "SPAN", 8)
    sides = some_sides(length)
    found = mixed(kind, sides, scope_of(kind, causal=causal, positions=positions))
    decays = decays_of(kind, causal=causal)
    wanted = equation(sides, decays=decays, causal=causal, rotary=positions == "rotary")
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(found)
    for ours, theirs in zip(
        torch.autograd.grad((found * weights).sum(), sides, retain_graph=True),
        torch.autograd.grad((wanted * weights).sum(), sides),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_several_chunks_is_as_one_of_all_pairs(kind: str) -> None:
    sides, length = some_sides(3 * CHUNK + 7), 3 * CHUNK + 7
    alike = torch.zeros(1, length, dtype=torch.long)
    scope = scope_of(kind, positions="rotary")
    found, wanted = mixed(kind, sides, scope), mixed(kind, sides, scope, segments_BT=alike)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_documents_in_one_row_are_as_each_alone(kind: str) -> None:
    sides, scope = some_sides(9), scope_of(kind)
    segments_BT = torch.tensor([[0] * 4 + [1] * 5])
    together = mixed(kind, sides, scope, segments_BT=segments_BT)
    alone = [mixed(kind, tuple(s[a:b] for s in sides), scope) for a, b in ((0, 4), (4, 9))]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [[9], [1] * 9, [4, 1, 4], [3, 6], [8, 1]])
@torch.no_grad()
def test_any_split_of_a_text_leaves_the_same_state(
    monkeypatch, kind: str, sizes: list[int]
) -> None:
    monkeypatch.setattr(recurrence, "CHUNK", 4)
    model = tiny_model(attention=kind, positions="rotary")
    ids_BT = torch.randint(0, VOCABULARY, (2, 9))
    whole, cache = model.hidden(model_inputs(ids_BT)), model.new_cache(2, 9)
    parts, start = [], 0
    for size in sizes:
        positions_BT = torch.arange(start, start + size).expand(2, -1)
        parts.append(model.decode(ids_BT[:, start : start + size], positions_BT, cache))
        start += size
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_padding_takes_no_time(kind: str) -> None:
    """A row that is padded within a chunk goes on as one that is not."""
    model = tiny_model(attention=kind)
    ids_BT = torch.randint(0, VOCABULARY, (2, 7))
    padded, alone = model.new_cache(2, 9), model.new_cache(1, 9)
    model.decode(ids_BT, padded_positions(torch.tensor([7, 3]), 7), padded)
    model.decode(ids_BT[:, :1], torch.tensor([[7], [-1]]), padded)
    model.decode(ids_BT[1:, :3], torch.arange(3)[None], alone)
    for mine, theirs in zip(
        padded.self_attention.parts[0].states, alone.self_attention.parts[0].states, strict=True
    ):
        for found, wanted in zip(mine, theirs, strict=True):
            torch.testing.assert_close(found[1:], wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_has_as_many_numbers_however_long_a_text_may_be(kind: str) -> None:
    model = tiny_model(attention=kind)
    sizes = [
        sum(part.numel() for state in cache.self_attention.parts[0].states for part in state)
        for cache in (model.new_cache(3, tokens) for tokens in (1, 100_000))
    ]
    width, heads = model.config.head_width, model.config.heads
    assert sizes == [2 * 3 * heads * width * (width + 1)] * 2  # of two layers and three rows


def test_decays_are_those_of_the_paper() -> None:
    assert log_decays(3).exp().tolist() == pytest.approx([31 / 32, 63 / 64, 127 / 128])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("positions", ["relative", "alibi"])
def test_a_bias_of_scores_is_refused_with_what_is_allowed(kind: str, positions: str) -> None:
    with pytest.raises(ConfigError, match=f"positions are {positions}.*use rotary"):
        tiny_model(attention=kind, positions=positions)


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_takes_no_token_back(kind: str) -> None:
    with pytest.raises(ConfigError, match="cannot take tokens back"):
        tiny_model(attention=kind).new_cache(1, 4).self_attention.truncate(2)


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_sums_in_whole_numbers(kind: str) -> None:
    """In bfloat16 a sum of 10,000 keys would stand still after some hundred."""
    sides = tuple(side.detach().bfloat16() for side in some_sides(10_000))
    exact = mixed(kind, tuple(side.float() for side in sides), scope_of(kind))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mixed(kind, sides, scope_of(kind))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, atol=2e-2, rtol=2e-2)
