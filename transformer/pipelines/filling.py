"""Masks in texts, filled in by a masked language model; arXiv 1810.04805 §3.1.

Shape suffixes: B texts, T tokens, D d_model, M masks of all texts, C a chunk of them, V vocabulary,
K fills of a mask.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from tokenizer import Tokenizer, is_blank
from tokenizer.quantities import format_count

from ..abilities import require_ability
from ..data import pad_rows
from ..errors import ConfigError, LineError
from ..finite import require_finite
from ..loading import LoadedModel
from .arguments import FillArguments
from .executors import ForwardExecutor
from .global_tokens import FIELD, GlobalIndices, GlobalTokenChoice
from .line_pipeline import answer_lines
from .notices import NO_NOTICES, Notices, that_happened
from .records import MAX_CHARACTERS, Answer, Line, LineSource, LineTask
from .unknown import unknown_read

_CHUNK_LOGITS = 1 << 24  # held at once: 64 MiB; a line of masks alone has thousands of rows


class RankedTokens(NamedTuple):
    """The likeliest tokens for one mask, best first: K ids and their probabilities."""

    ids: list[int]
    probabilities: list[float]


class Fill(NamedTuple):
    """A token for a mask."""

    token: str  # its name, as `tokenizer encode --pieces` shows it
    text: str  # its text by itself
    probability: float


class MaskFills(NamedTuple):
    """The fills of a line's masks: for each mask in turn, the likeliest first."""

    fills: list[list[Fill]]
    filled: str  # the text that the tokenizer makes of the line with the likeliest of each


class TextFills(NamedTuple):
    """The fills of a text's masks: for each mask in turn, the likeliest first."""

    text: str
    fills: list[list[Fill]]
    filled: str  # the text that the tokenizer makes of it with the likeliest of each
    notices: Notices = NO_NOTICES  # what happened to the line


def text_fills(answer: Answer[MaskFills]) -> TextFills:
    """Return the fills of an answer with its text."""
    return TextFills(answer.line.text, *answer.outputs[0], notices=answer.notices)


@dataclass(frozen=True, eq=False)
class FillingRequest:
    """The ids of a text with masks, without the special tokens around it."""

    ids: list[int]
    unknown: Sequence[str] = ()  # characters that the model does not know
    global_tokens: GlobalIndices = None


class FillingTask(LineTask[FillingRequest, list[RankedTokens], MaskFills]):
    """The likeliest tokens for the masks of lines.

    The mask token's name in a line is a mask; other special tokens that a line spells out are
    ordinary text.
    """

    def __init__(self, loaded: LoadedModel, global_tokens: int | None = None) -> None:
        self._global_tokens = GlobalTokenChoice.of(loaded, global_tokens)
        self._loaded, self._tokenizer = loaded, loaded.tokenizer
        self._mask_id = self._tokenizer.require_role("mask")
        self._mask = str(self._tokenizer.token(self._mask_id))
        self._around = sum(map(len, loaded.special_affixes))
        # with the spaces around it, which some tokenizers take as a part of it
        self._pattern = re.compile(rf"\s*{re.escape(self._mask)}\s*")

    def to_requests(self, lines: Sequence[Line]) -> list[list[FillingRequest] | LineError]:
        """See LineTask."""
        return [
            LineError(f"the field {FIELD!r} is not read with masks: use --global-tokens")
            if self._global_tokens.has_spans(line)
            else self._line_requests(line.text)
            for line in lines
        ]

    def _line_requests(self, text: str) -> list[FillingRequest] | LineError:
        if is_blank(text):
            return []
        if self._mask not in text:
            return LineError(f"the line has no mask, which is written {self._mask}")
        if len(text) > MAX_CHARACTERS:
            characters = format_count(len(text), "character")
            return LineError(f"the line has {characters}; at most {MAX_CHARACTERS:,} are read")
        ids = self._encode(text)
        length, context = len(ids) + self._around, self._loaded.config.max_positions
        if length > context:
            tokens = format_count(length, "token")
            return LineError(f"the line has {tokens}; the model's context is {context:,}")
        if self._mask_id not in ids:
            return LineError(f"the tokenizer does not read {self._mask} as a mask here")
        unknown = unknown_read(self._tokenizer, [self._pattern.sub(" ", text)], [ids])
        return [FillingRequest(ids, unknown, self._global_tokens.indices(length))]

    def _encode(self, text: str) -> list[int]:
        """Encode a text in which masks are recognized, and no other special token."""
        ordinary = set(range(len(text)))
        for match in self._pattern.finditer(text):
            ordinary -= {*range(*match.span())}
        return self._tokenizer.encode_with_specials(text, ordinary_indices=ordinary)

    def to_outputs(
        self,
        line: Line,
        requests: Sequence[FillingRequest],
        results: Sequence[list[RankedTokens]],
    ) -> tuple[list[MaskFills], Notices]:
        """See LineTask."""
        (request,), (ranked,) = requests, results
        best = fill_ids(request.ids, self._mask_id, [tokens.ids[0] for tokens in ranked])
        fills = [
            [self._fill(*each) for each in zip(tokens.ids, tokens.probabilities, strict=True)]
            for tokens in ranked
        ]
        output = MaskFills(fills, self._tokenizer.decode(best))
        return [output], that_happened(unknown_read=[*request.unknown])

    def _fill(self, token_id: int, probability: float) -> Fill:
        text = self._tokenizer.decode([token_id], skip_special=False)
        return Fill(str(self._tokenizer.token(token_id)), text, probability)


def check_fills(loaded: LoadedModel, arguments: FillArguments) -> str:
    """Return the name of the mask token, as which a text spells a mask.

    Raises ConfigError for a model that is no masked language model, and for more fills than it has
    tokens; TokenizerError if its tokenizer has no mask.
    """
    require_ability(loaded.config, "fill", loaded.named_folder)
    name = loaded.tokenizer.token(loaded.tokenizer.require_role("mask"))
    known = loaded.config.vocab_size - len(nameless_ids(loaded))
    if arguments.top_k > known:
        tokens = format_count(known, "token")
        raise ConfigError(f"--top-k is {arguments.top_k:,}; the model has {tokens}")
    return str(name)


def nameless_ids(loaded: LoadedModel) -> list[int]:
    """Return the rows of the embedding that stand for no token."""
    size = loaded.config.vocab_size
    return [token_id for token_id in range(size) if loaded.tokenizer.token(token_id) is None]


def fill_lines(
    loaded: LoadedModel, source: LineSource, arguments: FillArguments, counts: Counter[str]
) -> Iterator[Answer[MaskFills]]:
    """Yield the fills of each line's masks, in order, in bounded memory.

    `counts`: see `answer_lines`. Raises what `check_fills` does.
    """
    check_fills(loaded, arguments)
    task = FillingTask(loaded, arguments.global_tokens)
    ranking = MaskRanking(loaded, arguments.top_k)

    def compute(batch: Sequence[FillingRequest]) -> list[list[RankedTokens]]:
        chosen = [request.global_tokens for request in batch]
        return ranking([request.ids for request in batch], chosen)

    executor = ForwardExecutor(compute, lambda r: len(r.ids), budget=arguments.batch_tokens)
    return answer_lines(source, task, executor, counts)


class MaskRanking:
    """The likeliest tokens for each mask in rows of ids.

    A probability is a token's share of the whole vocabulary; rows of the embedding without a token,
    which no text has, are not given.
    """

    def __init__(self, loaded: LoadedModel, top_k: int) -> None:
        self._loaded, self._top_k = loaded, top_k
        self._mask_id = loaded.tokenizer.require_role("mask")
        nameless = nameless_ids(loaded)
        self._nameless = torch.tensor(nameless, dtype=torch.long, device=loaded.device)

    @torch.inference_mode()
    def __call__(
        self, rows: Sequence[Sequence[int]], global_tokens: Sequence[GlobalIndices] = ()
    ) -> list[list[RankedTokens]]:
        """Return the ranks for each mask of each row, which special tokens are put around."""
        model, (before, after) = self._loaded.model, self._loaded.special_affixes
        framed = [[*before, *row, *after] for row in rows]
        inputs = pad_rows(framed, self._loaded.device, global_tokens=global_tokens)
        assert inputs.positions_BT is not None
        is_mask_BT = (inputs.ids_BT == self._mask_id) & (inputs.positions_BT >= 0)
        hidden_MD = model.hidden(inputs)[is_mask_BT]
        size = max(1, _CHUNK_LOGITS // model.config.vocab_size)
        ranked: list[RankedTokens] = []
        for hidden_CD in torch.split(hidden_MD, size):
            logits_CV = require_finite(model.logits(hidden_CD[None])[0].float())
            probabilities_CV = logits_CV.softmax(dim=-1).index_fill(1, self._nameless, -1.0)
            best_CK, ids_CK = probabilities_CV.topk(self._top_k)
            ranked += map(RankedTokens, ids_CK.tolist(), best_CK.tolist())
        following = iter(ranked)
        return [[next(following) for token_id in row if token_id == self._mask_id] for row in rows]


def fill_ids(ids: Sequence[int], mask_id: int, fills: Sequence[int]) -> list[int]:
    """Return ids with each mask replaced by the next of the fills.

    >>> fill_ids([5, 4, 6, 4], 4, [8, 9])
    [5, 8, 6, 9]
    """
    following = iter(fills)
    return [next(following) if token_id == mask_id else token_id for token_id in ids]


def show_masks(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Return the text of ids with its masks by name, each with a space before it."""
    name = tokenizer.token(tokenizer.require_role("mask")) or ""
    text = tokenizer.decode(ids, skip_special=False)
    return re.sub(f" *{re.escape(name)}", f" {name}", text).strip()
