"""The options of `evaluate`: texts of each kind, and how a model is measured on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from transformer.errors import ConfigError
from transformer.registry import either

from .groups import changed_options, option_field
from .names import TOKENIZATIONS


@dataclass(kw_only=True)
class EvaluationOptions:
    """The text that a model is measured on, and how; `DOORS` says what goes with which text."""

    source: str | None = option_field(
        None,
        "--source FILE",
        "File of lines to translate and score; needs --reference. - is stdin.",
        panel="Pairs",
    )
    reference: str | None = option_field(
        None,
        "--reference --target FILE",
        "File of reference translations, a line for each of --source.",
        panel="Pairs",
    )
    pairs: str | None = option_field(
        None,
        "--pairs FILE",
        "TSV, CSV, JSONL or JSON file with source and reference as columns; see --columns.",
        panel="Pairs",
    )
    columns: str | None = option_field(
        None,
        "--columns NAMES",
        "With --pairs, its two columns; with --labelled, a text or two, then the label; with "
        "--tagged, word and tag: by number, or by name in JSON or a table's first line. "
        "Default: the first two; labels: as they look; tags: the first and last.",
        panel="Input",
    )
    labelled: str | None = option_field(
        None,
        "--labelled FILE",
        "File of texts with labels, or of pairs of texts, for a classifier: TSV, CSV, JSONL or "
        "JSON, or lines of a label, a space and a text; see --columns.",
        panel="Labels",
    )
    label_separator: str | None = option_field(
        None,
        "--label-separator TEXT",
        "With --labelled, what stands between the labels of a text in a table, such as a comma. "
        "Default: as the run was trained, or none.",
        panel="Labels",
    )
    tagged: str | None = option_field(
        None,
        "--tagged FILE",
        "File of words with tags, for a tagger: columns, as CoNLL has them, or JSON of tokens and "
        "tags or of text and spans; see --columns. - is stdin.",
        panel="Labels",
    )
    text: str | None = option_field(
        None,
        "--text FILE",
        "File of running text for a language model to predict; a masked one predicts masked "
        "tokens, and another run does what it was trained to do. - is stdin.",
        panel="Running text",
    )
    column: str | None = option_field(
        None,
        "--column NAME",
        "With --text, the column of a table: a field of JSON, or of TSV and CSV a name in "
        "the first line or a number from 1. Default: text, or the only one.",
        panel="Running text",
    )
    conversations: str | None = option_field(
        None,
        "--conversations FILE",
        "JSONL or JSON file of messages, prompt and completion, or instruction and output, of "
        "which a language model predicts the answers. - is stdin.",
        panel="Running text",
    )
    tokenize: str | None = option_field(
        None,
        "--tokenize NAME",
        "Of translations, sacreBLEU's tokenization for BLEU: 13a, intl, char, zh, ja-mecab, "
        "ko-mecab, spm, flores101, flores200, spBLEU-1K, none (text is tokenized); auto goes by "
        "the script. Default: a run's own for its own text, else auto.",
        panel="Output",
        choices=TOKENIZATIONS,
    )
    beam: int | None = option_field(
        None,
        "--beam N",
        "Of translations, number of beams (up to 1000); 1: greedy search. Default: the "
        "model's own, or 5.",
        min=1,
        panel="Beam search",
    )
    length_penalty: float | None = option_field(
        None,
        "--length-penalty A",
        "Of translations, exponent in score = log p / length^A, from -10 to 10: the larger, the "
        "longer the translations that win. Default: the model's own, or 1.",
        panel="Beam search",
    )
    batch_tokens: int = option_field(
        4096,
        "--batch-tokens N",
        "Of translations, most source tokens of a batch, counted for each beam, with "
        "padding; each CPU core has a batch. Of labels and tags, most tokens of a batch.",
        min=1,
        panel="Running",
    )
    versus: Path | None = option_field(
        None,
        "--versus MODEL",
        "Translate with this model, too, and say if the difference is significant, by sacreBLEU's "
        "paired bootstrap of 1,000 samples.",
        panel="Model",
    )
    save_outputs: Path | None = option_field(
        None,
        "--save-outputs FILE",
        "Write what is scored to this file, replacing it: translations; or, with tabs between, "
        "each text's labels, those given, the first one's probability or the number, and the "
        "text; or each word, its tag and the one given, as CoNLL has them.",
        panel="Output",
    )


class Door(NamedTuple):
    """A kind of text to evaluate on."""

    field: str  # of the options, which names the text
    options: tuple[str, ...]  # others that go with it


_TRANSLATING = (
    *("--reference", "--tokenize", "--beam", "--length-penalty", "--batch-tokens", "--versus"),
    *("--save-outputs", "--from", "--to"),
)
DOORS = {
    "--source": Door("source", _TRANSLATING),
    "--pairs": Door("pairs", (*_TRANSLATING, "--columns")),
    "--labelled": Door(
        "labelled", ("--columns", "--label-separator", "--batch-tokens", "--save-outputs")
    ),
    "--tagged": Door("tagged", ("--columns", "--batch-tokens", "--save-outputs")),
    "--text": Door("text", ("--column",)),
    "--conversations": Door("conversations", ()),
}
_OF_FILES = ("--columns", "--label-separator", "--column")  # a run's own text needs none of them


def check_door(options: EvaluationOptions, *others: object) -> str | None:
    """Return the option that names the text to evaluate on; None for a run's own validation text.

    Raises ConfigError unless all options, and those of the groups `others`, go with that text.
    """
    if (options.source is None) != (options.reference is None):
        raise ConfigError("--source and --reference go together, line for line")
    named = [name for name, door in DOORS.items() if getattr(options, door.field) is not None]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)}: give one text to evaluate on")
    if named:
        check_options(named[0], f"not with {named[0]}", options, *others)
        return named[0]
    for name in set(changed_options(options)) & {*_OF_FILES}:
        raise ConfigError(f"{name}: with {either(_doors_of(name))}, which is missing")
    return None


def check_options(door: str | None, reason: str, *groups: object) -> None:
    """Raise ConfigError for options that do not go with a door, with the reason; None: for any."""
    allowed = () if door is None else (door, *DOORS[door].options)
    refused = [name for each in groups for name in changed_options(each) if name not in allowed]
    if refused:
        doors = [each for each in DOORS if all(each in _doors_of(name) for name in refused)]
        belongs = f"with {either(doors or _doors_of(refused[0]))}, "
        raise ConfigError(f"{', '.join(refused)}: {belongs}{reason}")


def _doors_of(name: str) -> list[str]:
    return [each for each, door in DOORS.items() if name in door.options]


def one_model(models: Sequence[Path], text: str) -> Path:
    """Return the only model. Raises ConfigError for several, which only translate together."""
    if len(models) == 1:
        return models[0]
    raise ConfigError(
        f"-m: several models translate together; what is measured on {text} is one model's"
    )
