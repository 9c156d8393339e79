"""A training run: from a recipe to a folder with a trained model, as a stream of events."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path

from tokenizer import CorpusError, Tokenizer

from ..config import TransformerConfig
from ..errors import ConfigError, DivergedError
from ..export import save_model
from ..folder_layout import has_saves
from ..initialization import initialize
from ..loading import choose_device
from ..memory import limit_kernel_caches, release_freed_memory
from ..model import Transformer
from ..parameters import count_parameters
from .events import (
    Choice,
    Event,
    Notice,
    RunFinished,
    RunStarted,
    Saved,
    Stage,
    StepsChanged,
    Validated,
    Validating,
)
from .initial_model import load_initial_model
from .metrics import logged
from .objectives import OBJECTIVES, TRAIN, VALID
from .planning.memory import check_memory
from .planning.planner import Planner
from .preparation import Preparation
from .prepared_folder import TOKENIZER
from .progress import Progress
from .recipe import Recipe, has_validation
from .recipe_resolution import check_recipe, check_unchanged, model_config
from .run_folder import create_run_folder, read_state_config, save_checkpoint
from .run_lock import RunLock
from .run_recipe import RECIPE, recipe_notice, sealed_recipe, write_run_recipe
from .run_recovery import SavedState, find_state, mend, restore_file, tokenizer_copy
from .selection import fallback_notice, selection_key
from .text_identity import absolute_paths
from .trainer import Trainer
from .validation import Validation, ValidationResult

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
        self.planner = planner or Planner()
        self.recipe, self.folder, self.resume, self.stop = recipe, folder, resume, stop
        self.device = choose_device(device)
        self.init = None if init is None else load_initial_model(init)
        self.progress = Progress(init=None if init is None else str(init))
        self._saved: Progress | None = None  # as it was last saved
        self._saved_files: dict[str, bytes] = {}  # of the run, which each state has too
        if not has_saves(folder):  # before there is a folder
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
            yield from map(Notice, self._restore_files(state))
        initial = None if self.init is None else self.init.tokenizer
        preparation = Preparation(self.recipe, self.folder, resuming=resuming, initial=initial)
        preparation.check()
        yield from self._train(preparation, state)

    def _train(self, preparation: Preparation, state: SavedState | None) -> Iterator[Event]:
        with preparation.spool:
            if self.planner.chooses and not preparation.resuming:
                yield Stage("measuring the text and this machine")
                choices = self.planner.choose(preparation.readable_recipe(), self.device)
                self.recipe = preparation.recipe = choices.recipe
                self._check_recipe(resuming=True)  # its files were read
                yield from map(Choice, choices.lines)
            write_run_recipe(self.folder, absolute_paths(self.recipe))
            yield Stage("preparing the tokenizer", preparation.lines_read)
            tokenizer = preparation.tokenizer()
            yield Stage("preparing the data", preparation.lines_read)
            yield from preparation.events(tokenizer)
        self._saved_files = {TOKENIZER: (self.folder / TOKENIZER).read_bytes()}
        train, valid = (preparation.open(tokenizer, part) for part in (TRAIN, VALID))
        if train is None:
            raise CorpusError("the training text is empty: no line has any text")
        config = self._config(tokenizer, state)
        done = 0 if state is None else state.progress.step
        self._keep_recipe(self.planner.fit(self.recipe, config, train, self.device, done=done))
        trainer = Trainer(self._model(tokenizer, state), train, self.recipe)
        if state is not None:
            yield from map(Notice, self._restore(trainer, tokenizer, state))
        validation = None
        if valid is not None:
            validation = Validation(self.recipe, self.folder, tokenizer, valid, self.stop)
        yield from self._compare(validation)
        yield RunStarted(
            count_parameters(trainer.model.config),
            str(self.device),
            self.recipe.training.steps,
            trainer.steps_done,
            train.batches_per_epoch,
            self.recipe.training.accumulate,
            0 if validation is None else self.recipe.validation.every,
        )
        yield from self._steps(trainer, tokenizer, validation)

    def _keep_recipe(self, recipe: Recipe) -> None:
        """Go on by a recipe, and keep it in the run's folder and in its states."""
        self.recipe = recipe
        write_run_recipe(self.folder, absolute_paths(recipe))
        self._saved_files[RECIPE] = sealed_recipe(absolute_paths(recipe)).encode()

    def _compare(self, validation: Validation | None) -> Iterator[Event]:
        """Note what validations measure, for the best one; tell where that is not what it was."""
        if validation is None:
            self.progress.forget_best()
            if has_validation(self.recipe.data):
                yield Notice(
                    "nothing of the validation text can be read: the last checkpoint counts as the "
                    "best"
                )
            else:
                yield Stage("no validation text: the last checkpoint counts as the best")
            return
        drawn = OBJECTIVES[self.recipe.objective].draws_validation(self.recipe)
        if self.progress.set_measure(validation.measure(), may_differ=drawn):
            yield Notice(
                "the validation text, or how it is scored, is not what it was: scores of before do "
                "not compare, and the next validation counts as the best"
            )

    def _check_recipe(self, *, resuming: bool) -> None:
        config = None if self.init is None else self.init.config
        check_recipe(self.recipe, config, resuming=resuming)
        if config is None:
            smallest = model_config(self.recipe, self.recipe.model.get("vocab_size") or 1)
            check_memory(smallest, self.recipe.training, self.device)

    def _steps(
        self, trainer: Trainer, tokenizer: Tokenizer, validation: Validation | None
    ) -> Iterator[Event]:
        """Alternate between steps, validations and saving."""
        patience = self.recipe.validation.patience
        self.planner.deadline.begin(trainer.steps_done)
        while True:
            if self._due() and not self.stop():
                yield from self._reports(trainer, flush=True)
                with self.planner.deadline.validating():
                    yield from self._validate(trainer, tokenizer, validation)
            if self.progress.out_of_patience(patience):
                yield self._finished(f"no improvement in {patience} validations")
                return
            if trainer.steps_done >= self.recipe.training.steps and not self._due():
                yield self._finished("all steps done")
                return
            if self.stop():
                yield from self._reports(trainer, flush=True)
                if self._saved != self.progress:
                    yield self._save(trainer, tokenizer)
                yield self._finished("interrupted and saved", interrupted=True)
                return
            if trainer.steps_done % _RELEASE == 0 and self.device.type == "cpu":
                release_freed_memory()
            trainer.step()
            self.progress.step = trainer.steps_done
            yield from self._reports(trainer)
            if corrected := self.planner.corrected(self.recipe, trainer.steps_done):
                self._keep_recipe(corrected)
                trainer.recipe = corrected
                every = 0 if validation is None else corrected.validation.every
                yield StepsChanged(corrected.training.steps, every)

    def _reports(self, trainer: Trainer, *, flush: bool = False) -> Iterator[Event]:
        """Yield the results of steps. Raises DivergedError for too many skipped ones in a row."""
        for report in trainer.reports(flush=flush):
            yield report
            self.progress.record_step(report, max_skipped=self.recipe.training.max_skipped)

    def _finished(self, reason: str, *, interrupted: bool = False) -> RunFinished:
        return RunFinished(self.progress.step, reason, interrupted, self.progress.skipped)

    def _due(self) -> bool:
        every, steps = self.recipe.validation.every, self.recipe.training.steps
        return self.progress.validation_due(every=every, steps=steps)

    def _validate(
        self, trainer: Trainer, tokenizer: Tokenizer, validation: Validation | None
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
                self._save(trainer, tokenizer)
                raise
            if result is None:
                return
            yield from self._record(result)
        self.progress.validated_step = self.progress.step
        yield self._save(trainer, tokenizer)

    def _record(self, result: ValidationResult) -> Iterator[Event]:
        """Count a whole validation and report it, and once if another metric has to decide."""
        metric, progress, likelihood = self.recipe.validation.metric, self.progress, result[0]
        decides, key = selection_key(metric, likelihood.loss, result.scores)
        best = progress.record_validation(key)
        if decides != metric and decides not in progress.announced:
            progress.announced.append(decides)
            yield Notice(fallback_notice(metric, decides))
        loss, perplexity = likelihood.loss, likelihood.perplexity
        yield Validated(
            progress.step, loss, perplexity, result.scores, result.sample, best, decides
        )

    def _save(self, trainer: Trainer, tokenizer: Tokenizer) -> Saved:
        """Write a checkpoint and the state to resume from."""
        checkpoint = save_checkpoint(
            self.folder,
            self.progress,
            keep=self.recipe.validation.keep,
            config=trainer.model.config,
            write_model=partial(self._write_model, trainer, tokenizer),
            write_state=partial(self._write_state, trainer),
        )
        self._saved = deepcopy(self.progress)
        return Saved(trainer.steps_done, checkpoint)

    def _write_model(self, trainer: Trainer, tokenizer: Tokenizer, folder: Path) -> None:
        card = {"objective": self.recipe.objective, "steps": trainer.steps_done}
        if self.progress.init is not None:
            card["started from"] = self.progress.init
        with trainer.evaluating() as model:
            save_model(folder, model.config, model.state_dict(), tokenizer, card=card)

    def _write_state(self, trainer: Trainer, folder: Path) -> None:
        trainer.save(folder)
        for name, content in self._saved_files.items():
            (folder / name).write_bytes(content)

    def _restore_files(self, state: SavedState) -> Iterator[str]:
        """Restore the run's files that its state has too; yield notices."""
        yield from state.notices
        if notice := recipe_notice(self.folder):
            yield notice
        if notice := restore_file(tokenizer_copy(self.folder, state), self.folder / TOKENIZER):
            yield notice

    def _restore(self, trainer: Trainer, tokenizer: Tokenizer, state: SavedState) -> Iterator[str]:
        """Restore the state, and mend the run's folder; yield notices."""
        self.progress = state.progress
        trainer.restore(state.folder, state.progress.step)
        write_model = partial(self._write_model, trainer, tokenizer)
        metric = self.recipe.validation.metric
        yield from mend(self.folder, state, write_model, metric=metric)
        self._saved = deepcopy(self.progress)

    def _model(self, tokenizer: Tokenizer, state: SavedState | None) -> Transformer:
        if self.init is not None:
            return self.init.model.to(self.device).requires_grad_(True)
        model = Transformer(self._config(tokenizer, state))
        initialize(model, seed=self.recipe.seed)
        return model.to(self.device)

    def _config(self, tokenizer: Tokenizer, state: SavedState | None) -> TransformerConfig:
        if self.init is not None:
            return self.init.config
        if state is None:
            return model_config(self.recipe, tokenizer.vocab_size)
        # after --init, the configuration is the initial model's
        last = None if state.pointers is None else state.pointers.last
        return read_state_config(self.folder, state.folder, last)
