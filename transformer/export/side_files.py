"""Files beside configuration and weights: those that a conversion carries, and the others by name.

A published model's tokenizer files, card and config.json are kept as they were, in a folder of ours
below `published`, so that it can be published again as it was.
"""

import shutil
from collections import Counter
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from checkpoints import MANIFEST, WEIGHT_FILES, read_json, refuse_external_links, to_json
from tokenizer import TOKENIZER_FILES
from tokenizer.quantities import format_count
from tokenizer.special import OUT_OF_VOCABULARY

from ..chat.template import CHAT_FILES, chat_template_text, write_chat_template
from ..errors import ConfigError
from ..families import MODEL_TYPE
from ..loading.generation_config import GENERATION, raw_settings
from ..loading.load import TOKENIZER, LoadedModel
from ..loading.model_folder import CONFIG, FolderContents
from ..loading.pooling_config import MODULES, flat_modules, sentence_files, sentence_root
from .save import CARD, generation_settings, is_own_card, model_card, save_texts

ORIGINALS = "published"
TARGET_TOKENIZER, TOKENIZER_CONFIG = "target_tokenizer.json", "tokenizer_config.json"
_OF_FILES = ("transformers_version", "is_encoder_decoder")  # settings that say nothing of decoding
# Tensors of parts that this program does not have, among those that families ignore.
_PARTS = ("*pooler.dense.*", "cls.seq_relationship.*")
_ANY_CLASS = "PreTrainedTokenizerFast"  # of transformers, which reads tokenizer.json as it is
_OF_TRANSFORMERS = (TOKENIZER_CONFIG, "special_tokens_map.json")  # no other program's
_TOKENIZER_FILES = tuple(name for name in TOKENIZER_FILES if name != CONFIG)


def all_settings(loaded: LoadedModel, options: dict[str, Any]) -> dict[str, Any]:
    """Return a model's settings of decoding, with those that this program leaves to the user."""
    raw = raw_settings(loaded.folder, options)
    kept = {n: v for n, v in raw.items() if n not in _OF_FILES and not n.startswith("_")}
    return {**kept, **generation_settings(loaded.generation)}


def is_native(contents: FolderContents) -> bool:
    """Return True for a folder in this program's own format."""
    return contents.options.get("model_type") == MODEL_TYPE


def write_native_texts(out: Path, loaded: LoadedModel, contents: FolderContents) -> None:
    """Write all of a model in our format into a folder but its weights and its card.

    A card that somebody wrote goes with it.
    """
    settings = all_settings(loaded, contents.options)
    settings.setdefault("suppress_tokens", [])  # it may write unknown text, as it was published
    affixes = loaded.source_affixes if _reads_framed(loaded) else None
    save_texts(
        out,
        loaded.config,
        loaded.tokenizer,
        settings,
        source_affixes=affixes,
        labels=loaded.labels,
    )
    _write_native_files(out, loaded, contents)


def _write_native_files(out: Path, loaded: LoadedModel, contents: FolderContents) -> None:
    """Write the files beside the texts of a model of ours."""
    folder = loaded.folder
    copy_files(folder, out, CHAT_FILES)
    copy_sentence_files(folder, out)
    if (folder / TOKENIZER).is_file():
        copy_files(folder, out, _TOKENIZER_FILES)
    else:
        if loaded.target_tokenizer is not loaded.tokenizer:
            loaded.target_tokenizer.save(out / TARGET_TOKENIZER)
        template = chat_template_text(folder)
        if template is not None:
            write_chat_template(out, template)
    if is_native(contents):
        copy_files(folder, out, [*_foreign_card(folder), *names_below(folder, ORIGINALS)])
        return
    originals, root = out / ORIGINALS, sentence_root(folder)
    originals.mkdir()
    own = () if (folder / TOKENIZER).is_file() else _TOKENIZER_FILES
    copy_files(folder, originals, (CONFIG, *own))
    copy_files(root, originals, _foreign_card(root))


def write_published_files(out: Path, loaded: LoadedModel, contents: FolderContents) -> None:
    """Write the files beside a published model: tokenizer, template, pooling and card."""
    folder, originals = loaded.folder, loaded.folder / ORIGINALS
    copy_files(folder, out, CHAT_FILES)
    copy_sentence_files(folder, out)
    has_original = any((originals / name).is_file() for name in _TOKENIZER_FILES)
    # A classifier that was trained with other ids around a text than its tokenizer says.
    reframed = loaded.config.labels and loaded.special_affixes != loaded.tokenizer.special_affixes()
    copy_files(originals if has_original else folder, out, _TOKENIZER_FILES)
    complete = has_original or (folder / TOKENIZER_CONFIG).is_file()
    if is_native(contents) and (reframed or not complete):
        _write_tokenizer(out, loaded)
    folders = (sentence_root(folder), originals)
    card = next((f / CARD for f in folders if has_foreign_card(f)), None)
    if card is None:
        text = model_card(loaded.config, {"converted from": folder.name})
        (out / CARD).write_text(text, encoding="utf-8")
    else:
        shutil.copyfile(card, out / CARD)


def write_other_tokenizer(out: Path, loaded: LoadedModel) -> None:
    """Put a model's tokenizer in place of the one it had, in all files of its folder in our format.

    Those that cannot have its tokens are removed. Classes with languages read tokenizer.json, too;
    for others it is named as what it is.
    """
    kept = {TOKENIZER, TOKENIZER_CONFIG}
    for name in _TOKENIZER_FILES:
        (out / ORIGINALS / name).unlink(missing_ok=True)
        if name not in kept:
            (out / name).unlink(missing_ok=True)
    loaded.tokenizer.save(out / TOKENIZER)
    path = out / TOKENIZER_CONFIG
    if path.is_file():
        settings = read_json(path)
        if settings.get("src_lang") is None:
            settings |= _any_class(loaded)
        path.write_text(to_json(settings), encoding="utf-8")


def _any_class(loaded: LoadedModel) -> dict[str, Any]:
    """Return the settings of a tokenizer of no class of its own: its name, and what it gives.

    Unless they are named, that class gives no token types, and each text is of type 0.
    """
    types = ["token_type_ids"] if loaded.config.token_types > 1 else []
    return {
        "tokenizer_class": _ANY_CLASS,
        "model_input_names": ["input_ids", *types, "attention_mask"],
    }


def _reads_framed(loaded: LoadedModel) -> bool:
    """Return True for an encoder, and a head over labels: special tokens stand around a text."""
    return loaded.config.has_encoder or loaded.config.labels > 0


def original_options(folder: Path) -> dict[str, Any]:
    """Return the config.json of the published model that a folder of ours was converted from."""
    path = folder / ORIGINALS / CONFIG
    return read_json(path) if path.is_file() else {}


def carried_files(folder: Path) -> list[Path]:
    """Return the paths of a model's files, weights aside, that ours and published folders have."""
    root = sentence_root(folder)
    paths = [folder / name for name in (*_model_files(folder), *sentence_files(folder))]
    return [*paths, *(root / name for name in (CARD, *sentence_files(root)))]


def files_left_behind(contents: FolderContents, carried: Collection[Path]) -> list[str]:
    """Return the names of a model's files that are neither weights nor carried.

    Files of a subfolder are counted together.
    """
    folder, root = contents.folder, sentence_root(contents.folder)
    known = {folder / MANIFEST, *carried, *(h.file for h in contents.weights.values())}
    known |= {folder / name for name in WEIGHT_FILES if name.endswith(".index.json")}
    below: Counter[str] = Counter()
    names = []
    for name in names_below(root):
        first, _, rest = name.partition("/")
        if root / name in known or first.startswith("."):
            continue
        if rest:
            below[first] += 1
        else:
            names.append(name)
    return [*names, *(f"{name}/ ({format_count(count, 'file')})" for name, count in below.items())]


def parts_left_behind(contents: FolderContents, _loaded: LoadedModel) -> list[str]:
    """Return the names of weights of parts that this program does not have."""
    head = contents.family.label_heads.get(contents.config.head)
    read = () if head is None else head.parts(contents.family.prefix)
    parts = (n for n in contents.weights if any(fnmatchcase(n, pattern) for pattern in _PARTS))
    return [name for name in parts if name.rpartition(".")[0] not in read]


def files_in_ctranslate2(folder: Path) -> list[Path]:
    """Return the paths of a folder's files that CTranslate2's has the contents of."""
    card = () if has_foreign_card(folder) else (CARD,)
    vocabulary = (name for name in _TOKENIZER_FILES if name not in _OF_TRANSFORMERS)
    return [folder / name for name in (CONFIG, GENERATION, *vocabulary, *card)]


def settings_left_behind(contents: FolderContents, loaded: LoadedModel) -> list[str]:
    """Return the names of parts and of settings that CTranslate2's format has no place for."""
    settings = all_settings(loaded, contents.options)
    names = [name for name in sorted(settings) if not name.endswith("_token_id")]
    return [*parts_left_behind(contents, loaded), *(f"{GENERATION}: {name}" for name in names)]


def copy_files(folder: Path, out: Path, names: Iterable[str]) -> None:
    """Copy those files of a folder that there are. Raises CheckpointError for links outwards."""
    for name in names:
        if (folder / name).is_file():
            refuse_external_links(folder, [name])
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, out / name)


def copy_model_files(folder: Path, out: Path) -> None:
    """Copy all that `carried_files` names into a folder of the same format."""
    copy_files(folder, out, _model_files(folder))
    copy_files(sentence_root(folder), out, [CARD])
    copy_sentence_files(folder, out)


def copy_sentence_files(folder: Path, out: Path) -> None:
    """Copy the files of a sentence model, whose network stands beside them in the new folder."""
    root = sentence_root(folder)
    for source in {root, folder}:
        copy_files(source, out, sentence_files(source))
    if root != folder:
        (out / MODULES).write_text(flat_modules(root), encoding="utf-8")


def names_below(folder: Path, name: str = "") -> list[str]:
    """Return the names of all files in a folder, or in one of its subfolders."""
    paths = sorted((folder / name).rglob("*"))
    return [path.relative_to(folder).as_posix() for path in paths if path.is_file()]


def has_foreign_card(folder: Path) -> bool:
    """Return True if a folder has a README.md that this program did not write."""
    path = folder / CARD
    return path.is_file() and not is_own_card(path.read_text(encoding="utf-8", errors="replace"))


def _model_files(folder: Path) -> list[str]:
    names = (CONFIG, GENERATION, *TOKENIZER_FILES, *CHAT_FILES)
    return [*names, *names_below(folder, ORIGINALS)]


def _foreign_card(folder: Path) -> list[str]:
    return [CARD] if has_foreign_card(folder) else []


def _write_tokenizer(folder: Path, loaded: LoadedModel) -> None:
    """Write tokenizer.json and its configuration for transformers, with a source text's affixes."""
    generation, tokenizer = loaded.generation, loaded.tokenizer
    if tokenizer.token_id(OUT_OF_VOCABULARY) is not None:
        raise ConfigError(
            f"{loaded.folder}: its tokenizer has pieces that the model has not learnt, which a "
            "tokenizer.json cannot say to other programs; convert the published model itself"
        )
    ids = {
        "bos_token": generation.bos_token_id,
        "eos_token": generation.end_id,
        "pad_token": generation.pad_token_id,
        "unk_token": tokenizer.role("unknown"),
        "mask_token": tokenizer.role("mask"),
    }
    names = {role: tokenizer.token(i) for role, i in ids.items() if i is not None}
    settings = {
        **_any_class(loaded),
        "model_max_length": loaded.config.max_positions,
        "clean_up_tokenization_spaces": False,
        **names,
    }
    (folder / TOKENIZER_CONFIG).write_text(to_json(settings), encoding="utf-8")
    affixes = loaded.special_affixes if _reads_framed(loaded) else tokenizer.special_affixes()
    (folder / TOKENIZER).write_text(tokenizer.to_json(special_affixes=affixes), encoding="utf-8")
