"""The mean of several checkpoints of one model, in the format that they have."""

from collections.abc import Sequence
from pathlib import Path

import torch

from checkpoints import (
    WEIGHTS,
    CheckpointError,
    Weights,
    average_weights,
    save_tensors,
    verify_checksums,
    write_folder,
)
from tokenizer import TOKENIZER_FILES

from ..errors import ConfigError
from ..folder_layout import checkpoint_folders
from ..loading.generation_config import GENERATION
from ..loading.model_folder import CONFIG, FolderContents, find_model, inspect_folder
from ..model import Transformer
from .save import CARD, model_card
from .side_files import carried_files, copy_model_files, files_left_behind, has_foreign_card


def average_models(
    paths: Sequence[Path],
    out: Path,
    *,
    last: int | None = None,
    notices: list[str] | None = None,
) -> list[Path]:
    """Write a model with the mean of the weights of others; of a run, of its (last) checkpoints.

    Random features are the last folder's. All other files of a model are the first folder's;
    `notices` gets a line that names those of its files that are none, and one if settings of
    decoding differ from its own. Returns the folders averaged. Raises CheckpointError if their
    models differ, and ConfigError for weights in int8.
    """
    folders: list[Path] = []
    for path in paths:
        saved = checkpoint_folders(path)
        folders += saved[-last:] if saved and last else saved or [find_model(path)]
    for folder in folders:
        verify_checksums(folder)
    first, *others = [inspect_folder(folder) for folder in folders]
    _refuse_integers([first, *others])
    for other in others:
        _check_same(first, other)
    different = [c.folder.name for c in others if not _same_file(first, c, GENERATION)]
    if different and notices is not None:
        notices.append(
            f"settings of decoding are those of {first.folder.name}; others: {', '.join(different)}"
        )
    dropped = files_left_behind(first, carried_files(first.folder))
    if dropped and notices is not None:
        notices.append(f"not carried over from {first.folder}: {', '.join(dropped)}")
    weights = average_weights(folders)
    last_weights = Weights(folders[-1])
    for name in _drawn(first) & last_weights.keys():  # the mean of draws is none
        weights[name] = last_weights.tensor(name, to_copy=True)

    def fill(folder: Path) -> None:
        copy_model_files(first.folder, folder)
        save_tensors(folder / WEIGHTS, weights)
        if not has_foreign_card(folder):
            card = {"averaged": ", ".join(folder.name for folder in folders)}
            (folder / CARD).write_text(model_card(first.config, card), encoding="utf-8")

    write_folder(out, fill)
    return folders


def _drawn(contents: FolderContents) -> set[str]:
    """Return the names of tensors that are drawn and not trained, such as random features."""
    with torch.device("meta"):
        return {name for name, _ in Transformer(contents.config).named_buffers()}


def _refuse_integers(models: Sequence[FolderContents]) -> None:
    """Raise ConfigError for weights that were rounded to int8."""
    for contents in models:
        if contents.is_quantized:
            raise ConfigError(
                f"{contents.folder} is in int8, of which there is no mean: average the models that "
                "were converted to int8, then convert the mean (transduce checkpoint convert)"
            )


def _check_same(first: FolderContents, other: FolderContents) -> None:
    """Raise CheckpointError for models of different formats, networks or tokenizers."""
    formats = [str(contents.options.get("model_type")) for contents in (first, other)]
    if formats[0] != formats[1]:
        raise CheckpointError(
            f"{other.folder} is a {formats[1]} model, {first.folder} a {formats[0]} model: no mean "
            "of both; convert one first (transduce checkpoint convert)"
        )
    tokenizers = [name for name in TOKENIZER_FILES if name != CONFIG]
    same = all(_same_file(first, other, name) for name in tokenizers)
    if other.config != first.config or not same:
        raise CheckpointError(
            f"{other.folder} is another model than {first.folder}: no mean of both"
        )


def _same_file(first: FolderContents, other: FolderContents, name: str) -> bool:
    paths = [contents.folder / name for contents in (first, other)]
    one, two = (path.read_bytes() if path.is_file() else None for path in paths)
    return one == two
