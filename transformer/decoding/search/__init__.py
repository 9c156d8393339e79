"""Searches: from a step function to texts, many at once, which come and go."""

from collections.abc import Callable
from functools import partial

from ...registry import Table
from ..request import SearchOptions
from .beam import BeamSearch
from .contrastive import ContrastiveSearch
from .search import Search
from .tokenwise import PICKS, Writing

__all__ = ["SEARCHES", "BeamSearch", "ContrastiveSearch", "Search", "deterministic_search"]


SEARCHES: Table[Callable[[SearchOptions], Search]] = Table(
    "search",
    {
        **{name: partial(Writing, pick=pick) for name, pick in PICKS.items()},
        "beam": BeamSearch,
        "contrastive": ContrastiveSearch,
    },
)


def deterministic_search(beams: int) -> str:
    """Which search a number of beams means, by its name in SEARCHES."""
    return "beam" if beams > 1 else "greedy"
