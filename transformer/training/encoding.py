"""Text to ids on disk, by one rule for training and validation, with a report on each."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tokenizer import TextChunk, Tokenizer, is_blank
from tokenizer.text import begins_with_names

from ..data import TokenStore, TokenWriter
from ..loading import ModelTexts
from ..pipelines.framing import pair_framing
from ..pipelines.records import MAX_CHARACTERS
from .corpora import Pair, PairGroup, TextGroup
from .data_report import (
    BLANK,
    TARGET_TOO_LONG,
    TOO_LONG,
    UNREADABLE,
    FileReport,
    Fingerprints,
    PairReport,
    TextReport,
    UnknownCounter,
)
from .separators import count_end_marks

SIDES, TEXT = ("source", "target"), "text"
_PAIRS = "pairs.jsonl"  # the texts of validation pairs
_BATCH = 1000  # texts that are tokenized together
_MIN_LINE = 40  # characters; shorter lines of running text repeat by their nature


def read_kept_pairs(folder: Path, limit: int | None = None) -> list[Pair]:
    """Return the texts of all pairs that a PairEncoder wrote below a folder, in their order.

    With a `limit`, as many of them at most, spread evenly: sorted pairs are a sample of all.
    """
    with (folder / _PAIRS).open(encoding="utf-8") as lines:
        if limit is None:
            pairs = [json.loads(line) for line in lines]
        else:
            numbers = set(spread_evenly(count_kept_pairs(folder), limit))
            pairs = [json.loads(line) for number, line in enumerate(lines) if number in numbers]
    return [(source, target) for source, target in pairs]


def count_kept_pairs(folder: Path) -> int:
    """Count the pairs that a PairEncoder wrote below a folder."""
    return len(TokenStore(folder / SIDES[0]))


def spread_evenly(total: int, limit: int) -> list[int]:
    """Return the indices in the middle of `limit` stretches of equal length; all, if there are few.

    >>> spread_evenly(100, 4), spread_evenly(3, 9)
    ([12, 37, 62, 87], [0, 1, 2])
    """
    count = min(total, limit)
    return [(2 * n + 1) * total // (2 * count) for n in range(count)]


def token_writer(folder: Path, tokenizer: Tokenizer) -> TokenWriter:
    """Return a writer for all ids of a tokenizer, which may have gaps."""
    return TokenWriter(folder, vocab_size=max(tokenizer.vocab_size, tokenizer.largest_id + 1))


def _without_names(cells: Pair) -> str:
    """Return how to leave out a row with the names of columns, unless a name has a comma."""
    if "," in "".join(cells):
        return ""
    return f"; to leave them out: --columns {shlex.quote(','.join(cells))}"


class PairLimits(NamedTuple):
    """The most tokens that each side of a pair may have, what stands around it counted."""

    source: int
    target: int


class PairEncoder:
    """Writer of the ids of pairs.

    Pairs that a model cannot read are left out, and counted: those with a blank side, with a side
    of more tokens than its limit, or with a side of which its tokenizer knows nothing.
    """

    def __init__(self, texts: ModelTexts, limits: PairLimits) -> None:
        self._tokenizers = (texts.tokenizer, texts.target_tokenizer)
        self._framing, self._limits = pair_framing(texts), limits
        sides = zip(SIDES, self._tokenizers, strict=True)
        self._unknown = {side: UnknownCounter(tokenizer) for side, tokenizer in sides}
        self._left_out: Counter[str] = Counter()
        self._kept = self._tokens = self._longest = 0
        self._pairs, self._sources = Fingerprints(), Fingerprints()

    def write(
        self,
        groups: Iterable[PairGroup],
        folder: Path,
        *,
        keep_texts: bool = False,
        training: "PairEncoder | None" = None,
    ) -> PairReport:
        """Write pairs below a folder, and their texts if asked for; return the report on them.

        `training` is the encoder of the pairs to look for these in.
        """
        files, headers = [], []
        with ExitStack() as stack:
            source, target = (
                stack.enter_context(token_writer(folder / side, tokenizer))
                for side, tokenizer in zip(SIDES, self._tokenizers, strict=True)
            )
            texts = stack.enter_context((folder / _PAIRS).open("w")) if keep_texts else None
            for group in groups:
                count = 0
                while batch := list(islice(group.pairs, _BATCH)):
                    if count == 0 and (header := begins_with_names(group.name, batch[0])):
                        remedy = _without_names(batch[0]) if group.has_columns else ""
                        headers.append(f"{header}, which are a pair like any other{remedy}")
                    count += len(batch)
                    kept, sides = self._encode(batch)
                    source.write(sides[0])
                    target.write(sides[1])
                    if texts is not None:  # ASCII, with every line end escaped
                        texts.writelines(json.dumps(pair) + "\n" for pair in kept)
                files.append(FileReport(group.name, count, self._kept))
        return self._report(files, headers, training)

    def can_read(self, pair: Pair) -> bool:
        """Return True for a pair that is kept."""
        visible = not (is_blank(pair[0]) or is_blank(pair[1]))
        sides = zip(self._tokenizers, pair, strict=True)
        return visible and not self._reason(pair, [t.encode(side) for t, side in sides])

    def _encode(self, batch: Sequence[Pair]) -> tuple[list[Pair], tuple[list[list[int]], ...]]:
        """Return the pairs that are kept and the ids of their sides."""
        visible = [pair for pair in batch if not (is_blank(pair[0]) or is_blank(pair[1]))]
        self._left_out[BLANK] += len(batch) - len(visible)
        kept: list[Pair] = []
        sides: tuple[list[list[int]], ...] = ([], [])
        if not visible:
            return kept, sides
        texts = list(zip(*visible, strict=True))
        sides_of = zip(self._tokenizers, texts, strict=True)
        rows = [tokenizer.encode_batch(side) for tokenizer, side in sides_of]
        for name, side, ids in zip(SIDES, texts, rows, strict=True):
            self._unknown[name].add(side, ids)
        for pair, *row in zip(visible, *rows, strict=True):
            self._longest = max(self._longest, *map(len, row))
            if reason := self._reason(pair, row):
                self._left_out[reason] += 1
                continue
            kept.append(pair)
            for ids, side_ids in zip(row, sides, strict=True):
                side_ids.append(ids)
                self._tokens += len(ids)
            self._pairs.add(pair)
            self._sources.add(pair[0])
        self._kept += len(kept)
        return kept, sides

    def _reason(self, pair: Pair, row: Sequence[Sequence[int]]) -> str | None:
        """Return the reason why a model cannot read a pair, None if it can."""
        source, target = self._framing.lengths(*map(len, row))
        if source > self._limits.source or len(pair[0]) > MAX_CHARACTERS:
            return TOO_LONG
        if target > self._limits.target:
            return TOO_LONG if self._has_one_limit else TARGET_TOO_LONG
        sides = zip(self._tokenizers, row, strict=True)
        return UNREADABLE if any(knows_nothing(*side) for side in sides) else None

    @property
    def _has_one_limit(self) -> bool:
        return self._limits.source == self._limits.target

    def _report(
        self, files: list[FileReport], headers: list[str], training: "PairEncoder | None"
    ) -> PairReport:
        around = self._framing.lengths(0, 0)
        limits = [most + 1 - each for most, each in zip(self._limits, around, strict=True)]
        return PairReport(
            files=files,
            left_out={reason: count for reason, count in self._left_out.items() if count},
            kept=self._kept,
            tokens=self._tokens,
            longest=self._longest,
            limit=min(limits) if self._has_one_limit else limits[0],
            target_limit=None if self._has_one_limit else limits[1],
            repeats=self._pairs.repeats(),
            not_compared=self._pairs.not_compared,
            in_training=self._pairs.count_in(training._pairs) if training else 0,
            sources_in_training=self._sources.count_in(training._sources) if training else 0,
            unknown={side: counter.report() for side, counter in self._unknown.items()},
            headers=headers,
        )


def knows_nothing(tokenizer: Tokenizer, ids: Sequence[int]) -> bool:
    """Return True for the ids of a text that a tokenizer knows nothing of."""
    unknown = tokenizer.unknown_id
    return not ids or (ids[0] == unknown and set(ids) == {unknown})


class TextEncoder:
    """Writer of running text as one stream of ids: the end token stands after each document.

    If it `begins_documents`, what the model begins every text with stands before it; where that is
    nothing, the stream begins with an end token. Blank documents are left out, and counted.
    """

    def __init__(self, texts: ModelTexts, *, begins_documents: bool = True) -> None:
        tokenizer = self._tokenizer = texts.tokenizer
        self._before = tokenizer.special_affixes()[0] if begins_documents else []
        self._end = texts.generation.end_id
        self._unknown = UnknownCounter(tokenizer)
        self._blank = self._documents = self._tokens = self._longest = 0
        self._current = 0  # tokens of the present document so far
        self._inside = False  # chunks of the present document have come
        # of the next document
        self._beginning = self._before or ([self._end] if begins_documents else [])
        self._lines = Fingerprints()
        self._end_marks: Counter[str] = Counter()

    def write(
        self,
        groups: Iterable[TextGroup],
        folder: Path,
        *,
        training: "TextEncoder | None" = None,
    ) -> TextReport:
        """Write documents below a folder; return the report on them.

        `training` is the encoder of the text to look for these lines in.
        """
        files = []
        with token_writer(folder / TEXT, self._tokenizer) as writer:
            for group in groups:
                before = self._documents + self._blank
                while batch := list(islice(group.chunks, _BATCH)):
                    writer.write(self._encode(batch))
                if self._current:  # the rest of its document is for validation
                    self._end_document()
                count = self._documents + self._blank - before
                files.append(FileReport(group.name, count, writer.total))
        return TextReport(
            files=files,
            left_out={BLANK: self._blank} if self._blank else {},
            kept=self._documents,
            tokens=self._tokens,
            longest=self._longest,
            repeats=self._lines.repeats(),
            not_compared=self._lines.not_compared,
            in_training=self._lines.count_in(training._lines) if training else 0,
            unknown={TEXT: self._unknown.report()},
            end_marks=dict(self._end_marks),
        )

    def _encode(self, batch: Sequence[TextChunk]) -> Iterator[list[int]]:
        """Yield the ids of chunks, and of the ends around documents."""
        batch = [chunk for chunk in batch if not self._is_blank_document(chunk)]
        texts = [chunk.text for chunk in batch]
        rows = self._tokenizer.encode_batch(texts)
        self._unknown.add(texts, rows)
        for chunk, ids in zip(batch, rows, strict=True):
            if self._beginning:
                yield self._beginning
                self._beginning = []
            yield [*ids, self._end] if chunk.ends_document else ids
            self._count(chunk, len(ids))

    def _is_blank_document(self, chunk: TextChunk) -> bool:
        """Count a chunk that is all of a blank document; return True for one."""
        blank = chunk.ends_document and not self._inside and is_blank(chunk.text)
        self._blank += blank
        self._inside = not chunk.ends_document
        return blank

    def _count(self, chunk: TextChunk, tokens: int) -> None:
        self._tokens += tokens
        self._current += tokens
        self._end_marks.update(count_end_marks(chunk.text))
        for line in chunk.text.splitlines():
            if len(line) >= _MIN_LINE:
                self._lines.add(line)
        if chunk.ends_document:
            self._end_document()

    def _end_document(self) -> None:
        self._documents += 1
        self._longest = max(self._longest, self._current)
        self._current, self._inside, self._beginning = 0, False, self._before
