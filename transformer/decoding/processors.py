"""What changes the distribution of the next token: a table of pure functions.

A processor takes logits (R, V) and the rows as they stand, and gives logits.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..loading import GenerationConfig
from ..tables import Table
from .blocking import (
    bad_words,
    forced_first,
    forced_last,
    minimum_length,
    no_repeated_ngrams,
    repetition_penalty,
    suppressed,
    suppressed_first,
    task_rules,
)
from .tasks import Processor, Row
from .truncation import min_p, temperature, top_k, top_p

# In the order in which they are applied.
PROCESSORS: Table[Callable[[Any], Processor]] = Table(
    "processor",
    {
        "repetition-penalty": repetition_penalty,
        "no-repeat-ngram": no_repeated_ngrams,
        "bad-words": bad_words,
        "min-length": minimum_length,
        "forced-first": forced_first,
        "forced-last": forced_last,
        "suppress": suppressed,
        "suppress-first": suppressed_first,
        "task-rules": task_rules,
        "temperature": temperature,
        "top-k": top_k,
        "top-p": top_p,
        "min-p": min_p,
    },
)


class Chain:
    """One processor of those that have a value, in the table's order."""

    def __init__(self, values: Mapping[str, Any], ends: Collection[int] = ()) -> None:
        given = {**values, "task-rules": sorted(ends)}
        self._plain = not any(value is not None for value in values.values())
        self._steps = [
            make(given[name]) for name, make in PROCESSORS.items() if given.get(name) is not None
        ]

    def idle(self, rows: Sequence[Row]) -> bool:
        """Whether nothing would change."""
        return self._plain and not any(row.task.ruled for row in rows)

    def __call__(self, logits_RV: Tensor, rows: Sequence[Row]) -> Tensor:
        """What is left of the logits; the very same tensor where nothing changes."""
        if self.idle(rows):
            return logits_RV
        for step in self._steps:
            logits_RV = step(logits_RV, rows)
        return logits_RV


def model_processors(config: GenerationConfig) -> dict[str, Any]:
    """What a model's own settings ask for, by name in PROCESSORS."""
    ends, begin = list(config.end_ids), config.begin_suppress_tokens
    last, penalty = config.forced_eos_token_id, config.repetition_penalty
    asked = {
        "repetition-penalty": None if penalty == 1.0 else penalty,
        "no-repeat-ngram": config.no_repeat_ngram_size or None,
        "bad-words": [w for w in config.bad_words_ids or [] if w not in [[end] for end in ends]],
        "min-length": (config.min_length, ends) if config.min_length else None,
        "forced-first": config.forced_bos_token_id,
        "forced-last": [last] if isinstance(last, int) else last,
        "suppress": config.suppress_tokens,
        "suppress-first": (int(config.forced_bos_token_id is not None), begin) if begin else None,
    }
    return {name: value for name, value in asked.items() if value not in (None, [])}
