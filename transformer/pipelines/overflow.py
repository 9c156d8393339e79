"""Prompts that are longer than a model's context."""

from typing import NamedTuple

from ..registry import Registry


def truncate_left(
    ids: list[int], prefix_length: int, context: int, max_new_tokens: int
) -> list[int]:
    """Drop tokens after the prefix so that `max_new_tokens` fit, or at most half of the context.

    The first `prefix_length` ids, with which the model begins every text, are kept.
    """
    limit = context - max(1, min(max_new_tokens, context // 2))
    if len(ids) <= limit:
        return ids
    return [*ids[:prefix_length], *ids[len(ids) - max(1, limit - prefix_length) :]]


class Overflow(NamedTuple):
    """A treatment of prompts that are longer than a model's context."""

    drops_beginning: bool  # rather than refuse the prompt
    slides: bool = False  # goes on from the last half of the context whenever that is full


OVERFLOWS: Registry[Overflow] = Registry(
    "overflow",
    {
        "error": Overflow(drops_beginning=False),
        "left": Overflow(drops_beginning=True),
        "slide": Overflow(drops_beginning=True, slides=True),
    },
)
