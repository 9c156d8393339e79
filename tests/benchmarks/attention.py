"""Attention whose heads share keys, windows and sparse patterns: milliseconds, beside full ones.

python -m tests.benchmarks.attention
"""

import statistics
import time
from collections.abc import Callable

import torch
from rich.console import Console
from rich.table import Table

from tests.models import model_inputs
from transformer import TransformerConfig
from transformer.attention import ATTENTION, Scope, Tokens
from transformer.initialization import initialize
from transformer.model import Transformer
from transformer.positions import Positions

POSITIONS, VOCABULARY, WINDOW = 2048, 1000, 256
LENGTHS = (512, 1024, 2048, 4096)
LONG, STRIDES = (1024, 4096, 16384), (64, 128)
SIZE = {
    "shape": "decoder", "vocab_size": VOCABULARY, "positions": "rotary", "dropout": 0.0,
    "norm_placement": "pre",
}  # fmt: skip


def built(**fields: object) -> Transformer:
    """A decoder with random weights."""
    model = Transformer(TransformerConfig(**SIZE, **fields))  # type: ignore[arg-type]
    initialize(model, seed=1)
    return model


def median(work: Callable[[], object], rounds: int = 7) -> float:
    """Milliseconds, the first round left out."""
    seen = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        seen.append(1000 * (time.perf_counter() - started))
    return statistics.median(seen[1:])


@torch.inference_mode()
def decoding(kv_heads: int) -> float:
    """A token of a text of 2,048: 8 layers of width 1,024, 16 heads."""
    model = built(
        d_model=1024, d_ff=4096, decoder_layers=8, heads=16, kv_heads=kv_heads,
        max_positions=POSITIONS + 1,
    ).eval()  # fmt: skip
    cache = model.new_cache(1, POSITIONS + 1)
    model.decode(torch.ones(1, POSITIONS, dtype=torch.long), torch.arange(POSITIONS)[None], cache)
    one, last = torch.ones(1, 1, dtype=torch.long), torch.tensor([[POSITIONS]])
    return median(lambda: model.decode(one, last, cache))


def training(attention: str, length: int) -> float:
    """Forward and backward of 4 layers of width 256 over a batch of two texts."""
    model = built(
        d_model=256, d_ff=512, decoder_layers=4, heads=4, attention=attention, window=WINDOW,
        max_positions=length,
    )  # fmt: skip
    ids_BT = torch.ones(2, length, dtype=torch.long)
    return median(lambda: model.hidden(model_inputs(ids_BT)).sum().backward())


def alone(attention: str, length: int, stride: int) -> tuple[float, float]:
    """Attention by itself, 4 heads of 64, one text: forward, and forward and backward."""
    config = TransformerConfig(
        **SIZE, d_model=256, heads=4, decoder_layers=1, attention=attention, stride=stride
    )
    q, k, v = (torch.randn(1, length, 4, 64, requires_grad=True) for _ in range(3))
    scope = Scope(config, Positions(config, causal=True), causal=True)
    mixing = ATTENTION[attention].mixing(scope, Tokens.of(q, None), None, None)
    rounds = 3 if length > LONG[1] else 7

    def forward() -> torch.Tensor:
        return mixing(q, k, v, layer=0, dropout=0.0)

    with torch.no_grad():
        once = median(forward, rounds)
    return once, median(lambda: forward().sum().backward(), rounds)


def sparse() -> Table:
    """The patterns beside full attention, by the length of their blocks."""
    table = Table(title="attention alone, 4 heads of 64: forward / forward and backward, ms")
    kinds = [("full", 128), *((kind, s) for kind in ("strided", "fixed") for s in STRIDES)]
    table.add_column("tokens")
    for kind, stride in kinds:
        table.add_column(kind if kind == "full" else f"{kind}, {stride}", justify="right")
    for length in LONG:
        cells = [alone(kind, length, stride) for kind, stride in kinds]
        table.add_row(f"{length:,}", *(f"{once:.1f} / {both:.1f}" for once, both in cells))
    return table


def main() -> None:
    """Print the tables."""
    shared = Table(title=f"one token at position {POSITIONS:,}, 16 heads, ms")
    shared.add_column("key heads")
    shared.add_column("ms", justify="right")
    for kv_heads in (16, 4, 1):
        shared.add_row(str(kv_heads), f"{decoding(kv_heads):.1f}")
    windows = Table(title=f"training, forward and backward, window {WINDOW}, ms")
    windows.add_column("tokens")
    for name in ("full", "sliding", "sliding/full"):
        windows.add_column(name, justify="right")
    for length in LENGTHS:
        full, sliding = training("full", length), training("sliding", length)
        windows.add_row(f"{length:,}", f"{full:.0f}", f"{sliding:.0f}", f"{sliding / full:.2f}")
    console = Console()
    console.print(shared)
    console.print(windows)
    console.print(sparse())
    console.print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
