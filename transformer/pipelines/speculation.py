"""Speculative decoding of loaded models."""

from dataclasses import dataclass
from pathlib import Path

from msgspec import Meta

from ..bounds import check_number
from ..decoding import ModelStepper, SearchOptions
from ..decoding.search.drafters import DRAFTERS, DraftOptions
from ..decoding.search.speculative import DRAFT_TOKENS, SpeculativeSearch
from ..decoding.search.tokenwise import SELECTORS
from ..errors import ConfigError
from ..loading import LoadedModel, load_model
from .compatibility import check_rewinding, check_same_tokens


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """Settings of speculative decoding: by a draft model, else by prompt lookup."""

    draft: Path | None = None  # the draft model's folder
    draft_tokens: int = DRAFT_TOKENS  # proposed at a time

    def load(self, target: LoadedModel) -> LoadedModel | None:
        """Load the draft model, if any, on the device and with the dtype of the target model."""
        if self.draft is None:
            return None
        return load_model(self.draft, device=str(target.device), dtype=target.model.dtype)


def speculative_search(
    options: SearchOptions,
    loaded: LoadedModel,
    *,
    selector: str = "greedy",
    drafter: str = "lookup",
    draft: LoadedModel | None = None,
    draft_tokens: int = DRAFT_TOKENS,
) -> SpeculativeSearch:
    """Build the search that generates what `SEARCHES[selector]` would, with a drafter in DRAFTERS.

    `draft` is the draft model of the drafter "model". Raises ConfigError for models and options
    that cannot be combined, UnknownNameError for an unknown selector or drafter.
    """
    if options.beam > 1:
        raise ConfigError(
            f"speculative decoding is greedy or samples; it cannot use {options.beam} beams"
        )
    check_number("draft tokens", draft_tokens, Meta(ge=1))
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
    draft_options = DraftOptions(
        search_options=options,
        selector=SELECTORS[selector],
        stepper=None if draft is None else ModelStepper(draft.model),
        shares_source_vocabulary=_shares_tokens(loaded),
    )
    return SpeculativeSearch(
        options, SELECTORS[selector], DRAFTERS[drafter](draft_options), draft_tokens=draft_tokens
    )


def _shares_tokens(loaded: LoadedModel) -> bool:
    """Return True if source and target share their token ids."""
    config = loaded.config
    same_tokens = config.share_embeddings or loaded.target_tokenizer is loaded.tokenizer
    return config.has_encoder and config.source_vocabulary == config.vocab_size and same_tokens
