"""The tokenizer of a run and the ids of its text, which lie in the run's folder."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from checkpoints import read_json, to_json, write_file
from tokenizer import CorpusCounts, Spool, Tokenizer, is_rereadable, train_tokenizer

from ..data import Data
from .events import Event, Notice
from .objectives import OBJECTIVES
from .recipe import Recipe
from .recipe_resolution import data_paths, tokenizer_options, with_copies

TOKENIZER, DATA = "tokenizer.json", "data"  # in a run's folder
_DONE = "done.json"


class Preparation:
    """A run's tokenizer and prepared text.

    Text that can be read only once is read from its copy in `spool`, a context to read in.
    `initial` is the tokenizer of the model that training starts from, if any; a resumed run has
    its own.
    """

    def __init__(
        self, recipe: Recipe, run: Path, *, resuming: bool, initial: Tokenizer | None
    ) -> None:
        self.recipe, self.run, self.resuming, self.initial = recipe, run, resuming, initial
        self.objective = OBJECTIVES[recipe.objective]
        self.counts = CorpusCounts()
        self.spool = Spool(run)

    def tokenizer(self) -> Tokenizer:
        """Return the run's own tokenizer, the initial model's, the recipe's, or train one."""
        path = self.run / TOKENIZER
        if self.resuming:
            return Tokenizer.load(path)
        if self.initial is not None:
            tokenizer = self.initial
        elif self.recipe.tokenizer.path:
            tokenizer = Tokenizer.load(Path(self.recipe.tokenizer.path))
        else:
            lines = self.objective.lines(with_copies(self.recipe, self.spool), self.counts)
            tokenizer = train_tokenizer(lines, tokenizer_options(self.recipe))
        write_file(path, tokenizer.to_json())
        return Tokenizer.load(path)

    def events(self, tokenizer: Tokenizer) -> Iterator[Event]:
        """Write the ids of the text, unless those of the same text and tokenizer exist."""
        data = self.run / DATA
        fingerprint = self._fingerprint()
        if (data / _DONE).is_file() and read_json(data / _DONE) == fingerprint:
            return
        shutil.rmtree(data, ignore_errors=True)
        self.counts = CorpusCounts()
        texts = with_copies(self.recipe, self.spool)
        left_out = self.objective.prepare(texts, tokenizer, data, self.counts)
        write_file(data / _DONE, to_json(fingerprint))
        if left_out:
            limit = self.recipe.data.max_tokens
            yield Notice(f"{left_out:,} pairs of {limit} tokens or more were left out")
        if self.counts.replaced:
            yield Notice(f"{self.counts.replaced:,} lines held invalid UTF-8, replaced by U+FFFD")
        for notice in self.counts.notices:
            yield Notice(notice)

    def open(self, tokenizer: Tokenizer, part: str) -> Data | None:
        """Return the batches of a prepared part, TRAIN or VALID; None if it is empty."""
        return self.objective.open(self.recipe, tokenizer, self.run / DATA, part)

    def _fingerprint(self) -> dict[str, Any]:
        """Return all that the ids on disk depend on, as it reads back from JSON."""
        return {
            "data": msgspec.to_builtins(self.recipe.data),
            "bytes": {
                path: Path(path).stat().st_size
                for path in data_paths(self.recipe)
                if is_rereadable(path)
            },
            "tokenizer": hashlib.sha256((self.run / TOKENIZER).read_bytes()).hexdigest(),
            "validation lines": self.recipe.validation.max_lines,
        }
