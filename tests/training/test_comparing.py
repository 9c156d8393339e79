"""Scores that are compared with one another are of the same text, scored in the same way."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkpoints import read_json, to_json
from tests.training.test_run import changed
from tests.training.test_run_recovery import checkpoint, notices, state
from tests.training.toys import toy_recipe, train
from transformer.loading import find_model, read_pointers
from transformer.training.events import Validated
from transformer.training.recipe import Recipe
from transformer.training.run import Run

pytestmark = pytest.mark.integration

INCOMPARABLE = "scores of before do not compare"


class Stopped:
    """A run that was stopped at step 6 of 8, after a validation at step 4."""

    def __init__(self, recipe: Recipe, run: Path) -> None:
        self.recipe, self.run = recipe, run

    @classmethod
    def train(cls, recipe: Recipe, folder: Path) -> "Stopped":
        run = Run(recipe, folder, device="cpu")
        run.stop = lambda: run.progress.step == 6
        list(run.events())
        return cls(recipe, folder)

    def resume(self) -> tuple[list[bool], list[str]]:
        """Whether each validation was the best, and the notices."""
        events = train(self.recipe, self.run, resume=True)
        return [e.best for e in events if isinstance(e, Validated)], notices(events)

    def change_state(self, **fields: object) -> None:
        path = state(self.run, 6) / "state.json"
        kept = {k: v for k, v in {**read_json(path), **fields}.items() if v is not ...}
        path.write_text(to_json(kept))
        (state(self.run, 6) / "manifest.json").write_text("{}")

    def age(self) -> "Stopped":
        """Make it one of 0.1: no checksum, seal or copies in its state, no rank of its best."""
        pointers = read_json(self.run / "run.json")
        del pointers["sha256"]
        (self.run / "run.json").write_text(to_json(pointers))
        recipe = (self.run / "recipe.toml").read_text()
        (self.run / "recipe.toml").write_text(recipe.rpartition("#")[0])
        shutil.rmtree(state(self.run, 4))
        for name in ("config.json", "recipe.toml", "tokenizer.json"):
            (state(self.run, 6) / name).unlink()
        self.change_state(best_key=..., measure=..., best_value=1.5)
        return self

    def log_scores(self, **values: float) -> None:
        """Let its log say that the validation at step 4 had these scores."""
        lines = [json.loads(line) for line in self._log().read_text().splitlines()]
        for line in lines:
            if line["event"] == "validation":
                line["scores"] = {n: {"value": v, "signature": ""} for n, v in values.items()}
        text = "".join(json.dumps(line) + "\n" for line in lines)
        self._log().write_text(text)

    def _log(self) -> Path:
        return self.run / "metrics.jsonl"


@pytest.fixture(scope="module")
def with_files(tmp_path_factory) -> Stopped:
    """A run with files of validation text."""
    folder = tmp_path_factory.mktemp("files")
    recipe, files = toy_recipe(folder), {}
    for key in ("source", "target"):
        path = folder / f"valid.{key}"
        lines = Path(getattr(recipe.data, key)[0]).read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:9]))
        files[f"valid_{key}"] = [str(path)]
    recipe = changed(recipe, data={"valid_fraction": 0.0, **files})
    return Stopped.train(recipe, folder / "run")


@pytest.fixture
def stopped(with_files, tmp_path: Path) -> Iterator[Stopped]:
    """A copy of it, whose validation text may be changed."""
    data = with_files.recipe.data
    texts = {Path(path): Path(path).read_text() for path in data.valid_source + data.valid_target}
    yield Stopped(with_files.recipe, shutil.copytree(with_files.run, tmp_path / "run"))
    for path, text in texts.items():
        path.write_text(text)


@pytest.mark.parametrize(
    ("scores", "stays"),
    [({"bleu": 37.4, "chrf": 61.3}, True), ({"bleu": 2.0, "chrf": 61.3}, True), ({}, False)],
)
def test_the_best_of_an_older_version_is_ranked_by_its_log(stopped, scores, stays) -> None:
    stopped.age()
    stopped.log_scores(**scores)
    best, told = stopped.resume()
    assert best == [not stays]
    assert read_pointers(stopped.run).best == f"checkpoints/step-0000000{4 if stays else 8}"
    assert any("metrics.jsonl has no scores of" in text for text in told) != stays
    assert any("counts as the best" in text for text in told) != stays


@pytest.mark.parametrize("damage", [b"", b"{}\n", b'{"event": "validation", "step": 4}\n', b"\xff"])
def test_a_damaged_log_ranks_nothing(stopped, damage: bytes) -> None:
    stopped.age()
    (stopped.run / "metrics.jsonl").write_bytes(damage)
    best, told = stopped.resume()
    assert best == [True]
    assert any("the next validation counts as the best" in text for text in told)


def test_the_tokenizer_of_an_older_version_is_restored_from_its_checkpoint(stopped) -> None:
    stopped.age()
    path = stopped.run / "tokenizer.json"
    before = path.read_text()
    path.write_text(before.replace("three", "eerht").replace("t", "u", 9))
    _, told = stopped.resume()
    assert path.read_text() == before
    assert f"{path} was missing, changed or damaged" in told[0]


def test_an_older_version_drew_other_pairs_to_validate_on(tmp_path: Path) -> None:
    drawn = Stopped.train(toy_recipe(tmp_path), tmp_path / "run").age()
    drawn.log_scores(bleu=99.0, chrf=99.0)
    best, told = drawn.resume()
    assert best == [True]
    assert any(INCOMPARABLE in text for text in told)


def shorten(stopped: Stopped) -> None:
    for path in (*stopped.recipe.data.valid_source, *stopped.recipe.data.valid_target):
        Path(path).write_text("".join(Path(path).read_text().splitlines(keepends=True)[:5]))


@pytest.mark.parametrize(
    ("settings", "anew"),
    [
        (None, True),  # other text
        ({"max_lines": 3}, True),
        ({"beam": 2}, True),
        ({"tokenize": "char"}, True),
        ({"keep": 4, "patience": 9}, False),
    ],
    ids=str,
)
def test_scores_of_other_text_or_settings_are_not_compared(stopped, settings, anew) -> None:
    stopped.change_state(best_key=[2, 99.0, 0.0], without_improvement=3)
    if settings is None:
        shorten(stopped)
    else:
        stopped.recipe = changed(stopped.recipe, validation=settings)
    best, told = stopped.resume()
    assert best == [anew]
    assert sum(INCOMPARABLE in text for text in told) == anew
    assert not any(INCOMPARABLE in text for text in stopped.resume()[1])


def test_a_run_that_loses_its_validation_text_has_no_best(stopped) -> None:
    for path in (*stopped.recipe.data.valid_source, *stopped.recipe.data.valid_target):
        Path(path).write_text("\n")
    _, told = stopped.resume()
    assert read_pointers(stopped.run).best is None
    assert find_model(stopped.run) == checkpoint(stopped.run, 8)
    assert sum("changed since the ids" in text for text in told) == 1
