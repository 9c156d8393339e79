"""What `transduce train` reaches with its own choices, on text that it has not seen.

python -m tests.benchmarks.choices --pairs pairs.tsv.gz --text book.txt

`--pairs`: BLEU on a twenty-fifth of the pairs, equal sources together, after `--time`. `--text`:
bits per byte on the last tenth of 500 kB, beside nanoGPT's CPU setting by characters, in the time
that this takes. Each of `--seeds` in turn, then the mean of all and their spread.
"""

import argparse
import hashlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_

from tests.benchmarks.plain_gpt import PlainGpt
from tokenizer import CorpusCounts, read_columns

HELD_OUT = 0.04
TEXT_BYTES = 500_000
# nanoGPT, config/train_shakespeare_char.py as its README runs it on a CPU
STEPS, WARMUP, RATE, LEAST_RATE, ROWS, CONTEXT, WIDTH, HEADS, LAYERS = (
    *(2000, 100, 1e-3, 1e-4, 12, 64, 128, 4, 4),
)


def transduce(*words: object) -> bytes:
    """Run the program; its messages go to stderr."""
    command = [sys.executable, "-m", "transduce", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def is_held_out(source: str) -> bool:
    digest = hashlib.blake2b(source.encode(), digest_size=8, key=b"held out").digest()
    return int.from_bytes(digest, "big") < HELD_OUT * 2**64


def translate(file: str, folder: Path, limit: str, seed: int) -> float:
    """Train on pairs; return BLEU on those held out."""
    rows = [(row[0], row[1]) for row in read_columns(file, ["1", "2"], CorpusCounts())]
    for name, held_out in (("train", False), ("test", True)):
        chosen = [f"{a}\t{b}\n" for a, b in rows if is_held_out(a) == held_out]
        (folder / f"{name}.tsv").write_text("".join(chosen), encoding="utf-8")
        print(f"{name}: {len(chosen):,} pairs", flush=True)
    started = time.monotonic()
    transduce(
        *("train", "--pairs", folder / "train.tsv", "-o", folder / "run"),
        *("--time", limit, "--seed", seed),
    )
    minutes = (time.monotonic() - started) / 60
    scores = json.loads(
        transduce("evaluate", "-m", folder / "run", "--pairs", folder / "test.tsv", "--json")
    )
    print(f"{minutes:.1f} minutes: {scores}", flush=True)
    return float(scores["bleu"]["score"])


def plain_bits(train: str, test: str, seed: int) -> tuple[float, float]:
    """Train nanoGPT's CPU setting; return bits per byte and seconds."""
    ids = {character: n for n, character in enumerate(sorted({*train, *test}))}
    sides = [torch.tensor([ids[c] for c in text]) for text in (train, test)]
    torch.manual_seed(seed)
    model = PlainGpt(len(ids), CONTEXT, WIDTH, HEADS, LAYERS)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=RATE, betas=(0.9, 0.99), fused=True,
    )  # fmt: skip
    started = time.monotonic()
    for step in range(STEPS):
        done = max(0.0, (step - WARMUP) / (STEPS - WARMUP))
        falling = LEAST_RATE + 0.5 * (1 + math.cos(math.pi * done)) * (RATE - LEAST_RATE)
        for group in optimizer.param_groups:
            group["lr"] = min(RATE * (step + 1) / (WARMUP + 1), falling)
        starts = torch.randint(len(sides[0]) - CONTEXT, (ROWS,)).tolist()
        rows = torch.stack([sides[0][s : s + CONTEXT + 1] for s in starts])
        model(rows[:, :-1], rows[:, 1:]).backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    seconds = time.monotonic() - started
    windows = sides[1].unfold(0, CONTEXT + 1, CONTEXT)
    with torch.no_grad():
        losses = [model(w[:, :-1], w[:, 1:]).item() * len(w) for w in windows.split(64)]
    nats = sum(losses) / len(windows)
    return nats / math.log(2) * len(test) / len(test.encode()), seconds


def write(file: str, folder: Path, seed: int) -> tuple[float, float]:
    """Train a language model in the time of the plain one; return bits per byte of both."""
    text = Path(file).read_bytes()[:TEXT_BYTES].decode("utf-8", "ignore")
    cut = len(text) * 9 // 10
    bits, seconds = plain_bits(text[:cut], text[cut:], seed)
    print(f"nanoGPT's setting: {bits:.3f} bits per byte in {seconds:.0f} s", flush=True)
    for name, part in (("book", text[:cut]), ("end", text[cut:])):
        (folder / f"{name}.txt").write_text(part, encoding="utf-8")
    run = folder / "book"
    started = time.monotonic()
    transduce(
        *("train", "--text", folder / "book.txt", "-o", run),
        *("--time", f"{round(seconds)}s", "--seed", seed),
    )
    seconds = time.monotonic() - started
    scores = json.loads(transduce("evaluate", "-m", run, "--text", folder / "end.txt", "--json"))
    print(f"ours: {scores['bits_per_byte']:.3f} bits per byte in {seconds:.0f} s", flush=True)
    return bits, float(scores["bits_per_byte"])


def spread(name: str, values: Sequence[float]) -> str:
    """Return the mean of a score and its standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{name}: {statistics.mean(values):.3f} ± {deviation:.3f} of {len(values)} seeds"


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs")
    parser.add_argument("--text")
    parser.add_argument("--time", default="20m")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(words)
    scores: dict[str, list[float]] = {}
    for seed in range(1, options.seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            if options.pairs:
                bleu = translate(options.pairs, Path(folder), options.time, seed)
                scores.setdefault("BLEU", []).append(bleu)
            if options.text:
                bits = write(options.text, Path(folder), seed)
                for name, value in zip(("nanoGPT's setting", "ours"), bits, strict=True):
                    scores.setdefault(f"bits per byte, {name}", []).append(value)
    for name, values in scores.items():
        print(spread(name, values), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
