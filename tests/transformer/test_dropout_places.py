"""Dropout at each place of the network: where its name says, at its rate, in training only, with
noise of its own. One pass of a real model is watched at all places at once.

Shape suffixes: B batch, T tokens, H heads, K head width.
"""

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from tests.models import SHAPES, tiny_model
from tests.transformer.watching import P, Variant, Watched
from transformer.attention import ATTENTION, SoftmaxAttention
from transformer.layers import Layer
from transformer.norms import RESIDUALS, PreNorm, SandwichNorm

RATES = ("dropout", "attention_dropout", "activation_dropout")

BOTH = {"shape": "encoder-decoder"}
SLIDING = {**BOTH, "attention": "sliding", "window": 8, "global_tokens": 1}
SPARSE = {"shape": "decoder", "decoder_layers": 1, "stride": 16, "summary_tokens": 2}
VARIANTS = {
    **{
        f"{shape} {placement}": Variant({"shape": shape, "norm_placement": placement})
        for shape in SHAPES
        for placement in RESIDUALS
    },
    "gated": Variant({**BOTH, "feedforward": "reglu"}),
    "grouped heads": Variant({**BOTH, "kv_heads": 2}),
    "sliding": Variant(SLIDING),
    "longformer": Variant({"shape": "encoder", "attention": "longformer", "window": 5}),
    "normed embeddings": Variant({**BOTH, "embedding_norm": True, "share_embeddings": False}),
    "bfloat16": Variant(BOTH, half=True),
    "bfloat16, sliding, grouped": Variant({**SLIDING, "kv_heads": 1}, half=True),
    **{
        f"{kind}, in parts": Variant({**SPARSE, "attention": kind}, rows=1, length=240, heads=1)
        for kind in ("strided", "fixed")
    },
    # more scores than attention in bfloat16 computes by the equation itself
    "bfloat16, long": Variant(
        {"shape": "decoder", "decoder_layers": 1}, half=True, rows=1, length=260, heads=1
    ),
}
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def rate_of(place: str) -> str:
    """Which field of the configuration says how much is dropped there."""
    kinds = {"weights": "attention_dropout", "hidden": "activation_dropout"}
    return kinds.get(place.rsplit(maxsplit=1)[-1], "dropout")


def dropped_together(one: Tensor, other: Tensor) -> float:
    """The share that is dropped at both of two places, of what may be."""
    real = ~(one.isnan() | other.isnan())
    return ((one == 0) & (other == 0))[real].float().mean().item()


@every_variant
@pytest.mark.parametrize("rate", RATES)
def test_each_rate_acts_at_its_own_places_and_at_no_other(variant: Variant, rate: str) -> None:
    for place, found in Watched(variant, rate).kept().items():
        kept = found[~found.isnan()]  # attention does not see the future, nor beyond a window
        if rate_of(place) != rate:
            assert (kept == 1).all(), place
            continue
        assert (kept == 0).float().mean().item() == pytest.approx(P, abs=0.04), place
        scaled = torch.full_like(kept, 1 / (1 - P)).where(kept != 0, 0.0)
        torch.testing.assert_close(kept, scaled, rtol=0.01 if variant.half else 1e-4, atol=0)


@every_variant
def test_in_evaluation_a_model_is_the_one_without_dropout(variant: Variant) -> None:
    model, noisy = (variant.model(dict.fromkeys(RATES, p)) for p in (0.0, P))
    noisy.load_state_dict(model.state_dict())
    before = torch.get_rng_state()
    wanted = variant.run(model.eval())
    assert torch.equal(variant.run(noisy.eval()), wanted)
    assert torch.equal(variant.run(model.train()), wanted)
    assert torch.equal(torch.get_rng_state(), before)  # nothing was drawn in vain
    assert not torch.allclose(variant.run(noisy.train()), wanted, atol=0.1)


@every_variant
def test_noise_differs_from_pass_to_pass_and_the_seed_decides(variant: Variant) -> None:
    watched = Watched(variant, *RATES)
    first, again, other, later = (watched.kept(seed) for seed in (1, 1, 2, None))
    for place, kept in first.items():
        assert torch.equal(again[place].nan_to_num(), kept.nan_to_num()), place
        for one, two in combinations((first, other, later), 2):
            assert dropped_together(one[place], two[place]) == pytest.approx(P * P, abs=0.04), place


@every_variant
def test_no_two_places_share_their_noise(variant: Variant) -> None:
    kept = Watched(variant, *RATES).kept()
    for one, other in combinations(kept, 2):
        together = dropped_together(kept[one], kept[other])
        assert together == pytest.approx(P * P, abs=0.04), (one, other)


@every_variant
def test_rows_positions_heads_and_features_have_noise_of_their_own(variant: Variant) -> None:
    for place, kept in Watched(variant, *RATES).kept().items():
        parts_BTHK = kept.unflatten(-1, (variant.heads, -1)).nan_to_num()
        for side, size in enumerate(parts_BTHK.shape):
            if size > 1:
                one, other = parts_BTHK.unbind(side)[-2:]  # the first positions see little
                assert not torch.equal(one, other), (place, side)


@every_variant
def test_gradients_pass_through_what_was_kept_and_nothing_else(variant: Variant) -> None:
    """As through the model without dropout, were what was dropped taken out of them afterwards."""
    watched = Watched(variant, *RATES)
    kept = watched.kept()
    gradients = {place: torch.randn_like(values) for place, values in kept.items()}
    found = watched.gradients(gradients)
    watched.see(None, training=False)
    dropped = {place: (kept[place] * gradients[place]).nan_to_num() for place in kept}
    wanted = watched.gradients(dropped)
    close = {"rtol": 0.02, "atol": 0.03} if variant.half else {"rtol": 1e-4, "atol": 1e-5}
    for place in kept:
        torch.testing.assert_close(found[place], wanted[place], **close)


@every_variant
def test_what_attention_drops_of_a_head_it_drops_for_all_features_of_the_value(variant) -> None:
    for place, kept in Watched(variant, "attention_dropout").kept().items():
        if rate_of(place) == "attention_dropout":
            twice = kept.unflatten(-1, (variant.heads, 2, -1)).nan_to_num().unbind(-2)
            assert torch.equal(*twice), place


@pytest.mark.parametrize("placement", RESIDUALS)
@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_else_modules_hand_on_comes_whole(shape: str, placement: str) -> None:
    fields = {"norm_placement": placement, "final_norm": True}
    model = tiny_model(shape, **fields, **dict.fromkeys(RATES, P)).train()
    given, taken = Seen(), Seen()
    for stack in filter(None, (model.encoder, model.decoder)):
        given.output(stack.layers[-1], then=stack.norm)
        taken.output(stack)
        given.output(stack.layers[0])
        taken.input(stack.layers[1])
        for layer in stack.layers:
            watch_insides(layer, given, taken)
    if shape == "encoder-decoder":
        given.output(model.encoder)
        taken.input(model.decoder.layers[0].cross.kv)
    given.output(model.encoder if shape == "encoder" else model.decoder)
    taken.input(model.head)
    logits_BTV = Variant({}).run(model)
    assert given.values.keys() == taken.values.keys()
    assert all(torch.equal(value, taken.values[link]) for link, value in given.values.items())
    assert torch.equal(logits_BTV, model.eval().logits(taken.values[max(taken.values)]))


def watch_insides(layer: Layer, given: "Seen", taken: "Seen") -> None:
    """From the residual stream to each sublayer, from there to its first maps, and out again."""
    maps = {"attention": ("qkv", "out"), "cross": ("q", "out"), "feedforward": ("up", "down")}
    for name, (first, last) in maps.items():
        if (sublayer := getattr(layer, name, None)) is not None:
            residual = getattr(layer, f"{name}_residual")
            normed = isinstance(residual, PreNorm | SandwichNorm)
            given.input(residual, then=residual.norm if normed else None)
            taken.input(sublayer)
            given.input(sublayer)
            taken.input(getattr(sublayer, first))
            given.output(getattr(sublayer, last))
            taken.output(sublayer)


class Seen:
    """What is seen on one side of links between modules, numbered as they are named."""

    def __init__(self) -> None:
        self.values, self.links = dict[int, Tensor](), 0

    def input(self, module: nn.Module, then: nn.Module | None = None) -> None:
        link, self.links = self.links, self.links + 1
        module.register_forward_pre_hook(lambda _m, inputs: self._keep(link, inputs[0], then))

    def output(self, module: nn.Module, then: nn.Module | None = None) -> None:
        link, self.links = self.links, self.links + 1
        module.register_forward_hook(lambda _m, _i, output: self._keep(link, output, then))

    def _keep(self, link: int, value: Tensor, then: nn.Module | None) -> None:
        self.values[link] = value if then is None else then(value)


def test_all_kinds_of_attention_are_covered_here() -> None:
    kinds = {variant.fields.get("attention", "full") for variant in VARIANTS.values()}
    with_weights = {n for n, kind in ATTENTION.items() if isinstance(kind, SoftmaxAttention)}
    assert kinds == with_weights
