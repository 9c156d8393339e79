"""One prompt, continued piece by piece."""

from collections import Counter
from collections.abc import Iterator

from ..decoding.constraints.stop_strings import StopStringBuffer
from ..decoding.engine import Engine
from ..decoding.request import Hypothesis, Request, RequestFinished
from ..decoding.scheduler import Scheduler
from ..errors import LineError
from ..loading import LoadedModel
from .generation import GenerationTask
from .notices import count_notices
from .records import NO_VALID_TOKEN, Line


def stream_ids(
    loaded: LoadedModel,
    ids: list[int],
    task: GenerationTask,
    engine: Engine,
    counts: Counter[str],
    *,
    line: Line,
    continuing: bool,
    threads: int | None = None,
) -> Iterator[str]:
    """Yield the continuation of a prompt in pieces that never end inside a character.

    `ids` are those of the prompt; `line` has its text, or the part of it that is new, and its
    number, on which random samples depend. Pieces do not end inside a stop string either. Closing
    the iterator ends the decoding; at the end `counts` is incremented for each notice. Raises
    PromptError where the prompt leaves no room, LineError where no token is allowed.
    """
    unread = line._replace(text="")  # the ids are its text
    request = task.build_request(ids, unread, continuing=continuing, stream=True)
    scheduler = Scheduler([engine], budget=1, threads=threads)
    return _stream(loaded, request, task, scheduler, counts, prompt=line.text)


def _stream(
    loaded: LoadedModel,
    first: Request,
    task: GenerationTask,
    scheduler: Scheduler,
    counts: Counter[str],
    *,
    prompt: str,
) -> Iterator[str]:
    request: Request = first
    follow_up: Request | None = first
    detokenizer = loaded.tokenizer.stream(first.prompt)
    stop_buffer = StopStringBuffer(task.stop_strings) if task.stop_strings else None
    hypotheses: list[Hypothesis] = []
    with scheduler:
        while follow_up is not None:
            request = follow_up
            scheduler.submit([request])
            for event in scheduler.events():
                if isinstance(event, RequestFinished):
                    hypotheses = event.hypotheses
                elif event.finish_reason != "end":
                    piece = detokenizer.feed(event.id)
                    if visible := stop_buffer.feed(piece) if stop_buffer else piece:
                        yield visible
            follow_up = task.follow_up(request, hypotheses)
    remainder = detokenizer.flush()
    if remainder := stop_buffer.feed(remainder) + stop_buffer.flush() if stop_buffer else remainder:
        yield remainder
    if not hypotheses:
        raise LineError(NO_VALID_TOKEN)
    text = task.with_previous_context(request, hypotheses[0])
    count_notices(task.notices(prompt, request, [text]), counts)
