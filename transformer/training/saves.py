"""Saves of a run: at validations, between them by time or steps, and at stops."""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path

from checkpoints import write_file

from ..export import save_model
from ..folder_layout import INITIAL
from ..loading import ModelTexts
from ..loading.adapter_folder import write_base
from .adaptation import Adaptation
from .events import Saved
from .kept_texts import save_with_kept_texts
from .progress import Progress
from .recipe import Recipe
from .run_folder import save_state
from .run_recipe import RECIPE
from .save_interval import parse_save_interval
from .trainer import Trainer

_MAX_SHARE = 0.05  # of the time that saving by time may take, on a slow disk


class Saver:
    """A writer of a run's states and checkpoints, which knows when it last wrote.

    A save between validations is of the state alone: it writes no checkpoint, and so leaves the
    checkpoints that a run keeps as they are. `files` are those of the run that each state has too;
    its recipe, whose steps may have changed since, is written to the run's folder again. Of a run
    that trains an adapter, both are of that alone.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        trainer: Trainer,
        texts: ModelTexts,
        files: Mapping[str, bytes],
        *,
        adaptation: Adaptation | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recipe, self._folder, self._files = recipe, folder, files
        self._trainer, self._texts, self._adaptation = trainer, texts, adaptation
        self._interval = parse_save_interval(recipe.training.save_every)
        self._clock, self._saved_at, self._seconds = clock, clock(), 0.0
        self._saved: Progress | None = None  # as it was last saved

    def mark_saved(self, progress: Progress) -> None:
        """Note that a progress is what the folder has."""
        self._saved = deepcopy(progress)

    def is_saved(self, progress: Progress) -> bool:
        """Return True if the folder has this progress, and a checkpoint of its step."""
        has_checkpoint = progress.step in {0, progress.checkpoint_step}
        return self._saved == progress and has_checkpoint

    def is_due(self, progress: Progress) -> bool:
        """Return True if steps are to be saved that no validation saves."""
        if self._saved is not None and self._saved.step == progress.step:
            return False
        if steps := self._interval.steps:
            return progress.step > 0 and progress.step % steps == 0
        pause = max(self._interval.seconds, self._seconds * (1 / _MAX_SHARE - 1))
        return self._interval.seconds > 0 and self._clock() - self._saved_at >= pause

    def save(self, progress: Progress, *, checkpoint: bool = True) -> Saved:
        """Write the state to resume from, and a checkpoint unless there is nothing trained yet."""
        began = self._clock()
        has_checkpoint = checkpoint and progress.step > 0
        folder = save_state(
            self._folder,
            progress,
            keep=self._recipe.validation.keep,
            config=self._trainer.model.config,
            write_state=self._write_state,
            write_model=partial(self.write_model, progress) if has_checkpoint else None,
        )
        write_file(self._folder / RECIPE, self._files[RECIPE].decode())
        self.mark_saved(progress)
        self._saved_at = self._clock()
        self._seconds = self._saved_at - began
        return Saved(progress.step, folder)

    def write_model(self, progress: Progress, folder: Path) -> None:
        """Write the model of a progress as a checkpoint."""
        card = {"objective": self._recipe.objective, "steps": progress.step}
        if progress.init is not None:
            card["started from"] = progress.init
        with self._trainer.evaluating() as model:
            if self._adaptation is not None:
                self._adaptation.write(self._folder, folder, model, card, self._texts.labels)
                return
            network, labels = (model.config, model.state_dict()), self._texts.labels
            if (self._folder / INITIAL).is_dir():
                save_with_kept_texts(self._folder, folder, *network, card=card, labels=labels)
            else:
                affixes, tokenizer = self._texts.source_affixes, self._texts.tokenizer
                save_model(
                    folder, *network, tokenizer, card=card, source_affixes=affixes, labels=labels
                )

    def _write_state(self, folder: Path) -> None:
        self._trainer.save(folder)
        for name, content in self._files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        if self._adaptation is not None:
            write_base(folder, self._adaptation.base)
