"""Answers of commands that have one line for each: as columns, or as a record with its fields."""

import json
from abc import ABC, abstractmethod
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformer.pipelines.records import Answer


class LineFormatter(ABC):
    """Formatter of one line for each answer; a subclass says what it is as columns and as fields.

    `own` are the names of its fields, which win over those of the input.
    """

    def __init__(self, own: AbstractSet[str], *, as_json: bool) -> None:
        from .input_fields import InputFields

        self._as_json, self._fields = as_json, InputFields({"text", *own})

    @abstractmethod
    def columns(self, answer: "Answer[Any]") -> str:
        """Return the line of an answer; an empty one where there is nothing."""

    @abstractmethod
    def fields(self, answer: "Answer[Any]") -> dict[str, Any]:
        """Return an answer's own fields, but its text; without values where there is nothing."""

    def notices(self) -> list[str]:
        """Return the notices of all lines that were formatted."""
        return self._fields.notices() if self._as_json else []

    def __call__(self, answer: "Answer[Any]") -> list[str]:
        """Return the output line of one answer."""
        if self._as_json:
            return [json.dumps(self._record(answer), ensure_ascii=False)]
        return [self.columns(answer)]

    def _record(self, answer: "Answer[Any]") -> dict[str, Any]:
        """Return the JSON record of a line, after the other fields of its input."""
        from transformer.pipelines.notices import notice_field

        record = {**self._fields(answer.line.fields), "text": answer.line.text}
        own = self.fields(answer) if answer.error is None else {"error": answer.error}
        return {**record, **own, **notice_field(answer.notices)}


def in_a_cell(text: str) -> str:
    """Return a text without the tabs and line ends that it may have."""
    return " ".join(text.split())
