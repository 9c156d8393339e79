"""Dropout at each place of the network: where its name says, at its rate, in training only, with
noise of its own.

One pass of a real model is watched at all places at once. The places are cut off from one another,
so that what is dropped at one is seen at no other: see Watched.
Shape suffixes: B batch, T tokens, D d_model.
"""

from functools import partial
from itertools import combinations
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from tests.models import SHAPES, VOCABULARY, tiny_model
from transformer.attention import ATTENTION
from transformer.feedforward import FeedForward
from transformer.layers import CrossAttention, CrossLayer, Layer, SelfAttention, Stack
from transformer.model import Transformer
from transformer.norms import RESIDUALS, PostNorm

P = 0.3  # not 0.5, where the rate of what is dropped and of what is kept are the same
RATES = ("dropout", "attention_dropout", "activation_dropout")
ROWS, LENGTH, HEADS = 2, 32, 4


class Variant(NamedTuple):
    """A model, and how it is run."""

    fields: dict[str, object]
    half: bool = False
    length: int = LENGTH
    heads: int = HEADS

    def model(self, rates: dict[str, float]) -> Transformer:
        """Heads as wide as a text is long, so that a head's output has room for its weights, and
        all places equally wide, so that the noise of any two can be compared."""
        sizes = {"heads": self.heads, "d_model": self.heads * self.length}
        sizes |= {"d_ff": self.heads * self.length, "max_positions": self.length}
        return tiny_model(**sizes, **self.fields, **rates)  # type: ignore[arg-type]

    def run(self, model: Transformer) -> Tensor:
        """Logits of a batch that is always the same, with gradients: without them, attention in
        bfloat16 on a CPU goes another way than in training."""
        chance = torch.Generator().manual_seed(1)
        draw = partial(torch.randint, 0, VOCABULARY, (ROWS, self.length), generator=chance)
        source = {"source_BS": draw()} if model.config.shape == "encoder-decoder" else {}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            logits_BTV: Tensor = model(draw(), **source)
        return logits_BTV


BOTH = {"shape": "encoder-decoder"}
SLIDING = {**BOTH, "attention": "sliding", "window": 8, "global_tokens": 1}
VARIANTS = {
    **{
        f"{shape} {placement}": Variant({"shape": shape, "norm_placement": placement})
        for shape in SHAPES
        for placement in RESIDUALS
    },
    "gated": Variant({**BOTH, "feedforward": "reglu"}),
    "grouped heads": Variant({**BOTH, "kv_heads": 2}),
    "sliding": Variant(SLIDING),
    "normed embeddings": Variant({**BOTH, "embedding_norm": True, "share_embeddings": False}),
    "bfloat16": Variant(BOTH, half=True),
    "bfloat16, sliding, grouped": Variant({**SLIDING, "kv_heads": 1}, half=True),
    # more scores than attention in bfloat16 computes by the equation itself
    "bfloat16, long": Variant({"shape": "decoder"}, half=True, length=260, heads=1),
}
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def rate_of(place: str) -> str:
    """Which field of the configuration says how much is dropped there."""
    kinds = {"weights": "attention_dropout", "hidden": "activation_dropout"}
    return kinds.get(place.rsplit(maxsplit=1)[-1], "dropout")


class Watched:
    """A model, and what stands right before and after each place where dropout may act.

    Attention reads one-hot rows, with nothing for queries and keys: so its output is its weights.
    What goes into the feed-forward's activation, and what a sublayer hands to its residual, is
    replaced by ones.
    """

    def __init__(self, variant: Variant, *rates: str) -> None:
        self.variant, self.places = variant, list[str]()
        self.model = variant.model(dict.fromkeys(rates, P))
        self.before, self.after = dict[str, Tensor](), dict[str, Tensor]()
        for name in ("encoder", "decoder"):
            stack = getattr(self.model, name)
            if stack is not None:
                self._watch_embeddings(f"{name} embeddings", stack)
                for number, layer in enumerate(stack.layers):
                    self._watch_layer(f"{name} {number}", layer)

    def kept(self, seed: int | None = 0) -> dict[str, Tensor]:
        """What each value is multiplied with in training, by place; NaN where there is none."""
        whole = self.see(None, training=False)
        return {place: found / whole[place] for place, found in self.see(seed).items()}

    def see(self, seed: int | None, *, training: bool = True) -> dict[str, Tensor]:
        """What stands after each place. A place that nothing passed is an error."""
        self.before, self.after = {}, {}
        if seed is not None:
            torch.manual_seed(seed)
        self.variant.run(self.model.train(training))
        return {place: self.after[place] for place in self.places}

    def gradients(self, into: dict[str, Tensor]) -> dict[str, Tensor]:
        """What comes of gradients after each place to what stood before it and was not 0."""
        found = {}
        for place, after in self.after.items():
            (gradient,) = torch.autograd.grad(
                after, self.before[place], into[place], retain_graph=True
            )
            found[place] = gradient * self.before[place]
        return found

    def _enter(self, place: str, values: Tensor) -> Tensor:
        """Values that stand before a place, to go in instead of what was there."""
        self.before[place] = values.detach().clone().requires_grad_()
        return self.before[place]

    def _watch_embeddings(self, place: str, stack: Stack) -> None:
        self.places.append(place)
        latest: list[Tensor] = []  # both sides may read one embedding, one after the other
        for embedding in (self.model.source_embedding, self.model.embedding):
            if embedding is not None:
                embedding.register_forward_hook(lambda _m, _i, output: latest.append(output))

        def leave(_module: nn.Module, inputs: tuple[Tensor]) -> None:
            self.before[place], self.after[place] = latest[-1], inputs[0]

        stack.register_forward_pre_hook(leave)

    def _watch_layer(self, place: str, layer: Layer) -> None:
        self._watch_weights(f"{place} attention weights", layer.attention)
        self._watch_sublayer(f"{place} attention", layer.attention, layer.attention_residual)
        if isinstance(layer, CrossLayer):
            self._watch_weights(f"{place} cross weights", layer.cross)
            self._watch_sublayer(f"{place} cross", layer.cross, layer.cross_residual)
        self._watch_hidden(f"{place} feedforward hidden", layer.feedforward)
        self._watch_sublayer(f"{place} feedforward", layer.feedforward, layer.feedforward_residual)

    def _watch_weights(self, place: str, attention: SelfAttention | CrossAttention) -> None:
        self.places.append(place)
        expose_weights(attention)
        module = attention if isinstance(attention, SelfAttention) else attention.kv
        rows_BTD = torch.eye(self.variant.length, self.model.config.d_model).expand(ROWS, -1, -1)
        module.register_forward_pre_hook(
            lambda _m, inputs: (self._enter(place, rows_BTD), *inputs[1:])
        )
        attention.register_forward_hook(lambda _m, _i, output: self.after.update({place: output}))

    def _watch_hidden(self, place: str, feedforward: FeedForward) -> None:
        self.places.append(place)
        feedforward.up.register_forward_hook(
            lambda _m, _i, output: self._enter(place, torch.ones_like(output))
        )
        feedforward.down.register_forward_pre_hook(
            lambda _m, inputs: self.after.update({place: inputs[0]})
        )

    def _watch_sublayer(self, place: str, sublayer: nn.Module, residual: PostNorm) -> None:
        """Its output is what it adds to the residual stream, which is normed before or after."""
        self.places.append(place)
        stream: list[Tensor] = []
        residual.register_forward_pre_hook(lambda _m, inputs: stream.append(inputs[0]))
        sublayer.register_forward_hook(
            lambda _m, _i, output: self._enter(place, torch.ones_like(output))
        )

        def leave(total_BTD: Tensor) -> None:
            self.after[place] = total_BTD - stream[-1]

        if self.model.config.norm_placement == "post":
            residual.norm.register_forward_pre_hook(lambda _m, inputs: leave(inputs[0]))
        else:
            residual.register_forward_hook(lambda _m, _i, output: leave(output))


@torch.no_grad()
def expose_weights(attention: SelfAttention | CrossAttention) -> None:
    """No queries and no keys, so that all that is seen counts alike; values are what is read, and
    heads stand side by side in the output."""
    for weight in attention.parameters():
        weight.zero_()
    groups, width = attention.config.key_value_heads, attention.config.head_width
    values = attention.qkv if isinstance(attention, SelfAttention) else attention.kv
    identity = torch.eye(width, attention.config.d_model)
    values.weight[-groups * width :] = identity.repeat(groups, 1)
    nn.init.eye_(attention.out.weight)


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


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_dropped_after_the_last_layer(shape: str) -> None:
    model = tiny_model(shape, final_norm=True, **dict.fromkeys(RATES, P)).train()
    found, wanted = list[Tensor](), list[Tensor]()
    for stack in filter(None, (model.encoder, model.decoder)):
        stack.layers[-1].register_forward_hook(
            lambda _m, _i, output, norm=stack.norm: wanted.append(norm(output))
        )
    if shape == "encoder-decoder":
        model.decoder.layers[0].cross.kv.register_forward_pre_hook(
            lambda _m, inputs: found.append(inputs[0])
        )
    model.head.register_forward_pre_hook(lambda _m, inputs: found.append(inputs[0]))
    logits_BTV = Variant({}).run(model)
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
    assert torch.equal(logits_BTV, model.eval().logits(wanted[-1]))


def test_all_kinds_of_attention_are_covered_here() -> None:
    kinds = {variant.fields.get("attention", "full") for variant in VARIANTS.values()}
    assert kinds == set(ATTENTION)
