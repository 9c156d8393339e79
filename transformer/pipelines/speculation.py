"""Speculative decoding of loaded models."""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from typing import TypeVar

from ..decoding import Engine, ModelStepper, SearchParameters
from ..decoding.search.drafters import DRAFTERS, DraftOptions
from ..decoding.search.speculative import DRAFT_TOKENS, SpeculativeSearch
from ..decoding.search.tokenwise import TokenwiseParameters
from ..errors import ConfigError
from ..loading import LoadedModel
from .compatibility import check_rewinding, check_same_tokens

ItemT = TypeVar("ItemT")


def speculative_search(
    parameters: SearchParameters,
    loaded: LoadedModel,
    draft: LoadedModel | None = None,
    *,
    draft_tokens: int | None = None,
) -> SpeculativeSearch:
    """Build the search that generates what the plain one would, with drafts by a smaller model.

    Without a `draft` model they are by prompt lookup. Raises ConfigError for models and parameters
    that cannot be combined.
    """
    if not isinstance(parameters, TokenwiseParameters):
        raise ConfigError(
            "speculative decoding (--draft, --lookup) is greedy or samples; the search that the "
            f"options ask for is {parameters.name!r}: leave those out, or say --beam 1 or "
            "--temperature X"
        )
    check_rewinding(loaded)
    if draft is not None:
        check_rewinding(draft)
        check_same_tokens(loaded, draft, "draft for one another")
        if draft.config.target_positions < loaded.config.target_positions:
            raise ConfigError(
                f"{draft.folder} cannot draft for {loaded.folder}: its context is "
                f"{draft.config.target_positions:,}, not {loaded.config.target_positions:,} or more"
            )
    options = DraftOptions(
        parameters=parameters,
        stepper=None if draft is None else ModelStepper(draft.model),
        shares_source_vocabulary=_shares_tokens(loaded),
    )
    drafter = DRAFTERS["lookup" if draft is None else "model"](options)
    return SpeculativeSearch(parameters, drafter, draft_tokens=draft_tokens or DRAFT_TOKENS)


def _shares_tokens(loaded: LoadedModel) -> bool:
    """Return True if source and target share their token ids."""
    config = loaded.config
    same_tokens = config.share_embeddings or loaded.target_tokenizer is loaded.tokenizer
    return config.has_encoder and config.source_vocabulary == config.vocab_size and same_tokens


def count_drafts(
    items: Iterator[ItemT], engines: Sequence[Engine], counts: Counter[str]
) -> Generator[ItemT, None, None]:
    """Yield the items; then count "drafted" tokens and those that were "accepted"."""
    try:
        yield from items
    finally:
        for search in (engine.search for engine in engines):
            if isinstance(search, SpeculativeSearch):
                counts.update(drafted=search.proposed, accepted=search.accepted)
