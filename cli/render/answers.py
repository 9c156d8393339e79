"""Formatting of answers as text or JSON."""

import json
from collections.abc import Iterator
from typing import Any

from transformer.loading import LoadedModel
from transformer.pipelines.alignment import Pair, align_words, attention_weights, word_ids
from transformer.pipelines.notices import notice_field
from transformer.pipelines.records import Answer, Output

from .input_fields import ANSWER_FIELDS, InputFields


class AnswerFormatter:
    """Formatter of a line's answers: `n_best` lines of text, or one of JSON.

    Several answers that may have several lines each stand below a heading.
    `text_field` is the field of the JSON record that repeats the input line. With `single_line`,
    line breaks in an answer become spaces. `seed` is that of sampling, which JSON repeats. With
    `separate_groups`, for eyes rather than programs, an empty line ends several answers to one
    line.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        n_best: int = 1,
        as_json: bool = False,
        scores: bool = False,
        alignments: bool = False,
        text_field: str = "source",
        with_text_field: bool = True,
        with_prompt: bool = False,
        single_line: bool = True,
        seed: int | None = None,
        separate_groups: bool = False,
    ) -> None:
        self._loaded, self._n_best, self._text_field = loaded, n_best, text_field
        self.with_prompt, self._single_line = with_prompt, single_line
        self._as_json, self._scores, self._alignments = as_json, scores, alignments
        self._with_text_field = with_text_field
        self._separate_groups = separate_groups and single_line and n_best > 1
        own = {text_field} if with_text_field else set()
        self._seed: dict[str, Any] = {} if seed is None else {"seed": seed}
        self._fields = InputFields(ANSWER_FIELDS | own | {"n_best", "alignments", *self._seed})
        self._special_ids = frozenset(loaded.tokenizer.special_tokens().values())

    @property
    def needs_finished_answers(self) -> bool:
        """True if answers cannot be streamed: they are formatted once they are finished."""
        return self._as_json or self._scores or self._n_best > 1

    def notices(self) -> list[str]:
        """Return the notices of all lines that were formatted."""
        return self._fields.notices()

    def __call__(self, answer: Answer[Output]) -> Iterator[str]:
        """Yield the output lines for one input line."""
        if self._as_json:
            yield json.dumps(self._record(answer), ensure_ascii=False)
            return
        outputs: list[Output | None] = [*answer.outputs[: self._n_best]]
        least = self._n_best if self._single_line else 1  # as many lines for each line
        outputs += [None] * (least - len(outputs))
        for number, output in enumerate(outputs, 1):
            if self._n_best > 1 and not self._single_line:
                yield f"--- {number} of {len(outputs)} ---"
            text = "" if output is None else output.text
            text = answer.line.text + text if self.with_prompt else text
            text = " ".join(text.split("\n")) if self._single_line else text
            if self._scores:
                no_score = 0.0 if answer.error is None else float("-inf")
                text = f"{no_score if output is None else output.hypothesis.score:.4f}\t{text}"
            if self._alignments:
                pairs = [] if output is None else self._alignments_of(output)
                text += "\t" + " ".join(f"{i}-{j}" for i, j in pairs)
            yield text
        if self._separate_groups:
            yield ""

    def _record(self, answer: Answer[Output]) -> dict[str, Any]:
        """Return the JSON record of a line, after the other fields of its input."""
        record = self._fields(answer.line.fields)
        if self._with_text_field:
            record[self._text_field] = answer.line.text
        notices = notice_field(answer.notices)
        if answer.error is not None:
            return {**record, "error": answer.error, **notices}
        outputs = [self._output_record(output) for output in answer.outputs[: self._n_best]]
        n_best = {"n_best": outputs} if self._n_best > 1 else {}
        best = outputs[0] if outputs else self._blank_record()
        return {**record, **best, **self._seed, **n_best, **notices}

    def _blank_record(self) -> dict[str, Any]:
        """Return the JSON fields of a blank line's answer: those of any other, without values."""
        alignments: dict[str, Any] = {"alignments": []} if self._alignments else {}
        nothing: dict[str, Any] = {
            "score": None,
            "tokens": [],
            "token_scores": [],
            "finish_reason": None,
        }
        return {"text": "", **nothing, **alignments}

    def _output_record(self, output: Output) -> dict[str, Any]:
        """Return the JSON fields of one output."""
        hypothesis, tokenizer = output.hypothesis, self._loaded.target_tokenizer
        record: dict[str, Any] = {
            "text": output.text,
            "score": hypothesis.score,
            "tokens": [tokenizer.token(token) for token in hypothesis.tokens],
            "token_scores": hypothesis.log_probabilities,
            "finish_reason": hypothesis.finish_reason,
        }
        if self._alignments:
            record["alignments"] = [list(pair) for pair in self._alignments_of(output)]
        return record

    def _alignments_of(self, output: Output) -> list[Pair]:
        """Return the word alignments of an output; none where it was joined from segments."""
        if output.request is None:
            return []
        (weights,) = attention_weights(self._loaded, output.request, [output.hypothesis])
        source = word_ids(self._loaded.tokenizer, output.request.source, self._special_ids)
        target = word_ids(self._loaded.target_tokenizer, output.hypothesis.ids)
        return align_words(weights, source, target)
