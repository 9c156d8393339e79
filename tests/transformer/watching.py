"""A model watched at all places where dropout may act, cut off from one another.

Shape suffixes: B batch, T tokens, D d_model.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tests.models import VOCABULARY, model_inputs, tiny_model
from transformer.attention import SelfAttention
from transformer.feedforward import FeedForward
from transformer.layers import CrossAttention, CrossLayer, Layer, Stack
from transformer.model import Transformer
from transformer.norms import PostNorm

P = 0.3  # not 0.5, where the rate of what is dropped and of what is kept are the same


class Variant(NamedTuple):
    """A model, and how it is run."""

    fields: dict[str, object]
    half: bool = False
    rows: int = 4
    length: int = 16
    heads: int = 4

    def model(self, rates: dict[str, float]) -> Transformer:
        """Heads twice as wide as a text is long, so that a head's output has room for its weights,
        and all places equally wide, so that the noise of any two can be compared."""
        width = self.heads * 2 * self.length
        sizes = {"d_model": width, "d_ff": width, "max_positions": self.length}
        return tiny_model(**sizes, heads=self.heads, **self.fields, **rates)

    def run(self, model: Transformer) -> Tensor:
        """Logits of a batch that is always the same, with gradients: without them, attention in
        bfloat16 on a CPU goes another way than in training."""
        chance = torch.Generator().manual_seed(1)
        draw = partial(torch.randint, 0, VOCABULARY, (self.rows, self.length), generator=chance)
        source = {"source_BS": draw()} if model.config.shape == "encoder-decoder" else {}
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.half):
            logits_BTV: Tensor = model(model_inputs(draw(), **source))
        return logits_BTV


class Watched:
    """A model, and what stands right before and after each place where dropout may act.

    Attention reads one-hot rows, with nothing for queries and keys: so its output is its weights,
    each twice, for the features of a value are not dropped one by one.
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
        rows_BTD = torch.eye(self.variant.length, self.model.config.d_model)
        rows_BTD = rows_BTD.expand(self.variant.rows, -1, -1)
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
        norms = {"sandwich": "output_norm", "reordered": "norm"}  # of what a sublayer hands over
        norm = norms.get(self.model.config.norm_placement)
        last = sublayer if norm is None else getattr(residual, norm)
        last.register_forward_hook(
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
    fused = attention.fused if isinstance(attention, SelfAttention) else ("kv",)
    identity = torch.eye(width // 2, attention.config.d_model)
    for name in fused:
        getattr(attention, name).weight[-groups * width :] = identity.repeat(2 * groups, 1)
    nn.init.eye_(attention.out.weight)
