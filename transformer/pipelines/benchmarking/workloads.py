"""Work that is timed: texts to read, and a search that writes after them, or a forward pass."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tokenizer.quantities import format_count

from ...config import TransformerConfig
from ...data import pad_rows
from ...decoding import Request, SearchParameters
from ...decoding.engine import decode_all
from ...decoding.search import BeamParameters, GreedyParameters
from ...errors import ConfigError
from ...inputs import ModelInputs
from ...loading import LoadedModel
from ...registry import Registry
from ..arguments.search import beam_or_greedy
from ..engines import plain_engine
from .timing import Work

_SEED = 0  # of ids that are drawn

Rows = Sequence[list[int]]


class Column(NamedTuple):
    """A number of texts at once, and the beams of the search that writes after them."""

    batch_size: int
    beam: int = 0  # 1: greedy search; 0: nothing is written

    @property
    def rows(self) -> int:
        """The number of rows of a step: one for each beam of each text."""
        return self.batch_size * max(1, self.beam)

    @property
    def kind(self) -> str:
        """The name of its search in SEARCHES, or `forward` for a forward pass alone."""
        return beam_or_greedy(self.beam) if self.beam else "forward"

    @property
    def search(self) -> str:
        """The name of its search, with the number of beams."""
        return f"{self.kind} {self.beam}" if self.beam > 1 else self.kind


class Lengths(NamedTuple):
    """Tokens of a text that is read, and of the one that is written after it."""

    prompt_tokens: int
    new_tokens: int


class Workload(NamedTuple):
    """A kind of work: its unit, its usual lengths and searches, and how it is done."""

    unit: str
    prompt_tokens: int
    new_tokens: int  # 0: nothing is written
    beams: tuple[int, ...]  # of the searches
    build: Callable[[LoadedModel, Rows, Column, int], Work]

    def columns(self, batch_sizes: Sequence[int], beam: int | None) -> list[Column]:
        """Return what is to be measured, with other beams than the usual ones, if they are given.

        Raises ConfigError for beams where nothing is written.
        """
        if beam is not None and not self.new_tokens:
            raise ConfigError("--beam is of searches, and the encoder writes nothing: leave it out")
        beams = self.beams if beam is None else tuple(dict.fromkeys((1, beam)))
        return [Column(size, each) for each in beams for size in batch_sizes]

    def lengths(
        self, config: TransformerConfig, prompt_tokens: int | None, new_tokens: int | None
    ) -> Lengths:
        """Return the lengths of texts, those given or the usual ones as far as there is room.

        Raises ConfigError for those given where there is none.
        """
        if new_tokens is not None and not self.new_tokens:
            raise ConfigError("--new-tokens: the encoder writes nothing: leave it out")
        is_shared = bool(self.new_tokens) and not config.has_encoder  # one context for both
        longest = config.target_positions - is_shared
        usual = min(self.new_tokens, max(1, longest // 2) if is_shared else longest)
        new = new_tokens or usual
        room = config.max_positions - (new if is_shared else 0)
        prompt = prompt_tokens or max(1, min(self.prompt_tokens, room))
        if new > longest or prompt > room:
            given = {"--prompt-tokens": prompt_tokens, "--new-tokens": new_tokens}
            asked = " and ".join(f"{name} {count:,}" for name, count in given.items() if count)
            together = ", for both together" if is_shared else ""
            context = format_count(config.max_positions, "token")
            raise ConfigError(
                f"{asked}: the model's context is {context}{together}{_own_context(config)}"
            )
        return Lengths(prompt, new)


def _own_context(config: TransformerConfig) -> str:
    if config.target_positions == config.max_positions:
        return ""
    return f", and {config.target_positions:,} for what is written"


def random_rows(config: TransformerConfig, count: int, length: int) -> list[list[int]]:
    """Return rows of ids, the same each time."""
    vocabulary = config.source_vocabulary if config.has_encoder else config.vocab_size
    generator = torch.Generator().manual_seed(_SEED)
    return torch.randint(0, vocabulary, (count, length), generator=generator).tolist()


def encode_texts(
    loaded: LoadedModel, texts: Sequence[str], room: int, *, continued: bool
) -> tuple[list[list[int]], int]:
    """Return the ids of texts, and the number of texts that were cut to `room` tokens.

    What is continued has no special tokens after it.
    """
    config, tokenizer = loaded.config, loaded.tokenizer
    is_framed = config.has_encoder or bool(config.labels)
    before, after = loaded.special_affixes if is_framed else tokenizer.special_affixes()
    after = [] if continued and not config.has_encoder else after
    kept = max(0, room - len(before) - len(after))
    ids = tokenizer.encode_batch(list(texts))
    rows = [[*before, *row[:kept], *after] or [loaded.generation.end_id] for row in ids]
    return rows, sum(len(row) > kept for row in ids)


def _search(beam: int) -> SearchParameters:
    """Return the parameters of a search in which no token ends a text."""
    if beam == 1:
        return GreedyParameters(end_ids=frozenset())
    return BeamParameters(end_ids=frozenset(), beam=beam)


def _request(loaded: LoadedModel, row: list[int], new_tokens: int) -> Request:
    if not loaded.config.has_encoder:
        return Request(prompt=row, max_new_tokens=new_tokens)
    start = loaded.decoder_start_id or 0  # a language's, which takes as long as any other
    return Request(prompt=[start], source=row, max_new_tokens=new_tokens)


def _decoding(loaded: LoadedModel, rows: Rows, column: Column, new_tokens: int) -> Work:
    """Return work that writes `new_tokens` tokens after each text, all of them side by side."""
    parameters = _search(column.beam)

    @torch.inference_mode()
    def decode() -> int:
        requests = [_request(loaded, row, new_tokens) for row in rows]
        found = decode_all(*plain_engine(loaded, parameters), requests)
        return sum(len(hypotheses[0].ids) for hypotheses in found)

    return decode


def _passes(forward: Callable[[LoadedModel, ModelInputs], Tensor]) -> Callable[..., Work]:
    """Return what builds work that reads all texts in one forward pass."""

    def build(loaded: LoadedModel, rows: Rows, column: Column, new_tokens: int) -> Work:
        del column, new_tokens

        @torch.inference_mode()
        def read() -> int:
            forward(loaded, pad_rows(rows, loaded.device)).cpu()  # which waits for a GPU
            return len(rows)

        return read

    return build


def _states(loaded: LoadedModel, inputs: ModelInputs) -> Tensor:
    encodes = loaded.config.has_encoder
    return (loaded.model.encode if encodes else loaded.model.hidden)(inputs)


def _outputs(loaded: LoadedModel, inputs: ModelInputs) -> Tensor:
    outputs: Tensor = loaded.model(inputs)
    return outputs


_READ = 32  # tokens of a text
_STATES = Workload("texts", _READ, 0, (0,), _passes(_states))
_LABELS = Workload("texts", _READ, 0, (0,), _passes(_outputs))
# By the first thing that a model can do: see ABILITIES.
WORKLOADS: Registry[Workload] = Registry(
    "workload",
    {
        "translate": Workload("tokens", 24, 32, (1, 4), _decoding),
        "generate": Workload("tokens", 32, 64, (1,), _decoding),
        "classify": _LABELS,
        "tag": _LABELS,
        "fill": _STATES,
        "embed": _STATES,
    },
)
