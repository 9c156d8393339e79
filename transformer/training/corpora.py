"""The training and validation text that a recipe names, as pairs or as running text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from tokenizer import (
    CorpusCounts,
    TextChunk,
    TextFile,
    is_blank,
    read_columns,
    read_documents,
    read_pairs,
)

from ..errors import ConfigError
from .data_recipe import DataRecipe, mixes
from .random_split import DRAWS, DrawnRange, draw_number
from .separators import split_documents

Pair = tuple[str, str]


def _is_visible(pair: Pair) -> bool:
    return not (is_blank(pair[0]) or is_blank(pair[1]))


class PairGroup(NamedTuple):
    """The pairs of one file, or of files that are read in parallel."""

    name: str
    pairs: Iterator[Pair]
    has_columns: bool = False


class TextGroup(NamedTuple):
    """The documents of one file, in chunks."""

    name: str
    chunks: Iterator[TextChunk]


@dataclass
class PairCorpus:
    """Pairs of source and target lines.

    Without validation files, pairs are drawn for validation: about `valid_fraction` of them, at
    least one that `can_read` keeps. The seed and the source's text alone decide, so pairs of equal
    source stay together and the order of the lines does not matter.
    """

    recipe: DataRecipe
    counts: CorpusCounts
    seed: int
    can_read: Callable[[Pair], bool] = _is_visible

    def check(self) -> None:
        """Raise ConfigError if the recipe names no pairs, or one side without the other."""
        recipe = self.recipe
        if not (recipe.pairs or (recipe.source and recipe.target)):
            raise ConfigError(
                "translation needs pairs of lines: give --source FILE and --target FILE, "
                "or --pairs FILE with both as columns; a language model needs --text FILE"
            )
        if bool(recipe.valid_source) != bool(recipe.valid_target):
            raise ConfigError("validation needs both --valid-source and --valid-target")
        if (recipe.pairs or recipe.valid_pairs) and len(recipe.columns) not in {0, 2}:
            raise ConfigError(f"pairs need two columns, say 1,2; got {','.join(recipe.columns)}")
        if len(recipe.columns) == 2 and recipe.columns[0] == recipe.columns[1]:
            raise ConfigError(
                f"data.columns is {','.join(recipe.columns)}: source and target are the same "
                "column; name two, such as 1,2"
            )

    def training(self) -> Iterator[PairGroup]:
        """Yield the training pairs."""
        for group in self._all():
            if self.has_random_split:
                yield group._replace(pairs=self._split(group.pairs, validation=False))
            else:
                yield group

    def validation(self) -> Iterator[PairGroup]:
        """Yield the validation pairs; none if the recipe has no validation data."""
        recipe = self.recipe
        if self._has_files:
            yield from self._read(recipe.valid_pairs, recipe.valid_source, recipe.valid_target)
        elif self.has_random_split:
            for group in replace(self, counts=CorpusCounts())._all():
                yield group._replace(pairs=self._split(group.pairs, validation=True))

    def lines(self) -> Iterator[str]:
        """Yield both sides of training pairs without a blank one, to train a vocabulary on."""
        for group in self.training():
            for source, target in group.pairs:
                if _is_visible((source, target)):
                    yield source
                    yield target

    @property
    def _has_files(self) -> bool:
        return bool(self.recipe.valid_pairs or self.recipe.valid_source or self.recipe.valid_target)

    @property
    def has_random_split(self) -> bool:
        """True if pairs are drawn for validation."""
        return bool(self.recipe.valid_fraction) and not self._has_files

    def _split(self, pairs: Iterator[Pair], *, validation: bool) -> Iterator[Pair]:
        return (pair for pair in pairs if (self._draw(pair) < self._bound) == validation)

    def _draw(self, pair: Pair) -> int:
        """Return the number of a pair's source."""
        return draw_number(pair[0], self.seed)

    @cached_property
    def _bound(self) -> int:
        """The number below which pairs are for validation; of few pairs, the lowest are.

        It is higher where `can_read` keeps none of them, so that a tokenizer trained before on the
        lines of training has seen all training pairs. Reading ends at the first pair that is for
        validation and kept.
        """
        bound = int(self.recipe.valid_fraction * DRAWS)
        visible, kept = DrawnRange(), DrawnRange()
        for group in replace(self, counts=CorpusCounts())._all():
            for pair in filter(_is_visible, group.pairs):
                number = self._draw(pair)
                visible.add(number)
                if number not in kept and self.can_read(pair):
                    if number < bound:
                        return bound
                    kept.add(number)
        return max(bound if visible.lowest < bound else visible.bound(), kept.bound())

    def _all(self) -> Iterator[PairGroup]:
        return self._read(self.recipe.pairs, self.recipe.source, self.recipe.target)

    def _read(self, pairs: list[str], source: list[str], target: list[str]) -> Iterator[PairGroup]:
        if source or target:
            sides = [TextFile(path) for path in source], [TextFile(path) for path in target]
            name = " and ".join(" + ".join(paths) for paths in (source, target))
            yield PairGroup(name, read_pairs(*sides, self.counts))
        for path in pairs:
            rows = read_columns(path, self.recipe.columns, self.counts)
            yield PairGroup(str(path), ((row[0], row[1]) for row in rows), has_columns=True)


@dataclass
class RunningCorpus:
    """Documents: each plain file is one, and each record of a TSV or JSONL file is one.

    The recipe's `document_separators` end documents, too. Without validation files, the last
    `valid_fraction` of the text is for validation; of files that are mixed, that of each.
    """

    recipe: DataRecipe
    counts: CorpusCounts

    def check(self) -> None:
        """Raise ConfigError if the recipe names no text."""
        if not self.recipe.text:
            raise ConfigError("training on running text needs --text FILE")
        if not all(self.recipe.document_separators):
            raise ConfigError("data.document_separators has an empty text, which is everywhere")

    def training(self) -> Iterator[TextGroup]:
        """Yield the training text."""
        for files, size in self._training_sizes:
            groups = self._read(files)
            yield from groups if size is None else _cut(groups, 0, size)

    def validation(self) -> Iterator[TextGroup]:
        """Yield the validation text; none if the recipe has no validation data."""
        if self.recipe.valid_text:
            yield from self._read(self.recipe.valid_text)
            return
        uncounted = replace(self, counts=CorpusCounts())
        for files, size in self._training_sizes:
            if size is not None:
                yield from _cut(uncounted._read(files), size)

    def lines(self) -> Iterator[str]:
        """Yield the training text without document ends, to train a vocabulary on."""
        return (chunk.text for group in self.training() for chunk in group.chunks)

    def _read(self, paths: list[str]) -> Iterator[TextGroup]:
        column = self.recipe.columns[0] if self.recipe.columns else None
        separators = self.recipe.document_separators
        for path in paths:
            chunks = read_documents(TextFile(path, column, option="--columns"), self.counts)
            yield TextGroup(
                str(path), split_documents(chunks, separators) if separators else chunks
            )

    @cached_property
    def _training_sizes(self) -> list[tuple[list[str], int | None]]:
        """The files, and the number of their characters for training, for which all is read.

        None: all of them are. Files that are mixed are cut one by one.
        """
        recipe = self.recipe
        corpora = [[path] for path in recipe.text] if mixes(recipe) else [recipe.text]
        if recipe.valid_text or not recipe.valid_fraction:
            return [(files, None) for files in corpora]
        sizes: list[tuple[list[str], int | None]] = []
        for files in corpora:
            groups = replace(self, counts=CorpusCounts())._read(files)
            total = sum(len(chunk.text) for group in groups for chunk in group.chunks)
            sizes.append((files, int((1 - recipe.valid_fraction) * total)))
        return sizes


def _cut(groups: Iterator[TextGroup], start: int, end: int | None = None) -> Iterator[TextGroup]:
    """Yield the characters from `start` to `end` of all groups together."""
    position = 0

    def cut(chunks: Iterator[TextChunk]) -> Iterator[TextChunk]:
        nonlocal position
        for chunk in chunks:
            text = chunk.text
            part = text[max(0, start - position) : None if end is None else max(0, end - position)]
            empty = not text and start <= position and (end is None or position < end)
            position += len(text)
            if part or empty:
                yield chunk._replace(text=part)

    for name, chunks in groups:
        yield TextGroup(name, cut(chunks))
