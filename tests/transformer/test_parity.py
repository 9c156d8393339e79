"""Weights copied from torch.nn's Transformer give its outputs and its gradients."""

import itertools
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from transformer.attention import SelfAttention, SoftmaxMixing, dense_attention
from transformer.config import TransformerConfig
from transformer.layers import (
    CrossAttention,
    CrossAttentionContext,
    CrossLayer,
    Layer,
    Stack,
    make_cross_mask,
)
from transformer.masks import padded_positions

D, FF, HEADS = 16, 32, 4
LENGTHS_B = torch.tensor([7, 5, 2])
KINDS = list(itertools.product(("post", "pre"), ("relu", "gelu")))


def config(placement: str = "post", activation: str = "relu") -> TransformerConfig:
    return TransformerConfig(
        shape="encoder-decoder", vocab_size=9, d_model=D, d_ff=FF, heads=HEADS,
        encoder_layers=2, decoder_layers=2, norm_placement=placement, feedforward=activation,
        positions="none", dropout=0.0, final_norm=True,
    )  # fmt: skip


def copy(ours: nn.Module, theirs: nn.Module) -> None:
    ours.load_state_dict(theirs.state_dict())


def copy_self_attention(ours: SelfAttention, theirs: nn.MultiheadAttention) -> None:
    with torch.no_grad():
        ours.qkv.weight.copy_(theirs.in_proj_weight)
        ours.qkv.bias.copy_(theirs.in_proj_bias)
    copy(ours.out, theirs.out_proj)


def copy_cross_attention(ours: CrossAttention, theirs: nn.MultiheadAttention) -> None:
    with torch.no_grad():
        for part in ("weight", "bias"):
            fused = getattr(theirs, f"in_proj_{part}")
            getattr(ours.q, part).copy_(fused[:D])
            getattr(ours.kv, part).copy_(fused[D:])
    copy(ours.out, theirs.out_proj)


def copy_layer(ours: Layer, theirs: nn.Module) -> None:
    copy_self_attention(ours.attention, theirs.self_attn)
    copy(ours.attention_residual.norm, theirs.norm1)
    copy(ours.feedforward.up, theirs.linear1)
    copy(ours.feedforward.down, theirs.linear2)
    if isinstance(ours, CrossLayer):
        copy_cross_attention(ours.cross, theirs.multihead_attn)
        copy(ours.cross_residual.norm, theirs.norm2)
    copy(ours.feedforward_residual.norm, theirs.norm3 if hasattr(theirs, "norm3") else theirs.norm2)


def copy_stack(ours: Stack, theirs: nn.Module) -> None:
    for our_layer, their_layer in zip(ours.layers, theirs.layers, strict=True):
        copy_layer(our_layer, their_layer)
    copy(ours.norm, theirs.norm)


def spread(module: nn.Module) -> nn.Module:
    """Weights away from 0 and 1, where mistakes would hide."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return module


def options(placement: str, activation: str) -> dict[str, object]:
    return dict(dim_feedforward=FF, dropout=0.0, activation=activation, batch_first=True,
                norm_first=placement == "pre")  # fmt: skip


def same(ours: Tensor, theirs: Tensor, inputs: list[tuple[Tensor, Tensor]], mask: Tensor) -> None:
    """Outputs where `mask` is true, and gradients of their weighted sum by the inputs."""
    torch.testing.assert_close(ours[mask], theirs[mask], atol=1e-5, rtol=0)
    weights = torch.randn_like(ours[mask])
    for output in (ours, theirs):
        (output[mask] * weights).sum().backward()
    for our_input, their_input in inputs:
        torch.testing.assert_close(our_input.grad, their_input.grad, atol=1e-5, rtol=1e-5)


def leaves(length: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(3, length, D)
    return x.clone().requires_grad_(), x.clone().requires_grad_()


PADDED = padded_positions(LENGTHS_B, 7)
REAL = PADDED >= 0
TRIANGLE = nn.Transformer.generate_square_subsequent_mask(6)


def padding_scope() -> SoftmaxMixing:
    return SoftmaxMixing(partial(dense_attention, mask=REAL[:, None, None, :]), config().scale)


def test_multi_head_attention_with_padding() -> None:
    theirs = spread(nn.MultiheadAttention(D, HEADS, batch_first=True))
    ours = SelfAttention(config())
    copy_self_attention(ours, theirs)
    x, y = leaves(7)
    wanted, _ = theirs(y, y, y, key_padding_mask=~REAL, need_weights=False)
    same(ours(x, padding_scope()), wanted, [(x, y)], REAL)


def test_multi_head_cross_attention_with_padding() -> None:
    theirs = spread(nn.MultiheadAttention(D, HEADS, batch_first=True))
    ours = CrossAttention(config())
    copy_cross_attention(ours, theirs)
    (x, y), (memory_x, memory_y) = leaves(6), leaves(7)
    wanted, _ = theirs(y, memory_y, memory_y, key_padding_mask=~REAL, need_weights=False)
    scope = CrossAttentionContext(memory_x, None, make_cross_mask(PADDED))
    everywhere = torch.ones(3, 6, dtype=torch.bool)
    same(ours(x, scope), wanted, [(x, y), (memory_x, memory_y)], everywhere)


@pytest.mark.parametrize(("placement", "activation"), KINDS)
def test_encoder_layer(placement: str, activation: str) -> None:
    theirs = spread(nn.TransformerEncoderLayer(D, HEADS, **options(placement, activation)))
    ours = Layer(config(placement, activation))
    copy_layer(ours, theirs)
    x, y = leaves(7)
    wanted = theirs(y, src_key_padding_mask=~REAL)
    same(ours(x, padding_scope(), None), wanted, [(x, y)], REAL)


@pytest.mark.parametrize(("placement", "activation"), KINDS)
def test_decoder_layer(placement: str, activation: str) -> None:
    theirs = spread(nn.TransformerDecoderLayer(D, HEADS, **options(placement, activation)))
    ours = CrossLayer(config(placement, activation))
    copy_layer(ours, theirs)
    (x, y), (memory_x, memory_y) = leaves(6), leaves(7)
    wanted = theirs(y, memory_y, tgt_mask=TRIANGLE, memory_key_padding_mask=~REAL)
    cross = CrossAttentionContext(memory_x, None, make_cross_mask(PADDED))
    everywhere = torch.ones(3, 6, dtype=torch.bool)
    found = ours(x, SoftmaxMixing(partial(dense_attention, causal=True), config().scale), cross)
    same(found, wanted, [(x, y), (memory_x, memory_y)], everywhere)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")  # torch's, of its own fast path
@pytest.mark.parametrize(("placement", "activation"), KINDS)
def test_whole_transformer(placement: str, activation: str) -> None:
    theirs = spread(
        nn.Transformer(D, HEADS, 2, 2, **options(placement, activation))  # type: ignore[arg-type]
    )
    ours = config(placement, activation)
    encoder = Stack(ours, layers=2, causal=False)
    decoder = Stack(ours, layers=2, causal=True, cross=True)
    copy_stack(encoder, theirs.encoder)
    copy_stack(decoder, theirs.decoder)
    (source_x, source_y), (x, y) = leaves(7), leaves(6)
    wanted = theirs(
        source_y, y, tgt_mask=TRIANGLE, src_key_padding_mask=~REAL, memory_key_padding_mask=~REAL
    )
    states = encoder(source_x, positions_BT=PADDED)
    found = decoder(x, cross=CrossAttentionContext(states, None, make_cross_mask(PADDED)))
    everywhere = torch.ones(3, 6, dtype=torch.bool)
    same(found, wanted, [(x, y), (source_x, source_y)], everywhere)
    for ours_weight, theirs_weight in (
        (encoder.layers[0].feedforward.up.weight, theirs.encoder.layers[0].linear1.weight),
        (decoder.layers[1].attention.qkv.weight, theirs.decoder.layers[1].self_attn.in_proj_weight),
        (
            decoder.layers[0].cross.out.weight,
            theirs.decoder.layers[0].multihead_attn.out_proj.weight,
        ),
    ):
        torch.testing.assert_close(ours_weight.grad, theirs_weight.grad, atol=1e-5, rtol=1e-5)
