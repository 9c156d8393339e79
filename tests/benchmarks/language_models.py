"""Decoding speed of GPT-2 124M: tokens a second, greedy, batch 1 and 8, beside its peers.

python -m tests.benchmarks.language_models

Random weights; prompts of 16 tokens, 64 written, none of which ends a text. First it is shown that
all write the same, in float32, or how far they do; then each is measured in a process of its own,
by turns, at each way to use the cores. The last tables have the best of these.
"""

import argparse
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers.pre_tokenizers import ByteLevel

from tests.benchmarks.ctranslate2_peer import CTranslate2Peer
from tests.benchmarks.llama_cpp_peer import LlamaCppPeer, write_gguf
from tests.benchmarks.measuring import rates_apart, show
from tests.benchmarks.ours import compute_as_loaded, counted, decoding
from transformer.decoding import Request
from transformer.decoding.search import GreedyParameters
from transformer.loading import load_for_inference

PROMPT, WRITTEN, VOCABULARY = 16, 64, 50_257
BYTES = 256  # the first ids; the others are words w256 …
BATCHES = (1, 8)
GAIN = 3  # of the layers' matrices; as drawn, each token is that before it again and again

Run = Callable[[], Sequence[Sequence[int]]]


class Cores(NamedTuple):
    """A way to use the cores: several workers have one each."""

    threads: int
    workers: int = 1

    def __str__(self) -> str:
        if self.workers > 1:
            return f"{self.workers} workers"
        return f"{self.threads} thread" + "s" * (self.threads > 1)


def prompts(rows: int) -> torch.Tensor:
    """Random ids of words, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(BYTES, VOCABULARY - 1, (rows, PROMPT), generator=generator)


def write_gpt2(folder: Path) -> None:
    """Write a GPT-2 124M as it is published, with random weights and a tokenizer of bytes."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config())
    with torch.no_grad():
        for weight in model.transformer.h.parameters():
            if weight.dim() == 2:
                weight.mul_(GAIN)
    model.save_pretrained(folder)
    words = [*sorted(ByteLevel.alphabet()), *(f"w{n}" for n in range(BYTES, VOCABULARY - 1))]
    vocabulary = {word: number for number, word in enumerate([*words, "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')


def ours(place: Path, kind: str, rows: int, workers: int) -> Run:
    """This project's search in a number type."""
    model = load_for_inference(place / "gpt2", dtype=kind, device="cpu").model
    prompt_BT = prompts(rows)

    def requests() -> list[Request]:
        return [Request(prompt=row, max_new_tokens=WRITTEN) for row in prompt_BT.tolist()]

    greedy, budget = GreedyParameters(end_ids=frozenset()), -(-rows // workers) * (PROMPT + WRITTEN)
    return decoding(model, greedy, requests, engines=workers, budget=budget)


def transformers(place: Path, kind: str, rows: int, workers: int) -> Run:
    """transformers' generate."""
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(place / "gpt2", dtype=getattr(torch, kind)).eval()
    prompt_BT = prompts(rows)
    assert workers == 1
    lengths = {"min_new_tokens": WRITTEN, "max_new_tokens": WRITTEN}

    @torch.inference_mode()
    def run() -> list[list[int]]:
        mask = torch.ones_like(prompt_BT)
        found = model.generate(prompt_BT, attention_mask=mask, do_sample=False, **lengths)
        ids: list[list[int]] = found[:, PROMPT:].tolist()
        return ids

    return run


def ctranslate2(place: Path, kind: str, rows: int, workers: int) -> Run:
    """CTranslate2's generator in a number type."""
    peer = CTranslate2Peer(place / "ctranslate2", kind, workers=workers)
    return peer.generating(prompts(rows), WRITTEN)


def llama_cpp(place: Path, kind: str, rows: int, workers: int) -> Run:
    """llama.cpp with a file of a number type; "q8_0 flash": with its fused attention."""
    name, *flash = kind.split()
    peer = LlamaCppPeer(place / f"{name}.gguf", workers=workers, flash=bool(flash))
    return peer.generating(prompts(rows), WRITTEN)


class Contestant(NamedTuple):
    """A program in a number type; it needs a package beside those of this benchmark, if any."""

    make: Callable[[Path, str, int, int], Run]
    kind: str
    packages: tuple[str, ...] = ()


CONTESTANTS = {
    "transduce float32": Contestant(ours, "float32"),
    "transduce float16": Contestant(ours, "float16"),
    "transduce int8": Contestant(ours, "int8"),
    "transformers float32": Contestant(transformers, "float32"),
    "CTranslate2 float32": Contestant(ctranslate2, "float32", ("ctranslate2",)),
    "CTranslate2 int8": Contestant(ctranslate2, "int8", ("ctranslate2",)),
    "llama.cpp q8_0": Contestant(llama_cpp, "q8_0", ("llama_cpp", "gguf")),
    "llama.cpp q8_0, flash": Contestant(llama_cpp, "q8_0 flash", ("llama_cpp", "gguf")),
}


def present() -> list[str]:
    """Names of the contestants whose packages are there; say which are not."""
    missing = {
        package
        for each in CONTESTANTS.values()
        for package in each.packages
        if importlib.util.find_spec(package) is None
    }
    for package in sorted(missing):
        print(f"left out: {package} is not installed")
    return [name for name, each in CONTESTANTS.items() if missing.isdisjoint(each.packages)]


def prepare(place: Path, names: Sequence[str]) -> None:
    """Write the model in the formats of all contestants."""
    write_gpt2(place / "gpt2")
    if any(name.startswith("CTranslate2") for name in names):
        from ctranslate2.converters import TransformersConverter

        TransformersConverter(str(place / "gpt2")).convert(str(place / "ctranslate2"))
    if any(name.startswith("llama.cpp") for name in names):
        for kind in ("F32", "Q8_0"):
            write_gguf(place / "gpt2", place / f"{kind.lower()}.gguf", kind)


def compare(place: Path, names: Sequence[str]) -> None:
    """Show how far each writes what transformers does in float32; it must where it is exact."""
    rows = max(BATCHES)
    wanted = transformers(place, "float32", rows, 1)()
    for name in names:
        found = CONTESTANTS[name].make(place, CONTESTANTS[name].kind, rows, 1)()
        same = _agreement(found, wanted)
        print(f"{name}: {same:.1%} of the tokens are before a first other one")
        assert all(len(row) == WRITTEN for row in found), name
        assert same == 1 or "float32" not in name, name
    if (file := place / "f32.gguf").exists():
        same = _agreement(llama_cpp(place, "f32", rows, 1)(), wanted)
        error = _logits_error(LlamaCppPeer(file), place)
        print(f"llama.cpp f32: {same:.1%}; relative error of logits after the prompts {error:.1e}")
        assert error < 0.01


def _agreement(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    """Return the part of the tokens up to the first in each row that is another."""
    equal_BT = torch.tensor(found) == torch.tensor(wanted)
    return float(equal_BT.long().cumprod(dim=1).float().mean())


@torch.inference_mode()
def _logits_error(peer: LlamaCppPeer, place: Path) -> float:
    from transformers import GPT2LMHeadModel

    prompt_BT = prompts(max(BATCHES))
    model = GPT2LMHeadModel.from_pretrained(place / "gpt2").eval()
    wanted_BV = model(prompt_BT).logits[:, -1]
    return float((peer.logits(prompt_BT) - wanted_BV).norm() / wanted_BV.norm())


def contestant(name: str, place: Path, rows: int, cores: Cores) -> Callable[[], int]:
    """The run of one by its name, in a process of its own."""
    compute_as_loaded(cores.threads)
    chosen = CONTESTANTS[name]
    return counted(chosen.make(place, chosen.kind, rows, cores.workers))


def measured(
    place: Path, names: Sequence[str], rows: int, *, rounds: int, patience: float
) -> dict[str, dict[Cores, float]]:
    """Return the tokens a second of each at each way to use the cores."""
    count = os.cpu_count() or 1
    ways = {Cores(count), Cores(1) if rows == 1 else Cores(count, min(count, rows))}
    work = {
        (name, cores): partial(contestant, name, place, rows, cores)
        for name in names
        for cores in sorted(ways)
        if cores.workers == 1 or not name.startswith("transformers")
    }
    runs = {f"{name}, {cores}": run for (name, cores), run in work.items()}
    found = rates_apart(runs, rounds=rounds, patience=patience)
    by_name: dict[str, dict[Cores, float]] = {name: {} for name in names}
    for name, cores in work:
        by_name[name][cores] = found[f"{name}, {cores}"]
    return by_name


def main() -> None:
    """Print a table of all, then one of the best ways beside each peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    waiting = "seconds, for each batch, to repeat runs in that other programs computed"
    parser.add_argument("--patience", type=float, default=0, help=waiting)
    asked = parser.parse_args()
    names = present()
    every: dict[str, dict[str, float]] = {}
    best: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place, names)
        compare(place, names)
        for rows in BATCHES:
            found = measured(place, names, rows, **vars(asked))
            title = f"batch {rows}"
            every[title] = {f"{n}, {way}": r for n, of in found.items() for way, r in of.items()}
            best[title] = {name: max(of.values()) for name, of in found.items()}
    show("GPT-2 124M, each way to use the cores", every, peer="")
    for peer in ("CTranslate2 float32", "CTranslate2 int8", "llama.cpp q8_0"):
        if peer in names:
            show(f"the best way of each, beside {peer}", best, peer=peer)


if __name__ == "__main__":
    main()
