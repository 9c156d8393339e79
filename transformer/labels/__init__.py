"""Labels of texts and tags of words: text in, names and spans out. Imports no torch."""

from .alignment import (
    NO_TARGET,
    WORD_RULES,
    shared_words,
    spans_inside_tokens,
    token_targets,
    tokens_of_words,
    word_probabilities,
)
from .answers import ScoredSpan, scored_spans, word_tags
from .inventory import (
    LabelInventory,
    LabelValues,
    UnseenLabels,
    collect_labels,
    parse_number,
    sort_labels,
)
from .labelled_text import LabelledFile, LabelledText, read_labelled
from .quoting import first_words, quoted_labels
from .references import References, label_references
from .schemes import (
    TAG_SCHEMES,
    RepairedTags,
    Span,
    TagScheme,
    detect_scheme,
    read_spans,
    read_spans_strictly,
    repair_tags,
    span_tag,
    tells_spans,
    write_tags,
)
from .tag_references import TagReferences, tag_references
from .tagged_text import TaggedFile, TaggedText, TagRepair, read_tagged
from .windows import TokenWindow, join_windows, token_windows
from .words import (
    WORD_SPLITTERS,
    WordSpans,
    spans_of_characters,
    spans_of_words,
    word_ranges,
)

__all__ = [
    "NO_TARGET",
    "TAG_SCHEMES",
    "WORD_RULES",
    "WORD_SPLITTERS",
    "LabelInventory",
    "LabelValues",
    "LabelledFile",
    "LabelledText",
    "References",
    "RepairedTags",
    "ScoredSpan",
    "Span",
    "TagReferences",
    "TagRepair",
    "TagScheme",
    "TaggedFile",
    "TaggedText",
    "TokenWindow",
    "UnseenLabels",
    "WordSpans",
    "collect_labels",
    "detect_scheme",
    "first_words",
    "join_windows",
    "label_references",
    "parse_number",
    "quoted_labels",
    "read_labelled",
    "read_spans",
    "read_spans_strictly",
    "read_tagged",
    "repair_tags",
    "scored_spans",
    "shared_words",
    "sort_labels",
    "span_tag",
    "spans_inside_tokens",
    "spans_of_characters",
    "spans_of_words",
    "tag_references",
    "tells_spans",
    "token_targets",
    "token_windows",
    "tokens_of_words",
    "word_probabilities",
    "word_ranges",
    "word_tags",
    "write_tags",
]
