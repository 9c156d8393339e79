"""Spans of texts with their labels, by a head over the tags of tokens; arXiv 1810.04805 §5.3.

A word has the answer of its first token, as in training. Long texts are read in windows that
overlap, and each token has its answer from the window in which it is farthest from an edge.
Shape suffixes: B windows, T tokens, L labels.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from tokenizer import is_blank

from ..abilities import require_ability
from ..data import pad_rows
from ..errors import LineError
from ..finite import require_finite
from ..heads import LABEL_KINDS
from ..labels import (
    WORD_SPLITTERS,
    TokenWindow,
    scored_spans,
    span_tag,
    tells_spans,
    tokens_of_words,
    word_probabilities,
    word_ranges,
)
from ..labels.words import Range
from ..loading import LoadedModel
from .arguments import TagArguments
from .executors import ForwardExecutor
from .global_tokens import GlobalIndices, GlobalTokenChoice, TokenPlace
from .line_pipeline import answer_lines
from .notices import NO_NOTICES, Notices, that_happened
from .records import MAX_CHARACTERS, Answer, Line, LineSource, LineTask
from .text_framing import TextFraming
from .unknown import unknown_read

Floats = npt.NDArray[np.float32]
LineWords = Callable[[Line], Sequence[Range]]  # the words of a line, as ranges of its characters


class TaggedSpan(NamedTuple):
    """A labelled part of a text, which ends before the character `end`, and its probability."""

    label: str
    text: str
    start: int
    end: int
    score: float


class TextSpans(NamedTuple):
    """The labelled spans of a text, in order."""

    text: str
    spans: list[TaggedSpan]
    notices: Notices = NO_NOTICES  # what happened to the line


def text_spans(answer: Answer[list[TaggedSpan]]) -> TextSpans:
    """Return the spans of an answer with its text."""
    spans = answer.outputs[0] if answer.outputs else []
    return TextSpans(answer.line.text, spans, notices=answer.notices)


@dataclass(frozen=True, eq=False)
class TagRequest:
    """A window of a text's tokens, with all that stands around them."""

    ids: list[int]
    window: TokenWindow
    text_ids: list[int]
    offsets: list[tuple[int, int]]  # characters of the text's tokens
    global_tokens: GlobalIndices = None


class TaggingTask(LineTask[TagRequest, Floats, list[TaggedSpan]]):
    """The labelled spans of lines."""

    def __init__(
        self, loaded: LoadedModel, arguments: TagArguments, words_of: LineWords | None = None
    ) -> None:
        """Prepare a model; `words_of` tells words, of any line, in place of a rule."""
        require_ability(loaded.config, "tag", loaded.named_folder)
        WORD_SPLITTERS.check(arguments.words)
        self._loaded, self._arguments = loaded, arguments
        self._words_of = words_of or self._words_by_rule
        self._framing = TextFraming.of(loaded, loaded.config.max_positions)
        self._global_tokens = GlobalTokenChoice.of(loaded, arguments.global_tokens)
        self._are_spans = tells_spans(loaded.labels)
        self._names = [*map(span_tag, loaded.labels)] if self._are_spans else [*loaded.labels]

    def to_requests(self, lines: Sequence[Line]) -> list[Sequence[TagRequest] | LineError]:
        """See LineTask. A long text has a request for each window."""
        return [self._requests(line) for line in lines]

    def _requests(self, line: Line) -> list[TagRequest] | LineError:
        text, choice = line.text[:MAX_CHARACTERS], self._global_tokens
        if is_blank(text):
            return []
        try:
            spans = choice.spans(line)
        except LineError as error:
            return error
        ids, offsets = self._loaded.tokenizer.encode_with_offsets(text)
        windows = self._framing.windows(len(ids)) if ids else []
        requests = []
        for window in windows:
            framed = self._framing.frame_window(ids, window)
            place = TokenPlace(len(self._framing.before), window.start, window.end)
            chosen = choice.indices(len(framed), text, spans, place)
            requests.append(TagRequest(framed, window, ids, offsets, chosen))
        return requests

    def probabilities(self, requests: Sequence[TagRequest]) -> list[Floats]:
        """Return the probabilities of the labels of the tokens that each window answers (T, L)."""
        before, loaded = len(self._framing.before), self._loaded
        rows, chosen = [each.ids for each in requests], [each.global_tokens for each in requests]
        inputs = pad_rows(rows, loaded.device, global_tokens=chosen)
        logits_BTL = loaded.model(inputs).float()
        kind = LABEL_KINDS[loaded.config.label_kind]
        probs_BTL = kind.answers(require_finite(logits_BTL)).cpu().numpy()
        answers = []
        for probs_TL, (start, _, first, last) in zip(
            probs_BTL, (each.window for each in requests), strict=True
        ):
            answers.append(probs_TL[before + first - start : before + last - start].copy())
        return answers

    def _words_by_rule(self, line: Line) -> list[Range]:
        return word_ranges(line.text[:MAX_CHARACTERS], self._arguments.words)

    def to_outputs(
        self, line: Line, requests: Sequence[TagRequest], results: Sequence[Floats]
    ) -> tuple[list[list[TaggedSpan]], Notices]:
        """See LineTask."""
        text = line.text[:MAX_CHARACTERS]
        notices = that_happened(
            shortened=len(line.text) > MAX_CHARACTERS,
            unknown_read=unknown_read(self._loaded.tokenizer, [text], [requests[0].text_ids]),
        )
        words = self._words_of(line)
        tokens = tokens_of_words(requests[0].offsets, words)
        scheme = "bio" if self._are_spans else None
        probs_WL = word_probabilities(tokens, np.concatenate(results))
        found = scored_spans(probs_WL, self._names, words, tokens, scheme=scheme)
        spans = [
            TaggedSpan(label, text[start:end], start, end, score)
            for start, end, label, score in found
            if score >= self._arguments.threshold
        ]
        return [spans], notices


def tag_lines(
    loaded: LoadedModel,
    source: LineSource,
    arguments: TagArguments,
    counts: Counter[str],
    words_of: LineWords | None = None,
) -> Iterator[Answer[list[TaggedSpan]]]:
    """Yield the labelled spans of each line, in order and in bounded memory.

    `counts`: see `answer_lines`; `words_of`: see TaggingTask. Raises ConfigError for a model
    without a head over tags.
    """
    task = TaggingTask(loaded, arguments, words_of)

    def compute(batch: Sequence[TagRequest]) -> list[Floats]:
        with torch.inference_mode():
            return task.probabilities(batch)

    def length(request: TagRequest) -> int:
        return len(request.ids)

    executor = ForwardExecutor(compute, length, budget=arguments.batch_tokens)
    return answer_lines(source, task, executor, counts)
