"""Labels of texts, or of pairs of texts, by a classification head; arXiv 1810.04805 §4.1.

Shape suffixes: B texts, L labels.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tokenizer import is_blank

from ..abilities import require_ability
from ..data import pad_rows
from ..errors import LineError
from ..finite import require_finite
from ..heads import LABEL_KINDS
from ..loading import LoadedModel
from ..registry import Registry
from .arguments import ClassifyArguments
from .executors import ForwardExecutor
from .global_tokens import GlobalIndices, GlobalTokenChoice, TokenPlace
from .line_pipeline import answer_lines
from .notices import NO_NOTICES, Notices, that_happened
from .records import MAX_CHARACTERS, Answer, Line, LineSource, LineTask, split_pair
from .text_framing import FramedText, TextFraming
from .unknown import unknown_read

SECOND = "text_pair"  # the field of a JSON record with the second text of a pair


class LabelScore(NamedTuple):
    """A label and its probability; of a head that gives a number, that number."""

    label: str
    score: float


class TextLabels(NamedTuple):
    """The labels of a text, the likeliest first."""

    text: str
    labels: list[LabelScore]
    notices: Notices = NO_NOTICES  # what happened to the line

    @property
    def label(self) -> str | None:
        """The likeliest label; None if the text has none."""
        return self.labels[0].label if self.labels else None

    @property
    def score(self) -> float | None:
        """The probability of that label, or the number."""
        return self.labels[0].score if self.labels else None


def text_labels(answer: Answer[list[LabelScore]]) -> TextLabels:
    """Return the labels of an answer with its text."""
    return TextLabels(answer.line.text, answer.outputs[0], notices=answer.notices)


def _likeliest(scores: list[LabelScore], arguments: ClassifyArguments) -> list[LabelScore]:
    return scores[: arguments.top_k or 1]


def _likely(scores: list[LabelScore], arguments: ClassifyArguments) -> list[LabelScore]:
    if arguments.top_k is not None or len(scores) == 1:  # as a cross-encoder's, which is a score
        return scores[: arguments.top_k]
    return [each for each in scores if each.score >= arguments.threshold]


_Choose = Callable[[list[LabelScore], ClassifyArguments], list[LabelScore]]
# The labels that a text is given, of all sorted by their scores, by the kind of labels.
LABEL_CHOICES: Registry[_Choose] = Registry(
    "kind of labels", {"single": _likeliest, "multi": _likely, "number": _likeliest}
)


@dataclass(frozen=True, eq=False)
class ClassificationRequest:
    """The ids of a text or a pair, with all that stands around them."""

    framed: FramedText
    texts: tuple[str, ...]
    rows: tuple[list[int], ...]  # ids of each text
    global_tokens: GlobalIndices = None


class ClassificationTask(LineTask[ClassificationRequest, list[LabelScore], list[LabelScore]]):
    """The labels of lines, which are texts, or pairs with a tab between."""

    def __init__(self, loaded: LoadedModel, arguments: ClassifyArguments) -> None:
        require_ability(loaded.config, "classify", loaded.named_folder)
        self._loaded, self._arguments = loaded, arguments
        self._framing = TextFraming.of(loaded, loaded.config.max_positions)
        self._global_tokens = GlobalTokenChoice.of(loaded, arguments.global_tokens)
        self._choose = LABEL_CHOICES[loaded.config.label_kind]

    def to_requests(
        self, lines: Sequence[Line]
    ) -> list[Sequence[ClassificationRequest] | LineError]:
        """See LineTask. A text is cut where the model's context ends."""
        texts = [self._texts(line) for line in lines]
        flat = [t[:MAX_CHARACTERS] for each in texts if isinstance(each, tuple) for t in each]
        rows = iter(self._loaded.tokenizer.encode_batch(flat))
        return [
            self._requests(line, each, rows) if isinstance(each, tuple) else each
            for line, each in zip(lines, texts, strict=True)
        ]

    def _texts(self, line: Line) -> tuple[str, ...] | LineError:
        """Return a line's text, or its two; none of a blank one."""
        texts: tuple[str, ...] = (line.text,)
        if isinstance(second := line.fields.get(SECOND), str):
            texts = (line.text, second)
        elif self._arguments.pairs and line.text:
            try:
                texts = split_pair(line.text)
            except LineError as error:
                return error
        return () if all(map(is_blank, texts)) else texts

    def _requests(
        self, line: Line, texts: tuple[str, ...], rows: Iterator[list[int]]
    ) -> list[ClassificationRequest] | LineError:
        if not texts:
            return []
        own = tuple(next(rows) for _ in texts)
        framed = self._framing.frame(own)
        place = TokenPlace(len(self._framing.before), 0, self._framing.kept_lengths(own)[0])
        text, choice = texts[0][:MAX_CHARACTERS], self._global_tokens
        try:
            chosen = choice.indices(len(framed.ids), text, choice.spans(line), place)
        except LineError as error:
            return error
        return [ClassificationRequest(framed, texts, own, chosen)]

    def to_outputs(
        self,
        line: Line,
        requests: Sequence[ClassificationRequest],
        results: Sequence[list[LabelScore]],
    ) -> tuple[list[list[LabelScore]], Notices]:
        """See LineTask."""
        (request,), (scores,) = requests, results
        cut = request.framed.truncated or any(len(t) > MAX_CHARACTERS for t in request.texts)
        notices = that_happened(
            shortened=cut,
            unknown_read=unknown_read(self._loaded.tokenizer, request.texts, request.rows),
        )
        return [self._choose(scores, self._arguments)], notices


def classify_lines(
    loaded: LoadedModel, source: LineSource, arguments: ClassifyArguments, counts: Counter[str]
) -> Iterator[Answer[list[LabelScore]]]:
    """Yield the labels of each line, the likeliest first, in order and in bounded memory.

    `counts`: see `answer_lines`. Raises ConfigError for a model without a classification head.
    """
    task = ClassificationTask(loaded, arguments)

    def compute(batch: Sequence[ClassificationRequest]) -> list[list[LabelScore]]:
        chosen = [request.global_tokens for request in batch]
        outputs_BL = label_answers(loaded, [request.framed for request in batch], chosen)
        return [ranked_labels(answers_L, loaded.labels) for answers_L in outputs_BL.tolist()]

    def length(request: ClassificationRequest) -> int:
        return len(request.framed.ids)

    executor = ForwardExecutor(compute, length, budget=arguments.batch_tokens)
    return answer_lines(source, task, executor, counts)


@torch.inference_mode()
def label_answers(
    loaded: LoadedModel, rows: Sequence[FramedText], global_tokens: Sequence[GlobalIndices] = ()
) -> Tensor:
    """Return the probabilities, or numbers, of framed texts (B, L)."""
    inputs = pad_rows([row.ids for row in rows], loaded.device, global_tokens=global_tokens)
    if any(row.second < len(row.ids) for row in rows):
        columns_T = torch.arange(inputs.ids_BT.size(1), device=loaded.device)
        seconds_B = torch.tensor([row.second for row in rows], device=loaded.device)
        types_BT = (columns_T >= seconds_B[:, None]).long()
        inputs = inputs._replace(types_BT=types_BT)
    outputs_BL = require_finite(loaded.model(inputs).float())
    return LABEL_KINDS[loaded.config.label_kind].answers(outputs_BL)


def ranked_labels(answers_L: Sequence[float], names: Sequence[str]) -> list[LabelScore]:
    """Return labels with their probabilities, or the number, the largest first."""
    scores = [LabelScore(name, float(x)) for name, x in zip(names, answers_L, strict=True)]
    return sorted(scores, key=lambda each: -each.score)


def answer_text(loaded: LoadedModel, answers_L: Sequence[float]) -> str:
    """Return what a model says of a text by its probabilities, or its number, in a few words."""
    kind = loaded.config.label_kind
    chosen = LABEL_CHOICES[kind](ranked_labels(answers_L, loaded.labels), ClassifyArguments())
    names = [f"{each.score:.4f}" if kind == "number" else each.label for each in chosen]
    return ", ".join(names)
