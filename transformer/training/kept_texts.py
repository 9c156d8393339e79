"""The texts of the initial model that a run keeps: in `initial/`, all of it but weights and card.

These are tokenizers, settings of decoding with the languages that were chosen, a chat template, and
what it takes to publish the model again. Checkpoints get them from there.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from checkpoints import MANIFEST, Tensors, read_json, to_json, write_folder

from ..chat.template import write_chat_template
from ..config import TransformerConfig
from ..export.save import CARD, config_fields, save_network
from ..export.side_files import (
    ORIGINALS,
    TOKENIZER_CONFIG,
    copy_files,
    names_below,
    write_native_texts,
    write_other_tokenizer,
)
from ..families import FAMILIES, LABEL_NAMES, MODEL_TYPE, ConfigReader
from ..folder_layout import INITIAL
from ..loading import CONFIG, LoadedModel, ModelTexts, inspect_folder, read_texts
from ..pipelines.languages import language_codes
from .data_recipe import DataRecipe
from .prepared_folder import TOKENIZER


def given_template(data: DataRecipe) -> str | None:
    """Return the chat template in the file that a recipe names, if any. Raises OSError."""
    path = data.chat_template
    return Path(path).read_text(encoding="utf-8", errors="replace") if path else None


def keep_texts(
    run: Path, init: LoadedModel | None, data: DataRecipe, *, grown: bool = False
) -> None:
    """Write the initial model's texts into a run that begins; remove those of another.

    A recipe's chat template takes the place of the model's, and a tokenizer that has `grown` that
    of its own files. Raises OSError, and
    ForeignFolderError if a user's own files are in their place.
    """
    folder = run / INITIAL
    if init is not None:
        model = init
        template = given_template(data)
        write_folder(folder, lambda out: _write(out, model, template, grown=grown))
    elif (folder / MANIFEST).is_file():
        shutil.rmtree(folder)


def _write(out: Path, init: LoadedModel, template: str | None, *, grown: bool) -> None:
    write_native_texts(out, init, inspect_folder(init.folder))
    if grown:
        write_other_tokenizer(out, init)
    if template is not None:
        write_chat_template(out, template)
    for card in (out / CARD, out / ORIGINALS / CARD):  # of the initial model, which is another
        card.unlink(missing_ok=True)
    source, target = language_codes(init)
    codes = {"src_lang": source, "tgt_lang": target}
    for path in (out / TOKENIZER_CONFIG, out / ORIGINALS / TOKENIZER_CONFIG):
        if path.is_file() and source is not None:
            named = {name: code for name, code in codes.items() if code is not None}
            path.write_text(to_json({**read_json(path), **named}), encoding="utf-8")


def framing_remark(texts: ModelTexts, data: DataRecipe) -> str | None:
    """Return a line that tells what the trained model does by itself, as it was told; or None."""
    told = []
    if data.source_language or data.target_language:
        sides = zip(("from", "into"), language_codes(texts), strict=True)
        told.append(f"translates {' '.join(f'{word} {code}' for word, code in sides if code)}")
    if data.source_prefix or data.task:
        prefix = data.source_prefix or texts.tokenizer.decode(texts.special_affixes[0])
        told += [f"reads {prefix!r} before each source"] if prefix else []
    return f"the trained model {' and '.join(told)} unless told otherwise" if told else None


def kept_texts(run: Path) -> ModelTexts | None:
    """Return the texts that a run keeps; None if it started from no other model, or earlier.

    Raises CheckpointError.
    """
    folder = run / INITIAL
    if not (folder / CONFIG).is_file():
        return None
    options = read_json(folder / CONFIG)
    reader = ConfigReader(options, str(folder / CONFIG))
    return read_texts(folder, FAMILIES[MODEL_TYPE].read(reader, Tensors({})), options)


def kept_files(run: Path) -> dict[str, bytes]:
    """Return the contents of a run's kept files by their names in the run's folder."""
    return {f"{INITIAL}/{name}": (run / INITIAL / name).read_bytes() for name in _names(run)}


def state_files(run: Path) -> dict[str, bytes]:
    """Return the files of a run that each of its states has too, but its recipe."""
    return {TOKENIZER: (run / TOKENIZER).read_bytes(), **kept_files(run)}


def save_with_kept_texts(
    run: Path,
    folder: Path,
    config: TransformerConfig,
    weights: Mapping[str, Tensor],
    *,
    card: Mapping[str, Any],
    labels: Sequence[str] = (),
) -> None:
    """Write a model with the texts that its run keeps into a folder; `labels` are its own."""
    copy_kept_texts(run, folder, config, labels)
    save_network(folder, config, weights, card=card)


def copy_kept_texts(
    run: Path, folder: Path, config: TransformerConfig, labels: Sequence[str] = ()
) -> None:
    """Write the texts that a run keeps, and the configuration of its network, into a folder.

    The labels of the initial model give way to `labels`.
    """
    kept = run / INITIAL
    copy_files(kept, folder, (name for name in _names(run) if name != MANIFEST))
    others = {name: v for name, v in read_json(kept / CONFIG).items() if name != LABEL_NAMES}
    fields = {**others, **config_fields(config, labels)}
    (folder / CONFIG).write_text(to_json(fields), encoding="utf-8")


def _names(run: Path) -> list[str]:
    return names_below(run / INITIAL)
