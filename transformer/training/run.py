"""A training run: from a recipe to a folder with a trained model, as a stream of events."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from tokenizer import CorpusError
from tokenizer.quantities import format_count

from ..config import TransformerConfig
from ..errors import ConfigError, DivergedError
from ..folder_layout import has_saves
from ..loading import choose_device
from ..memory import limit_kernel_caches, release_freed_memory
from .adaptation import Adaptation, make_adaptation
from .events import (
    Choice,
    Event,
    Notice,
    Remark,
    RunFinished,
    RunOutcome,
    Saved,
    Stage,
    StepsChanged,
    Validating,
)
from .initial_model import load_initial_model, resumed_model
from .kept_texts import state_files
from .metrics import logged
from .network import network, network_config, new_head_remarks
from .network_notices import network_notices
from .objectives import TRAIN, VALID
from .planning.memory import check_memory
from .planning.planner import Planner
from .preparation import Preparation
from .progress import Progress
from .recipe import Recipe
from .recipe_checks import check_recipe, smallest_config
from .recipe_resolution import (
    changed_settings,
    check_unchanged,
    read_run_recipe,
    resuming_remark,
)
from .run_folder import create_run_folder
from .run_lock import RunLock
from .run_outcome import find_outcome
from .run_recipe import RECIPE, sealed_recipe, write_run_recipe
from .run_recovery import SavedState, find_state, mend, restore_files
from .run_start import started_event
from .saves import Saver
from .text_identity import absolute_paths
from .trainable import trainable_set
from .trainer import Trainer
from .validation import Validation, compare_validations, record_validation

_RELEASE = 20  # steps between releases of freed memory: 1% of the time of the Multi30k recipe


class Run:
    """A run in its folder; `events` trains.

    `resume` continues the run that the folder holds, `init` starts from a model's weights, and
    training is saved and ends once `stop` returns True. `planner` completes the recipe of a run
    that begins. Raises what `check_recipe` raises.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        device: str = "auto",
        resume: bool = False,
        init: Path | None = None,
        stop: Callable[[], bool] = lambda: False,
        planner: Planner | None = None,
    ) -> None:
        self.recipe, self.folder, self.resume, self.stop = recipe, folder, resume, stop
        self.planner, self.device = planner or Planner(), choose_device(device)
        self.init = None if init is None else load_initial_model(init, recipe)
        self.progress = Progress(init=None if init is None else str(init))
        self.adaptation: Adaptation | None = None
        self._began, self._resumed_at = time.monotonic(), 0
        self._saved_files: dict[str, bytes] = {}  # of the run, which each state has too
        if not has_saves(folder):  # before there is a folder
            if self.init is not None:
                self.recipe = self.planner.recipe_for(recipe, self.init.config)
            self._check_recipe(resuming=False)

    def events(self) -> Iterator[Event]:
        """Train from the last saved step, if any, to the recipe's last one, or until `stop()`.

        Each event is in the run's log when it comes. The folder is looked at once it is locked:
        raises BusyError for one in which another process trains, and ConfigError for one with a
        run unless `resume`, or with a run of another recipe.
        """
        limit_kernel_caches(primitives=0)  # batches hardly ever have the same shape twice
        with RunLock(self.folder) as lock:
            if not lock.is_supported:
                yield Notice(f"{self.folder} cannot be locked: let no other run write there")
            yield from logged(self._events(), self.folder)

    def _events(self) -> Iterator[Event]:
        resuming = has_saves(self.folder)
        if resuming and not self.resume:
            raise ConfigError(
                f"{self.folder} holds a run already: continue it with --resume, or choose another "
                "folder with -o"
            )
        self._check_recipe(resuming=resuming)
        create_run_folder(self.folder)
        state = None
        if resuming:
            check_unchanged(self.folder, self.recipe)
            yield Stage(f"checking the files of {self.folder}")
            state = find_state(self.folder)
            yield from map(Notice, restore_files(self.folder, state))
            yield from self._resume(state)
            self.init = resumed_model(self.folder, state.folder, self.init, self.recipe)
        elif self.resume:
            yield Remark(f"nothing is saved in {self.folder}: the run begins")
        initial = None if resuming else self.init
        self.adaptation = make_adaptation(self.recipe, self.init)
        preparation = Preparation(self.recipe, self.folder, resuming=resuming, initial=initial)
        preparation.check()
        yield from self._train(preparation, state)

    def _resume(self, state: SavedState) -> Iterator[Event]:
        """Go on by the steps that a run of some time had decided on, and tell what changed."""
        saved, budget = read_run_recipe(self.folder), state.progress.budget
        self.recipe = self.planner.resume(self.recipe, saved, budget)
        yield Remark(resuming_remark(self.recipe, state.progress.step))
        is_timed = self.planner.budget is not None
        if changes := changed_settings(saved, self.recipe, budget=budget, is_timed=is_timed):
            yield Notice(f"changed since the run was saved: {', '.join(changes)}")

    def _train(self, preparation: Preparation, state: SavedState | None) -> Iterator[Event]:
        with preparation.spool:
            if self.planner.chooses and not preparation.resuming:
                yield Stage("measuring the text and this machine")
                choices = self.planner.choose(preparation.readable_recipe(), self.device, self.init)
                self.recipe = preparation.recipe = choices.recipe
                self._check_recipe(resuming=True)  # its files were read
                yield from map(Choice, choices.lines)
            write_run_recipe(self.folder, absolute_paths(self.recipe))
            yield Stage("preparing the tokenizer", preparation.lines_read)
            texts = preparation.texts()
            self.init = preparation.initial or self.init  # may have grown
            yield Stage("preparing the data", preparation.lines_read)
            yield from preparation.events(texts)
        self._saved_files = state_files(self.folder)
        train, valid = (preparation.open(texts, part) for part in (TRAIN, VALID))
        if train is None:
            raise CorpusError("nothing is left to train on: all is blank or left out, as told")
        labels = preparation.labels()
        texts = replace(texts, labels=() if labels is None else labels.head_names)
        told = (self.recipe, texts.tokenizer, self.init, self.folder, state)
        config = network_config(*told, labels=labels)
        if state is None:
            yield from self._remarks(config, texts.labels)
        trained = trainable_set(config, self.recipe.training, self.adaptation).trained
        check_memory(config, self.recipe.training, self.device, trained=trained)
        done = 0 if state is None else state.progress.step
        self._keep_recipe(self.planner.fit(self.recipe, config, train, self.device, done=done))
        write_run_recipe(self.folder, absolute_paths(self.recipe))
        model = network(
            *(config, self.init, self.adaptation), seed=self.recipe.seed, labels=texts.labels
        )
        trainer = Trainer(model.to(self.device), train, self.recipe)
        saver = Saver(
            *(self.recipe, self.folder, trainer, texts, self._saved_files),
            adaptation=self.adaptation,
        )
        if state is not None:
            yield from map(Notice, self._restore(trainer, saver, state))
        validation = None
        if valid is not None:
            validation = Validation(self.recipe, self.folder, texts, valid, self.stop)
        yield from compare_validations(self.recipe, self.progress, validation)
        every = 0 if validation is None else self.recipe.validation.every
        started = started_event(trainer, every, self.progress)
        yield started._replace(is_timed=self.planner.budget is not None)
        yield from self._steps(trainer, saver, validation)

    def _remarks(self, config: TransformerConfig, labels: Sequence[str]) -> Iterator[Event]:
        """Tell of a new head, and of what the network leaves out of its recipe."""
        if self.init is not None:
            yield from map(Remark, new_head_remarks(self.init, config, labels))
        yield from map(Notice, network_notices(self.recipe.model, config, self.init))

    def _keep_recipe(self, recipe: Recipe) -> None:
        """Go on by a recipe, which the run's next state and its folder get together."""
        self.recipe = recipe
        self._saved_files[RECIPE] = sealed_recipe(absolute_paths(recipe)).encode()

    def _save(self, saver: Saver, *, checkpoint: bool = True) -> Saved:
        """Save, with the time that is used by now."""
        self.progress.budget = self.planner.count_time(self.recipe)
        return saver.save(self.progress, checkpoint=checkpoint)

    def _check_recipe(self, *, resuming: bool) -> None:
        config = None if self.init is None else self.init.config
        adaptation = None if resuming else make_adaptation(self.recipe, self.init)
        check_recipe(self.recipe, config, resuming=resuming, adaptation=adaptation)
        if config is None:
            check_memory(smallest_config(self.recipe), self.recipe.training, self.device)

    def _steps(
        self, trainer: Trainer, saver: Saver, validation: Validation | None
    ) -> Iterator[Event]:
        """Alternate between steps, validations and saving."""
        self.planner.deadline.begin(trainer.steps_done)
        while True:
            if self._due() and not self.stop():
                yield from self._reports(trainer, flush=True)
                with self.planner.deadline.validating():
                    yield from self._validate(trainer, saver, validation)
            if reason := self._reason_to_end():
                told = (self.recipe, self.folder, self.progress, trainer, validation)
                outcome = find_outcome(*told, adaptation=self.adaptation)
                yield self._finished(reason, outcome)
                return
            if self.stop():
                yield from self._reports(trainer, flush=True)
                if not saver.is_saved(self.progress):
                    yield self._save(saver)
                yield self._finished("interrupted and saved", None)
                return
            if saver.is_due(self.progress):
                yield from self._reports(trainer, flush=True)
                yield self._save(saver, checkpoint=False)
            if trainer.steps_done % _RELEASE == 0 and self.device.type == "cpu":
                release_freed_memory()
            trainer.step()
            self.progress.step = trainer.steps_done
            yield from self._reports(trainer)
            if corrected := self.planner.corrected(self.recipe, trainer.steps_done):
                self.progress.interval_moved |= corrected.validation != self.recipe.validation
                self._keep_recipe(corrected)
                trainer.recipe = corrected
                every = 0 if validation is None else corrected.validation.every
                yield StepsChanged(corrected.training.steps, every)

    def _reports(self, trainer: Trainer, *, flush: bool = False) -> Iterator[Event]:
        """Yield the results of steps. Raises DivergedError for too many skipped ones in a row."""
        for report in trainer.reports(flush=flush):
            yield report
            self.progress.record_step(report, max_skipped=self.recipe.training.max_skipped)

    def _reason_to_end(self) -> str:
        """Return the reason why the run is at its end, "" if it is not."""
        patience = self.recipe.validation.patience
        if self.progress.out_of_patience(patience):
            return f"no improvement in {format_count(patience, 'validation')}"
        is_last = self.progress.step >= self.recipe.training.steps and not self._due()
        return "all steps done" if is_last else ""

    def _finished(self, reason: str, outcome: RunOutcome | None) -> RunFinished:
        seconds, progress = time.monotonic() - self._began, self.progress
        time_given = "" if self.planner.budget is None else self.planner.budget.time
        told = (progress.skipped, seconds, self._resumed_at, outcome, time_given)
        return RunFinished(progress.step, reason, outcome is None, *told)

    def _due(self) -> bool:
        every, steps = self.recipe.validation.every, self.recipe.training.steps
        return self.progress.validation_due(every=every, steps=steps)

    def _validate(
        self, trainer: Trainer, saver: Saver, validation: Validation | None
    ) -> Iterator[Event]:
        """Validate and save. A validation that `stop()` cuts short is repeated on resuming.

        On an unexpected error, the steps before it are saved first.
        """
        if validation is not None:
            yield Validating(self.progress.step)
            try:
                result = validation.compute(trainer)
            except DivergedError:
                raise
            except Exception:
                self._save(saver)
                raise
            if result is None:
                return
            yield from record_validation(self.recipe, self.progress, result)
        self.progress.validated_step = self.progress.step
        yield self._save(saver)

    def _restore(self, trainer: Trainer, saver: Saver, state: SavedState) -> Iterator[str]:
        """Restore the state, and mend the run's folder; yield notices."""
        self.progress, self._resumed_at = state.progress, state.progress.step
        trainer.restore(state.folder, state.progress.step)
        write_model = partial(saver.write_model, self.progress)
        yield from mend(self.folder, state, write_model, metric=self.recipe.validation.metric)
        saver.mark_saved(self.progress)
