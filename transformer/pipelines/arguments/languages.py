"""Arguments of languages, for models with language tokens."""

from dataclasses import dataclass

from .argument import argument


@dataclass(frozen=True, kw_only=True)
class LanguageArguments:
    """Languages of a translation."""

    source_language: str | None = argument(
        None,
        "--from NAME",
        "Language of the source, such as de or deu_Latn, for models with language tokens.",
        panel="Languages",
    )
    target_language: str | None = argument(
        None,
        "--to NAME",
        "Language to translate into, such as de or deu_Latn, for multilingual models.",
        panel="Languages",
    )
