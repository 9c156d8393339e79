"""Labelled texts to ids on disk, with their targets, their texts and the labels that there are."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from checkpoints import read_json
from tokenizer.quantities import format_count

from ..data import LabelledData, TokenStore
from ..labels import LabelInventory, LabelledText, parse_number
from ..loading import ModelTexts
from ..pipelines.records import MAX_CHARACTERS
from ..pipelines.text_framing import FramedText, TextFraming
from .data_report import UNKNOWN, UNLABELLED, LabelledReport
from .drawn_encoding import DrawnEncoder
from .encoding import knows_nothing, spread_evenly, token_writer
from .labelled_corpus import LabelledGroup
from .prepared_folder import LABELS

IDS = "ids"
_SECONDS, _TARGETS, _TEXTS = "seconds.npy", "targets.npy", "texts.jsonl"
_BATCH = 1000  # texts that are tokenized together


class LabelledEncoder(DrawnEncoder[LabelledText, LabelInventory, LabelledReport]):
    """Writer of labelled texts as a model reads them, cut at `max_tokens` tokens.

    Left out, and counted, are texts of which the tokenizer knows nothing, and those with an empty
    list of labels where each needs one.
    """

    def __init__(self, texts: ModelTexts, labels: LabelInventory, *, max_tokens: int) -> None:
        super().__init__(texts, labels, max_tokens=max_tokens)
        self._labels = labels
        self._framing = TextFraming.of(texts, max_tokens)
        self._counts: Counter[str] = Counter()
        self._shortened = 0

    def _write(self, groups: Iterable[LabelledGroup], folder: Path) -> None:
        seconds, targets = list[int](), list[int | list[float]]()
        with (
            token_writer(folder / IDS, self._tokenizer) as ids,
            (folder / _TEXTS).open("w", encoding="utf-8") as kept,
        ):
            for group in groups:
                while batch := list(islice(group.texts, _BATCH)):
                    for text, framed in self._encode(batch):
                        ids.write([framed.ids])
                        seconds.append(framed.second)
                        targets.append(self._target(text, group.name))
                        kept.write(json.dumps([text.texts, text.labels.values]) + "\n")
        dtype = np.int64 if self._labels.kind == "single" else np.float32
        np.save(folder / _SECONDS, np.array(seconds, dtype=np.int64))
        np.save(folder / _TARGETS, np.array(targets, dtype=dtype))

    def _nothing_kept(self) -> str:
        count = format_count(self._left_out.total(), "text")
        if not self._left_out[UNKNOWN]:
            return f"none of the {count} has a label"
        return f"the tokenizer knows nothing of any of the {count} with labels"

    def _encode(self, batch: Sequence[LabelledText]) -> Iterator[tuple[LabelledText, FramedText]]:
        """Yield the texts that are kept, with their ids; count them."""
        flat = [text[:MAX_CHARACTERS] for labelled in batch for text in labelled.texts]
        rows = self._tokenizer.encode_batch(flat)
        self._unknown.add(flat, rows)
        rest = iter(rows)
        for text in batch:
            parts = [next(rest) for _ in text.texts]
            if self._labels.kind != "multi" and not text.labels.values:
                self._left_out[UNLABELLED] += 1
                continue
            if all(knows_nothing(self._tokenizer, part) for part in parts):
                self._left_out[UNKNOWN] += 1
                continue
            framed = self._framing.frame(parts)
            self._kept += 1
            self._tokens += len(framed.ids)
            self._longest = max(self._longest, sum(map(len, parts)))
            self._shortened += framed.truncated or any(len(t) > MAX_CHARACTERS for t in text.texts)
            self._counts.update(text.labels.values if self._labels.names else ())
            self._fingerprints.add(text.texts)
            yield text, framed

    def _target(self, text: LabelledText, name: str) -> int | list[float]:
        labels, values = self._labels, text.labels.values
        if labels.kind == "number":
            return [parse_number(values[0], name)]
        ids = [labels.ids[value] for value in values]
        if labels.kind == "single":
            return ids[0]
        return [float(n in ids) for n in range(len(labels.names))]

    def _report(self, fields: dict[str, Any]) -> LabelledReport:
        return LabelledReport(
            **fields,
            limit=self._framing.max_tokens,
            shortened=self._shortened,
            labels={name: self._counts[name] for name in self._labels.names},
            kind=self._labels.kind,
        )


def write_labels(folder: Path, labels: LabelInventory) -> None:
    """Write the labels of a prepared text below its folder."""
    fields = {"kind": labels.kind, "names": labels.names}
    (folder / LABELS).write_text(msgspec.json.encode(fields).decode(), encoding="utf-8")


def read_labels(folder: Path) -> LabelInventory:
    """Return the labels that `write_labels` wrote. Raises CheckpointError."""
    fields = read_json(folder / LABELS)
    return LabelInventory(tuple(fields["names"]), fields["kind"])


def labelled_data(folder: Path, *, max_tokens: int, seed: int) -> LabelledData | None:
    """Return the batches of the texts that a LabelledEncoder wrote; None if there are none."""
    ids = TokenStore(folder / IDS)
    if not len(ids):
        return None
    seconds, targets = (np.load(folder / name, mmap_mode="r") for name in (_SECONDS, _TARGETS))
    return LabelledData(ids, seconds, targets, max_tokens=max_tokens, seed=seed)


def read_kept_texts(
    folder: Path, limit: int = sys.maxsize
) -> list[tuple[int, tuple[str, ...], tuple[str, ...]]]:
    """Return up to `limit` of the texts that a LabelledEncoder wrote, from all over them.

    Each has its row, its text or two, and its labels.
    """
    rows = set(spread_evenly(len(TokenStore(folder / IDS)), limit))
    with (folder / _TEXTS).open(encoding="utf-8") as lines:
        records = [(row, json.loads(line)) for row, line in enumerate(lines) if row in rows]
    return [(row, tuple(texts), tuple(labels)) for row, (texts, labels) in records]
