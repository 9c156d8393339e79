"""Name maps: the published tensors that each of ours is made of, as readable text.

A line is `ours = theirs`; `{i}` is a layer's number and `{s}` a stack, `encoder` or `decoder`.
Either side names a module, with its weight and bias, or a single tensor; of two lines for one
tensor, that for its whole name wins. `{q,k,v}` stands for several published tensors, which are the
rows of ours one after another. `^T` marks a matrix that is stored transposed, `^row` a vector that
is stored as a matrix of one row, `^pairs` rows of heads whose rotated pairs are neighbours; such a
mark stands at the end of a name, also of one in braces. `{p}` is a prefix that files of bare models
lack. `|` precedes other names of the same tensor, ` or ` one that is used if the first is absent.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..config import TransformerConfig
from .forms import FORMS

_ENDS = (".weight", ".bias")
_NUMBER = re.compile(r"\.(\d+)\.")
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


class UnmappedError(KeyError):
    """A tensor of ours that a family does not have."""


class TensorSource(NamedTuple):
    """The published tensors that one of ours consists of."""

    parts: tuple[str, ...]  # published names; their rows are concatenated
    forms: tuple[str, ...] = ("",)  # how each is stored: an entry of FORMS
    aliases: tuple[str, ...] = ()  # other names of the same tensor
    fallbacks: tuple[str, ...] = ()  # used if the tensor is absent, else ignored


class NameMap:
    """A name map, parsed into rules by our names."""

    def __init__(self, text: str, *, prefix: str = "") -> None:
        self.prefix = prefix
        self.rules: dict[str, TensorSource] = {}
        for line in filter(None, map(str.strip, text.splitlines())):
            ours, theirs = line.split(" = ")
            for stack in ("encoder", "decoder") if "{s}" in line else ("",):
                name = ours.strip().replace("{s}", stack)
                self.rules[name] = _rule(theirs.replace("{s}", stack))

    def with_module(self, module: str, text: str) -> "NameMap":
        """Return the map with the lines of a text in place of all of one of our modules."""
        changed = NameMap(text, prefix=self.prefix)
        others = {n: rule for n, rule in self.rules.items() if n.partition(".")[0] != module}
        changed.rules = {**others, **changed.rules}
        return changed

    def with_lines(self, text: str) -> "NameMap":
        """Return the map with the lines of a text, too; they win over those of the same names."""
        changed = NameMap(text, prefix=self.prefix)
        changed.rules = {**self.rules, **changed.rules}
        return changed

    def sources(
        self, names: Iterable[str], present: Mapping[str, object]
    ) -> dict[str, TensorSource]:
        """Return the source of each of our tensors, with the prefix if the file has it."""
        prefix = self.prefix_in(present)
        return {name: self._source(name, prefix) for name in names}

    def prefix_in(self, present: Mapping[str, object]) -> str:
        """Return the prefix, or an empty text if no tensor has it."""
        return self.prefix if any(name.startswith(self.prefix) for name in present) else ""

    def unmapped(self, names: Iterable[str]) -> list[str]:
        """Return those of our tensors that have no source."""
        return [name for name in names if self._key(name) is None]

    def _key(self, name: str) -> str | None:
        """Return the name of the rule for one of our tensors, if there is one."""
        end, general = _end(name), _NUMBER.sub(".{i}.", name)
        known = (name, name.removesuffix(end), general, general.removesuffix(end))
        return next((key for key in known if key in self.rules), None)

    def _source(self, name: str, prefix: str) -> TensorSource:
        number = _NUMBER.search(name)
        key, end = self._key(name), _end(name)
        if key is None:
            raise UnmappedError(name)
        rule, suffix = self.rules[key], "" if key.endswith(end) else end

        def fill(template: str) -> str:
            filled = template.replace("{p}", prefix).replace("{i}", number[1] if number else "")
            return filled + suffix

        forms = rule.forms
        if end == ".bias" and suffix:  # a module's form is its weight's
            forms = tuple(form if FORMS[form].of_outputs else "" for form in forms)
        names = (tuple(map(fill, group)) for group in (rule.parts, rule.aliases, rule.fallbacks))
        parts, aliases, fallbacks = names
        return TensorSource(parts, forms, aliases, fallbacks)


def _end(name: str) -> str:
    return next(end for end in _ENDS if name.endswith(end))


def _rule(text: str) -> TensorSource:
    text, *fallbacks = (part.strip() for part in text.split(" or "))
    main, *aliases = (part.strip() for part in text.split("|"))
    parts, marks = zip(*(_split_mark(part) for part in _expand(main)), strict=True)
    names = tuple(name for alias in aliases for name in _expand(alias))
    return TensorSource(parts, marks, names, tuple(fallbacks))


def _split_mark(name: str) -> tuple[str, str]:
    """Return the name and the form of `name ^T`."""
    name, mark, form = name.partition(" ^")
    return name, mark.strip() + form


def _expand(template: str) -> tuple[str, ...]:
    """Return the three names of `{q,k,v}_proj`."""
    braces = _BRACES.search(template)
    if braces is None:
        return (template,)
    return tuple(template.replace(braces[0], choice) for choice in braces[1].split(","))


def part_rows(config: TransformerConfig, parts: Sequence[str], rows: int) -> list[int]:
    """Return how many of our rows each part has: of queries, keys and values, or equal parts."""
    if len(parts) != 3:
        return [rows // len(parts)] * len(parts)
    heads, groups = config.heads, config.key_value_heads
    width = rows // (heads + 2 * groups)
    return [heads * width, groups * width, groups * width]
