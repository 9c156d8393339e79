"""What a model reaches in a script that its vocabulary lacked, and one that had it at first.

python -m tests.benchmarks.vocabulary --source train.en.gz --target train.de.gz \
    --test-source test.en.gz --test-target test.de.gz -o runs/script --epochs 60

Three runs of the Multi30k recipe, of the same length: `old` translates into the target's language;
`grown` starts from it, with `--grow-vocabulary`, and learns the target in Cyrillic letters by a
fixed table, asked for by a tag, with the old pairs mixed in; `fresh` learns both from the start,
with the tokenizer of `grown`. BLEU of each on both tests, at its best validation.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenizer import TextFile, read_lines

TAG = "<2cyr>"
# The recipe multi30k-en-de, whose network that of --init has already.
MODEL = ("preset=translate-tiny", "encoder_layers=4", "decoder_layers=4", "dropout=0.3")
TRAINING = ("batch_tokens=4096", "learning_rate=5e-3", "warmup=2000", "schedule=inverse-sqrt")
TRAINING += ("label_smoothing=0.1", "ema=0.999", "precision=bfloat16")
_TABLE = dict(zip("abcdefghijklmnopqrstuvwxyzäöüß", "абцдефгхийклмнопкрстувњџжзэёюш", strict=True))
CYRILLIC = str.maketrans(_TABLE | {a.upper(): b.upper() for a, b in _TABLE.items() if a != "ß"})


def transduce(*words: object) -> bytes:
    """Run the program; its messages go to stderr."""
    command = [sys.executable, "-m", "transduce", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def write_pairs(path: Path, source: Path, target: Path, limit: int) -> None:
    """Write pairs, and beside them the same with the target in the other script."""
    sides = [list(read_lines(TextFile(str(side))))[:limit] for side in (source, target)]
    rows = [(a, b) for a, b in zip(*sides, strict=True) if a.strip() and b.strip()]
    text = "".join(f"{a}\t{b}\n" for a, b in rows)
    other = "".join(f"{TAG} {a}\t{b.translate(CYRILLIC)}\n" for a, b in rows)
    path.with_suffix(".old.tsv").write_text(text, encoding="utf-8")
    path.with_suffix(".new.tsv").write_text(other, encoding="utf-8")


def train(folder: Path, name: str, asked: argparse.Namespace, *more: object, both: bool) -> None:
    """Train one of the three runs, with the validation pairs that it learns from."""
    kinds = ("old", "new") if both else ("old",)
    pairs = [("--pairs", folder / f"train.{kind}.tsv") for kind in kinds]
    transduce(
        *("train", "-o", folder / name, "--epochs", asked.epochs, "--seed", asked.seed),
        *(word for pair in pairs for word in pair),
        *settings(*(f"training.{each}" for each in TRAINING), "validation.patience=0"),
        *settings("validation.metric=loss", *asked.set),
        *more,
    )


def settings(*settings: str) -> list[str]:
    """Return options for settings of a recipe."""
    return [word for setting in settings for word in ("--set", setting)]


def score(folder: Path, name: str, kind: str) -> float:
    """Return the BLEU of a run on one of the tests."""
    asked = ("--pairs", folder / f"test.{kind}.tsv", "--json", "--tokenize", "none")
    scores = json.loads(transduce("evaluate", "-m", folder / name, *asked))
    return float(scores["bleu"]["score"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for side in ("--source", "--target", "--test-source", "--test-target"):
        parser.add_argument(side, type=Path, required=True)
    parser.add_argument("-o", dest="out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--epochs", type=float, default=60)
    parser.add_argument("--pairs", type=int, default=10**9, help="pairs to train on, at most")
    parser.add_argument("--test-pairs", type=int, default=10**9)
    parser.add_argument("--vocabulary", type=int, default=10_000, help="of the old model")
    parser.add_argument("--grow", type=int, default=6000, help="tokens to learn, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE, for all runs")
    parser.add_argument("--grown-set", action="append", default=[], help="for the grown run alone")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    write_pairs(asked.out / "train", asked.source, asked.target, asked.pairs)
    write_pairs(asked.out / "test", asked.test_source, asked.test_target, asked.test_pairs)
    network = settings(*(f"model.{each}" for each in MODEL))
    size = ("--set", f"tokenizer.vocab_size={asked.vocabulary}")
    train(asked.out, "old", asked, *network, *size, both=False)
    growing = ("--init", asked.out / "old", "--grow-vocabulary", asked.grow, "--special", TAG)
    train(asked.out, "grown", asked, *growing, *settings(*asked.grown_set), both=True)
    tokenizer = ("--tokenizer", asked.out / "grown" / "tokenizer.json")
    train(asked.out, "fresh", asked, *network, *tokenizer, both=True)
    for name, kinds in (("old", ("old",)), ("grown", ("old", "new")), ("fresh", ("old", "new"))):
        told = ", ".join(f"{kind} {score(asked.out, name, kind):.2f}" for kind in kinds)
        print(f"{name}: {told} BLEU", flush=True)


if __name__ == "__main__":
    main()
