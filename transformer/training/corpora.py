"""The training and validation text that a recipe names, as pairs or as running text."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from tokenizer import (
    CorpusCounts,
    TextChunk,
    TextFile,
    read_columns,
    read_documents,
    read_pairs,
)

from ..errors import ConfigError
from .recipe import DataRecipe

Pair = tuple[str, str]


@dataclass
class PairCorpus:
    """Pairs of source and target lines.

    Without validation files, the last `valid_fraction` of the pairs is for validation.
    """

    recipe: DataRecipe
    counts: CorpusCounts

    def check(self) -> None:
        """Raise ConfigError if the recipe names no pairs, or one side without the other."""
        recipe = self.recipe
        if not (recipe.pairs or (recipe.source and recipe.target)):
            raise ConfigError(
                "translation needs pairs of lines: give --source FILE and --target FILE, "
                "or --pairs FILE with both as columns"
            )
        if bool(recipe.valid_source) != bool(recipe.valid_target):
            raise ConfigError("validation needs both --valid-source and --valid-target")
        if (recipe.pairs or recipe.valid_pairs) and len(recipe.columns) not in {0, 2}:
            raise ConfigError(f"pairs need two columns, say 1,2; got {','.join(recipe.columns)}")

    def training(self) -> Iterator[Pair]:
        """Yield the training pairs."""
        return islice(self._all(), self._training_size())

    def validation(self) -> Iterator[Pair]:
        """Yield the validation pairs; none if the recipe has no validation data."""
        recipe = self.recipe
        if recipe.valid_pairs or recipe.valid_source or recipe.valid_target:
            return self._read(recipe.valid_pairs, recipe.valid_source, recipe.valid_target)
        if not recipe.valid_fraction:
            return iter(())
        return islice(replace(self, counts=CorpusCounts())._all(), self._training_size(), None)

    def lines(self) -> Iterator[str]:
        """Yield both sides of the training pairs, to train a shared vocabulary on."""
        for pair in self.training():
            yield from pair

    def _all(self) -> Iterator[Pair]:
        return self._read(self.recipe.pairs, self.recipe.source, self.recipe.target)

    def _read(self, pairs: list[str], source: list[str], target: list[str]) -> Iterator[Pair]:
        yield from read_pairs(
            [TextFile(path) for path in source], [TextFile(path) for path in target], self.counts
        )
        for path in pairs:
            for row in read_columns(path, self.recipe.columns, self.counts):
                yield row[0], row[1]

    def _training_size(self) -> int | None:
        """Return the number of pairs for training; None: all."""
        named = self.recipe.valid_pairs or self.recipe.valid_source
        if named or not self.recipe.valid_fraction:
            return None
        return int(
            (1 - self.recipe.valid_fraction)
            * sum(1 for _ in replace(self, counts=CorpusCounts())._all())
        )


@dataclass
class RunningCorpus:
    """Documents: each plain file is one, and each record of a TSV or JSONL file is one.

    Without validation files, the last `valid_fraction` of the text is for validation.
    """

    recipe: DataRecipe
    counts: CorpusCounts

    def check(self) -> None:
        """Raise ConfigError if the recipe names no text."""
        if not self.recipe.text:
            raise ConfigError("a language model needs text: give --text FILE")

    def training(self) -> Iterator[TextChunk]:
        """Yield the training text."""
        remaining = self._training_size()
        for chunk in self._read(self.recipe.text):
            if remaining is None:
                yield chunk
            elif remaining > 0:
                yield TextChunk(chunk.text[:remaining], chunk.ends_document)
                remaining -= len(chunk.text)

    def validation(self) -> Iterator[TextChunk]:
        """Yield the validation text; none if the recipe has no validation data."""
        if self.recipe.valid_text:
            yield from self._read(self.recipe.valid_text)
        remaining = self._training_size() if self.recipe.valid_fraction else None
        if remaining is None:
            return
        for chunk in replace(self, counts=CorpusCounts())._read(self.recipe.text):
            if rest := chunk.text[max(0, remaining) :]:
                yield TextChunk(rest, chunk.ends_document)
            remaining -= len(chunk.text)

    def lines(self) -> Iterator[str]:
        """Yield the training text without document ends, to train a vocabulary on."""
        return (chunk.text for chunk in self.training())

    def _read(self, paths: list[str]) -> Iterator[TextChunk]:
        column = self.recipe.columns[0] if self.recipe.columns else None
        for path in paths:
            yield from read_documents(TextFile(path, column), self.counts)

    def _training_size(self) -> int | None:
        """Return the number of characters for training; None: all."""
        if self.recipe.valid_text or not self.recipe.valid_fraction:
            return None
        total = sum(
            len(chunk.text)
            for chunk in replace(self, counts=CorpusCounts())._read(self.recipe.text)
        )
        return int((1 - self.recipe.valid_fraction) * total)
