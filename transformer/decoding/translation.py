"""Text in, translation out, line for line."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch

from ..config import ConfigError
from ..loading import LoadedModel
from .hypothesis import Hypothesis, SearchOptions
from .languages import Request, request
from .search import SEARCHES
from .stepper import source_stepper

WINDOW = 64  # how many batches' worth of lines are sorted by length together
_FIRST = 16  # lines in the first window; each is twice the one before, so output starts early
MAX_CHARACTERS = 100_000  # of a line that are looked at; far more than any model's context


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How to translate. A translation has at most `max_tokens`, or else as many as the model's
    settings say, or else `ratio` times the source's tokens plus 10."""

    search: str = "beam"
    options: SearchOptions
    batch_tokens: int = 4096  # padded source tokens times beams in one batch
    max_tokens: int | None = None
    ratio: float = 2.0
    source_language: str | None = None
    target_language: str | None = None


@dataclass(frozen=True)
class Translation:
    """One line's answers, best first; empty for an empty line."""

    number: int  # the line's, from 0
    texts: list[str]
    hypotheses: list[Hypothesis]


def translate_lines(
    loaded: LoadedModel,
    lines: Iterable[str],
    options: TranslationOptions,
    *,
    counts: Counter[str] | None = None,
) -> Iterator[Translation]:
    """Translate any number of lines, in order, in bounded memory.

    Lines are taken in windows, sorted by length inside one, batched by padded tokens, and given
    back in their order. `counts` gathers what was shortened. Raises ConfigError for a model
    without an encoder.
    """
    if not (loaded.config.has_encoder and loaded.config.has_decoder):
        raise ConfigError(
            f"the {loaded.config.shape} model in {loaded.folder} cannot translate, which needs an "
            "encoder-decoder; a decoder can `transduce generate`"
        )
    counts = Counter() if counts is None else counts
    asked = request(loaded, options.source_language, options.target_language)
    numbered = enumerate(lines)
    largest = max(_FIRST, WINDOW * options.batch_tokens // 256)
    size = _FIRST
    while window := list(islice(numbered, size)):
        yield from _window(loaded, asked, window, options, counts)
        size = min(2 * size, largest)


def _window(
    loaded: LoadedModel,
    asked: Request,
    window: list[tuple[int, str]],
    options: TranslationOptions,
    counts: Counter[str],
) -> Iterator[Translation]:
    numbers = [number for number, _ in window]
    sources = dict(
        zip(numbers, _encode(loaded, asked, [t for _, t in window], counts), strict=True)
    )
    real = [number for number in numbers if sources[number]]
    real.sort(key=lambda number: (-len(sources[number]), number))
    done = {n: Translation(n, [""], []) for n in numbers if not sources[n]}
    beams = max(options.options.beam, options.options.n_best)
    for rows in _batches(real, sources, max(1, options.batch_tokens // beams)):
        for answer in _translate(loaded, asked, rows, sources, options):
            counts["unfinished"] += not answer.hypotheses[0].finished
            done[answer.number] = answer
    for number in numbers:
        yield done[number]


def _encode(
    loaded: LoadedModel, asked: Request, texts: Sequence[str], counts: Counter[str]
) -> list[list[int]]:
    """Each text's ids in their frame; empty for a text with nothing in it."""
    room = loaded.config.max_positions - len(asked.before) - len(asked.after)
    rows = []
    for text, ids in zip(
        texts,
        loaded.tokenizer.encode_batch([text[:MAX_CHARACTERS] for text in texts]),
        strict=True,
    ):
        shortened = len(text) > MAX_CHARACTERS or len(ids) > room
        counts["shortened"] += shortened
        framed = [*asked.before, *ids[:room], *asked.after]
        rows.append(framed if text.strip() and ids else [])
    return rows


def _batches(ordered: list[int], sources: dict[int, list[int]], budget: int) -> Iterator[list[int]]:
    """Cut numbers ordered by falling length where the first's length times rows exceeds budget."""
    start = 0
    while start < len(ordered):
        rows = max(1, budget // len(sources[ordered[start]]))
        yield ordered[start : start + rows]
        start += rows


@torch.inference_mode()
def _translate(
    loaded: LoadedModel,
    asked: Request,
    numbers: list[int],
    sources: dict[int, list[int]],
    options: TranslationOptions,
) -> list[Translation]:
    batch = [sources[number] for number in numbers]
    limits = [_limit(loaded, ids, options) for ids in batch]
    stepper = source_stepper(loaded.model, batch, size=max(limits))
    first_R = torch.full((len(batch),), asked.start, device=loaded.device)
    search = replace(options.options, keys=numbers)
    if asked.first is not None:
        search = replace(search, processors={**search.processors, "forced-first": asked.first})
    found = SEARCHES[options.search](stepper, first_R, limits, search)
    answers = []
    for number, hypotheses in zip(numbers, found, strict=True):
        texts = loaded.writer.decode_batch([h.ids for h in hypotheses])
        answers.append(Translation(number, [" ".join(t.split("\n")) for t in texts], hypotheses))
    return answers


def _limit(loaded: LoadedModel, source: list[int], options: TranslationOptions) -> int:
    """The most tokens of a source's translation."""
    known = loaded.generation.max_length
    usual = known - 1 if known else int(options.ratio * len(source)) + 10
    return max(1, min(loaded.config.max_positions, options.max_tokens or usual))
