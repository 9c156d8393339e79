"""The tokenizer of a run and the ids of its text, which lie in the run's folder."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checkpoints import CheckpointError, write_file
from tokenizer import CorpusCounts, CorpusError, Spool, Tokenizer, train_tokenizer
from tokenizer.quantities import format_count

from ..data import Data
from ..errors import ConfigError
from ..folder_layout import DATA
from ..labels import LabelInventory
from ..loading import LoadedModel, ModelTexts, default_generation_config
from ..presets import preset_shape, preset_token_types
from .data_recipe import data_settings
from .data_report import DataReport
from .events import DataPrepared, Event, Notice, Remark
from .kept_texts import framing_remark, keep_texts, kept_files, kept_texts
from .known_text import check_known
from .objectives import OBJECTIVES
from .prepared_folder import (
    TOKENIZER,
    VERSION,
    Contents,
    has_earlier_version,
    read_contents,
    recorded_texts,
    write_contents,
)
from .recipe import Recipe
from .recipe_resolution import (
    data_paths,
    load_tokenizer,
    read_run_recipe,
    tokenizer_options,
    with_copies,
)
from .text_identity import (
    TextChanges,
    absolute_path,
    can_reread,
    compare_texts,
    file_states,
    identify_texts,
    is_missing,
)
from .vocabulary import has_grown, special_remark, with_learned_tokens

_MAX_NAMED = 3  # files in a message


class Preparation:
    """A run's tokenizer and prepared text.

    Ids belong to the content of the text: it does not matter where its files lie. Text that can be
    read only once is read from its copy in `spool`, a context to read in. `initial` is the model
    that training starts from, if any; a resumed run has its own texts of it.
    """

    def __init__(
        self, recipe: Recipe, run: Path, *, resuming: bool, initial: LoadedModel | None
    ) -> None:
        self.recipe, self.run, self.resuming, self.initial = recipe, run, resuming, initial
        self.objective = OBJECTIVES[recipe.objective]
        self.counts = CorpusCounts()
        self.spool = Spool(run)
        self._notices: list[str] = []  # of training the tokenizer
        self._remarks: list[str] = []  # of its growth
        self._contents: Contents | None = None  # of the ids that lie there
        self._changes = TextChanges([], [])
        self._damage = ""

    def check(self) -> None:
        """Look at the ids in the run's folder, and at the text beside them.

        Raises ConfigError for a resumed run that is told other files.
        """
        try:
            self._contents = read_contents(self.run / DATA)
            texts = self._contents.texts if self._contents else None
        except CheckpointError as error:
            self._damage = str(error)
            texts = recorded_texts(self.run / DATA)
        started = read_run_recipe(self.run) if self.resuming else self.recipe
        if texts is not None:
            names = {absolute_path(path) for path in data_paths(started)}
            self._changes = compare_texts(self.recipe.data, texts, names=names)
        if self.resuming and self._changes.other:
            raise ConfigError(
                f"{self.run} was started with another text than {self._changes.other[0]}; that "
                "cannot change on resuming: start a new run"
            )
        path = self.recipe.tokenizer.path
        moved = absolute_path(path) != absolute_path(started.tokenizer.path)
        if moved and Tokenizer.load(Path(path)).to_json() != self._own_tokenizer().to_json():
            raise ConfigError(
                f"{self.run} was started with another tokenizer than {path}; that cannot change "
                "on resuming: start a new run"
            )

    @property
    def _has_random_split(self) -> bool:
        """True if the recipe, as it is by now, draws what it validates on from the text."""
        return self.objective.has_random_split(self.recipe)

    def readable_recipe(self) -> Recipe:
        """Return the recipe with files that can be read again; copies are in `spool`."""
        return with_copies(self.recipe, self.spool, tokenizer=not self.resuming)

    def texts(self) -> ModelTexts:
        """Return the run's own tokenizers and settings, the initial model's, or new ones.

        New ones are those of the recipe's tokenizer, or of one that is trained.
        """
        if not self.resuming:
            self._grow_vocabulary()
            grown = self.initial is not None and has_grown(self.initial, self.recipe)
            keep_texts(self.run, self.initial, self.recipe.data, grown=grown)
        tokenizer = self._tokenizer()
        if (kept := kept_texts(self.run)) is not None:
            return kept
        generation, model = default_generation_config(tokenizer), self.recipe.model
        types = preset_token_types(model)
        texts = ModelTexts(tokenizer, generation, self.run, token_types=types)
        return self.objective.frame_texts(texts, preset_shape(model))

    def _grow_vocabulary(self) -> None:
        """Let the initial model's tokenizer learn tokens of the text, if the recipe says so."""
        if self.initial is None:
            return
        if remark := special_remark(self.initial, self.recipe):
            self._remarks.append(remark)
        recipe = self.readable_recipe()
        if not recipe.tokenizer.grow:
            return

        def lines() -> Iterator[str]:
            self.counts = CorpusCounts()
            return self.objective.lines(recipe, self.counts)

        self.initial, told = with_learned_tokens(self.initial, self.recipe, lines)
        self._remarks.append(told)

    def _tokenizer(self) -> Tokenizer:
        path = self.run / TOKENIZER
        if self.resuming:
            return self._own_tokenizer()
        if self.initial is not None:
            tokenizer = self.initial.tokenizer
        elif self.recipe.tokenizer.path:
            tokenizer = load_tokenizer(self.readable_recipe().tokenizer.path)
        else:
            lines = self.objective.lines(self.readable_recipe(), self.counts)
            options = tokenizer_options(self.recipe)
            tokenizer = train_tokenizer(lines, options, notice=self._notices.append)
        write_file(path, tokenizer.to_json())
        return Tokenizer.load(path)

    def lines_read(self) -> int:
        """Return the number of lines read so far for the tokenizer, or for the ids."""
        return self.counts.lines

    def _own_tokenizer(self) -> Tokenizer:
        path = self.run / TOKENIZER
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: the run cannot go on")
        return Tokenizer.load(path)

    def events(self, texts: ModelTexts) -> Iterator[Event]:
        """Write the ids of the text, unless those of the same text and tokenizer exist.

        Raises CorpusError for text that is missing, changes meanwhile, or is mostly unknown.
        """
        yield from map(Remark, self._remarks)
        contents, reason = self._contents, self._reason_to_write(texts)
        if contents is not None and not reason:
            yield from self._kept(contents.report)
            return
        if self.resuming:
            missing = [path for path in data_paths(self.recipe) if is_missing(path)]
            if missing:
                raise CorpusError(f"{reason}; that needs {_names(missing)}, which is missing")
            yield Notice(reason)
        if self.initial is not None and (remark := framing_remark(texts, self.recipe.data)):
            yield Remark(remark)
        report = self._write(texts)
        yield DataPrepared(report.training, report.validation)
        if self.counts.replaced:
            yield Notice(
                f"{format_count(self.counts.replaced, 'line')} held invalid UTF-8, replaced "
                f"by U+FFFD"
            )
        for notice in [*self._notices, *self.counts.notices]:
            yield Notice(notice)

    def _kept(self, report: DataReport) -> Iterator[Event]:
        """Tell of ids that are kept."""
        unread = [path for path in data_paths(self.recipe) if not can_reread(path)]
        if unread:
            yield Notice(
                f"{_names(unread)} cannot be read again: going on with the ids of it in "
                f"{self.run / DATA}"
            )
        if not self.resuming:
            yield DataPrepared(report.training, report.validation)

    def labels(self) -> LabelInventory | None:
        """Return the labels of the prepared text; None if it has none."""
        return self.objective.labels(self.run / DATA)

    def open(self, texts: ModelTexts, part: str) -> Data | None:
        """Return the batches of a prepared part, TRAIN or VALID; None if it is empty."""
        return self.objective.open(self.recipe, texts, self.run / DATA, part)

    def _reason_to_write(self, texts: ModelTexts) -> str:
        """Return the reason why ids must be written, "" if those that lie there can be used."""
        contents, data = self._contents, self.run / DATA
        if changed := self._changes.changed + self._changes.other:
            return (
                f"{_names(changed)} changed since the ids in {data} were written: the text is "
                "prepared anew, and training goes on with it"
            )
        if contents is None or contents.version != VERSION:
            return f"{self._damage or self._lack()}: the text is prepared anew"
        settings = (contents.settings, contents.tokenizer)
        if settings != (self._settings(texts), self._tokenizer_sum()):
            return f"the ids in {data} belong to other settings: the text is prepared anew"
        if not self.resuming and not all(map(can_reread, data_paths(self.recipe))):
            return "text that can be read only once may have changed"
        return ""

    def _lack(self) -> str:
        """Name the lack of ids of this version."""
        data = self.run / DATA
        if self._contents is None and not has_earlier_version(data):
            return f"{data} is missing"
        drawn = ", which drew other validation pairs" if self._has_random_split else ""
        return f"the ids in {data} are of an earlier version{drawn}"

    def _write(self, texts: ModelTexts) -> DataReport:
        self.counts = CorpusCounts()

        def fill(folder: Path) -> Contents:
            recipe = self.readable_recipe()
            states, read = file_states(recipe.data), identify_texts(recipe.data)
            report = self.objective.prepare(recipe, texts, folder, self.counts)
            check_known(report, self.recipe, self.initial)
            for path, state in file_states(recipe.data).items():
                if state != states[path]:
                    raise CorpusError(f"{path} changed while it was read: start again")
            return Contents(
                version=VERSION,
                settings=self._settings(texts),
                tokenizer=self._tokenizer_sum(),
                texts=read,
                report=report,
            )

        return write_contents(self.run / DATA, fill).report

    def _settings(self, texts: ModelTexts) -> dict[str, Any]:
        """Return all settings that the ids depend on, as they read back from JSON."""
        settings = {"objective": self.recipe.objective, **data_settings(self.recipe.data)}
        settings |= self.objective.framing_settings(texts)
        if self._has_random_split:
            settings["seed"] = self.recipe.seed
        if files := kept_files(self.run):
            sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
            settings["initial"] = sums
        return settings

    def _tokenizer_sum(self) -> str:
        return hashlib.sha256((self.run / TOKENIZER).read_bytes()).hexdigest()


def _names(paths: list[str]) -> str:
    """Return the first of some paths, and the number of others."""
    more = [f"{len(paths) - _MAX_NAMED:,} more"] if len(paths) > _MAX_NAMED else []
    return ", ".join(paths[:_MAX_NAMED] + more)
