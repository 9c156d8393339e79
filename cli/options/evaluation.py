"""The options of the two doors of `evaluate`: translations, and running text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .groups import changed_options, option_field
from .names import TOKENIZATIONS


@dataclass(kw_only=True)
class TranslationScoreOptions:
    """Options of scoring translations."""

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
        "With --pairs, its two columns, such as 1,2 or en,de: numbers, or names, which are fields "
        "of JSON, or stand in the first line of a table. Default: the first two.",
        panel="Pairs",
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
        "padding; each CPU core has a batch.",
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
        "Write the translations that are scored to this file, replacing it, a line for each "
        "source.",
        panel="Output",
    )


@dataclass(kw_only=True)
class RunningTextOptions:
    """Options of predicting running text."""

    text: str | None = option_field(
        None,
        "--text FILE",
        "File of running text for a language model to predict. - is stdin.",
        panel="Running text",
    )
    column: str | None = option_field(
        None,
        "--column NAME",
        "With --text, the column of a table: a field of JSON, or of TSV and CSV a name in "
        "the first line or a number from 1. Default: text, or the only one.",
        panel="Running text",
    )


def check_door(
    translations: TranslationScoreOptions, running_text: RunningTextOptions, *others: object
) -> str | None:
    """Return the option that names the text to evaluate on; None for a run's own validation text.

    `others` go with translations, too. Raises ConfigError unless all options are of one door.
    """
    from transformer.errors import ConfigError

    source, pairs, text = translations.source, translations.pairs, running_text.text
    if (source is None) != (translations.reference is None):
        raise ConfigError("--source and --reference go together, line for line")
    doors = {"--source": source, "--pairs": pairs, "--text": text}
    named = [name for name, value in doors.items() if value is not None]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)}: give one text to evaluate on")
    if pairs is None and translations.columns is not None:
        raise ConfigError("--columns names the columns of --pairs, which is missing")
    if running_text.column is not None and text is None:
        other = f"not with {named[0]}" if named else "which is missing"
        raise ConfigError(f"--column: with --text, {other}")
    if text is not None:
        refuse_translation_options("not with --text", translations, *others)
    return named[0] if named else None


def one_model(models: Sequence[Path], text: str) -> Path:
    """Return the only model. Raises ConfigError for several, which only translate together."""
    from transformer.errors import ConfigError

    if len(models) == 1:
        return models[0]
    raise ConfigError(
        f"-m: several models translate together; the likelihood of {text} is one model's"
    )


def refuse_translation_options(reason: str, *groups: object) -> None:
    """Raise ConfigError for options that are of translations alone, with the reason."""
    from transformer.errors import ConfigError

    if refused := [name for group in groups for name in changed_options(group)]:
        raise ConfigError(f"{', '.join(refused)}: with --source or --pairs, {reason}")
