"""Searches: from a step function to hypotheses, for many requests that come and go."""

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
    """Return the name in SEARCHES of the deterministic search with this many beams."""
    return "beam" if beams > 1 else "greedy"
