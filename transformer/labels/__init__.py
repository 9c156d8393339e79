"""Labels of texts and tags of words: text in, names and spans out. Imports no torch."""

from .inventory import (
    LabelInventory,
    LabelValues,
    UnseenLabels,
    collect_labels,
    parse_number,
    sort_labels,
)
from .labelled_text import LabelledFile, LabelledText, read_labelled
from .schemes import (
    TAG_SCHEMES,
    RepairedTags,
    Span,
    TagScheme,
    detect_scheme,
    read_spans,
    read_spans_strictly,
    repair_tags,
    write_tags,
)
from .tagged_text import TaggedFile, TaggedText, TagRepair, read_tagged
from .words import (
    WORD_SPLITTERS,
    WordSpans,
    spans_of_characters,
    spans_of_words,
    word_ranges,
)

__all__ = [
    "TAG_SCHEMES",
    "WORD_SPLITTERS",
    "LabelInventory",
    "LabelValues",
    "LabelledFile",
    "LabelledText",
    "RepairedTags",
    "Span",
    "TagRepair",
    "TagScheme",
    "TaggedFile",
    "TaggedText",
    "UnseenLabels",
    "WordSpans",
    "collect_labels",
    "detect_scheme",
    "parse_number",
    "read_labelled",
    "read_spans",
    "read_spans_strictly",
    "read_tagged",
    "repair_tags",
    "sort_labels",
    "spans_of_characters",
    "spans_of_words",
    "word_ranges",
    "write_tags",
]
