"""A prompt in, its continuation out, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from ..config import ConfigError
from ..loading import LoadedModel
from .hypothesis import Hypothesis, SearchOptions
from .search import PICKS, SEARCHES, tokens
from .stepper import prompt_stepper


class PromptError(ValueError):
    """A prompt that does not fit the model."""


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to continue a prompt."""

    search: str = "sample"
    options: SearchOptions
    max_tokens: int = 256


def encode_prompt(loaded: LoadedModel, prompt: str) -> list[int]:
    """The prompt's ids, after those that the model begins all texts with; of an empty one, the
    end token, after which a new document begins.

    Raises PromptError where nothing can be written after it, with both counts.
    """
    if loaded.config.has_encoder or not loaded.config.has_decoder:
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} cannot generate, which needs a "
            "decoder; an encoder-decoder can `transduce translate`"
        )
    ids = [*loaded.tokenizer.frame()[0], *loaded.tokenizer.encode(prompt)]
    ids = ids or [loaded.generation.end_id]
    context = loaded.config.max_positions
    if len(ids) >= context:
        raise PromptError(
            f"the prompt has {len(ids):,} tokens; the model's context is {context:,}, and one "
            "must be left to write into: shorten the prompt"
        )
    return ids


def _limit(loaded: LoadedModel, prompt: list[int], options: GenerationOptions) -> int:
    return min(options.max_tokens, loaded.config.max_positions - len(prompt))


@torch.inference_mode()
def stream_text(loaded: LoadedModel, prompt: str, options: GenerationOptions) -> Iterator[str]:
    """Write the continuation in pieces that never end inside a character. Greedy or sampled."""
    ids = encode_prompt(loaded, prompt)
    limit = _limit(loaded, ids, options)
    stepper, first_R = prompt_stepper(loaded.model, [ids], size=len(ids) + limit)
    pick = PICKS[options.search](options.options)
    text = loaded.tokenizer.stream(ids)
    search = replace(options.options, prompts=[ids])
    for token in tokens(stepper, first_R, [limit], search, pick):
        if token.id not in options.options.end and (piece := text.feed(token.id)):
            yield piece
    if rest := text.flush():
        yield rest


@torch.inference_mode()
def generate_texts(
    loaded: LoadedModel, prompt: str, options: GenerationOptions
) -> list[tuple[str, Hypothesis]]:
    """The finished continuations, best first; any search."""
    ids = encode_prompt(loaded, prompt)
    limit = _limit(loaded, ids, options)
    stepper, first_R = prompt_stepper(loaded.model, [ids], size=len(ids) + limit)
    search = replace(options.options, prompts=[ids])
    (found,) = SEARCHES[options.search](stepper, first_R, [limit], search)
    shown = len(loaded.tokenizer.decode(ids))
    return [(loaded.tokenizer.decode([*ids, *h.ids])[shown:], h) for h in found]
