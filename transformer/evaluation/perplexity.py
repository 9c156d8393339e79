"""Perplexity of text under a model."""

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from tokenizer import CorpusError, TextChunk, Tokenizer

from ..abilities import require_ability
from ..batch_loss import batch_loss
from ..data import Batch, Ids, TokenStore, TokenWriter, WindowData
from ..finite import require_finite
from ..loading import LoadedModel
from ..model import Transformer

_BATCH_TOKENS = 4096
Progress = Callable[[int, int], None]  # is called with the tokens done and those in all


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


class TextLikelihood(NamedTuple):
    """The likelihood of running text, and what it is of."""

    likelihood: Likelihood
    num_bytes: int | None  # None where it is not known
    unknown_lines: int  # lines with characters that the tokenizer does not know


@torch.no_grad()
def likelihood(model: Transformer, batches: Iterable[Batch]) -> Likelihood:
    """Sum the likelihood over batches; the model must be in eval mode."""
    assert not model.training
    device = model.device
    nats, tokens = torch.zeros((), dtype=torch.float64, device=device), 0
    for batch in batches:
        nats += batch_loss(model, batch.to(device))[1]
        tokens += batch.num_targets
    return Likelihood(float(nats), tokens)


def text_likelihood(
    loaded: LoadedModel, chunks: Iterable[TextChunk], progress: Progress | None = None
) -> TextLikelihood:
    """Compute the likelihood of running text.

    The end token is predicted after each record of a table. The text is cut into windows as long as
    the model's context; its ids are held on disk. Raises CorpusError where there is no text,
    ConfigError for a model that is not a decoder.
    """
    require_ability(loaded.config, "evaluate --text", loaded.named_folder)
    text_bytes = unknown_lines = 0
    with tempfile.TemporaryDirectory() as folder:
        with TokenWriter(Path(folder), vocab_size=loaded.config.vocab_size) as writer:
            end = [loaded.generation.end_id]
            writer.write([loaded.tokenizer.special_affixes()[0] or end])
            for text, ends_document, is_record in chunks:
                text_bytes += len(text.encode("utf-8", errors="replace"))
                ending = end if ends_document and is_record else []
                encoded = loaded.tokenizer.encode(text)
                unknown_lines += _unknown_lines(loaded.tokenizer, text, encoded)
                writer.write([encoded, ending])
        total = _likelihood_of_ids(loaded, TokenStore(Path(folder)).ids, progress)
        return TextLikelihood(total, text_bytes, unknown_lines)


def stored_likelihood(
    loaded: LoadedModel, ids: Ids, num_bytes: int | None, progress: Progress | None = None
) -> TextLikelihood:
    """Compute the likelihood of running text that is stored as ids of the model's own tokens.

    `num_bytes` is the size of the text that they were made of, if it is known: ids of a tokenizer
    that lower-cases, or lacks characters, do not tell. The end token is predicted after each
    document. Raises what `text_likelihood` does.
    """
    require_ability(loaded.config, "evaluate --text", loaded.named_folder)
    return TextLikelihood(_likelihood_of_ids(loaded, ids, progress), num_bytes, 0)


def _likelihood_of_ids(loaded: LoadedModel, ids: Ids, progress: Progress | None) -> Likelihood:
    if len(ids) < 2:
        raise CorpusError("there is no text to evaluate on")
    data = WindowData(ids, context=loaded.config.max_positions, max_tokens=_BATCH_TOKENS, seed=0)
    batches: Iterable[Batch] = data.in_order()
    if progress is not None:
        batches = _reported(batches, len(ids) - 1, progress)
    total = likelihood(loaded.model, batches)
    require_finite(torch.tensor(total.nats))
    return total


def _reported(batches: Iterable[Batch], total: int, progress: Progress) -> Iterator[Batch]:
    """Yield batches; report the tokens of each once the next one is asked for."""
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_targets
        progress(done, total)


def _unknown_lines(tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> int:
    """Return the number of lines with characters that a tokenizer does not know.

    U+FFFD stands for invalid UTF-8, which is counted where it is read.
    """
    (unknown,) = tokenizer.unknown_characters([text], [ids])
    if not unknown.strip("\ufffd"):
        return 0
    lines = tokenizer.unknown_characters(text.split("\n"))
    return sum(bool(line.strip("\ufffd")) for line in lines)
