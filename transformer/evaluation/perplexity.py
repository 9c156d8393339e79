"""Perplexity of text under a model."""

import math
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from tokenizer import CorpusError, TextChunk

from ..batch_loss import batch_loss
from ..data import Batch, TokenStore, TokenWriter, WindowData
from ..errors import ConfigError
from ..finite import require_finite
from ..loading import LoadedModel
from ..model import Transformer

_BATCH_TOKENS = 4096


class Likelihood(NamedTuple):
    """The total `-log p` of a text in nats, and the number of tokens predicted."""

    nats: float
    tokens: int

    @property
    def loss(self) -> float:
        """The mean negative log-likelihood of a token in nats."""
        return self.nats / max(1, self.tokens)

    @property
    def perplexity(self) -> float:
        """`exp(loss)`; infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    def bits_per_byte(self, text_bytes: int) -> float:
        """Return `-log₂ p` per byte of the text, which is comparable between tokenizers."""
        return self.nats / math.log(2) / max(1, text_bytes)


@torch.no_grad()
def likelihood(model: Transformer, batches: Iterable[Batch]) -> Likelihood:
    """Sum the likelihood over batches; the model must be in eval mode."""
    assert not model.training
    device = model.device
    nats, tokens = torch.zeros((), dtype=torch.float64, device=device), 0
    for batch in batches:
        nats += batch_loss(model, batch.to(device))[1]
        tokens += batch.target_tokens
    return Likelihood(float(nats), tokens)


def text_likelihood(loaded: LoadedModel, chunks: Iterable[TextChunk]) -> tuple[Likelihood, int]:
    """Compute the likelihood of running text; return it with the text's size in bytes.

    The end token is predicted after each record of a table. The text is cut into windows as long as
    the model's context; its ids are held on disk. Raises CorpusError where there is no text,
    ConfigError for a model that is not a decoder.
    """
    if loaded.config.shape != "decoder":
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} does not predict running text; a "
            "decoder does"
        )
    text_bytes = 0
    with tempfile.TemporaryDirectory() as folder:
        with TokenWriter(Path(folder), vocab_size=loaded.config.vocab_size) as writer:
            end = [loaded.generation.end_id]
            writer.write([loaded.tokenizer.special_affixes()[0] or end])
            for text, ends_document, is_record in chunks:
                text_bytes += len(text.encode("utf-8", errors="replace"))
                ending = end if ends_document and is_record else []
                writer.write([loaded.tokenizer.encode(text), ending])
        ids = TokenStore(Path(folder)).ids
        if len(ids) < 2:
            raise CorpusError("there is no text to evaluate on")
        data = WindowData(
            ids, context=loaded.config.max_positions, max_tokens=_BATCH_TOKENS, seed=0
        )
        total = likelihood(loaded.model, data.in_order())
        require_finite(torch.tensor(total.nats))
        return total, text_bytes
