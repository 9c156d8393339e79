"""`transduce score`: the likelihood of texts."""

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from transformer.pipelines.arguments import ScoreArguments

from ..console import print_notice
from ..io.filter import filter_lines
from ..io.output_checks import output_is_terminal
from ..io.text_arguments import named_inputs
from ..io.typed_text import HINT
from ..options import common as opt
from ..options.groups import grouped, option

if TYPE_CHECKING:
    from transformer.loading import LoadedModel
    from transformer.pipelines.records import Answer, Output

# The record of a blank line: the fields of any other, without values.
_BLANK: dict[str, Any] = {
    "text": "",
    "score": None,
    "tokens": [],
    "token_scores": [],
    "perplexity": None,
    "bits_per_byte": None,
}


@grouped
def score(
    files: opt.InputFiles = None,
    *,
    model: opt.Model,
    adapter: opt.Adapter = None,
    arguments: ScoreArguments,
    as_json: Annotated[
        bool,
        option(
            "--json",
            "Write a JSON object for each line: text, score, tokens, token_scores, perplexity "
            "and bits_per_byte.",
            panel="Output",
        ),
    ] = False,
    line_io: opt.ScoreIOOptions,
) -> None:
    """Score the likelihood of each line: TEXT, or for a translator SOURCE<TAB>TRANSLATION.

    A line gets its score, perplexity and bits per byte. --json-input reads what
    translate --json and generate --json write. The scores are then those that
    they reported, unless a coverage penalty, a constraint or a logits processor
    changed them, the text was split or its prompt was cut.
    """
    from tokenizer.quantities import format_count

    from ..io.line_reader import LineReader
    from ..io.loading import open_session

    reader = LineReader.from_options(named_inputs(files), line_io, whole_rows=True)
    session = open_session([model], line_io, reading=reader, adapter=adapter)
    show, pairs = _ScoreFormatter(session.lead, as_json=as_json), session.lead.config.has_encoder
    if output_is_terminal(line_io.out) and not (as_json or line_io.quiet):
        print_notice("score, perplexity and bits per byte of each line:")
    filter_lines(
        reader,
        line_io,
        lambda source, counts: session.score(source, arguments, counts),
        show,
        hint="type SOURCE, a tab and TRANSLATION; Ctrl-D ends" if pairs else HINT,
        tabs=pairs,
    )
    if not line_io.quiet and show.tokens:
        print_notice(
            f"{format_count(show.tokens, 'token')}: "
            f"perplexity {math.exp(show.nats / show.tokens):.4f}, "
            f"{show.nats / math.log(2) / max(1, show.size):.4f} bits per byte"
        )


class _ScoreFormatter:
    """Formatter of each line's figures, which it also sums over all lines."""

    def __init__(self, loaded: "LoadedModel", *, as_json: bool) -> None:
        from ..render.input_fields import InputFields

        self._loaded, self._as_json = loaded, as_json
        self.nats, self.tokens, self.size = 0.0, 0, 0
        self._fields = InputFields(_BLANK)

    def notices(self) -> list[str]:
        """Return the notices of all lines that were formatted."""
        return self._fields.notices() if self._as_json else []

    def __call__(self, answer: "Answer[Output]") -> Iterator[str]:
        """Yield the output line of one answer."""
        from transformer.pipelines.notices import notice_field, split_notices
        from transformer.pipelines.scoring import text_score

        _, earlier = split_notices(answer.line.fields)
        fields = self._fields(answer.line.fields)
        notices = notice_field(earlier, answer.notices)
        if not answer.outputs:
            record = _BLANK if answer.error is None else {"error": answer.error}
            yield json.dumps({**fields, **record, **notices}) if self._as_json else ""
            return
        found = text_score(self._loaded, answer)
        self.nats += found.nats
        self.tokens += len(found.token_scores)
        self.size += found.num_bytes
        if self._as_json:
            figures = {name: getattr(found, name) for name in _BLANK}
            yield json.dumps({**fields, **figures, **notices}, ensure_ascii=False)
        else:
            columns = [found.score, found.perplexity, found.bits_per_byte]
            yield "\t".join(f"{value:.4f}" for value in columns)
