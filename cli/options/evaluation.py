"""The options of the two doors of `evaluate`: translations, and running text."""

from dataclasses import dataclass

from .groups import changed_options, option_field


@dataclass(kw_only=True)
class TranslationScoreOptions:
    """Options of scoring translations."""

    source: str | None = option_field(
        None,
        "--source FILE",
        "File of lines to translate and score; needs --reference. - is stdin.",
    )
    reference: str | None = option_field(
        None, "--reference FILE", "File of reference translations, a line for each of --source."
    )
    tokenize: str = option_field(
        "auto",
        "--tokenize NAME",
        "With --source, sacreBLEU's tokenization for BLEU. auto: by the script of "
        "--reference, shown in the signature; or 13a, intl, char, zh, ja-mecab, ko-mecab, spm, "
        "flores101, flores200, spBLEU-1K, none (text is tokenized).",
    )
    beam: int | None = option_field(
        None,
        "--beam N",
        "With --source, number of beams (up to 1000); 1: greedy search. Default: the "
        "model's own, or 5.",
        min=1,
    )
    length_penalty: float | None = option_field(
        None,
        "--length-penalty A",
        "With --source, exponent in score = log p / length^A, from -10 to 10: the larger, the "
        "longer the translations that win. Default: the model's own, or 1.",
    )
    batch_tokens: int = option_field(
        4096,
        "--batch-tokens N",
        "With --source, most source tokens of a batch, counted for each beam, with "
        "padding; each CPU core has a batch.",
        min=1,
    )


@dataclass(kw_only=True)
class RunningTextOptions:
    """Options of predicting running text."""

    text: str | None = option_field(
        None, "--text FILE", "File of running text for a decoder-only model to predict. - is stdin."
    )
    column: str | None = option_field(
        None,
        "--column NAME",
        "With --text, the column of a table: a field of JSON, or of TSV and CSV a name in "
        "the first line or a number from 1. Default: text, or the only one.",
    )


def check_door(
    translations: TranslationScoreOptions, running_text: RunningTextOptions, *others: object
) -> None:
    """Raise ConfigError unless the options are of one door; `others` go with translations, too."""
    from transformer.errors import ConfigError

    source, text = translations.source, running_text.text
    if (source is None) != (translations.reference is None) or (source is None) == (text is None):
        raise ConfigError("give --source and --reference, or --text")
    if text is None:
        refused, door, chosen = changed_options(running_text), "--text", "--source"
    else:
        refused = [name for group in (translations, *others) for name in changed_options(group)]
        door, chosen = "--source", "--text"
    if refused:
        raise ConfigError(f"{', '.join(refused)}: with {door}, not with {chosen}")
