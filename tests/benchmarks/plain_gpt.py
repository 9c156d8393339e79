"""GPT-2 and its training step as one writes them down in torch, to measure beside.

Shape suffixes: B rows, T tokens, D width, H heads, K head width, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Causal self-attention and a feed-forward network, each after a norm and in a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.other_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        qkv = self.qkv(self.norm(x_BTD)).chunk(3, dim=-1)
        q_BHTK, k_BHTK, v_BHTK = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in qkv)
        mixed_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, is_causal=True)
        x_BTD = x_BTD + self.out(mixed_BHTK.transpose(1, 2).flatten(2))
        hidden = F.gelu(self.up(self.other_norm(x_BTD)), approximate="tanh")
        return x_BTD + self.down(hidden)


class PlainGpt(nn.Module):
    """Token and position embeddings, blocks, a norm, and the token embedding again."""

    def __init__(self, vocabulary: int, context: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)

    def forward(self, ids_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """The mean cross-entropy."""
        places_T = torch.arange(ids_BT.size(1), device=ids_BT.device)
        x_BTD = self.norm(self.blocks(self.tokens(ids_BT) + self.places(places_T)))
        logits_BTV = F.linear(x_BTD, self.tokens.weight)
        return F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())


def plain_step(model: PlainGpt, ids_BT: Tensor, *, compiled: bool) -> Callable[[], None]:
    """A step of training on ids (B, T + 1), the same each time."""
    device = ids_BT.device
    model = model.to(device)
    forward = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-4, fused=True)

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = forward(ids_BT[:, :-1], ids_BT[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step
