"""Multi-query associative recall by kind of attention, arXiv 2312.04927: shares of right answers.

python -m tests.benchmarks.recall [--kinds NAME …] [--seeds 3] [--jobs 2]

A text has pairs of a key and its value, then these keys in any order and number, each before its
value: that value is what a model of two layers has to predict. Long texts alone teach it nothing
for thousands of steps, so it begins with texts of 16 tokens, and goes on to twice the length when
98 of 100 answers are right, or after a number of steps. All answers shown are to unseen texts.
"""

import argparse
import multiprocessing
import statistics
from collections.abc import Iterator
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from transformer import TransformerConfig
from transformer.initialization import initialize
from transformer.inputs import IGNORE, ModelInputs
from transformer.layer_spec import LayerSpec
from transformer.model import Transformer

KEYS = VALUES = 128  # ids of keys begin at 1, those of values follow
LENGTHS = (16, 32, 64, 128, 256, 512)
TOKENS_OF_A_PAIR = 8  # of a text: two tell it, six ask for it, on average
BATCH_TOKENS, WARMUP, RATE = 2048, 100, 3e-3
STEPS = dict.fromkeys(LENGTHS, 600) | {16: 2000}  # at most
LEARNT = 0.98
# Windows, strides and states of sizes that do not hold the longer texts.
MODELS: dict[str, dict[str, object]] = {
    "full": {},
    "sliding, 32": {"attention": "sliding", "window": 32},
    "sliding, 32, 4 sinks": {"attention": "sliding", "window": 32, "global_tokens": 4},
    "strided, 16": {"attention": "strided", "stride": 16},
    "fixed, 16, 4 shown": {"attention": "fixed", "stride": 16, "summary_tokens": 4},
    "linear": {"attention": "linear"},
    "linear-decay": {"attention": "linear-decay"},
    "performer, 64": {"attention": "performer", "random_features": 64},
    "ssru": {"attention": "ssru"},
    "linear, full": {"layers": ("linear", "full")},
    "sliding 32, full": {"window": 32, "layers": ("sliding", "full")},
    "sliding 32, linear": {"window": 32, "layers": ("sliding", "linear")},
}


class Texts(NamedTuple):
    """Ids (B, T), and for each the id to predict there, or IGNORE."""

    ids_BT: Tensor
    targets_BT: Tensor


def draw_texts(rows: int, length: int, generator: torch.Generator) -> Texts:
    """Draw texts that tell each pair once and go on with pairs drawn from those."""
    pairs, slots = length // TOKENS_OF_A_PAIR, length // 2
    keys_BP = torch.rand(rows, KEYS, generator=generator).argsort(dim=1)[:, :pairs] + 1
    values_BP = torch.randint(VALUES, (rows, pairs), generator=generator) + 1 + KEYS
    told_BP = torch.arange(pairs).expand(rows, -1)
    asked_BQ = torch.randint(pairs, (rows, slots - pairs), generator=generator)
    order_BS = torch.cat([told_BP, asked_BQ], dim=1)
    ids_BS2 = torch.stack([keys_BP.gather(1, order_BS), values_BP.gather(1, order_BS)], dim=-1)
    targets_BS2 = torch.full_like(ids_BS2, IGNORE)
    targets_BS2[:, pairs:, 0] = ids_BS2[:, pairs:, 1]
    return Texts(ids_BS2.flatten(1), targets_BS2.flatten(1))


def model_of(name: str, seed: int) -> Transformer:
    """Return two layers of one head, 64 wide."""
    fields = dict(MODELS[name])
    layers = fields.pop("layers", None)
    config = TransformerConfig(
        shape="decoder", vocab_size=1 + KEYS + VALUES, d_model=64, d_ff=128, heads=1,
        decoder_layers=2, positions="rotary", max_positions=LENGTHS[-1], dropout=0.0,
        norm_placement="pre", final_norm=True, embedding_scale=False, initialization="t5",
        layers=layers and tuple(LayerSpec(attention=kind) for kind in layers), **fields,
    )  # fmt: skip
    model = Transformer(config)
    initialize(model, seed=seed)
    return model


def accuracy(model: Transformer, texts: Texts) -> float:
    """Return the share of right answers."""
    with torch.inference_mode():
        answers_BT = model.eval()(ModelInputs(texts.ids_BT)).argmax(dim=-1)
    model.train()
    asked_BT = texts.targets_BT != IGNORE
    return float((answers_BT == texts.targets_BT)[asked_BT].float().mean())


def train(model: Transformer, seed: int) -> Iterator[tuple[float, int]]:
    """Yield, length by length, the share of right answers and the steps that it took."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.99), weight_decay=0.1)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARMUP, total_iters=WARMUP)
    for length in LENGTHS:
        for step in range(1, STEPS[length] + 1):
            ids_BT, targets_BT = draw_texts(BATCH_TOKENS // length, length, generator)
            logits_BTV = model(ModelInputs(ids_BT))
            F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            warmup.step()
            if step % 20 == 0:
                unseen = draw_texts(2 * BATCH_TOKENS // length, length, generator)
                if accuracy(model, unseen) > LEARNT:
                    break
        yield accuracy(model, draw_texts(64, length, generator)), step


def answers_of(job: tuple[str, int]) -> list[tuple[float, int]]:
    """Train one model in this process."""
    torch.set_num_threads(1)
    name, seed = job
    return list(train(model_of(name, seed), seed))


def main() -> None:
    """Train all models and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="*", default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    table = Table(title="right answers, %: mean ± standard deviation (steps)")
    for heading in ("", *(f"{length} tokens" for length in LENGTHS)):
        table.add_column(heading, justify="right" if heading else "left")
    jobs = [(name, seed) for name in options.kinds for seed in range(1, options.seeds + 1)]
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        runs = {}
        for job, run in zip(jobs, pool.imap(answers_of, jobs), strict=True):
            runs[job] = run
            print(*job, *(f"{share:.3f} ({steps})" for share, steps in run), flush=True)
    for name in options.kinds:
        cells = []
        for index in range(len(LENGTHS)):
            seen = [runs[name, seed][index] for seed in range(1, options.seeds + 1)]
            shares = [100 * share for share, _ in seen]
            spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
            steps = statistics.mean(count for _, count in seen)
            cells.append(f"{statistics.mean(shares):.1f} ± {spread:.1f} ({steps:,.0f})")
        table.add_row(name, *cells)
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
