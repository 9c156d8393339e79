"""A prompt in, its continuation out, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ..config import ConfigError
from ..loading import LoadedModel
from .search import SEARCHES, run, write
from .stepper import ModelStepper
from .tasks import Hypothesis, SearchOptions, Task, Token


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


def _task(loaded: LoadedModel, prompt: str, options: GenerationOptions) -> Task:
    ids = encode_prompt(loaded, prompt)
    return Task(prompt=ids, limit=min(options.max_tokens, loaded.config.max_positions - len(ids)))


@torch.inference_mode()
def stream_text(loaded: LoadedModel, prompt: str, options: GenerationOptions) -> Iterator[str]:
    """Write the continuation in pieces that never end inside a character. Greedy or sampled."""
    task = _task(loaded, prompt, options)
    text, search = loaded.tokenizer.stream(task.prompt), SEARCHES[options.search](options.options)
    waiting = [[task]]
    for events in run(ModelStepper(loaded.model), search, lambda _: waiting.pop() if waiting else None):
        for event in events:
            if isinstance(event, Token) and event.reason != "end" and (piece := text.feed(event.id)):
                yield piece
    if rest := text.flush():
        yield rest


@torch.inference_mode()
def generate_texts(
    loaded: LoadedModel, prompt: str, options: GenerationOptions
) -> list[tuple[str, Hypothesis]]:
    """The finished continuations, best first; any search."""
    task = _task(loaded, prompt, options)
    search = SEARCHES[options.search](options.options)
    (found,) = write(ModelStepper(loaded.model), search, [task])
    shown = len(loaded.tokenizer.decode(task.prompt))
    return [(loaded.tokenizer.decode([*task.prompt, *h.ids])[shown:], h) for h in found]
