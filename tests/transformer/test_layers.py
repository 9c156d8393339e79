"""Layers and the whole model: settings that nothing but the numbers would show."""

import pytest
import torch
from torch import Tensor, nn

from tests.models import model_inputs, tiny_config, tiny_model
from transformer.attention import ATTENTION, Scope, SelfAttention, Tokens
from transformer.inputs import ModelInputs
from transformer.layers import (
    CrossAttention,
    CrossAttentionContext,
    make_cross_mask,
)
from transformer.masks import padded_positions
from transformer.model import Transformer
from transformer.positions import Positions

KINDS = ("self", "cross")


def attention(kind: str, **changes: object) -> nn.Module:
    torch.manual_seed(1)
    module = {"self": SelfAttention, "cross": CrossAttention}[kind](tiny_config(**changes))
    for weight in module.parameters():
        nn.init.normal_(weight)
    return module.eval()


def mixed(module: nn.Module, x_BTD: Tensor) -> Tensor:
    """Every token looks at every token of x."""
    if not isinstance(module, SelfAttention):
        return module(x_BTD, CrossAttentionContext(x_BTD, None, None))
    scope = Scope(module.config, Positions(module.config, causal=False), causal=False)
    return module(x_BTD, ATTENTION["full"].mixing(scope, Tokens.of(x_BTD, None), None, None))


@pytest.mark.parametrize("kind", KINDS)
def test_attention_drops_weights_in_training_alone(kind: str) -> None:
    x_BTD = torch.randn(1, 5, 16)
    wanted = mixed(attention(kind), x_BTD)
    dropping = attention(kind, attention_dropout=0.5)
    torch.testing.assert_close(mixed(dropping, x_BTD), wanted)
    assert not torch.allclose(mixed(dropping.train(), x_BTD), wanted, atol=1e-3)
    torch.testing.assert_close(mixed(attention(kind).train(), x_BTD), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_scale_of_scores_is_as_good_as_larger_queries(kind: str) -> None:
    """Heads are 4 wide: a scale of 1 instead of 1/√4 is queries of twice the length."""
    x_BTD = torch.randn(1, 5, 16)
    scaled, longer = attention(kind, attention_scale=1.0), attention(kind)
    for part in ("weight", "bias"):
        queries = getattr(longer.qkv if kind == "self" else longer.q, part).data[:16]
        queries.mul_(2)
    torch.testing.assert_close(mixed(scaled, x_BTD), mixed(longer, x_BTD))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("norm", "axes"), [("per-head", (3,)), ("all-heads", (2, 3))])
def test_queries_and_keys_are_normed_over_each_head_or_over_all(kind, norm, axes) -> None:
    """Maps a hundred times as large change nothing then, and weights of the norms do."""
    x_BTD = torch.randn(1, 5, 16)
    module = attention(kind, qk_norm=norm, norm="rmsnorm", norm_eps=1e-9, kv_heads=2)
    for weight in (module.q_norm.norm.weight, module.k_norm.norm.weight):
        assert len(weight) == (4 if norm == "per-head" else 16 if weight.numel() == 16 else 8)
        nn.init.ones_(weight)
    before = mixed(module, x_BTD)
    q_BTHK = module.q_norm(torch.randn(1, 5, 4, 4))
    torch.testing.assert_close(q_BTHK.square().mean(axes), torch.ones_like(q_BTHK.mean(axes)))
    maps = [module.qkv] if kind == "self" else [module.q, module.kv]
    rows = [16 + 8] if kind == "self" else [16, 8]  # those of queries and keys
    for map_, count in zip(maps, rows, strict=True):
        map_.weight.data[:count] *= 100
        map_.bias.data[:count] *= 100
    torch.testing.assert_close(mixed(module, x_BTD), before)
    for weight in (module.q_norm.norm.weight, module.k_norm.norm.weight):
        weight.data *= 3
        assert not torch.allclose(mixed(module, x_BTD), before, atol=1e-3)
        weight.data /= 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_cap_makes_all_that_is_seen_count_alike(kind: str) -> None:
    x_BTD = torch.randn(1, 5, 16)
    capped, blind = attention(kind, attention_softcap=1e-6), attention(kind)
    maps, rows = (blind.qkv, 16) if kind == "self" else (blind.q, 16)
    maps.weight.data[:rows], maps.bias.data[:rows] = 0, 0
    torch.testing.assert_close(mixed(capped, x_BTD), mixed(blind, x_BTD), atol=1e-4, rtol=0)
    assert not torch.allclose(mixed(attention(kind), x_BTD), mixed(blind, x_BTD), atol=1e-2)


def test_what_is_looked_at_is_what_torch_says() -> None:
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    ours = attention("cross")
    with torch.no_grad():
        for part in ("weight", "bias"):
            both = [getattr(ours.q, part), getattr(ours.kv, part)]
            getattr(theirs, f"in_proj_{part}").copy_(torch.cat(both))
    x_BTD, source_BSD = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    positions_BS = padded_positions(torch.tensor([5, 2]), 5)
    looks: list[Tensor] = []
    ours(x_BTD, CrossAttentionContext(source_BSD, None, make_cross_mask(positions_BS), looks))
    _, wanted = theirs(
        x_BTD, source_BSD, source_BSD, key_padding_mask=positions_BS < 0, average_attn_weights=False
    )
    torch.testing.assert_close(looks[0], wanted, atol=1e-5, rtol=0)


def test_what_is_looked_at_scales_as_attention_does() -> None:
    x_BTD, looks = torch.randn(1, 4, 16), ([], [])
    scaled, longer = attention("cross", attention_scale=1.0), attention("cross")
    for part in (longer.q.weight, longer.q.bias):
        part.data.mul_(2)
    for module, found in zip((scaled, longer), looks, strict=True):
        module(x_BTD, CrossAttentionContext(x_BTD, None, None, found))
    torch.testing.assert_close(looks[0], looks[1])


def test_what_heads_of_a_group_look_at_is_what_copies_of_their_keys_would() -> None:
    """Four heads on two keys each hold, and the same written out: the first two, the last two."""
    x_BTD, looks = torch.randn(2, 3, 16), ([], [])
    grouped, written_out = attention("cross", kv_heads=2), attention("cross")
    with torch.no_grad():
        for part in ("weight", "bias"):
            getattr(written_out.q, part).copy_(getattr(grouped.q, part))
            kv = getattr(grouped.kv, part).unflatten(0, (2, 2, 4)).repeat_interleave(2, dim=1)
            getattr(written_out.kv, part).copy_(kv.flatten(0, 2))
            getattr(written_out.out, part).copy_(getattr(grouped.out, part))
    outputs = []
    for module, found in zip((grouped, written_out), looks, strict=True):
        outputs.append(module(x_BTD, CrossAttentionContext(x_BTD, None, None, found)))
    torch.testing.assert_close(looks[0], looks[1])
    torch.testing.assert_close(outputs[0], outputs[1])


@torch.no_grad()
def test_the_model_gives_each_layers_looks() -> None:
    model = tiny_model("encoder-decoder", positions="learned")
    looks = model.cross_attention_weights(
        torch.tensor([[4, 5, 6]]), ModelInputs(torch.tensor([[7, 8]]))
    )
    assert [tuple(look.shape) for look in looks] == [(1, 4, 3, 2)] * 2
    assert not torch.allclose(looks[0], looks[1], atol=1e-3)
    for look in looks:
        torch.testing.assert_close(look.sum(dim=-1), torch.ones(1, 4, 3))


@pytest.mark.parametrize("shape", ["encoder", "decoder"])
@torch.no_grad()
def test_token_types_are_looked_up_and_are_0_where_none_are_given(shape: str) -> None:
    model = tiny_model(shape, token_types=3)
    ids_BT, types_BT = torch.tensor([[4, 5, 6]]), torch.tensor([[0, 1, 2]])
    plain, typed = model(model_inputs(ids_BT)), model(model_inputs(ids_BT, types_BT=types_BT))
    torch.testing.assert_close(
        model(model_inputs(ids_BT, types_BT=torch.zeros_like(types_BT))), plain
    )
    model.types.weight[1:] = model.types.weight[0]  # now all types are one
    torch.testing.assert_close(model(model_inputs(ids_BT, types_BT=types_BT)), plain)
    assert not torch.allclose(typed, plain, atol=1e-3)


def first_input(model: Transformer, ids_BT: Tensor) -> Tensor:
    """What the first layer of a decoder reads."""
    found: list[Tensor] = []
    hook = model.decoder.layers[0].register_forward_pre_hook(
        lambda _, inputs: found.append(*inputs[:1])
    )
    model(model_inputs(ids_BT))
    hook.remove()
    return found[0]


@torch.no_grad()
def test_embeddings_are_scaled_then_moved_typed_normed_and_dropped() -> None:
    model = tiny_model(
        "decoder", positions="learned", token_types=2, embedding_norm=True, dropout=0.5
    )
    ids_BT = torch.tensor([[4, 5, 4, 6]])
    scaled = model.embedding(ids_BT) * 4  # √16
    moved = scaled + model.decoder.positions.embedding.weight[:4] + model.types.weight[0]
    wanted = model.embedding_norms[-1](moved)
    torch.testing.assert_close(first_input(model, ids_BT), wanted)
    dropped = first_input(model.train(), ids_BT)
    kept = dropped != 0
    assert 10 < kept.sum() < 54  # of 64, half
    torch.testing.assert_close(dropped[kept], 2 * wanted[kept])


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("final", [True, False])
def test_a_stack_ends_in_a_norm_where_that_is_asked_for(placement: str, final: bool) -> None:
    model = tiny_model("decoder", norm_placement=placement, final_norm=final)
    assert isinstance(model.decoder.norm, nn.LayerNorm) is final
