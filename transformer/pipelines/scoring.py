"""Log-probabilities of existing texts, as decoding would have reported them.

Shape suffixes: B texts, T tokens, V vocabulary.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from ..data import pad, pad_rows
from ..decoding.request import FinishReason, Hypothesis, Request, SearchOptions
from ..decoding.search.tokenwise import check_log_probs
from ..errors import LineError
from ..loading import LoadedModel
from ..masks import padded_positions
from ..model import Transformer
from .generation import check_decoder, encode_prompt
from .languages import translation_prompt
from .records import Answer, Line, LineSource, Output

_MAX_WINDOW = 256  # lines sorted by length together; windows grow to it, so output starts early


class ScoringTask(Protocol):
    """A task that turns lines into texts to score."""

    def to_request(self, line: Line) -> tuple[Request, list[int]] | None:
        """Return the request, and the target ids to score; None for an empty line.

        The end token is the last target id, where there is one. Raises LineError.
        """
        ...


class TextScoringTask:
    """Texts for a decoder, each after the prompt in its line's field `prompt`, if any."""

    def __init__(self, loaded: LoadedModel) -> None:
        check_decoder(loaded)
        self._loaded = loaded

    def to_request(self, line: Line) -> tuple[Request, list[int]] | None:
        """Implement ScoringTask.to_request."""
        target = target_ids(self._loaded, line, line.text, add_end=False)
        if not target:
            return None
        prompt = encode_prompt(self._loaded, _string_field(line, "prompt"))
        return _check_length(
            self._loaded, Request(prompt=prompt, max_new_tokens=len(target)), target
        )


class TranslationScoringTask:
    """Translations: of the line's field `source`, or lines of a source, a tab and a translation."""

    def __init__(
        self, loaded: LoadedModel, source_language: str | None, target_language: str | None
    ) -> None:
        self._loaded = loaded
        self._prompt = translation_prompt(loaded, source_language, target_language)

    def to_request(self, line: Line) -> tuple[Request, list[int]] | None:
        """Implement ScoringTask.to_request."""
        if not line.text.strip():
            return None
        source, tab, text = line.text.partition("\t")
        if "source" in line.fields:
            source, text = _string_field(line, "source"), line.text
        elif not tab:
            raise LineError("the line has no tab between a source and its translation")
        prompt = self._prompt
        encoded = self._loaded.tokenizer.encode(source)
        target = target_ids(self._loaded, line, text, add_end=True)
        if prompt.forced_first is not None and target[:1] != [prompt.forced_first]:
            target = [prompt.forced_first, *target]
        request = Request(
            prompt=[prompt.decoder_start_id],
            source=[*prompt.source_prefix, *encoded, *prompt.source_suffix],
            max_new_tokens=len(target),
            forced_first=prompt.forced_first,
        )
        return _check_length(self._loaded, request, target)


def target_ids(loaded: LoadedModel, line: Line, text: str, *, add_end: bool) -> list[int]:
    """Return a text's ids: the line's field `tokens`, as decoding reports it, else encode the text.

    With `add_end`, the end token follows an encoded text. Raises LineError.
    """
    if "tokens" not in line.fields:
        ids = loaded.target_tokenizer.encode(text)
        return [*ids, loaded.generation.end_id] if add_end else ids
    names = line.fields["tokens"]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise LineError(f"the field 'tokens' is {str(names)[:40]!r}, not a list of tokens")
    token_ids = [loaded.target_tokenizer.token_id(name) for name in names]
    if None in token_ids:
        raise LineError(f"the model has no token {names[token_ids.index(None)]!r}")
    return [token for token in token_ids if token is not None]


def _string_field(line: Line, name: str) -> str:
    """Return a field of a line, "" where it is missing; raise LineError if it is not a string."""
    value = line.fields.get(name, "")
    if not isinstance(value, str):
        raise LineError(f"the field {name!r} is {str(value)[:40]!r}, not a string")
    return value


def _check_length(
    loaded: LoadedModel, request: Request, target: list[int]
) -> tuple[Request, list[int]]:
    """Return the pair; raise LineError if a side of it exceeds the model's context."""
    context = loaded.config.max_positions
    decoder_length = len(request.prompt) + len(target) - 1  # the last token is not read
    longest = max(len(request.source), decoder_length)
    if longest > context:
        raise LineError(f"the line has {longest:,} tokens; the model's context is {context:,}")
    return request, target


@torch.inference_mode()
def score_lines(
    loaded: LoadedModel,
    source: LineSource,
    task: ScoringTask,
    options: SearchOptions,
    *,
    budget: int,
    counts: Counter[str],
) -> Iterator[Answer]:
    """Yield each line's text with its log-probabilities, in order, in bounded memory."""
    window_size = 1
    while (lines := source.take(window_size, wait=True)) is not None:
        window_size = min(2 * window_size, _MAX_WINDOW)
        answers: dict[int, Answer] = {}
        texts: list[tuple[Line, Request, list[int]]] = []
        for line in lines:
            try:
                if line.error is not None:
                    raise LineError(line.error)
                scored = task.to_request(line)
                answers[line.number] = Answer(line)
                texts += [] if scored is None else [(line, *scored)]
            except LineError as error:
                answers[line.number] = Answer(line, error=str(error))
                counts["failed"] += 1
        texts.sort(key=lambda text: -_row_length(text[1], text[2]))
        while texts:
            batch_size = max(1, budget // _row_length(*texts[0][1:]))
            batch, texts = texts[:batch_size], texts[batch_size:]
            rows = [(request, target) for _, request, target in batch]
            hypotheses = score_batch(loaded.model, rows, options)
            for (line, request, _), hypothesis in zip(batch, hypotheses, strict=True):
                answers[line.number] = Answer(line, [Output(line.text, hypothesis, request)])
        yield from (answers[line.number] for line in lines)


def _row_length(request: Request, target: Sequence[int]) -> int:
    """Return the tokens of the longer side."""
    return max(len(request.source), len(request.prompt) + len(target))


def score_batch(
    model: Transformer, texts: Sequence[tuple[Request, list[int]]], options: SearchOptions
) -> list[Hypothesis]:
    """Compute the log-probability of each target token in one forward pass."""
    device = model.device
    ids_BT = pad([[*request.prompt, *target] for request, target in texts], 0).to(device)
    lengths_B = torch.tensor([len(r.prompt) + len(t) - 1 for r, t in texts], device=device)
    positions_BT = padded_positions(lengths_B, ids_BT.size(1) - 1)  # the last token is not read
    sources = {}
    if model.config.has_encoder:
        source_BS, positions_BS = pad_rows([request.source for request, _ in texts], device)
        sources = {"source_BS": source_BS, "source_positions_BS": positions_BS}
    hidden_BTD = model.hidden(ids_BT[:, :-1], positions_BT=positions_BT, **sources)
    hypotheses = []
    for index, (request, target) in enumerate(texts):
        start, stop = len(request.prompt) - 1, len(request.prompt) - 1 + len(target)
        logits_TV = model.logits(hidden_BTD[index, start:stop]).float()
        chosen_T1 = ids_BT[index, start + 1 : stop + 1, None]
        log_probs_T1 = check_log_probs(logits_TV.log_softmax(dim=-1).gather(1, chosen_T1))
        log_probs = log_probs_T1[:, 0].tolist()
        reason: FinishReason = "end" if target and target[-1] in options.end_ids else "length"
        total = sum(log_probs[request.forced_first is not None :])
        hypotheses.append(options.hypothesis(target, total, log_probs, reason))
    return hypotheses
