"""A corpus of hostile folders: what is done to which good folder, by name."""

import json
import shutil
from pathlib import Path

import msgspec
import torch
from safetensors.torch import load_file

from tests.families.published import make
from tests.loading import hostile_configs, hostile_pickles, hostile_tokenizers, hostile_weights
from tests.loading.damage import PICKLE, WEIGHTS, Case, free
from tests.loading.owned import own, small
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer

CORPUS: dict[str, Case] = {
    **hostile_weights.CASES,
    **hostile_pickles.CASES,
    **hostile_configs.CASES,
    **hostile_tokenizers.CASES,
}
KINDS = ("byte-bpe", "unigram", "wordpiece")
TEXT = ["the quick brown fox jumps over a lazy dog", "größer 日本 <b>", "0123456789"] * 9

# What looks worse than it is, and must run.
HARMLESS = {
    "config: a window of 10^12",
    "config: of our own, 10^12 global tokens",
    "config: 10^12 positions that are turned",
    "tokenizer: all the same id",
    "tokenizer: a pattern that backtracks",
    "tokenizer: a pattern that repeats 10^9 times",
    "tokenizer: an empty piece",
    "tokenizer: padded to 10^12",
}
WRITERS = {"translate": ("t5", "bart")}  # which good folders are run by which command


def bases(place: Path, tokenizer: Tokenizer) -> None:
    """Good folders, each a model that runs."""
    for name in ("gpt2", "llama", "mistral", "t5", "bart", "roberta"):
        make(name, 0, place / name)
        tokenizer.save(place / name / "tokenizer.json")
    own(place / "ours", small("write-tiny"), tokenizer)
    free(place / "ours" / "manifest.json")
    for kind in KINDS:
        options = TrainingOptions(kind=kind, vocab_size=300, min_frequency=1)
        config = msgspec.structs.replace(small("write-tiny"), vocab_size=300)
        own(place / kind, config, train_tokenizer(TEXT, options))
        free(place / kind / "manifest.json")
    shutil.copytree(place / "gpt2", place / "sharded")
    shard(place / "sharded")
    for name, saving in (("pickled", True), ("pickled, old", False)):
        shutil.copytree(place / "gpt2", place / name)
        state = load_file(place / name / WEIGHTS)
        torch.save(state, place / name / PICKLE, _use_new_zipfile_serialization=saving)
        free(place / name / WEIGHTS)


def shard(folder: Path) -> None:
    """The weights in two files."""
    from safetensors.torch import save_file

    state = load_file(folder / WEIGHTS)
    free(folder / WEIGHTS)
    names, weight_map = sorted(state), {}
    for number, part in enumerate((names[: len(names) // 2], names[len(names) // 2 :]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: state[name] for name in part}, folder / file)
        weight_map.update(dict.fromkeys(part, file))
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def command(base: str, folder: Path) -> list[str]:
    """What runs a model of this kind."""
    if base in WRITERS["translate"]:
        text = folder.parent / "text.txt"
        text.write_text("the fox\n")
        return ["translate", "-q", "-m", str(folder), "-n", "3", str(text)]
    return [
        "generate",
        "-q",
        "-m",
        str(folder),
        "-n",
        "3",
        "--seed",
        "0",
        "the quick brown fox jumps over",
    ]
