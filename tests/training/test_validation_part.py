"""The part of the validation text that is scored and shown is spread over all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.test_run import changed
from tests.training.toys import WORDS, toy_recipe
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer
from transformer.folder_layout import DATA
from transformer.training import objectives
from transformer.training.encoding import read_kept_pairs, spread_evenly
from transformer.training.objectives import VALID
from transformer.training.preparation import Preparation
from transformer.training.prepared_folder import part_identity
from transformer.training.recipe import Recipe
from transformer.training.sample_prompt import sample_prompt
from transformer.training.validation import Validation

SORTED = [" ".join("1" * length) for length in range(1, 20)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Recipe, Path]:
    """A run whose validation pairs are sorted by their length."""
    folder = tmp_path_factory.mktemp("sorted")
    files = {"valid_source": SORTED, "valid_target": [line.replace("1", "one") for line in SORTED]}
    for key, lines in files.items():
        (folder / key).write_text("".join(f"{line}\n" for line in lines))
    data = {"valid_fraction": 0.0, "max_tokens": 99, **{k: [str(folder / k)] for k in files}}
    recipe, run = changed(toy_recipe(folder), data=data), folder / "run"
    run.mkdir()
    preparation = Preparation(recipe, run, resuming=False, initial=None)
    with preparation.spool:
        list(preparation.events(preparation.texts()))
    return recipe, run


def lines_of(pairs: list[tuple[str, str]]) -> list[str]:
    return [source for source, _ in pairs]


@pytest.mark.parametrize(("total", "limit"), [(19, 4), (1_066, 500), (7, 7), (7, 90), (1, 3)])
def test_each_stretch_of_a_text_has_as_many(total: int, limit: int) -> None:
    numbers = spread_evenly(total, limit)
    assert numbers == sorted(set(numbers))
    assert len(numbers) == min(total, limit)
    thirds = [sum(third <= 3 * n / total < third + 1 for n in numbers) for third in range(3)]
    assert max(thirds) - min(thirds) <= 1 or total < 3


def test_scores_are_of_pairs_from_all_over_the_text(prepared, monkeypatch) -> None:
    recipe, run = prepared
    translated: list[str] = []

    def keep(self, loaded, recipe, sources, stop) -> list[str]:
        translated.extend(sources)
        return list(sources)

    monkeypatch.setattr(objectives.Translation, "_translate", keep)
    some = changed(recipe, validation={"max_lines": 4})
    objectives.Translation().scores(None, some, run / DATA, lambda: False)
    assert translated == [SORTED[n] for n in (2, 7, 11, 16)]


@pytest.mark.parametrize(("limit", "numbers"), [(1, [9]), (3, [3, 9, 15])])
def test_samples_are_of_pairs_from_all_over_the_text(prepared, limit, numbers) -> None:
    _, run = prepared
    assert lines_of(read_kept_pairs(run / DATA / VALID, limit)) == [SORTED[n] for n in numbers]
    assert lines_of(read_kept_pairs(run / DATA / VALID)) == SORTED


@pytest.mark.parametrize(("max_lines", "same"), [(18, False), (19, True), (2000, True)])
def test_scores_of_the_first_pairs_do_not_compare_with_those_of_a_spread(
    prepared, max_lines: int, same: bool
) -> None:
    recipe, run = prepared
    settings = {"metric": "bleu", "beam": 1, "max_lines": max_lines, "tokenize": "auto"}
    before = part_identity(run / DATA, VALID, settings)
    recipe = changed(recipe, validation={"max_lines": max_lines})
    validation = Validation(recipe, run, None, None, lambda: False)
    assert (validation.measure() == before) == same
    told = "BLEU and chrF are of 18 pairs from all over the validation text, the loss of all"
    assert validation.remark == (None if same else told)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    options = TrainingOptions(kind="byte-bpe", vocab_size=400)
    return train_tokenizer([" ".join(WORDS) + "\n."] * 9, options)


def ids_of(tokenizer: Tokenizer, *documents: str) -> Iterator[int]:
    end = tokenizer.require_role("end")
    yield end
    for document in documents:
        yield from tokenizer.encode(document)
        yield end


@pytest.mark.parametrize(
    ("documents", "prompt"),
    [
        (["zero one two\nthree four\nfive six seven"], "five six"),
        (["zero one two", "three four", "five six"], "five six"),
        (["zero one two three four five six"], "three four"),
        (["zerozero"], "zero"),
    ],
    ids=["line", "document", "word", "neither"],
)
def test_a_sample_begins_where_something_begins(tokenizer, documents, prompt) -> None:
    import numpy as np

    ids = np.array([*ids_of(tokenizer, *documents)], dtype=np.uint16)
    length, end_id = len(tokenizer.encode(prompt)), tokenizer.require_role("end")
    assert sample_prompt(ids, tokenizer, length, end_id=end_id).strip() == prompt
