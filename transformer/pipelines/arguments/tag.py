"""Arguments of tagging the words of texts."""

from dataclasses import dataclass

from .argument import argument, batch_argument, check_values, global_tokens_argument

WORD_RULE_NAMES = ("words", "spaces")  # of WORD_SPLITTERS


@dataclass(frozen=True, kw_only=True)
class TagArguments:
    """Arguments of tagging the words of texts."""

    words: str = argument(
        "words",
        "--words RULE",
        "A word is: letters and digits in a row, and each other sign (words); or what stands "
        "between white space, for text that is split already, such as CoNLL's (spaces).",
        choices=WORD_RULE_NAMES,
        panel="Input",
    )
    threshold: float = argument(
        0.0,
        "--threshold P",
        "Leave out spans of lower probability.",
        min=0.0,
        max=1.0,
        panel="Output",
    )
    global_tokens: int | None = global_tokens_argument()
    batch_tokens: int = batch_argument(
        "Most tokens of a batch: its lines, or windows of long ones, times the longest."
    )

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of bounds."""
        check_values(self)
