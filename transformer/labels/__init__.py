"""Labels of texts and tags of words: text in, names and spans out. Imports no torch."""

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

__all__ = [
    "TAG_SCHEMES",
    "RepairedTags",
    "Span",
    "TagScheme",
    "detect_scheme",
    "read_spans",
    "read_spans_strictly",
    "repair_tags",
    "write_tags",
]
