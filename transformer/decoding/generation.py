"""Prompts in, continuations out: one piece by piece, or many line for line."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ..config import ConfigError
from ..loading import LoadedModel
from ..tables import Table
from .filtering import answers
from .lines import MAX_CHARACTERS, Answer, Line, LineError, Output, Source
from .search import Engine, plain_engine, run
from .stopping import Holdback, cut
from .tasks import Constraint, Finished, Hypothesis, SearchOptions, Task, Token


class PromptError(LineError):
    """A prompt that does not fit the model."""


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to continue prompts."""

    search: str = "sample"
    options: SearchOptions
    max_tokens: int = 256
    min_tokens: int = 0
    overflow: str = "error"  # in OVERFLOWS
    stop: Sequence[str] = ()  # what options.stop looks for, which is not shown
    constraint: Constraint | None = None
    batch_tokens: int = 4096  # of prompts and what is written, in one batch
    blank: bool = False  # whether an empty prompt is one, rather than an empty line


def _refuse(ids: list[int], context: int, most: int) -> list[int]:
    del most
    raise PromptError(
        f"the prompt has {len(ids):,} tokens; the model's context is {context:,}, and one must be "
        "left to write into: shorten the prompt, or let its beginning go (--overflow left)"
    )


def _keep_end(ids: list[int], context: int, most: int) -> list[int]:
    """The prompt's end, with room for what is to be written, at most half of the context."""
    return ids[-(context - max(1, min(most, context // 2))) :]


# What becomes of a prompt that does not fit: (ids, context, most to write) -> ids. Of these,
# "slide" also goes on when the context is full, from the last half of it.
OVERFLOWS: Table[Callable[[list[int], int, int], list[int]]] = Table(
    "overflow", {"error": _refuse, "left": _keep_end, "slide": _keep_end}
)


def encode_prompt(loaded: LoadedModel, prompt: str) -> list[int]:
    """The prompt's ids, after those that the model begins all texts with; of an empty one, the
    end token, after which a new document begins. Raises ConfigError for a model without a decoder
    of its own."""
    check_writer(loaded)
    ids = [*loaded.tokenizer.frame()[0], *loaded.tokenizer.encode(prompt)]
    return ids or [loaded.generation.end_id]


def check_writer(loaded: LoadedModel) -> None:
    """Raise ConfigError for a model that cannot continue a text."""
    if loaded.config.has_encoder or not loaded.config.has_decoder:
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} cannot generate, which needs a "
            "decoder; an encoder-decoder can `transduce translate`"
        )


class ContinuationPlan:
    """How prompts become tasks of a decoder, and their hypotheses texts."""

    def __init__(self, loaded: LoadedModel, options: GenerationOptions) -> None:
        check_writer(loaded)
        OVERFLOWS.check(options.overflow)
        self._loaded, self._options = loaded, options
        self._earlier: dict[Task, Hypothesis] = {}  # what stands before a task's own text

    def prepare(self, lines: Sequence[Line]) -> list[list[Task] | LineError]:
        """See Plan."""
        rows = self._loaded.tokenizer.encode_batch([line.text[:MAX_CHARACTERS] for line in lines])
        before = self._loaded.tokenizer.frame()[0]
        return [self._prepare(line, [*before, *ids]) for line, ids in zip(lines, rows, strict=True)]

    def _prepare(self, line: Line, ids: list[int]) -> list[Task] | LineError:
        if not line.text.strip() and not self._options.blank:
            return []
        try:
            if len(line.text) > MAX_CHARACTERS and self._options.overflow == "error":
                raise PromptError(
                    f"the prompt has {len(line.text):,} characters; {MAX_CHARACTERS:,} are read"
                )
            return [self.task(ids or [self._loaded.generation.end_id], line)]
        except PromptError as error:
            return error

    def task(self, ids: list[int], line: Line) -> Task:
        """What is to be written after some ids. Raises PromptError where there is no room."""
        options, context = self._options, self._loaded.config.max_positions
        if len(ids) >= context:
            ids = OVERFLOWS[options.overflow](ids, context, options.max_tokens)
        limit = min(options.max_tokens, context - len(ids))
        return Task(
            prompt=ids,
            limit=limit,
            keys=(line.number,),
            least=min(options.min_tokens, limit - 1),
            prefix=self._loaded.writer.encode(line.prefix) if line.prefix else [],
            constraint=options.constraint,
        )

    def again(self, task: Task, found: Sequence[Hypothesis]) -> Task | None:
        """See Plan. With "slide", the text goes on after the last half of a full context."""
        if self._options.overflow != "slide" or not found or found[0].reason != "length":
            return None
        so_far = self._whole(task, found[0])
        left = self._options.max_tokens - len(so_far.ids)
        context = self._loaded.config.max_positions
        prompt = [*task.prompt, *found[0].ids][-(context // 2) :]
        if left <= 0 or len(prompt) >= context:
            return None
        limit = min(left, context - len(prompt))
        following = replace(
            task, prompt=prompt, limit=limit, keys=(*task.keys, len(so_far.ids)), prefix=(), least=0
        )
        self._earlier[following] = so_far
        return following

    def _whole(self, task: Task, hypothesis: Hypothesis) -> Hypothesis:
        earlier = self._earlier.get(task)
        if earlier is None:
            return hypothesis
        gains = [*earlier.log_probabilities, *hypothesis.log_probabilities]
        return Hypothesis(
            ids=[*earlier.ids, *hypothesis.ids],
            score=self._options.options.score(sum(gains), len(gains)),
            log_probabilities=gains,
            reason=hypothesis.reason,
        )

    def outputs(
        self, line: Line, tasks: Sequence[Task], found: Sequence[Sequence[Hypothesis]]
    ) -> list[Output]:
        """See Plan."""
        del line
        (task,), (hypotheses,) = tasks, found
        if not hypotheses:
            raise LineError("nothing that may be written meets what is asked of it")
        wholes = [self._whole(task, h) for h in hypotheses]
        self._earlier.pop(task, None)
        return [Output(self._text(task, whole), whole, task) for whole in wholes]

    def _text(self, task: Task, whole: Hypothesis) -> str:
        decode = self._loaded.tokenizer.decode
        shown = len(decode(task.prompt))
        text = decode([*task.prompt, *whole.ids])[shown:]
        return cut(text, self._options.stop) if self._options.stop else text


def stream_text(
    loaded: LoadedModel, prompt: str, options: GenerationOptions, *, engine: Engine | None = None
) -> Iterator[str]:
    """Write the continuation of a prompt in pieces. See `stream`."""
    return stream(loaded, encode_prompt(loaded, prompt), options, engine=engine)


@torch.inference_mode()
def stream(
    loaded: LoadedModel,
    ids: list[int],
    options: GenerationOptions,
    *,
    engine: Engine | None = None,
) -> Iterator[str]:
    """Write what follows some ids, in pieces that never end inside a character or a stop string.
    For searches that decide token by token. Raises PromptError where there is no room."""
    plan = ContinuationPlan(loaded, options)
    task: Task | None = plan.task(ids, Line(0, ""))
    assert task is not None
    engine = engine or plain_engine(loaded, options.search, options.options)
    text = loaded.tokenizer.stream(task.prompt)
    hold = Holdback(options.stop) if options.stop else None
    while task is not None:
        found: list[Hypothesis] = []
        for event in _events(engine, task):
            if isinstance(event, Finished):
                found = event.hypotheses
            elif event.reason != "end":
                piece = text.feed(event.id)
                if shown := hold.feed(piece) if hold else piece:
                    yield shown
        task = plan.again(task, found)
    rest = text.flush()
    if rest := hold.feed(rest) + hold.flush() if hold else rest:
        yield rest


def _events(engine: Engine, task: Task) -> Iterator[Token | Finished]:
    waiting = [[task]]
    for events in run(*engine, lambda _: waiting.pop() if waiting else None):
        yield from events


def generate(
    loaded: LoadedModel,
    source: Source,
    options: GenerationOptions,
    *,
    engines: Sequence[Engine] = (),
    counts: Counter[str] | None = None,
) -> Iterator[Answer]:
    """Continue any number of prompts, in order, in bounded memory; any search. `counts`: see
    `answers`."""
    return answers(
        source,
        ContinuationPlan(loaded, options),
        engines or [plain_engine(loaded, options.search, options.options)],
        budget=options.batch_tokens,
        counts=counts,
    )
