"""Tagged texts to windows of ids on disk, with the tags of their words, and the texts."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from checkpoints import read_json
from tokenizer import OffsetEncoding
from tokenizer.quantities import format_count

from ..data import TaggedData, TokenStore, TokenWriter
from ..labels import (
    NO_TARGET,
    LabelInventory,
    TaggedText,
    TokenWindow,
    read_spans,
    span_tag,
    spans_inside_tokens,
    tells_spans,
    token_targets,
    tokens_of_words,
    word_probabilities,
    word_tags,
)
from ..labels.words import Range
from ..loading import ModelTexts
from ..pipelines.text_framing import TextFraming
from .data_report import UNKNOWN, TaggedReport
from .drawn_corpus import DrawnGroup
from .drawn_encoding import DrawnEncoder
from .encoding import knows_nothing, token_writer
from .prepared_folder import LABELS
from .tagged_corpus import TagInventory

_IDS, _TAGS, _TEXTS = "ids", "tags", "texts.jsonl"


class KeptText(msgspec.Struct):
    """A tagged text that was written, in windows of its tokens, which are rows of ids."""

    text: TaggedText
    tokens: list[Range]  # of each word
    windows: list[TokenWindow]

    @property
    def length(self) -> int:
        """The number of the text's tokens that are answered."""
        return max((window.last for window in self.windows), default=0)


class TaggedEncoder(DrawnEncoder[TaggedText, TagInventory, TaggedReport]):
    """Writer of tagged texts as a model reads them, in windows of up to `max_tokens` tokens.

    A word's first token has its tag as a target, in the window that answers it; windows without a
    target are not written. Left out, and counted, are texts of which the tokenizer knows nothing.
    """

    def __init__(self, texts: ModelTexts, tags: TagInventory, *, max_tokens: int) -> None:
        super().__init__(texts, tags, max_tokens=max_tokens)
        self._labels = tags.labels
        self._are_spans = tells_spans(tags.labels.names)
        self._framing = TextFraming.of(texts, max_tokens)
        self._windowed = self._words = self._unknown_words = self._hidden = 0
        self._counts: Counter[str] = Counter()

    def _write(self, groups: Iterable[DrawnGroup[TaggedText]], folder: Path) -> None:
        tags = TokenWriter(folder / _TAGS, vocab_size=len(self._labels.names) + 1)
        with (
            token_writer(folder / _IDS, self._tokenizer) as ids,
            tags,
            (folder / _TEXTS).open("wb") as kept,
        ):
            for group in groups:
                for text in group.texts:
                    encoding = self._tokenizer.encode_with_offsets(text.text)
                    if (encoded := self._encode(text, encoding)) is not None:
                        self._write_windows(encoded, encoding.ids, ids, tags)
                        kept.write(msgspec.json.encode(encoded) + b"\n")

    def _nothing_kept(self) -> str:
        count = format_count(self._left_out.total(), "text")
        return f"the tokenizer knows nothing of any of the {count} with tags"

    def _encode(self, text: TaggedText, encoding: OffsetEncoding) -> KeptText | None:
        """Return a text with its windows; None if it is left out. Count it."""
        self._unknown.add([text.text], [encoding.ids])
        tokens = tokens_of_words(encoding.offsets, text.words)
        begins = {first for first, last in tokens if first < last}
        if not begins or knows_nothing(self._tokenizer, encoding.ids):
            self._left_out[UNKNOWN] += 1
            return None
        windows = self._framing.windows(len(encoding.ids))
        answering = [w for w in windows if not begins.isdisjoint(range(w.first, w.last))]
        self._kept += 1
        self._longest = max(self._longest, len(encoding.ids))
        self._windowed += len(windows) > 1
        self._fingerprints.add(text.text)
        self._count_words(text, tokens, encoding.ids)
        return KeptText(text, tokens, answering)

    def _count_words(self, text: TaggedText, tokens: list[Range], ids: Sequence[int]) -> None:
        self._words += len(tokens)
        self._unknown_words += sum(
            knows_nothing(self._tokenizer, ids[first:last]) for first, last in tokens
        )
        if self._are_spans:
            spans = read_spans([*map(span_tag, text.tags)])
            self._counts.update(span.label for span in spans)
            self._hidden += spans_inside_tokens(spans, tokens)
        else:
            self._counts.update(text.tags)

    def _write_windows(
        self, kept: KeptText, row: Sequence[int], ids: TokenWriter, tags: TokenWriter
    ) -> None:
        labels = [self._labels.ids.get(tag, NO_TARGET) for tag in kept.text.tags]
        targets = token_targets(kept.tokens, labels, len(row))
        numbers = [0 if target == NO_TARGET else target + 1 for target in targets]
        before, after = ([0] * len(each) for each in (self._framing.before, self._framing.after))
        for window in kept.windows:
            start, end, first, last = window
            own = [0] * (first - start) + numbers[first:last] + [0] * (end - last)
            framed = self._framing.frame_window(row, window)
            ids.write([framed])
            tags.write([[*before, *own, *after]])
            self._tokens += len(framed)

    def _report(self, fields: dict[str, Any]) -> TaggedReport:
        return TaggedReport(
            **fields,
            limit=self._framing.max_tokens,
            windowed=self._windowed,
            words=self._words,
            unknown_words=self._unknown_words,
            tags=dict(self._counts.most_common()),
            are_spans=self._are_spans,
            hidden=self._hidden,
        )


def write_tags_of(folder: Path, tags: TagInventory) -> None:
    """Write the tags of a prepared text, and their scheme, below its folder."""
    fields = {"kind": tags.labels.kind, "names": tags.labels.names, "scheme": tags.scheme}
    (folder / LABELS).write_bytes(msgspec.json.encode(fields))


def read_tags_of(folder: Path) -> TagInventory:
    """Return the tags that `write_tags_of` wrote. Raises CheckpointError."""
    fields = read_json(folder / LABELS)
    return TagInventory(LabelInventory(tuple(fields["names"]), fields["kind"]), fields["scheme"])


def tagged_data(folder: Path, *, max_tokens: int, seed: int) -> TaggedData | None:
    """Return the batches of the texts that a TaggedEncoder wrote; None if there are none."""
    ids = TokenStore(folder / _IDS)
    if not len(ids):
        return None
    return TaggedData(ids, TokenStore(folder / _TAGS), max_tokens=max_tokens, seed=seed)


def read_kept_texts(folder: Path) -> Iterator[tuple[int, KeptText]]:
    """Yield the texts that a TaggedEncoder wrote, each with the row of its first window."""
    row = 0
    with (folder / _TEXTS).open("rb") as lines:
        for line in lines:
            kept = msgspec.json.decode(line, type=KeptText)
            yield row, kept
            row += len(kept.windows)


def predicted_tags(
    kept: KeptText,
    rows: Sequence[NDArray[np.int64]],
    tags: TagInventory,
    *,
    before: int,
) -> list[str]:
    """Return the tags of a text's words by the tags of the tokens of its windows.

    Each row has the tags' ids of a window's tokens, after those of `before` special ones.
    """
    names = tags.labels.names
    chosen_TL = np.zeros((kept.length, len(names)))
    for (start, _, first, last), row in zip(kept.windows, rows, strict=True):
        chosen = row[before + first - start : before + last - start]
        chosen_TL[np.arange(first, last), chosen] = 1
    chosen_WL = word_probabilities(kept.tokens, chosen_TL)
    return word_tags(chosen_WL, names, kept.tokens, scheme=tags.scheme)
