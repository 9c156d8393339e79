"""A Transformer's decoder as a step function, with its cache.

Shape suffixes: R rows (sequences being generated), V vocabulary, T tokens, D d_model.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...buffers import in_blocks
from ...data import pad, pad_global
from ...kernels import rounds_inputs
from ...masks import padded_positions
from ...model import DecoderCache, Transformer
from ..request import Request
from .capture import RepeatedStep
from .hidden_states import HiddenStates
from .placement import Placement
from .prefill import Prefill

# Rows of a lone text, its beams for one, up to which its steps are captured: of more, products take
# most of the time; of several texts one ends soon, and what is left would be captured anew.
_FEW_ROWS = 8
# Tokens of the longest row for which the same captured step is run; of the keys that it reads, few
# rows notice those that are hidden.
_CAPTURED_TOKENS = 64


class _DecoderState:
    """A decoder's state of rows: its cache of `size` tokens, and hidden states if they are kept."""

    def __init__(
        self,
        model: Transformer,
        cache: DecoderCache,
        size: int,
        hidden_states: HiddenStates | None = None,
    ) -> None:
        self.model, self.cache, self.size = model, cache, size
        self.hidden_states = hidden_states

    def decode(self, ids_RT: Tensor, positions_RT: Tensor, longest: int) -> Tensor:
        """Return the hidden states (R, T, D) of new tokens.

        With these tokens the longest row has `longest`.
        """
        if self.hidden_states is None:
            return self.model.decode(ids_RT, positions_RT, self.cache, longest)
        # A candidate for the last token of a text that fills the context has no position of its
        # own: it is read at the last one.
        within_RT = positions_RT.clamp(max=self.model.config.target_positions - 1)
        hidden_RTD = self.model.decode(ids_RT, within_RT, self.cache, longest)
        self.hidden_states.write(positions_RT, hidden_RTD, longest)
        return hidden_RTD

    def reorder(
        self, rows: Sequence[int], rows_per_entry: int = 1, lengths: Sequence[int] | None = None
    ) -> None:
        """See Reorderable. `lengths` are the tokens of each row before, where they are known."""
        self.cache.reorder(rows, rows_per_entry, lengths)
        if self.hidden_states is not None:
            self.hidden_states.reorder(rows)

    def truncate(self, length: int) -> None:
        """Drop what is stored from position `length` on."""
        self.cache.self_attention.truncate(length)
        if self.hidden_states is not None:
            self.hidden_states.truncate(length)

    def append_rows(self, other: "_DecoderState") -> None:
        """Append the rows of another."""
        self.size = max(self.size, other.size)
        self.cache.append_rows(other.cache)
        if self.hidden_states is not None and other.hidden_states is not None:
            self.hidden_states.append_rows(other.hidden_states)


class ModelStepper:
    """A Transformer's decoder with its cache.

    A HiddenStateStepper if it keeps states; a RewindingStepper unless its cache is a sliding
    window's, which cannot take tokens back.
    """

    def __init__(self, model: Transformer, *, keep_hidden_states: bool = False) -> None:
        self._model, self._keep_hidden_states = model, keep_hidden_states
        self._device, self._in_blocks = model.device, rounds_inputs(model)
        self._prefill = Prefill[_DecoderState](model)
        self._state: _DecoderState | None = None
        self._lengths: list[int] = []  # tokens that the row in each place has read
        self._placement = Placement()
        self._step = RepeatedStep()

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        """See Stepper. Encodes sources and reads prompts."""
        state = self._prefill.read(requests, self._allocate)
        rows = [row for row in range(len(requests)) for _ in range(rows_per_entry)]
        if rows_per_entry > 1:
            state.reorder(rows, rows_per_entry)
        if self._state is None:
            self._state = state
        else:
            self._state.append_rows(state)
        self._lengths += [len(requests[row].prompt) - 1 for row in rows]
        self._placement.append(len(rows), rows_per_entry)

    def _allocate(self, requests: Sequence[Request]) -> _DecoderState:
        """Allocate room for all tokens that the requests' rows will read.

        Where states are kept, the last token generated is read too.
        """
        rows = len(requests)
        sizes = [len(request.prompt) - 1 + request.max_new_tokens for request in requests]
        size = max(*sizes, *(self._prefill.room(len(request.prompt) - 1) for request in requests))
        if not self._keep_hidden_states:
            cache = self._model.new_cache(rows, size, **self._source_inputs(requests))
            return _DecoderState(self._model, cache, size)
        cache = self._model.new_cache(rows, size + 1, **self._source_inputs(requests))
        hidden_states = HiddenStates(
            rows, size + 1, self._model.config.d_model, self._device, self._model.dtype
        )
        return _DecoderState(self._model, cache, size + 1, hidden_states)

    def _padded(self, longest: int) -> int:
        """Return the size of rows of texts of up to so many tokens.

        Where inputs are rounded, in whole blocks: no text depends then on how long others are.
        """
        return in_blocks(longest) if self._in_blocks else longest

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self._device)

    def _source_inputs(self, requests: Sequence[Request]) -> dict[str, Any]:
        if not self._model.config.has_encoder:
            return {}
        lengths = [len(request.source) for request in requests]
        size = self._padded(max(lengths))
        source_BS = pad([request.source for request in requests], 0, size=size).to(self._device)
        global_BG = pad_global(
            [request.global_tokens for request in requests], lengths, self._device
        )
        return {
            "source_BS": source_BS,
            "source_lengths": lengths,
            "source_global_BG": global_BG,
        }

    def step(self, ids_R: Tensor) -> Tensor:
        """See Stepper."""
        self._shift_lengths([1] * len(self._lengths))
        positions_P1 = self._tensor(self._lengths)[:, None] - 1
        ids_R1, longest = ids_R[:, None].to(self._device), max(self._lengths)
        if not self._can_capture():
            return self._logits(longest, ids_R1, positions_P1, self._places())[:, 0]
        longest = self._rounded(longest)
        places_R = self._tensor(self._placement.places)  # in order or not
        inputs = (ids_R1, positions_P1, places_R)
        return self._step.run(longest, partial(self._logits, longest), inputs)[:, 0]

    def _can_capture(self) -> bool:
        """Return True if the next step may be a captured one: that of a lone text.

        While it is alone, caches keep their tensors, and those of its source are the same. On a GPU
        Python runs ahead. Outside inference mode results may need gradients, and cannot be written
        in place.
        """
        return (
            len(self._lengths) <= min(_FEW_ROWS, self._placement.rows_per_entry)
            and not self._keep_hidden_states
            and self._device.type == "cpu"
            and torch.is_inference_mode_enabled()
        )

    def _rounded(self, longest: int) -> int:
        """Return the tokens of the longest row that steps are captured for."""
        assert self._state is not None, "no rows were admitted"
        rounded = -(-longest // _CAPTURED_TOKENS) * _CAPTURED_TOKENS
        return max(longest, min(rounded, self._state.size))

    def _places(self) -> Tensor | None:
        """Return the places of rows; None where row r is in place r."""
        return None if self._placement.is_identity else self._tensor(self._placement.places)

    def _logits(
        self,
        longest: int,
        ids_RT: Tensor,
        positions_PT: Tensor,
        places_R: Tensor | None = None,
    ) -> Tensor:
        """Return the logits (R, T, V) after new tokens of rows, at positions of their places.

        With these tokens the longest row has `longest`.
        """
        assert self._state is not None, "no rows were admitted"
        if places_R is None:
            hidden_RTD = self._state.decode(ids_RT, positions_PT, longest)
        else:
            ids_PT = torch.empty_like(ids_RT).index_copy_(0, places_R, ids_RT)
            hidden_PTD = self._state.decode(ids_PT, positions_PT, longest)
            hidden_RTD = hidden_PTD.index_select(0, places_R)
        return self._model.logits(hidden_RTD).float()

    def hidden_states(self) -> tuple[Tensor, Tensor]:
        """See HiddenStateStepper."""
        assert self._state is not None, "no rows were admitted"
        assert self._state.hidden_states is not None, "the stepper keeps no states"
        states_PTD, lengths_P = self._state.hidden_states.read(), self._tensor(self._lengths)
        places_R = self._places()
        if places_R is None:
            return states_PTD, lengths_P
        return states_PTD[places_R], lengths_P[places_R]

    def extend(self, ids_RT: Tensor, counts: Sequence[int]) -> Tensor:
        """See RewindingStepper. Raises ConfigError for a sliding window."""
        assert self._state is not None, "no rows were admitted"
        before_P1 = self._tensor(self._lengths)[:, None]
        counts_P = self._placement.by_place(counts)
        new_PT = padded_positions(self._tensor(counts_P), ids_RT.size(1))
        positions_PT = torch.where(new_PT < 0, -1, new_PT + before_P1)
        self._shift_lengths(counts_P)
        longest = max(self._lengths)
        self._state.truncate(longest)
        return self._logits(longest, ids_RT.to(self._device), positions_PT, self._places())

    def rewind(self, counts: Sequence[int]) -> None:
        """See RewindingStepper."""
        assert self._state is not None, "no rows were admitted"
        self._shift_lengths([-count for count in self._placement.by_place(counts)])
        self._state.truncate(max(self._lengths))

    def _shift_lengths(self, counts_P: Sequence[int]) -> None:
        """Add counts to the lengths of the rows in each place."""
        moved = zip(self._lengths, counts_P, strict=True)
        self._lengths = [length + count for length, count in moved]

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        """See Reorderable."""
        if not rows:  # later requests need not have this cache's sizes
            self._state, self._lengths = None, []
            self._step.reset()
            self._placement.clear()
            return
        assert self._state is not None, "no rows were admitted"
        places = self._placement.reorder(rows, rows_per_entry)
        self._state.reorder(places, rows_per_entry, self._lengths)
        if len(rows) != len(self._lengths):
            self._step.reset()
        self._lengths = [self._lengths[place] for place in places]
