"""The base of objectives by which an encoder-decoder writes text from a noisy form of it."""

from abc import abstractmethod
from itertools import takewhile
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...data import Framing, Ids, Pieces, TokenStore, document_pieces
from ...data.noisy import NoisyPairs
from ...decoding import Request
from ...errors import ConfigError
from ...loading import LoadedModel, ModelTexts
from ...pipelines.arguments import TranslateArguments
from ...pipelines.framing import pair_framing
from ...pipelines.special_text import show_special
from ..encoding import TEXT
from ..recipe import Recipe
from .base import VALID, Sample, Stop, single_session
from .running_text import RunningText, excerpts

_SAMPLE_TOKENS = 40
_ROOM = 8  # tokens that an output may have more than its target


class Reconstruction(RunningText):
    """Training on running text, of which a model reads a noisy form. A subclass makes the noise."""

    shapes: ClassVar[tuple[str, ...]] = ("encoder-decoder",)

    @abstractmethod
    def batches(self, recipe: Recipe, texts: ModelTexts, ids: Ids) -> NoisyPairs:
        """Implement RunningText.batches."""

    def samples(
        self, loaded: LoadedModel, recipe: Recipe, folder: Path, stop: Stop, *, limit: int
    ) -> list[Sample]:
        """Return noisy texts, what is to be written from each, and what the model writes."""
        ids, tokenizer = TokenStore(folder / VALID / TEXT).ids, loaded.tokenizer
        data = self.batches(recipe, loaded.texts, ids)
        length = min(_SAMPLE_TOKENS, recipe.training.context // 2)
        pieces = excerpts(ids, end_id=loaded.generation.end_id, length=length, limit=limit)
        session = single_session(loaded, stop)
        parameters = session.translation_parameters(TranslateArguments(beam=1, no_guard=True))
        samples: list[Sample] = []
        for number, piece in enumerate(takewhile(lambda _: not stop(), pieces)):
            source, target = data.pair(piece, np.random.default_rng(number))
            request = _request(data.framing, source.tolist(), target.tolist())
            ((hypothesis,),) = session.decode([request], parameters)
            shown = {"input": source.tolist(), "target": target.tolist(), "output": hypothesis.ids}
            samples.append([(name, show_special(tokenizer, row)) for name, row in shown.items()])
        return samples


def document_texts(recipe: Recipe, texts: ModelTexts, ids: Ids) -> Pieces:
    """Return the documents of a stream, cut so that either side of a pair has room for each part.

    Raises ConfigError for a context that is no longer than what stands around a text.
    """
    context = recipe.training.context
    length = context - max(pair_framing(texts).lengths(0, 0))
    if length < 1:
        raise ConfigError(
            f"training.context is {context}, of which the tokens around a text leave none"
        )
    return document_pieces(ids, length, end_id=texts.generation.end_id)


def _request(framing: Framing, source: list[int], target: list[int]) -> Request:
    """Return the request to write what may be as long as a target."""
    return Request(
        prompt=[framing.start],
        source=framing.source(source),
        prefix=framing.target_before,
        max_new_tokens=len(framing.target(target)) + _ROOM,
    )
