"""Searches: from a step function to texts, many at once, which come and go."""

from collections.abc import Callable
from functools import partial

from ...registry import Registry
from ..request import SearchOptions
from .beam import BeamSearch
from .contrastive import ContrastiveSearch
from .search import Search
from .tokenwise import SELECTORS, TokenwiseSearch

__all__ = ["SEARCHES", "BeamSearch", "ContrastiveSearch", "Search", "deterministic_search"]


SEARCHES: Registry[Callable[[SearchOptions], Search]] = Registry(
    "search",
    {
        **{name: partial(TokenwiseSearch, selector=select) for name, select in SELECTORS.items()},
        "beam": BeamSearch,
        "contrastive": ContrastiveSearch,
    },
)


def deterministic_search(beams: int) -> str:
    """Which search a number of beams means, by its name in SEARCHES."""
    return "beam" if beams > 1 else "greedy"
