"""Outputs of a line's segments: read, ranked, and joined to those of the line."""

from collections.abc import Sequence

from ..decoding.constraints.stop_strings import truncate_at_stop
from ..decoding.request import Hypothesis, Request
from ..decoding.search.parameters import SearchParameters
from ..loading import LoadedModel
from .alignment import attention_weights, coverage_score
from .arguments import TranslateArguments
from .mbr import rank_by_mbr
from .records import Output
from .segments import join_segments, segment_of


class SegmentOutputs:
    """Outputs of segments, from the hypotheses of their requests."""

    def __init__(
        self, loaded: LoadedModel, arguments: TranslateArguments, parameters: SearchParameters
    ) -> None:
        self._loaded, self._arguments, self._parameters = loaded, arguments, parameters

    def decode(self, request: Request, hypothesis: Hypothesis) -> str:
        """Return a translation's text, up to the first stop string."""
        (text,) = self._decode_all(request, [hypothesis])
        return text

    def _decode_all(self, request: Request, hypotheses: Sequence[Hypothesis]) -> list[str]:
        """Return the texts of hypotheses, each up to the first stop string after its prefix."""
        tokenizer, stop = self._loaded.target_tokenizer, self._arguments.stop
        texts = tokenizer.decode_batch([hypothesis.ids for hypothesis in hypotheses])
        if not stop:
            return texts
        start = len(tokenizer.decode(request.prefix))
        return [truncate_at_stop(text, stop, start) for text in texts]

    def rank(self, request: Request, hypotheses: Sequence[Hypothesis]) -> list[Output]:
        """Rank the outputs of one request, best first."""
        beta, texts = self._arguments.coverage_penalty, self._decode_all(request, hypotheses)
        outputs = [Output(text, h, request) for text, h in zip(texts, hypotheses, strict=True)]
        if self._arguments.mbr and hypotheses:
            log_probs = [sum(h.log_probabilities) for h in hypotheses]
            outputs = [outputs[index] for index in rank_by_mbr(texts, log_probs)]
        if beta and hypotheses:
            weights = attention_weights(self._loaded, request, hypotheses)
            outputs = [
                output.with_score(output.hypothesis.score + beta * coverage_score(weights_TS))
                for output, weights_TS in zip(outputs, weights, strict=True)
            ]
            outputs.sort(key=lambda output: -output.hypothesis.score)
        return outputs

    def until_stop(self, parts: Sequence[Output]) -> Sequence[Output]:
        """Return the parts of an answer up to one that a stop string of the user's ended."""
        ended = (n for n, part in enumerate(parts, 1) if part.hypothesis.finish_reason == "stop")
        return parts[: next(ended, None)] if self._arguments.stop else parts

    def join(self, parts: Sequence[Output]) -> Output:
        """Join the translations of a line's segments with the white space between the sources."""
        requests = [segment_of(part.request) for part in parts if part.request is not None]
        texts = {request.index: part.text for request, part in zip(requests, parts, strict=True)}
        hypothesis = self._parameters.concatenate([part.hypothesis for part in parts])
        text = join_segments(requests[0].segments, texts)
        if stop := self._arguments.stop:  # one may also begin in a sentence and end in the next
            is_cut = parts[-1].hypothesis.finish_reason == "stop"
            text = join_segments(requests[0].segments, texts, is_cut=is_cut)
            start = len(self._loaded.target_tokenizer.decode(requests[0].prefix))
            whole, text = text, truncate_at_stop(text, stop, start)
            is_cut |= text != whole
            hypothesis = hypothesis._replace(finish_reason="stop") if is_cut else hypothesis
        return Output(text, hypothesis)
