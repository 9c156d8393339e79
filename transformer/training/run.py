"""A run: from a recipe to a folder with a trained model, as a stream of events."""

import hashlib
import math
import shutil
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from checkpoints import (
    read_json,
    remove_leftovers,
    to_json,
    verify_checksums,
    write_file,
    write_folder,
)
from tokenizer import CorpusCounts, CorpusError, Tokenizer, train_tokenizer

from ..data import Data
from ..errors import ConfigError, DivergedError
from ..evaluation import likelihood
from ..export import save_model
from ..initialization import initialize
from ..loading import (
    RUN,
    LoadedModel,
    choose_device,
    default_generation_config,
    load_model,
    read_config,
)
from ..memory import limit_kernel_caches, release_freed_memory
from ..model import Transformer
from ..parameters import count_parameters
from .events import Event, Notice, RunFinished, RunStarted, Saved, Validated
from .objectives import OBJECTIVES, TRAIN, VALID
from .progress import REMEDY, Progress
from .recipe import Recipe, recipe_to_toml
from .recipe_resolution import (
    RECIPE,
    check_recipe,
    check_unchanged,
    data_paths,
    model_config,
    tokenizer_options,
)
from .trainer import Trainer

STATE = "state.json"
_RELEASE = 20  # steps between releases of freed memory: 1% of the time of the Multi30k recipe


class Run:
    """One run in its folder. `events` trains; everything else belongs to it."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        device: str = "auto",
        resume: bool = False,
        init: Path | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.recipe, self.folder, self.stop = recipe, folder, stop
        self.objective = OBJECTIVES[recipe.objective]
        self.device = choose_device(device)
        self.init = None if init is None else load_model(init, device="cpu", trust_cache=False)
        self.progress = Progress()
        self.counts = CorpusCounts()
        self.resuming = (folder / RUN).is_file()
        if self.resuming and not resume:
            raise ConfigError(
                f"{folder} holds a run already: --resume goes on with it, or choose another "
                "folder with -o"
            )
        if self.init is not None:
            _check_trainable(self.init)
        check_recipe(recipe, self.init.config if self.init is not None else None)
        if self.resuming:
            check_unchanged(folder, recipe)

    def events(self) -> Iterator[Event]:
        """Train from wherever the folder stands to the recipe's end, or until `stop()`."""
        limit_kernel_caches(primitives=0)  # batches hardly ever have the same shape twice
        for place in (self.folder, self.folder / "checkpoints", self.folder / "training"):
            place.mkdir(parents=True, exist_ok=True)
            remove_leftovers(place)
        write_file(self.folder / RECIPE, recipe_to_toml(self.recipe))
        yield Notice("preparing the data")
        tokenizer = self._tokenizer()
        yield from self._prepare(tokenizer)
        train, valid = (self._open(tokenizer, part) for part in (TRAIN, VALID))
        if train is None:
            raise CorpusError("the training text is empty: no line has anything on it")
        if valid is None:
            yield Notice("no validation text: the last checkpoint will be taken for the best")
        trainer = Trainer(self._model(tokenizer), train, self.recipe)
        if self.resuming:
            self._restore(trainer)
        yield RunStarted(
            count_parameters(trainer.model.config),
            str(self.device),
            self.recipe.training.steps,
            trainer.steps_done,
            train.batches_per_epoch,
        )
        yield from self._steps(trainer, tokenizer, valid)

    def _steps(self, trainer: Trainer, tokenizer: Tokenizer, valid: Data | None) -> Iterator[Event]:
        """Step, validate and save by turns. What an interrupt cuts short is made up on resuming."""
        patience = self.recipe.validation.patience
        while True:
            if self._due() and not self.stop():
                yield from self._reports(trainer, flush=True)
                if valid is not None:
                    yield from self._validate_safely(trainer, tokenizer, valid)
                if not self.stop():
                    self.progress.validated_step = self.progress.step
                    yield self._save(trainer, tokenizer)
            if self.progress.out_of_patience(patience):
                yield self._finished(f"no improvement in {patience} validations")
                return
            if trainer.steps_done >= self.recipe.training.steps and not self._due():
                yield self._finished("all steps done")
                return
            if self.stop():
                yield from self._reports(trainer, flush=True)
                yield self._save(trainer, tokenizer)
                yield self._finished("interrupted and saved", interrupted=True)
                return
            if trainer.steps_done % _RELEASE == 0 and self.device.type == "cpu":
                release_freed_memory()
            trainer.step()
            self.progress.step = trainer.steps_done
            yield from self._reports(trainer)

    def _reports(self, trainer: Trainer, *, flush: bool = False) -> Iterator[Event]:
        """Tell what came of steps. Raises DivergedError for too many without numbers in a row."""
        for report in trainer.reports(flush=flush):
            yield report
            self.progress.record_step(report, max_skipped=self.recipe.training.max_skipped)

    def _finished(self, reason: str, *, interrupted: bool = False) -> RunFinished:
        return RunFinished(self.progress.step, reason, interrupted, self.progress.skipped)

    def _due(self) -> bool:
        every, steps = self.recipe.validation.every, self.recipe.training.steps
        return self.progress.validation_due(every=every, steps=steps)

    def _validate_safely(
        self, trainer: Trainer, tokenizer: Tokenizer, valid: Data
    ) -> Iterator[Event]:
        """Validate; should that fail, save the steps that led to it first."""
        try:
            found = self._validate(trainer, tokenizer, valid)
        except DivergedError:
            raise
        except Exception:
            self._save(trainer, tokenizer)
            raise
        if found is not None:
            yield found

    def _validate(self, trainer: Trainer, tokenizer: Tokenizer, valid: Data) -> Validated | None:
        """Loss, scores and a sample; None where a stop was asked for meanwhile."""
        data = self.folder / "data"
        with trainer.evaluating() as model:
            batches = takewhile(lambda _: not self.stop(), valid.in_order())
            with trainer.forward_precision():  # texts are decoded in float32, as they will be
                found = likelihood(model, batches)
            if not math.isfinite(found.loss):
                raise DivergedError(f"the validation loss is {found.loss}: {REMEDY}")
            loaded = LoadedModel(
                model, tokenizer, default_generation_config(tokenizer), self.folder
            )
            if self.stop():
                return None
            scores = self.objective.scores(loaded, self.recipe, data)
            sample = self.objective.sample(loaded, self.recipe, data)
        metric = self.recipe.validation.metric
        value = -found.loss if metric == "loss" else scores[metric].value
        best = self.progress.record_validation(value)
        return Validated(trainer.steps_done, found.loss, found.perplexity, scores, sample, best)

    def _save(self, trainer: Trainer, tokenizer: Tokenizer) -> Saved:
        """Write the model, then the state, then the pointer to both: one is always whole."""
        name = _step_name(trainer.steps_done)
        folder = self.folder / "checkpoints" / name
        card = {"objective": self.recipe.objective, "steps": trainer.steps_done}
        with trainer.evaluating() as model:
            weights, config = model.state_dict(), model.config
            write_folder(
                folder, lambda place: save_model(place, config, weights, tokenizer, card=card)
            )

        def fill(place: Path) -> None:
            trainer.save(place)
            (place / STATE).write_text(to_json(msgspec.to_builtins(self.progress)))

        write_folder(self.folder / "training" / name, fill)
        best = self.progress.best_step
        pointers = {
            "best": None if best is None else f"checkpoints/{_step_name(best)}",
            "last": f"checkpoints/{name}",
            "state": f"training/{name}",
        }
        write_file(self.folder / RUN, to_json(pointers))
        self._tidy()
        return Saved(trainer.steps_done, folder)

    def _tidy(self) -> None:
        """Keep the best checkpoint, the last `keep`, and the last state."""
        newest = sorted((self.folder / "checkpoints").glob("step-*"))[
            -self.recipe.validation.keep :
        ]
        best = self.progress.best_step
        kept = {path.name for path in newest} | {_step_name(best) if best is not None else ""}
        last = _step_name(self.progress.step)
        for path in (self.folder / "checkpoints").glob("step-*"):
            if path.name not in kept:
                shutil.rmtree(path)
        for path in (self.folder / "training").glob("step-*"):
            if path.name != last:
                shutil.rmtree(path)

    def _restore(self, trainer: Trainer) -> None:
        state = read_json(self.folder / RUN)["state"]
        verify_checksums(self.folder / state)
        self.progress = msgspec.convert(read_json(self.folder / state / STATE), Progress)
        trainer.restore(self.folder / state, self.progress.step)

    def _tokenizer(self) -> Tokenizer:
        """The run's own, the initial model's, the recipe's, or one trained on the recipe's text."""
        path, wanted = self.folder / "tokenizer.json", self.recipe.tokenizer
        if self.resuming:
            return Tokenizer.load(path)
        if self.init is not None:
            tokenizer = self.init.tokenizer
        elif wanted.path:
            tokenizer = Tokenizer.load(Path(wanted.path))
        else:
            lines = self.objective.lines(self.recipe, self.counts)
            tokenizer = train_tokenizer(lines, tokenizer_options(self.recipe))
        write_file(path, tokenizer.to_json())
        return Tokenizer.load(path)

    def _prepare(self, tokenizer: Tokenizer) -> Iterator[Event]:
        """Write ids, unless those of the same text and tokenizer are there."""
        data = self.folder / "data"
        mark = _fingerprint(self.recipe, self.folder / "tokenizer.json")
        if (data / "done.json").is_file() and read_json(data / "done.json") == mark:
            return
        shutil.rmtree(data, ignore_errors=True)
        self.counts = CorpusCounts()
        left_out = self.objective.prepare(self.recipe, tokenizer, data, self.counts)
        write_file(data / "done.json", to_json(mark))
        if left_out:
            limit = self.recipe.data.max_tokens
            yield Notice(f"{left_out:,} pairs of {limit} tokens or more were left out")
        if self.counts.replaced:
            yield Notice(f"{self.counts.replaced:,} lines held invalid UTF-8, shown as U+FFFD")
        if self.counts.shortened:
            yield Notice(f"{self.counts.shortened:,} lines were cut at 1 MiB")

    def _open(self, tokenizer: Tokenizer, part: str) -> Data | None:
        return self.objective.open(self.recipe, tokenizer, self.folder / "data", part)

    def _model(self, tokenizer: Tokenizer) -> Transformer:
        if self.init is not None:
            return self.init.model.to(self.device).requires_grad_(True)
        config = model_config(self.recipe, tokenizer.vocab_size)
        if self.resuming:  # it may have started from another model's configuration
            config = read_config(self.folder / read_json(self.folder / RUN)["last"])
        model = Transformer(config)
        initialize(model, seed=self.recipe.seed)
        return model.to(self.device)


def _check_trainable(init: LoadedModel) -> None:
    """Raise ConfigError for a model whose texts are framed otherwise than training frames them."""
    end = init.generation.end_id
    usual = init.special_affixes == ([], [end]) and init.target_tokenizer is init.tokenizer
    asks = [i for i in (init.generation.forced_bos_token_id,) if i is not None]
    if not usual or asks or init.decoder_start_id != init.tokenizer.role("begin"):
        raise ConfigError(
            f"--init: {init.folder} is a published model whose texts stand between tokens of its "
            "own, which training does not put there yet; models trained here, and published ones "
            "like GPT-2, can be trained on"
        )


def _step_name(step: int) -> str:
    return f"step-{step:08d}"


def _fingerprint(recipe: Recipe, tokenizer: Path) -> dict[str, Any]:
    """What the ids on disk depend on, as JSON gives it back."""
    return {
        "data": msgspec.to_builtins(recipe.data),
        "bytes": {path: Path(path).stat().st_size for path in data_paths(recipe)},
        "tokenizer": hashlib.sha256(tokenizer.read_bytes()).hexdigest(),
        "validation lines": recipe.validation.max_lines,
    }
