"""The text of a run, and what was left out of it, as a few lines."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from tokenizer.quantities import format_count
from transformer.training.data_report import (
    BLANK,
    REFUSED,
    TARGET_TOO_LONG,
    TOO_LONG,
    UNANSWERED,
    UNFRAMED,
    UNKNOWN,
    UNLABELLED,
    UNREADABLE,
    ConversationReport,
    ExamplesReport,
    LabelledReport,
    PairReport,
    PartReport,
    TaggedReport,
    TextReport,
)
from transformer.training.events import DataPrepared
from transformer.training.mixture import corpus_sizes

_MAX_FILES, _MAX_LABELS = 3, 8  # named in a line
_FEW_PAIRS, _FEW_TOKENS, _FEW_VALIDATED = 500, 5_000, 20  # fewer are told
_ADVICE = "see docs/it-does-not-learn.md"
_REASONS = {
    BLANK: "blank",
    TOO_LONG: "of {limit:,} tokens or more",
    TARGET_TOO_LONG: "with a target of {target_limit:,} or more",
    UNKNOWN: "of which the tokenizer knows nothing",
    UNREADABLE: "with a side that the tokenizer does not know",
    UNANSWERED: "without an answer",
    UNLABELLED: "without a label",
    REFUSED: "that the chat template refuses",
    UNFRAMED: "that need a chat template, which the model lacks (--chat-template)",
}


def data_lines(event: DataPrepared) -> list[str]:
    """Return lines about the training and the validation text."""
    return _lines_of_parts(event, _part_lines)


def loss_lines(event: DataPrepared) -> list[str]:
    """Return those of the lines that tell what is lost, or may be read otherwise than is meant."""
    return _lines_of_parts(event, _part_losses)


def losses_of(part: ExamplesReport) -> list[str]:
    """Return lines about what a text loses: what is left out, and unknown characters."""
    return [*([_size(part)] if part.left_out else []), *unknown_characters(part)]


def _count(number: int, plural: str) -> str:
    return format_count(number, plural.removesuffix("s"), plural)


_Part = ExamplesReport
_Describe = Callable[[_Part, _Part], Iterable[str]]  # a part, beside that of training


def _lines_of_parts(event: DataPrepared, describe: _Describe) -> list[str]:
    parts = {"training": event.training, "validation": event.validation}
    return [
        f"{name}: {line}"
        for name, part in parts.items()
        if part is not None
        for line in describe(part, event.training)
    ]


def _part_lines(part: _Part, training: _Part) -> Iterator[str]:
    yield _size(part)
    if not part.kept:
        return
    unknown = unknown_characters(part) or ["no unknown characters"]
    yield "; ".join([*_facts(part), *_not_compared(part, training), *unknown])
    yield from _mixture(part)
    yield from _scarcity(part, training)
    yield from _suspicions(part)


def _mixture(part: _Part) -> Iterator[str]:
    """Tell the share of the batches that each file has, and how often an epoch reads it."""
    sizes = corpus_sizes(part.files)
    for file, share, size in zip(part.files, part.shares, sizes, strict=False):
        times = format_count(f"{share * sum(sizes) / size:.2g}", "time")
        yield f"{share:.1%} of the batches are of {file.name}, which an epoch reads {times}"


def _scarcity(part: _Part, training: _Part) -> Iterator[str]:
    """Tell of too little text, with the page on it."""
    if part is training:
        size, least, noun, purpose = 0, 0, "", ""
        if isinstance(part, TextReport):
            size, least = part.tokens, _FEW_TOKENS
            noun, purpose = "token", "to learn a language from"
        elif isinstance(part, PairReport):
            size, least = part.kept - part.repeats, _FEW_PAIRS
            noun, purpose = "different pair", "to learn to translate from; thousands are needed"
        if size < least:
            yield f"only {format_count(size, noun)}, too few {purpose} ({_ADVICE})"
    elif isinstance(part, PairReport) and part.kept < _FEW_VALIDATED:
        yield (
            f"{_count(part.kept, part.unit)} to validate on, too few to measure anything: name "
            f"more with --valid-pairs, or train on more text ({_ADVICE})"
        )


def _part_losses(part: _Part, training: _Part) -> Iterator[str]:
    del training
    if part.left_out:
        yield _size(part)
    yield from unknown_characters(part)
    yield from _unread_messages(part)
    yield from _cut_texts(part)
    yield from _lost_words(part)
    yield from _suspicions(part)


def _size(part: _Part) -> str:
    names = [file.name for file in part.files[:_MAX_FILES]]
    if len(part.files) > _MAX_FILES:
        names.append(format_count(len(part.files) - _MAX_FILES, "more file"))
    limits = {name: getattr(part, name, None) for name in ("limit", "target_limit")}
    reasons = [
        f"{count:,} {_REASONS[reason].format(**limits)}" for reason, count in part.left_out.items()
    ]
    left_out = f"; left out: {', '.join(reasons)}" if reasons else ""
    return f"{_count(part.kept, part.unit)} of {', '.join(names)}{left_out}"


def _facts(part: _Part) -> Iterator[str]:
    sides = f", at most {part.longest:,} on a side" if isinstance(part, PairReport) else ""
    if isinstance(part, ConversationReport):
        sides = f", {part.targets:,} of them in answers, at most {part.longest:,} in all"
    if isinstance(part, LabelledReport | TaggedReport):
        sides = f", at most {part.longest:,} in a text"
    yield f"{format_count(part.tokens, 'token')}{sides}"
    yield from _unread_messages(part)
    if isinstance(part, LabelledReport):
        yield _labels(part.labels) if part.labels else "a number each"
        yield from _cut_texts(part)
    if isinstance(part, TaggedReport):
        yield from _tags(part)
        yield from _lost_words(part)
    if part.repeats:
        yield f"exact repeats: {_count(part.repeats, part.compared)}"
    if isinstance(part, PairReport) and part.sources_in_training:
        sources = format_count(part.sources_in_training, "source")
        yield f"in training too: {sources}, {part.in_training:,} with the same target"
    elif part.in_training:
        yield f"in training too: {_count(part.in_training, part.compared)}"


def _unread_messages(part: _Part) -> Iterator[str]:
    if isinstance(part, ConversationReport) and part.unread:
        yield f"{format_count(part.unread, 'message')} after the last answer, not read"


def _cut_texts(part: _Part) -> Iterator[str]:
    if isinstance(part, LabelledReport) and part.shortened:
        cut = format_count(part.shortened, "text")
        yield f"{cut} cut at {part.limit:,} tokens (data.max_tokens)"


def _labels(labels: Mapping[str, int], noun: str = "label") -> str:
    """Return how often each label stands there, the most frequent first."""
    frequent = sorted(labels.items(), key=lambda each: -each[1])
    named = ", ".join(f"{name} {count:,}" for name, count in frequent[:_MAX_LABELS])
    more = len(frequent) - _MAX_LABELS
    rest = f" and {format_count(more, f'more {noun}')}" if more > 0 else ""
    return f"{format_count(len(frequent), noun)}: {named}{rest}"


def _tags(part: TaggedReport) -> Iterator[str]:
    """Tell of words and their tags, and of texts that are read in windows."""
    words = format_count(part.words, "word")
    if part.are_spans:
        spans = format_count(sum(part.tags.values()), "span")
        yield f"{words}, {spans} of {_labels(part.tags)}" if part.tags else f"{words}, no span"
    else:
        yield f"{words}, {_labels(part.tags, 'tag')}"
    if part.windowed:
        texts = format_count(part.windowed, "text")
        yield f"{texts} read in windows of {part.limit:,} tokens (data.max_tokens)"


def _lost_words(part: _Part) -> Iterator[str]:
    if not isinstance(part, TaggedReport):
        return
    if part.unknown_words:
        yield f"{format_count(part.unknown_words, 'word')} of which the tokenizer knows nothing"
    if part.hidden:
        yield (
            f"{format_count(part.hidden, 'span')} that begin or end inside a token, which cannot "
            "be told right"
        )


def _not_compared(part: _Part, training: _Part) -> Iterator[str]:
    """Tell where the numbers before are of the first examples alone."""
    if part.not_compared:
        yield f"not compared with others: the last {_count(part.not_compared, part.compared)}"
    if training.not_compared and part is not training:
        yield f"not compared with the last {training.not_compared:,} of training"


def _suspicions(part: _Part) -> Iterator[str]:
    if isinstance(part, PairReport):
        yield from part.headers
    if not isinstance(part, TextReport):
        return
    for mark, count in part.end_marks.items():
        yield (
            f"{mark} stands in the text {format_count(count, 'time')} and is learnt as "
            f"text; to end documents "
            f"there: --set 'data.document_separators=[\"{mark}\"]', JSONL, or, where each line is "
            "a document, --columns 1"
        )


def unknown_characters(part: PartReport) -> list[str]:
    """Return a line for each side with characters that the tokenizer does not know."""
    return [
        f"{format_count(text.unknown, 'character')} of the {side} ({text.share:.2%}) "
        f"{'is' if text.unknown == 1 else 'are'} unknown to the tokenizer, most often "
        f"{' '.join(text.most_frequent)}"
        for side, text in part.unknown.items()
        if text.unknown
    ]
