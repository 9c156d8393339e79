"""Searches: from a step function to hypotheses, for many requests that come and go."""

from ...registry import Registry
from .beam import BeamParameters, BeamSearch
from .contrastive import ContrastiveParameters, ContrastiveSearch
from .parameters import SearchParameters
from .search import Search
from .tokenwise import GreedyParameters, SamplingParameters, TokenwiseSearch

__all__ = [
    "SEARCHES",
    "BeamParameters",
    "BeamSearch",
    "ContrastiveParameters",
    "ContrastiveSearch",
    "GreedyParameters",
    "SamplingParameters",
    "Search",
    "TokenwiseSearch",
]

# The parameters of each search; `SEARCHES["beam"](end_ids=…, beam=4).build()` is a search.
SEARCHES: Registry[type[SearchParameters]] = Registry(
    "search",
    {
        kind.name: kind
        for kind in (GreedyParameters, SamplingParameters, BeamParameters, ContrastiveParameters)
    },
)
