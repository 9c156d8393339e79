"""The section of a recipe that names its texts. Imports no torch."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ..bounds import doc
from .recipe_types import Fraction, NonNegative, Positive, Share, Size


class DataRecipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The files to train and validate on."""

    source: Annotated[list[str], doc("files of source lines; need `target`")] = []
    target: Annotated[list[str], doc("their translations, line for line")] = []
    pairs: Annotated[list[str], doc("tables or JSON with source and translation as columns")] = []
    text: Annotated[list[str], doc("files of running text, for a language model")] = []
    conversations: Annotated[
        list[str], doc("JSON records of messages, prompt and completion, or instruction and output")
    ] = []
    labelled: Annotated[
        list[str], doc("texts with labels: tables, JSON, or lines of a label and a text")
    ] = []
    tagged: Annotated[
        list[str], doc("words with tags: columns as in CoNLL, or JSON of tokens or of spans")
    ] = []
    valid_source: Annotated[list[str], doc("like `source`, to validate on")] = []
    valid_target: Annotated[list[str], doc("like `target`, to validate on")] = []
    valid_pairs: Annotated[list[str], doc("like `pairs`, to validate on")] = []
    valid_text: Annotated[list[str], doc("like `text`, to validate on")] = []
    valid_conversations: Annotated[list[str], doc("like `conversations`, to validate on")] = []
    valid_labelled: Annotated[list[str], doc("like `labelled`, to validate on")] = []
    valid_tagged: Annotated[list[str], doc("like `tagged`, to validate on")] = []
    label_kind: Annotated[
        str, doc("single, multi (any number of labels) or number; empty: as the labels are")
    ] = ""
    label_separator: Annotated[
        str, doc("between the labels of a text in a table, such as a comma; empty: it has one")
    ] = ""
    columns: Annotated[
        list[str],
        doc(
            "names or numbers of the columns of tables: two for pairs, one for text, text and "
            "label, word and tag"
        ),
    ] = []
    document_separators: Annotated[
        list[str], doc("marks between documents in running text, such as <|endoftext|>")
    ] = []
    valid_fraction: Annotated[
        Fraction,
        doc("without validation files, the share held out: drawn pairs, or the end of a text"),
    ] = 0.0
    weights: Annotated[
        list[Positive], doc("of the files of `text` or `pairs`, in order: their shares of batches")
    ] = []
    temperature: Annotated[
        NonNegative, doc("in place of weights: shares by size^(1/T); 0: files are not mixed")
    ] = 0.0
    source_language: Annotated[str, doc("of a multilingual model that training starts from")] = ""
    target_language: Annotated[str, doc("that it is to write")] = ""
    source_prefix: Annotated[
        str, doc("text that such a model reads before each source, such as `summarize: `")
    ] = ""
    task: Annotated[
        str, doc("one of the model's task_specific_params, with prefix and settings")
    ] = ""
    chat_template: Annotated[
        str, doc("a file with a Jinja chat template, for a model that has none")
    ] = ""
    max_tokens: Annotated[Size, doc("longer pairs are left out, and counted")] = 256
    max_target_tokens: Annotated[
        Size | None, doc("of the target of a pair, where it may be shorter or longer than that")
    ] = None
    max_unknown: Annotated[
        Share, doc("the largest share of characters that the tokenizer may not know")
    ] = 0.5


_OF_SOURCES = {
    "source_language": "--from",
    "target_language": "--to",
    "source_prefix": "--source-prefix",
    "task": "--task",
}
_FRAMING = {**_OF_SOURCES, "chat_template": "--chat-template"}
MIXING_KEYS = ("weights", "temperature")
FRAMING_KEYS = tuple(_FRAMING)  # of what stands around the texts of the initial model


def framing_flags(data: DataRecipe, *, sources: bool = False) -> list[str]:
    """Return the flags of those keys that are given, or of those for `sources` alone."""
    flags = _OF_SOURCES if sources else _FRAMING
    return [flag for key, flag in flags.items() if getattr(data, key)]


def text_paths(data: DataRecipe) -> dict[str, list[str]]:
    """Return the files that a recipe reads, by its keys."""
    return {key: getattr(data, key) for key in _TEXT_KEYS}


def names_text(fields: Mapping[str, Any]) -> bool:
    """Return True if nested fields of a recipe name any file of text."""
    data = fields.get("data")
    return isinstance(data, Mapping) and any(data.get(key) for key in _TEXT_KEYS)


def has_validation(data: DataRecipe) -> bool:
    """Return True if a recipe names text to validate on, or a share of the training text."""
    return any(getattr(data, key) for key in data.__struct_fields__ if key.startswith("valid_"))


def has_validation_files(data: DataRecipe) -> bool:
    """Return True if a recipe names files to validate on."""
    return any(paths for key, paths in text_paths(data).items() if key.startswith("valid_"))


def data_settings(data: DataRecipe) -> dict[str, Any]:
    """Return the keys that decide how the files become ids.

    Those that came later count where they are given, so that ids of before stay as they are.
    """
    without = {*_TEXT_KEYS, *FRAMING_KEYS, "max_unknown"}
    without.update(key for key in LATER_KEYS if not getattr(data, key))
    return {key: value for key, value in msgspec.to_builtins(data).items() if key not in without}


def mixes(data: DataRecipe) -> bool:
    """Return True if a recipe mixes its files, of which each then has a share of the batches."""
    return any(getattr(data, key) for key in MIXING_KEYS)


LATER_KEYS = ("label_kind", "label_separator", "max_target_tokens", *MIXING_KEYS)
_TEXT_KEYS = (
    *("source", "target", "pairs", "text", "conversations", "labelled", "tagged"),
    *("valid_source", "valid_target", "valid_pairs", "valid_text", "valid_conversations"),
    *("valid_labelled", "valid_tagged"),
)
