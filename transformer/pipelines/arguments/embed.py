"""Arguments of embedding texts."""

from dataclasses import dataclass

from ...errors import ConfigError
from .argument import argument, batch_argument, check_values, global_tokens_argument
from .names import POOLING_NAMES


@dataclass(frozen=True, kw_only=True)
class EmbedArguments:
    """Arguments of embedding texts. None: the model's own setting."""

    pooling: str | None = argument(
        None,
        "--pooling NAME",
        "Combine the states of tokens: their mean, the first, the last, the max of each "
        "dimension, mean-sqrt (their sum by the root of their number) or weighted-mean (later "
        "tokens count more). Default: the model's own; of encoders, mean.",
        panel="Output",
        choices=POOLING_NAMES,
    )
    normalize: bool | None = argument(
        None,
        "--normalize/--no-normalize",
        "Scale each vector to length 1, or not. Default: the model's own, or scale.",
        panel="Output",
    )
    prompt: str | None = argument(
        None,
        "--prompt TEXT",
        "Put TEXT before each text, such as 'query: '. Empty: nothing, not even the model's own. "
        "Default: the model's default prompt, if it has one.",
        panel="Input",
    )
    prompt_name: str | None = argument(
        None,
        "--prompt-name NAME",
        "Put the model's prompt of this name before each text, such as query or passage.",
        panel="Input",
    )
    global_tokens: int | None = global_tokens_argument()
    batch_tokens: int = batch_argument()

    def __post_init__(self) -> None:
        """Raise ConfigError for a number out of bounds, an unknown pooling and two prompts."""
        from ...pooling import POOLINGS

        check_values(self)
        if self.prompt is not None and self.prompt_name is not None:
            raise ConfigError("--prompt and --prompt-name both say what to put before each text")
        if self.pooling is not None:
            POOLINGS.check(self.pooling)
