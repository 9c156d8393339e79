"""A model to measure, and how."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from transformer.loading import LoadedModel
from transformer.pipelines.arguments.languages import LanguageArguments

from ..console import print_notice, progress_enabled
from ..io.line_progress import LineProgress
from ..options.evaluation import EvaluationOptions, check_options, one_model


class Job(NamedTuple):
    """Models to measure, the text to measure them on, and how."""

    models: Sequence[Path]  # of which several translate together
    options: EvaluationOptions
    languages: LanguageArguments
    load: Callable[[Path], LoadedModel]
    quiet: bool

    def load_only(self, text: str) -> LoadedModel:
        """Load the only model. Raises ConfigError for several, which `text` is not for."""
        return self.load(one_model(self.models, text))

    def check_own(self, door: str | None, run: Path, kind: str) -> None:
        """Raise ConfigError for options that do not go with a run's own text, as with a door."""
        reason = f"and {run} validates on {kind}"
        check_options(door, reason, self.options, self.languages)

    def tell_own(self, run: Path, size: str) -> None:
        """Tell on which text of a run its model is measured."""
        if not self.quiet:
            print_notice(f"the validation text of {run}: {size}")

    def token_progress(self) -> LineProgress:
        """Return the progress of work on tokens."""
        return LineProgress(enabled=progress_enabled(self.quiet), unit="token")
