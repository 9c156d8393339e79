"""Log-probabilities of existing texts, as decoding would have reported them.

Shape suffixes: B texts, T tokens, V vocabulary.
"""

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from tokenizer import is_blank
from tokenizer.quantities import format_count

from ..abilities import require_ability
from ..data import pad, pad_rows
from ..decoding.request import FinishReason, Hypothesis, Request
from ..decoding.search.parameters import SearchParameters
from ..decoding.search.tokenwise import check_log_probs
from ..errors import ConfigError, LineError
from ..inputs import ModelInputs
from ..loading import LoadedModel
from ..masks import padded_positions
from ..model import Transformer
from .arguments import ScoreArguments
from .arguments.argument import flags_with_values
from .executors import ForwardExecutor
from .framing import pair_framing
from .generation import check_decoder, encode_prompt
from .languages import translation_prompt
from .line_pipeline import answer_lines
from .notices import NO_NOTICES, Notices, that_happened
from .records import Answer, Line, LineSource, LineTask, Output, split_pair
from .unknown import unknown_read


@dataclass(frozen=True, eq=False)
class ScoringRequest:
    """A request, and the target ids to score: the end token last, where there is one."""

    request: Request
    target: list[int]
    unknown: Sequence[str] = ()  # characters that the model does not know

    @property
    def length(self) -> int:
        """The tokens of the longer side."""
        return max(len(self.request.source), len(self.request.prompt) + len(self.target))


class TextScore(NamedTuple):
    """The likelihood of a text under a model."""

    text: str
    score: float  # log p / length^A
    tokens: list[str | None]
    token_scores: list[float]  # log-probability of each token
    num_bytes: int
    notices: Notices = NO_NOTICES  # what happened to the line

    @property
    def nats(self) -> float:
        """The negative log-probability."""
        return -sum(self.token_scores)

    @property
    def perplexity(self) -> float:
        """The perplexity of a token."""
        return math.exp(min(700.0, self.nats / len(self.token_scores)))

    @property
    def bits_per_byte(self) -> float:
        """The bits that the model needs for a byte of the text."""
        return self.nats / math.log(2) / max(1, self.num_bytes)


def text_score(loaded: LoadedModel, answer: Answer[Output]) -> TextScore:
    """Return the likelihood of a line; of a source, a tab and a translation, that of the latter."""
    line, output = answer.line, answer.outputs[0]
    hypothesis, text = output.hypothesis, output.text
    if output.request is not None and output.request.source and "source" not in line.fields:
        text = text.partition("\t")[2]
    return TextScore(
        text=output.text,
        score=hypothesis.score,
        tokens=[loaded.target_tokenizer.token(token) for token in hypothesis.tokens],
        token_scores=hypothesis.log_probabilities,
        num_bytes=len(text.encode("utf-8", "replace")),
        notices=answer.notices,
    )


class ScoringTask(LineTask[ScoringRequest, Hypothesis, Output]):
    """A task that scores existing texts."""

    @abstractmethod
    def to_request(self, line: Line) -> ScoringRequest | None:
        """Return a line's request; None for an empty line. Raises LineError."""

    def to_requests(self, lines: Sequence[Line]) -> list[list[ScoringRequest] | LineError]:
        """See LineTask."""
        return [self._line_requests(line) for line in lines]

    def _line_requests(self, line: Line) -> list[ScoringRequest] | LineError:
        try:
            request = self.to_request(line)
        except LineError as error:
            return error
        return [] if request is None else [request]

    def to_outputs(
        self, line: Line, requests: Sequence[ScoringRequest], results: Sequence[Hypothesis]
    ) -> tuple[list[Output], Notices]:
        """See LineTask."""
        pairs = zip(requests, results, strict=True)
        outputs = [Output(line.text, result, request.request) for request, result in pairs]
        return outputs, that_happened(unknown_read=[u for r in requests for u in r.unknown])


class TextScoringTask(ScoringTask):
    """Texts for a decoder, each after the prompt in its line's field `prompt`, if any."""

    def __init__(self, loaded: LoadedModel) -> None:
        check_decoder(loaded)
        self._loaded = loaded

    def to_request(self, line: Line) -> ScoringRequest | None:
        """See ScoringTask."""
        if is_blank(line.text) and not line.fields.get("tokens"):  # as a blank line's answer
            return None
        target = target_ids(self._loaded, line, line.text, add_end=False)
        if not target:
            return None
        context = _string_field(line, "prompt")
        prompt = encode_prompt(self._loaded, context)
        tokenizer = self._loaded.tokenizer
        unknown = unknown_read(tokenizer, [context, line.text], [prompt, target])
        request = Request(prompt=prompt, max_new_tokens=len(target))
        return _check_length(self._loaded, ScoringRequest(request, target, unknown))


class TranslationScoringTask(ScoringTask):
    """Translations: of the line's field `source`, or lines of a source, a tab and a translation."""

    def __init__(
        self, loaded: LoadedModel, source_language: str | None, target_language: str | None
    ) -> None:
        self._loaded = loaded
        self._prompt = translation_prompt(loaded, source_language, target_language)
        self._framing = pair_framing(loaded, source_language, target_language)

    def to_request(self, line: Line) -> ScoringRequest | None:
        """See ScoringTask."""
        if is_blank(line.text):
            return None
        if "source" in line.fields:
            source, text = _string_field(line, "source"), line.text
        else:
            source, text = split_pair(line.text)
        prompt = self._prompt
        encoded = self._loaded.tokenizer.encode(source)
        target = target_ids(self._loaded, line, text, add_end=True)
        before = list(self._framing.target_before)
        if "tokens" in line.fields:  # which have what was written before the text
            before = [] if prompt.forced_first is None else [prompt.forced_first]
        if target[: len(before)] != before:
            target = [*before, *target]
        request = Request(
            prompt=[prompt.decoder_start_id],
            source=self._framing.source(encoded) or [self._loaded.generation.end_id],
            max_new_tokens=len(target),
            forced_first=prompt.forced_first,
        )
        unknown = dict.fromkeys(unknown_read(self._loaded.tokenizer, [source], [encoded]))
        unknown |= dict.fromkeys(unknown_read(self._loaded.target_tokenizer, [text], [target]))
        return _check_length(self._loaded, ScoringRequest(request, target, list(unknown)))


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


def _check_length(loaded: LoadedModel, scoring: ScoringRequest) -> ScoringRequest:
    """Return the request; raise LineError if a side of it exceeds the model's context."""
    config, request = loaded.config, scoring.request
    decoder_length = len(request.prompt) + len(scoring.target) - 1  # the last token is not read
    sides = (
        (len(request.source), config.max_positions),
        (decoder_length, config.target_positions),
    )
    for length, context in sorted(sides, reverse=True):
        if length > context:
            shown = format_count(length, "token")
            raise LineError(f"the line has {shown}; the model's context is {context:,}")
    return scoring


def score_lines(
    loaded: LoadedModel,
    source: LineSource,
    arguments: ScoreArguments,
    parameters: SearchParameters,
    counts: Counter[str],
) -> Iterator[Answer[Output]]:
    """Yield each line's text with its log-probabilities, in order, in bounded memory.

    `counts`: see `answer_lines`. Raises ConfigError for a model without a decoder.
    """
    require_ability(loaded.config, "score", loaded.named_folder)
    named = flags_with_values(arguments, "source_language", "target_language")
    if named and loaded.config.shape != "encoder-decoder":
        raise ConfigError(f"{' and '.join(named)}: only for models that translate")
    task = (
        TranslationScoringTask(loaded, arguments.source_language, arguments.target_language)
        if loaded.config.shape == "encoder-decoder"
        else TextScoringTask(loaded)
    )

    def compute(batch: Sequence[ScoringRequest]) -> list[Hypothesis]:
        return score_batch(loaded.model, batch, parameters)

    executor = ForwardExecutor(compute, lambda r: r.length, budget=arguments.batch_tokens)
    return answer_lines(source, task, executor, counts)


def score_batch(
    model: Transformer, texts: Sequence[ScoringRequest], parameters: SearchParameters
) -> list[Hypothesis]:
    """Compute the log-probability of each target token in one forward pass."""
    device = model.device
    ids_BT = pad([[*text.request.prompt, *text.target] for text in texts], 0).to(device)
    lengths = [len(text.request.prompt) + len(text.target) - 1 for text in texts]
    lengths_B = torch.tensor(lengths, device=device)
    positions_BT = padded_positions(lengths_B, ids_BT.size(1) - 1)  # the last token is not read
    inputs = ModelInputs(ids_BT[:, :-1], positions_BT)
    if model.config.has_encoder:
        sources = [text.request.source for text in texts]
        inputs = inputs._replace(source=pad_rows(sources, device))
    hidden_BTD = model.hidden(inputs)
    hypotheses = []
    for index, text in enumerate(texts):
        request, target = text.request, text.target
        start, stop = len(request.prompt) - 1, len(request.prompt) - 1 + len(target)
        logits_TV = model.logits(hidden_BTD[index, start:stop]).float()
        chosen_T1 = ids_BT[index, start + 1 : stop + 1, None]
        log_probs_T1 = check_log_probs(logits_TV.log_softmax(dim=-1).gather(1, chosen_T1))
        log_probs = log_probs_T1[:, 0].tolist()
        reason: FinishReason = "end" if target and target[-1] in parameters.end_ids else "length"
        total = sum(log_probs[request.forced_first is not None :])
        hypotheses.append(parameters.hypothesis(target, total, log_probs, reason))
    return hypotheses
