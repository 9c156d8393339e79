"""`transduce score`: how likely given texts are."""

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import say
from ..io.filter import filter_lines
from ..options import common as opt
from ..options.groups import grouped

if TYPE_CHECKING:
    from transformer.loading import LoadedModel
    from transformer.pipelines import Answer


@grouped
def score(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Default: stdin.")
    ] = None,
    *,
    model: opt.Model,
    source_language: opt.SourceLanguage = None,
    target_language: opt.TargetLanguage = None,
    length_penalty: opt.LengthPenalty = None,
    length_penalty_kind: opt.LengthPenaltyKind = "power",
    filtering: opt.LineIOOptions,
) -> None:
    """How likely each line's text is: its score, perplexity and bits per byte, between tabs.

    A decoder's lines are texts. An encoder-decoder's are sources and translations, with a tab
    between. What `translate --json` and `generate --json` write is understood with --json-input:
    the scores are then those that they reported, where no coverage penalty, rule or processor had
    a part in them and the text was neither split nor its prompt cut.
    """
    from transformer.pipelines.scoring import (
        ScoringTask,
        TextScoringTask,
        TranslationScoringTask,
        score_lines,
    )
    from transformer.pipelines.search_settings import search_options

    from ..io.loading import load_for_lines

    loaded = load_for_lines(model, filtering)
    options = search_options(
        loaded, length_penalty=length_penalty, length_penalty_kind=length_penalty_kind
    )
    exam: ScoringTask = (
        TranslationScoringTask(loaded, source_language, target_language)
        if loaded.config.shape == "encoder-decoder"
        else TextScoringTask(loaded)
    )
    show = _ScoreFormatter(loaded, as_json=filtering.as_json)
    filter_lines(
        files,
        filtering,
        lambda source, counts: score_lines(
            loaded, source, exam, options, budget=filtering.batch_tokens, counts=counts
        ),
        show,
    )
    if not filtering.quiet and show.tokens:
        say(
            f"{show.tokens:,} tokens: perplexity {math.exp(show.nats / show.tokens):.4f}, "
            f"{show.nats / math.log(2) / max(1, show.size):.4f} bits per byte"
        )


class _ScoreFormatter:
    """Each line's figures, and the sums over all."""

    def __init__(self, loaded: "LoadedModel", *, as_json: bool) -> None:
        self._loaded, self._as_json = loaded, as_json
        self.nats, self.tokens, self.size = 0.0, 0, 0

    def __call__(self, answer: "Answer") -> Iterator[str]:
        """The line that answers one line."""
        if not answer.outputs:
            record = {"error": answer.error} if answer.error is not None else {"text": ""}
            yield json.dumps({**answer.line.fields, **record}) if self._as_json else ""
            return
        found = self._figures(answer)
        if self._as_json:
            yield json.dumps({**answer.line.fields, **found}, ensure_ascii=False)
        else:
            yield "\t".join(
                f"{found[name]:.4f}" for name in ("score", "perplexity", "bits_per_byte")
            )

    def _figures(self, answer: "Answer") -> dict[str, Any]:
        (output,) = answer.outputs
        hypothesis = output.hypothesis
        gains, writer = hypothesis.log_probabilities, self._loaded.target_tokenizer
        text = output.text
        if (
            output.request is not None
            and output.request.source
            and "source" not in answer.line.fields
        ):
            text = text.partition("\t")[2]
        nats, size = -sum(gains), len(text.encode("utf-8", "replace"))
        self.nats, self.tokens, self.size = (
            self.nats + nats,
            self.tokens + len(gains),
            self.size + size,
        )
        return {
            "text": output.text,
            "score": hypothesis.score,
            "tokens": [writer.token(token) for token in hypothesis.tokens],
            "token_scores": gains,
            "perplexity": math.exp(min(700.0, nats / len(gains))),
            "bits_per_byte": nats / math.log(2) / max(1, size),
        }
