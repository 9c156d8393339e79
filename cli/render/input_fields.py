"""The fields of input records that come out again with the answers."""

from collections.abc import Collection, Mapping
from typing import Any

from transformer.pipelines.notices import FIELD, split_notices

ANSWER_FIELDS = frozenset({"text", "score", "tokens", "token_scores", "finish_reason"})


class InputFields:
    """Fields of input records, and a count of those that give way to an answer's own.

    An answer's own are left out of each record, so that no field of the input is taken for one.
    """

    def __init__(self, own: Collection[str]) -> None:
        self._own = {*own, FIELD, "error"}
        self._replaced: dict[str, int] = {}

    def __call__(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that come out again.

        Those of an earlier answer, which are replaced or merged, are not counted.
        """
        kept, earlier = split_notices(fields)
        is_answer = bool(earlier) or ANSWER_FIELDS - {"text"} <= fields.keys()
        for name in self._own & kept.keys():
            value = kept.pop(name)
            if not is_answer and value not in ("", None):
                self._replaced[name] = self._replaced.get(name, 0) + 1
        return kept

    def notices(self) -> list[str]:
        """Return the notice of what was replaced, if anything was."""
        if not self._replaced:
            return []
        names = ", ".join(f"{name} ({count:,})" for name, count in sorted(self._replaced.items()))
        return [f"fields of the input give way to the answer's own of the same name: {names}"]
