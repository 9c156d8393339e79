"""Speculative decoding of loaded models."""

from dataclasses import dataclass
from pathlib import Path

from ..decoding import ModelStepper, SearchOptions
from ..decoding.search.drafters import DRAFTERS, DraftOptions
from ..decoding.search.speculative import DRAFT_TOKENS, SpeculativeSearch
from ..decoding.search.tokenwise import SELECTORS
from ..errors import ConfigError
from ..loading import LoadedModel, load_model
from .compatibility import check_rewinding, check_same_tokens


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """Speculative decoding as it is asked for: by a smaller model's folder, else by looking up."""

    draft: Path | None = None
    ahead: int = DRAFT_TOKENS  # tokens that are guessed at a time

    def load(self, lead: LoadedModel) -> LoadedModel | None:
        """Load the model that guesses, if any: on the other's device, in numbers of its type."""
        if self.draft is None:
            return None
        dtype = lead.model.embedding.weight.dtype
        return load_model(self.draft, device=str(lead.device), dtype=dtype)


def speculative_search(
    options: SearchOptions,
    loaded: LoadedModel,
    *,
    pick: str = "greedy",
    drafter: str = "lookup",
    draft: LoadedModel | None = None,
    ahead: int = DRAFT_TOKENS,
) -> SpeculativeSearch:
    """The search that writes with a model what `SEARCHES[pick]` would, by a drafter in DRAFTERS;
    `draft` is the smaller model of the drafter "model".

    Raises ConfigError where that cannot be, UnknownNameError for names that no table has.
    """
    if options.beam > 1:
        raise ConfigError(
            f"speculative decoding writes greedily or samples, not with {options.beam} beams"
        )
    if ahead < 1:
        raise ConfigError(f"{ahead} tokens ahead; it must be at least 1")
    if (drafter == "model") != (draft is not None):
        raise ConfigError('the drafter "model", and no other, needs a draft model')
    check_rewinding(loaded)
    if draft is not None:
        check_rewinding(draft)
        check_same_tokens(loaded, draft, "draft for one another")
        if draft.config.max_positions < loaded.config.max_positions:
            raise ConfigError(
                f"{draft.folder} cannot draft for {loaded.folder}: its context is "
                f"{draft.config.max_positions:,}, not {loaded.config.max_positions:,} or more"
            )
    made_of = DraftOptions(
        options=options,
        selector=SELECTORS[pick],
        stepper=None if draft is None else ModelStepper(draft.model),
        shares_source_vocabulary=_shares_tokens(loaded),
    )
    return SpeculativeSearch(options, SELECTORS[pick], DRAFTERS[drafter](made_of), ahead=ahead)


def _shares_tokens(loaded: LoadedModel) -> bool:
    """Whether a source's tokens may be written."""
    config = loaded.config
    one = config.share_embeddings or loaded.target_tokenizer is loaded.tokenizer
    return config.has_encoder and config.source_vocabulary == config.vocab_size and one
