"""How likely given texts are: what decoding would have reported of them.

Shape suffixes: B texts, T tokens, V vocabulary.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from ..data import pad, pad_rows
from ..decoding.request import Hypothesis, Request, SearchOptions
from ..decoding.search.tokenwise import check_log_probs
from ..errors import LineError
from ..loading import LoadedModel
from ..masks import padded_positions
from ..model import Transformer
from .generation import check_decoder, encode_prompt
from .languages import translation_prompt
from .records import Answer, Line, LineSource, Output

_WINDOW = 256  # lines that are sorted by length together, once as many have been read


class ScoringTask(Protocol):
    """How a line becomes a text to score."""

    def to_request(self, line: Line) -> tuple[Request, list[int]] | None:
        """The task, and what was written about it, the end token last where there is one; None for
        an empty line. Raises LineError."""
        ...


class TextScoringTask:
    """Texts of a decoder, each after the prompt in its field `prompt`, if any."""

    def __init__(self, loaded: LoadedModel) -> None:
        check_decoder(loaded)
        self._loaded = loaded

    def to_request(self, line: Line) -> tuple[Request, list[int]] | None:
        """See Exam."""
        written = target_ids(self._loaded, line, line.text, ends=False)
        if not written:
            return None
        prompt = encode_prompt(self._loaded, _field(line, "prompt"))
        return _checked(self._loaded, Request(prompt=prompt, max_new_tokens=len(written)), written)


class TranslationScoringTask:
    """Translations: the line is one, with its source in the field `source`; or both, with a tab
    between."""

    def __init__(self, loaded: LoadedModel, source: str | None, target: str | None) -> None:
        self._loaded, self._asked = loaded, translation_prompt(loaded, source, target)

    def to_request(self, line: Line) -> tuple[Request, list[int]] | None:
        """See Exam."""
        if not line.text.strip():
            return None
        source, tab, text = line.text.partition("\t")
        if "source" in line.fields:
            source, text = _field(line, "source"), line.text
        elif not tab:
            raise LineError("the line has no tab between a source and its translation")
        asked = self._asked
        ids = [*asked.before, *self._loaded.tokenizer.encode(source), *asked.after]
        written = target_ids(self._loaded, line, text, ends=True)
        if asked.first is not None and written[:1] != [asked.first]:
            written = [asked.first, *written]
        task = Request(
            prompt=[asked.start], source=ids, max_new_tokens=len(written), forced_first=asked.first
        )
        return _checked(self._loaded, task, written)


def target_ids(loaded: LoadedModel, line: Line, text: str, *, ends: bool) -> list[int]:
    """A text's ids: those of its field `tokens`, where decoding has reported them, else as the
    tokenizer cuts it, with the end token if it `ends`."""
    if "tokens" not in line.fields:
        ids = loaded.target_tokenizer.encode(text)
        return [*ids, loaded.generation.end_id] if ends else ids
    names = line.fields["tokens"]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise LineError(f"the field 'tokens' is {str(names)[:40]!r}, no list of tokens' names")
    found = [loaded.target_tokenizer.token_id(name) for name in names]
    if None in found:
        raise LineError(f"the model has no token {names[found.index(None)]!r}")
    return [token for token in found if token is not None]


def _field(line: Line, name: str) -> str:
    value = line.fields.get(name, "")
    if not isinstance(value, str):
        raise LineError(f"the field {name!r} is {str(value)[:40]!r}, no text")
    return value


def _checked(loaded: LoadedModel, task: Request, written: list[int]) -> tuple[Request, list[int]]:
    context = loaded.config.max_positions
    longest = max(len(task.source), len(task.prompt) + len(written) - 1)  # the last is not read
    if longest > context:
        raise LineError(f"the line has {longest:,} tokens; the model's context is {context:,}")
    return task, written


@torch.inference_mode()
def score_lines(
    loaded: LoadedModel,
    source: LineSource,
    exam: ScoringTask,
    options: SearchOptions,
    *,
    budget: int,
    counts: Counter[str],
) -> Iterator[Answer]:
    """Each line's text with its log-probabilities, in order, in bounded memory."""
    size = 1
    while (lines := source.take(size, wait=True)) is not None:
        size = min(2 * size, _WINDOW)
        answers: dict[int, Answer] = {}
        texts: list[tuple[Line, Request, list[int]]] = []
        for line in lines:
            try:
                if line.error is not None:
                    raise LineError(line.error)
                given = exam.to_request(line)
                answers[line.number] = Answer(line)
                texts += [] if given is None else [(line, *given)]
            except LineError as error:
                answers[line.number] = Answer(line, error=str(error))
                counts["failed"] += 1
        texts.sort(key=lambda text: -_length(text[1], text[2]))
        while texts:
            rows = max(1, budget // _length(*texts[0][1:]))
            batch, texts = texts[:rows], texts[rows:]
            found = score_batch(loaded.model, [(task, ids) for _, task, ids in batch], options)
            for (line, task, _), hypothesis in zip(batch, found, strict=True):
                answers[line.number] = Answer(line, [Output(line.text, hypothesis, task)])
        yield from (answers[line.number] for line in lines)


def _length(task: Request, written: Sequence[int]) -> int:
    return max(len(task.source), len(task.prompt) + len(written))


def score_batch(
    model: Transformer, texts: Sequence[tuple[Request, list[int]]], options: SearchOptions
) -> list[Hypothesis]:
    """The log-probability of each token of each text, in one pass."""
    device = model.embedding.weight.device
    ids_BT = pad([[*task.prompt, *written] for task, written in texts], 0).to(device)
    lengths_B = torch.tensor([len(t.prompt) + len(w) - 1 for t, w in texts], device=device)
    positions_BT = padded_positions(lengths_B, ids_BT.size(1) - 1)  # the last is not read
    sources = {}
    if model.config.has_encoder:
        source_BS, positions_BS = pad_rows([task.source for task, _ in texts], device)
        sources = {"source_BS": source_BS, "source_positions_BS": positions_BS}
    hidden_BTD = model.hidden(ids_BT[:, :-1], positions_BT=positions_BT, **sources)
    found = []
    for place, (task, written) in enumerate(texts):
        first, last = len(task.prompt) - 1, len(task.prompt) - 1 + len(written)
        logits_TV = model.logits(hidden_BTD[place, first:last]).float()
        chosen_T1 = ids_BT[place, first + 1 : last + 1, None]
        gains = check_log_probs(logits_TV.log_softmax(dim=-1).gather(1, chosen_T1))[:, 0].tolist()
        ended = bool(written) and written[-1] in options.end
        total = sum(gains[task.forced_first is not None :])
        found.append(options.hypothesis(written, total, gains, "end" if ended else "length"))
    return found
