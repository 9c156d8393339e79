"""Text that is prepared as a run does, for tests of what becomes of it."""

from pathlib import Path

from checkpoints import write_file
from tokenizer import (
    Tokenizer,
    TrainingOptions,
    train_tokenizer,
)
from transformer.data import TokenStore
from transformer.folder_layout import DATA
from transformer.training.events import DataPrepared, Notice
from transformer.training.preparation import Preparation
from transformer.training.prepared_folder import TOKENIZER
from transformer.training.recipe import Recipe, TokenizerRecipe, recipe_to_toml
from transformer.training.recipe_resolution import check_unchanged, resolve_recipe
from transformer.training.run_recipe import RECIPE
from transformer.training.text_identity import absolute_paths


def write(path: Path, lines: list[str]) -> list[str]:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return [str(path)]


def recipe_of(folder: Path, train: list[tuple], valid: list[tuple] = (), **data: object) -> Recipe:
    """A recipe of these pairs, with a tokenizer of single characters."""
    files = {}
    for part, pairs in (("", train), ("valid_", valid)):
        for side, lines in zip(("source", "target"), zip(*pairs, strict=True), strict=False):
            files[part + side] = write(folder / f"{part}{side}.txt", lines)
    fields = {"data": {**files, **data}, "tokenizer": {"kind": "char"}}
    return resolve_recipe(None, fields, [])


def prepare(recipe: Recipe, run: Path, *, resume: bool = False, initial=None) -> list:
    """The events of preparing the text as a run does."""
    run.mkdir(exist_ok=True)
    if resume:
        check_unchanged(run, recipe)
    preparation = Preparation(recipe, run, resuming=resume, initial=initial)
    preparation.check()
    write_file(run / RECIPE, recipe_to_toml(absolute_paths(recipe)))
    with preparation.spool:
        return list(preparation.events(preparation.texts()))


def report(events: list) -> DataPrepared:
    (event,) = [event for event in events if isinstance(event, DataPrepared)]
    return event


def notices(events: list) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Notice))


def ids(run: Path) -> dict[str, bytes]:
    """The prepared files that hold ids or text."""
    files = sorted((run / DATA).rglob("*"))
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in files
        if path.is_file() and path.name not in {"prepared.json", "manifest.json"}
    }


def rows(run: Path, part: str) -> list[tuple[str, str]]:
    tokenizer = Tokenizer.load(run / TOKENIZER)
    stores = [TokenStore(run / DATA / part / side) for side in ("source", "target")]
    sides = [[tokenizer.decode(store[i]) for i in range(len(store))] for store in stores]
    return list(zip(*sides, strict=True))


def latin(folder: Path) -> TokenizerRecipe:
    """A tokenizer that knows a to z."""
    path = folder / "latin.json"
    train_tokenizer(
        ["abcdefghijklmnopqrstuvwxyz "], TrainingOptions(kind="char", min_frequency=1)
    ).save(path)
    return TokenizerRecipe(path=str(path))
