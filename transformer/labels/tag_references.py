"""Tags of words that a model's answers are compared with, in one scheme for both."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from .inventory import sort_labels
from .quoting import first_words, quoted_labels
from .schemes import (
    NO_LABEL,
    Span,
    detect_scheme,
    read_spans,
    span_tag,
    tells_spans,
    write_tags,
)
from .tagged_text import TaggedText, TagRepair
from .words import Range, spans_of_words


class TagReferences(NamedTuple):
    """Texts with the tags that a model should give their words.

    Tags of spans obey the `scheme`; None: tags stand for no spans.
    """

    texts: list[TaggedText]
    scheme: str | None
    notices: list[str]  # of what was repaired, or cannot be told right

    def tags_of(self, spans: Iterable[Span], words: Sequence[Range]) -> list[str]:
        """Return the tags of words, by a model's labelled characters, which are of whole words.

        A word that has no label is outside, or of tags that stand for no spans `_`.
        """
        found = spans_of_words(spans, words).spans
        if self.scheme is not None:
            return write_tags(found, len(words), self.scheme)
        tags = [NO_LABEL] * len(words)
        for start, end, tag in found:
            tags[start:end] = [tag] * (end - start)
        return tags


def tag_references(
    texts: Sequence[TaggedText], names: Sequence[str], *, name: str
) -> TagReferences:
    """Return the tags of texts for a model with tags of these names.

    Where these stand for spans, the texts' tags are repaired to obey their own scheme. What the
    model lacks is what it cannot give. If it has none of the tags and all are numbers of its own,
    they are taken for these. `name` is that of the texts. Raises CorpusError where nothing can be
    compared.
    """
    notices: list[str] = []
    kept = [*_with_names(texts, names, name, notices)]
    are_spans, scheme = tells_spans(names), None
    if are_spans:
        kept = [text._replace(tags=tuple(map(span_tag, text.tags))) for text in kept]
        scheme = detect_scheme(text.tags for text in kept)
        repair = TagRepair(scheme, name)
        kept = [text._replace(tags=tuple(repair(text.tags))) for text in kept]
        notices += [notice] if (notice := repair.notice()) else []
    counts = Counter(label for text in kept for label in _labels(text.tags, are_spans=are_spans))
    known = dict.fromkeys(label for each in names for label in _labels([each], are_spans=are_spans))
    unknown = [label for label, _ in counts.most_common() if label not in known]
    if counts and len(unknown) == len(counts):
        raise CorpusError(
            f"{name}: none of its tags ({quoted_labels(unknown)}) is one of the model's "
            f"({quoted_labels(known)}); --columns names the columns, the tag's last"
        )
    if unknown:
        size = sum(counts[label] for label in unknown)
        nouns = ("span", "spans") if are_spans else ("word", "words")
        what = format_count(size, *(f"{noun} with a label" for noun in nouns))
        notices.append(
            f"{name}: {what} that the model lacks, which counts as missed: {quoted_labels(unknown)}"
        )
    return TagReferences(kept, scheme, notices)


def _labels(tags: Sequence[str], *, are_spans: bool) -> list[str]:
    """Return the labels of tags' spans, one for each; of tags that stand for no spans, the tags."""
    if not are_spans:
        return [*tags]
    return [span.label for span in read_spans([*map(span_tag, tags)])]


def _with_names(
    texts: Sequence[TaggedText], names: Sequence[str], name: str, notices: list[str]
) -> Iterable[TaggedText]:
    """Return texts with the names of tags that are numbers, as data sets of columns have them."""
    given = {tag for text in texts for tag in text.tags}
    by_number = {str(number): each for number, each in enumerate(names)}
    if not given <= by_number.keys() - {*names}:
        return texts
    pairs = (f"{each} {by_number[each]!r}" for each in sort_labels(given))
    notices.append(f"{name}: tags are numbers of the model's: {first_words(pairs)}")
    return (text._replace(tags=tuple(by_number[tag] for tag in text.tags)) for text in texts)
