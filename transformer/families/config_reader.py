"""A reader of published config.json files that ignores no option."""

from collections.abc import Mapping
from typing import Any, Protocol

from checkpoints import CheckpointError

from .no_effect import has_no_effect

_LARGEST = 10**18


class TensorNames(Protocol):
    """The interface to a file's tensors that reading its configuration needs."""

    def __contains__(self, name: object, /) -> bool:
        """Return True if there is a tensor of that name."""
        ...

    def equal_values(self, first: str, second: str) -> bool:
        """Return True if two tensors hold the same numbers."""
        ...


class ConfigReader:
    """The options of a config.json; `finish` refuses those that were not read."""

    def __init__(self, fields: Mapping[str, Any], source: str) -> None:
        self.source = source
        self._fields = dict(fields)
        self._read: set[str] = set()

    def rename(self, aliases: Mapping[str, str]) -> None:
        """Take the value of each other name of an option for that option's.

        Where a file has both, the other name wins, as in transformers (`attribute_map`).
        """
        for alias, name in aliases.items():
            value = self._fields.pop(alias, None)
            if value is not None:
                self._fields[name] = value

    def is_null(self, name: str) -> bool:
        """Return True if the file has the option, without a value."""
        return name in self._fields and self._fields[name] is None

    def get(self, name: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """Return a value of a type, or the default if it is absent or null."""
        self._read.add(name)
        value = self._fields.get(name)
        if value is None:
            return default
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise self.error(f"{name} is {_shown(value)}; it is too large")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            allowed = " or ".join(k.__name__ for k in kinds)
            raise self.error(f"{name} is {_shown(value)}; it must be {allowed}")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """Return a whole number, which must be there if it has no default."""
        value = self.get(name, int, default)
        if value is None:
            raise self.error(f"{name} is missing")
        return int(value)

    def number(self, name: str, default: float) -> float:
        """Return a number."""
        return float(self.get(name, (int, float), default))

    def required_number(self, name: str) -> float:
        """Return a number that must be there."""
        value = self.get(name, (int, float))
        if value is None:
            raise self.error(f"{name} is missing")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return True or False."""
        return bool(self.get(name, bool, default))

    def must_be(self, name: str, *allowed: Any) -> None:
        """Refuse all values of an option but these; the first is the value of an absent one."""
        self._read.add(name)
        value = self._fields.get(name)
        value = allowed[0] if value is None else value
        if value not in allowed:
            listing = ", ".join(_shown(a) for a in allowed)
            raise self.error(f"{name} is {_shown(value)}, which is not supported; only: {listing}")

    def choice(self, name: str, table: Mapping[str, str], default: str | None = None) -> str:
        """Return our name for a published one, by a table."""
        value = self.get(name, str, default)
        if value not in table:
            listing = ", ".join(sorted(table))
            raise self.error(f"{name} is {_shown(value)}, which is not supported; only: {listing}")
        return table[value]

    def to_dict(self) -> dict[str, Any]:
        """Return all options as they are, and count them as read."""
        self._read.update(self._fields)
        return dict(self._fields)

    @property
    def unread(self) -> dict[str, Any]:
        """The options that were not read, without those that are null."""
        fields = self._fields.items()
        return {n: v for n, v in fields if n not in self._read and v is not None}

    def finish(self) -> None:
        """Raise CheckpointError for an option that was not read and could change the network.

        A number of 0 is a number like another, and False may be the change.
        """
        for name, value in self._fields.items():
            if name in self._read or has_no_effect(name, value):
                continue
            raise self.error(
                f"the option {name} = {_shown(value)} is not known, and could change the model; "
                "take it out of the file if it does not"
            )

    def error(self, text: str) -> CheckpointError:
        """Return the exception for a mistake in this file."""
        return CheckpointError(f"{self.source}: {text}")


def is_tied(
    reader: ConfigReader, names: TensorNames, default: bool, output: str, embedding: str
) -> bool:
    """Return True if the output projection is the embedding.

    The file's tensors decide, whatever the option says: two different matrices are untied, as in
    transformers, and where there is only one, it is both.
    """
    tied = reader.flag("tie_word_embeddings", default)
    if (output in names) != (embedding in names):
        return True
    both = output in names and embedding in names
    return tied and not (both and not names.equal_values(output, embedding))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
