"""Attention alone on long texts, kind by kind beside full attention: time, memory and slopes.

python -m tests.benchmarks.long_texts [--longest 65536] [--encoders] [--plot FILE.svg]

With --encoders, those kinds that are of encoders beside full attention to both sides, in training.
"""

import argparse
import gc
import io
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from transformer import TransformerConfig
from transformer.attention import ATTENTION, Scope, Tokens
from transformer.attention.random_features import RandomFeatures
from transformer.cache import CacheSize
from transformer.memory import keep_freed_memory
from transformer.positions import Positions

HEADS, WIDTH = 4, 64
LENGTHS = (512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536)
STEEP = 4096  # the length from which on slopes are told: below, calls cost more than numbers
CELLS = {
    "training time": ("ms", "forward and backward pass of a text"),
    "training memory": ("MiB", "at the peak, beside inputs"),
    "decoding time": ("ms", "of the next token after so many"),
    "decoding memory": ("MiB", "of the cache"),
}


class Cell(NamedTuple):
    """One kind at one length, in the order of CELLS."""

    training_ms: float
    training_mib: float
    decoding_ms: float
    decoding_mib: float


def config_of(kind: str, length: int, *, causal: bool) -> TransformerConfig:
    """Windows of 256, 256 random features, and blocks of about the root of the length."""
    shape = "decoder" if causal else "encoder"
    layers = {f"{shape}_layers": 1}
    stride = 1 << round(math.log2(length) / 2)
    return TransformerConfig(
        shape=shape, vocab_size=8, d_model=HEADS * WIDTH, heads=HEADS, **layers,
        attention=kind, window=256, stride=stride, summary_tokens=min(8, stride),
        positions="none", random_features=256,
    )  # fmt: skip


def layer_of(config: TransformerConfig, *, causal: bool) -> tuple[nn.Module, int]:
    """Return a layer without maps, and the width that it reads: of queries, keys and values."""
    module = ATTENTION[config.attention].build(config, 0, causal=causal)
    width = 0
    for name, each in list(module.named_children()):
        if isinstance(each, nn.Linear):
            width = max(width, each.out_features)
            setattr(module, name, nn.Identity())
    for features in module.modules():
        if isinstance(features, RandomFeatures):
            features.redraw()
    return module, width


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds, after a round that is not counted where there are several."""
    seen = []
    for number in range(rounds + (rounds > 1)):
        started = time.perf_counter()
        work()
        if number or rounds == 1:
            seen.append(1000 * (time.perf_counter() - started))
    return statistics.median(seen)


def status_mib(field: str) -> float:
    """Return a size of this process, such as VmRSS."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def peak_mib(work: Callable[[], object]) -> float:
    """Return what the process needs at most while it works, beyond what it had."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak starts anew
    before = status_mib("VmRSS")
    work()
    return max(0.0, status_mib("VmHWM") - before)


def measure(kind: str, length: int, causal: bool) -> Cell:
    """Measure a kind in this process, which is to be a fresh one, set as the program sets it.

    An encoder does not decode: it takes no time and no memory for that.
    """
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    config = config_of(kind, length, causal=causal)
    scope = Scope(config, Positions(config, causal=causal), causal=causal)
    (layer, width), entry = layer_of(config, causal=causal), ATTENTION[kind]
    text_BTD = torch.randn(1, length, width, requires_grad=True)

    def train() -> None:
        text_BTD.grad = None
        mixing = entry.mixing(scope, Tokens.of(text_BTD, None), None, None)
        layer(text_BTD, mixing).sum().backward()

    peak = peak_mib(train)
    rounds = 7 if length <= STEEP else 1 if kind == "full" and length > 16_384 else 3
    training = median_ms(train, rounds)
    text_BTD.grad = None
    if not causal:
        return Cell(training, peak, 0.0, 0.0)
    size = CacheSize(1, 1, length + 1, text_BTD.device, torch.float32)
    cache, position_B1 = entry.new_cache(config, size), torch.tensor([[length]])
    token_B1D = text_BTD[:, :1].detach()

    @torch.inference_mode()
    def decode() -> Tensor:
        tokens = Tokens.of(token_B1D, position_B1)
        return layer(token_B1D, entry.mixing(scope, tokens, cache, length + 1))

    decoding = median_ms(decode, 50)
    stored = io.BytesIO()
    torch.save(cache, stored)
    return Cell(training, peak, decoding, len(stored.getvalue()) / (1 << 20))


def slope(lengths: Sequence[int], values: Sequence[float]) -> float:
    """Return the slope of a line through points on two logarithmic axes."""
    points = [(n, value) for n, value in zip(lengths, values, strict=True) if n >= STEEP]
    logs = np.log([(n, max(value, 1e-9)) for n, value in points])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def table_of(index: int, lengths: Sequence[int], cells: dict[str, list[Cell]]) -> Table:
    """Show one of CELLS: a row for each kind, and its slope."""
    (name, (unit, what)), peers = list(CELLS.items())[index], cells["full"]
    table = Table(title=f"{name}, {unit}: {what}; in brackets, times as little as full")
    table.add_column("")
    for length in lengths:
        table.add_column(f"{length:,}", justify="right")
    table.add_column(f"slope from {STEEP:,}", justify="right")
    for kind, row in cells.items():
        shown = [
            f"{cell[index]:.3g}" + (f" ({peer[index] / cell[index]:.2g})" if cell[index] else "")
            for cell, peer in zip(row, peers, strict=True)
        ]
        table.add_row(kind, *shown, f"{slope(lengths, [cell[index] for cell in row]):.2f}")
    return table


def plot(path: Path, lengths: Sequence[int], cells: dict[str, list[Cell]]) -> None:
    """Draw time and memory over the length, on logarithmic axes."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "font.size": 9, "svg.hashsalt": "long texts"})
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), sharex=True)
    for index, (axis, (name, (unit, what))) in enumerate(
        zip(axes.flat, CELLS.items(), strict=True)
    ):
        for kind, row in cells.items():
            style = {"color": "black", "linewidth": 2} if kind == "full" else {}
            values = [max(cell[index], 0.01) for cell in row]
            axis.loglog(lengths, values, marker=".", label=kind, **style)
        axis.set_title(f"{name}, {unit}: {what}", fontsize=9)
        axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("tokens")
        axis.set_xticks(lengths, [f"{length:,}" for length in lengths], rotation=30)
        axis.minorticks_off()
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names))
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure all kinds, print the tables and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1])
    parser.add_argument("--encoders", action="store_true")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    lengths = [length for length in LENGTHS if length <= options.longest]
    in_encoders = {name: kind.names_global_tokens for name, kind in ATTENTION.items()}
    kinds = [name for name in ATTENTION if in_encoders[name] == options.encoders or name == "full"]
    cells: dict[str, list[Cell]] = {kind: [] for kind in kinds}
    for length in lengths:
        for kind, row in cells.items():  # beside one another, as the machine is then alike for all
            with multiprocessing.get_context("spawn").Pool(1) as fresh:
                row.append(fresh.apply(measure, (kind, length, not options.encoders)))
    console = Console(width=200)
    for index in range(2 if options.encoders else len(CELLS)):
        console.print(table_of(index, lengths, cells))
    console.print(f"torch {torch.__version__}, 1 thread, {HEADS} heads of {WIDTH}, float32")
    if options.plot:
        plot(options.plot, lengths, cells)


if __name__ == "__main__":
    main()
