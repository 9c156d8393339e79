"""Prompts in, continuations out: one piece by piece, or many line for line."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ..decoding.constraints.stop_strings import Holdback, cut
from ..decoding.engine import Engine, run
from ..decoding.request import (
    Before,
    Constraint,
    Finished,
    Hypothesis,
    SearchOptions,
    Task,
    Token,
    joined,
)
from ..errors import ConfigError, LineError, PromptError
from ..loading import LoadedModel
from ..registry import Table
from .engines import plain_engine
from .glossary import phrase_ids
from .mbr import choose
from .records import IMPOSSIBLE, MAX_CHARACTERS, Answer, Line, Output, Source
from .scheduler import answers


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to continue prompts."""

    search: str = "sample"
    options: SearchOptions
    max_tokens: int = 256
    min_tokens: int = 0
    overflow: str = "error"  # in OVERFLOWS
    stop: Sequence[str] = ()  # what options.stop looks for, which is not shown
    must: Sequence[str] = ()  # words that every text has; beam search alone obeys
    consensus: bool = False  # the sample that is most like the others
    constraint: Constraint | None = None
    batch_tokens: int = 4096  # of prompts and what is written, in one batch
    blank: bool = False  # whether an empty prompt is one, rather than an empty line


def _refuse(ids: list[int], head: int, context: int, most: int) -> list[int]:
    """The prompt as it is, where it leaves room for a token."""
    del head, most
    if len(ids) < context:
        return ids
    raise PromptError(
        f"the prompt has {len(ids):,} tokens; the model's context is {context:,}, and one must be "
        "left to write into: shorten the prompt, or let its beginning go (--overflow left)"
    )


def keep_end(ids: list[int], head: int, context: int, most: int) -> list[int]:
    """The prompt's end, with room for what is to be written, at most half of the context, after
    the `head` tokens that the model begins all texts with."""
    room = context - max(1, min(most, context // 2))
    return ids if len(ids) <= room else [*ids[:head], *ids[len(ids) - max(1, room - head) :]]


# What becomes of a prompt: (ids, of which so many begin every text, context, most to write) -> ids.
# Of these, "slide" also goes on when the context is full, from the last half of it.
OVERFLOWS: Table[Callable[[list[int], int, int, int], list[int]]] = Table(
    "overflow", {"error": _refuse, "left": keep_end, "slide": keep_end}
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
        if options.overflow == "slide" and (options.search == "beam" or options.options.n_best > 1):
            raise ConfigError(
                "--overflow slide goes on with one text; it cannot go with beams or samples"
            )
        self._loaded, self._options = loaded, options
        self._before = loaded.tokenizer.frame()[0]
        self._phrases = [phrase_ids(loaded.writer, word) for word in options.must]

    def prepare(self, lines: Sequence[Line]) -> list[list[Task] | LineError]:
        """See Plan."""
        keep = slice(0, MAX_CHARACTERS)
        if self._options.overflow != "error":
            keep = slice(-MAX_CHARACTERS, None)
        rows = self._loaded.tokenizer.encode_batch([line.text[keep] for line in lines])
        whole = ([*self._before, *ids] for ids in rows)
        return [self._prepare(line, ids) for line, ids in zip(lines, whole, strict=True)]

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
        ids = OVERFLOWS[options.overflow](ids, len(self._before), context, options.max_tokens)
        limit = min(options.max_tokens, context - len(ids))
        return Task(
            prompt=ids,
            limit=limit,
            keys=(line.number,),
            least=min(options.min_tokens, options.max_tokens - 1),
            prefix=self._loaded.writer.encode(line.prefix) if line.prefix else [],
            phrases=self._phrases,
            constraint=options.constraint,
        )

    def again(self, task: Task, found: Sequence[Hypothesis]) -> Task | None:
        """See Plan. With "slide", the text goes on after the last half of a full context."""
        if self._options.overflow != "slide" or not found or found[0].reason != "length":
            return None
        so_far = self._whole(task, found[0])
        left = self._options.max_tokens - len(so_far.ids)
        if left <= 0:
            return None
        first = task.prompt if task.before is None else task.before.prompt
        context = self._loaded.config.max_positions
        prompt = keep_end([*task.prompt, *found[0].ids], len(self._before), context, context)
        return replace(
            task,
            prompt=prompt,
            limit=min(left, context - len(prompt)),
            keys=(*task.keys[:1], len(so_far.ids)),
            prefix=(),
            before=Before(first, so_far.ids, so_far.log_probabilities),
        )

    def _whole(self, task: Task, hypothesis: Hypothesis) -> Hypothesis:
        """With what was written before the context was full."""
        if task.before is None:
            return hypothesis
        earlier = Hypothesis(task.before.ids, 0.0, task.before.log_probabilities, "end")
        return joined([earlier, hypothesis], self._options.options)

    def outputs(
        self, line: Line, tasks: Sequence[Task], found: Sequence[Sequence[Hypothesis]]
    ) -> list[Output]:
        """See Plan."""
        del line
        (task,), (hypotheses,) = tasks, found
        if not hypotheses:
            raise LineError(IMPOSSIBLE)
        wholes = [self._whole(task, h) for h in hypotheses]
        outputs = [Output(self._text(task, whole), whole, task) for whole in wholes]
        if not self._options.consensus:
            return outputs
        gains = [sum(whole.log_probabilities) for whole in wholes]
        return [outputs[place] for place in choose([output.text for output in outputs], gains)]

    def _text(self, task: Task, whole: Hypothesis) -> str:
        decode = self._loaded.tokenizer.decode
        prompt = task.prompt if task.before is None else task.before.prompt
        text = decode([*prompt, *whole.ids])[len(decode(prompt)) :]
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
    Raises PromptError where there is no room, ConfigError for searches that do not decide token by
    token, LineError where nothing may be written on."""
    if options.search == "beam" or options.options.n_best > 1:
        raise ConfigError("beams and several samples cannot be shown as they are written")
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
        stuck, task = not found, plan.again(task, found)
    rest = text.flush()
    if rest := hold.feed(rest) + hold.flush() if hold else rest:
        yield rest
    if stuck:
        raise LineError(IMPOSSIBLE)


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
