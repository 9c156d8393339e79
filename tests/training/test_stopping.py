"""A stop while the model is validated: a validation happens whole or not at all, and ends soon."""

import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from checkpoints import read_json
from tests.models import tiny_model
from tests.training.toys import toy_recipe, train
from tokenizer import TrainingOptions, train_tokenizer
from transformer.decoding import Engine
from transformer.loading import LoadedModel, default_generation_config, load_model
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.training.events import Validated
from transformer.training.objectives import Translation
from transformer.training.preparation import Preparation
from transformer.training.recipe import Recipe
from transformer.training.run import Run
from transformer.training.trainer import Trainer
from transformer.training.validation import Validation

pytestmark = pytest.mark.integration


def patient(folder: Path, patience: int = 2) -> Recipe:
    recipe = toy_recipe(folder, steps=8)
    fields = msgspec.to_builtins(recipe)
    fields["validation"] |= {"every": 4, "patience": patience}
    return msgspec.convert(fields, Recipe)


@pytest.mark.parametrize("part", ["scores", "samples"])
def test_a_stop_during_scores_is_no_validation(monkeypatch, tmp_path: Path, part: str) -> None:
    """Three of them would otherwise use up patience, with exit code 0."""
    recipe = patient(tmp_path)
    whole = train(recipe, tmp_path / "whole")
    real = getattr(Translation, part)
    for _ in range(3):
        run = Run(recipe, tmp_path / "cut", device="cpu", resume=True)
        stopped: list[bool] = []
        run.stop = lambda stopped=stopped: bool(stopped)

        def cut(*arguments, stopped=stopped, **options):
            stopped.append(True)
            return real(*arguments, **options)

        monkeypatch.setattr(Translation, part, cut)
        events = list(run.events())
        assert events[-1][:3] == (4, "interrupted and saved", True)
        assert not any(isinstance(event, Validated) for event in events)
        pointers = read_json(tmp_path / "cut" / "run.json")
        state = read_json(tmp_path / "cut" / pointers["state"] / "state.json")
        assert (state["validated_step"], state["without_improvement"]) == (0, 0)
        assert state["best_step"] is None
    monkeypatch.setattr(Translation, part, real)
    events = train(recipe, tmp_path / "cut", resume=True)
    validated = [[e for e in seen if isinstance(e, Validated)] for seen in (whole, events)]
    assert validated[0] == validated[1]


def test_a_stop_after_the_last_score_counts_the_whole_validation(tmp_path: Path) -> None:
    run = Run(patient(tmp_path), tmp_path / "run", device="cpu")
    run.stop = lambda: run.progress.validated_step == 4
    events = list(run.events())
    assert [event.step for event in events if isinstance(event, Validated)] == [4]
    assert events[-1].interrupted
    events = train(run.recipe, tmp_path / "run", resume=True)
    assert [event.step for event in events if isinstance(event, Validated)] == [8]


def test_validation_measures_texts_as_the_model_writes_them(monkeypatch, tmp_path: Path) -> None:
    """Without the guard against loops, and with the model's beams."""
    seen: list[TranslateArguments] = []
    real = Session.translate

    def spy(self, source, arguments, counts):
        seen.append(arguments)
        return real(self, source, arguments, counts)

    monkeypatch.setattr(Session, "translate", spy)
    train(toy_recipe(tmp_path, steps=1), tmp_path / "run")
    assert {arguments.no_guard for arguments in seen} == {True}


def slow_model(texts: list[str]) -> LoadedModel:
    """A model that never ends a text."""
    tokenizer = train_tokenizer(texts, TrainingOptions(kind="char", vocab_size=40))
    model = tiny_model("encoder-decoder", vocab_size=tokenizer.vocab_size, max_positions=2000)
    return LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path("nowhere"))


def test_decoding_many_lines_with_beams_ends_soon_after_the_stop(monkeypatch) -> None:
    lines = ["the cat sat on the mat and the dog ran"] * 1000
    stopped_at: list[float] = []
    started, real = time.monotonic(), Engine.step

    def slow_step(self):
        time.sleep(0.01)
        return real(self)

    def stop() -> bool:
        if time.monotonic() > started + 0.5 and not stopped_at:
            stopped_at.append(time.monotonic())
        return bool(stopped_at)

    monkeypatch.setattr(Engine, "step", slow_step)
    session = Session([slow_model(lines[:1])], max_engines=1, stop=stop)
    arguments = TranslateArguments(beam=4, max_tokens=1900)
    answers = list(session.translate(IterableSource(lines), arguments, Counter()))
    assert len(answers) < len(lines)
    assert time.monotonic() - stopped_at[0] < 1.5


def test_the_loss_of_a_long_text_listens_too(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "language-model", steps=1)
    run = Run(recipe, tmp_path / "run", device="cpu")
    list(run.events())
    preparation = Preparation(recipe, run.folder, resuming=True, initial=None)
    texts = preparation.texts()
    train_data, data = (preparation.open(texts, part) for part in ("train", "valid"))
    model = load_model(run.folder).model.requires_grad_(True)
    batches: list[int] = []

    class Endless:
        def in_order(self):
            while True:
                batches.append(1)
                yield data.batch(0)

    validation = Validation(recipe, run.folder, texts, Endless(), lambda: len(batches) > 3)
    assert validation.compute(Trainer(model, train_data, recipe)) is None
    assert len(batches) == 4
