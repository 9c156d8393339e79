"""What is said of a text that is prepared: what is left out, what repeats, what is unknown."""

import json
import random
import shutil
from pathlib import Path

import msgspec
import pytest

from cli.render.data_report import data_lines
from tests.loading.owned import own, small
from tests.training.preparing import latin, prepare, recipe_of, report, rows, write
from tests.training.toys import toy_recipe
from tokenizer import (
    CorpusError,
    Tokenizer,
)
from tokenizer.text.headers import is_header
from transformer.errors import ConfigError
from transformer.folder_layout import DATA
from transformer.loading import load_model
from transformer.training import data_report
from transformer.training.encoding import read_kept_pairs
from transformer.training.metrics import metrics_record
from transformer.training.objectives import OBJECTIVES
from transformer.training.prepared_folder import TOKENIZER
from transformer.training.recipe import TokenizerRecipe
from transformer.training.recipe_checks import check_recipe
from transformer.training.recipe_resolution import resolve_recipe

BLANKS = ["", " ", "\t", "\u3000", "\xa0 \u2003", "\u200b", "\ufeff", "\0", " \u200d\u2060\xad"]


@pytest.mark.parametrize("blank", BLANKS)
def test_pairs_with_a_blank_side_are_left_out_of_both_parts_and_counted(tmp_path, blank) -> None:
    long = ("a" * 200, "x" * 200)
    pairs = [long, (blank, "y"), ("b", blank), (blank, blank), ("c", "z")]
    for part in report(prepare(recipe_of(tmp_path, pairs, pairs), tmp_path / "run")):
        assert (part.kept, part.left_out, part.examples) == (2, {"blank": 3}, 5)
    for part in ("train", "valid"):
        assert rows(tmp_path / "run", part) == [long, ("c", "z")]
    assert read_kept_pairs(tmp_path / "run" / DATA / "valid", 9) == [long, ("c", "z")]
    assert blank not in Tokenizer.load(tmp_path / "run" / TOKENIZER).backend.get_vocab()


@pytest.mark.parametrize("part", ["training", "validation"])
def test_what_a_model_cannot_read_is_left_out_and_counted_by_reason(tmp_path, part) -> None:
    """Of 8 tokens the end token is one; what is scored is what the loss sees."""
    known = [("abcdef", "xyz")] * 9
    pairs = [
        ("a" * 7, "x"),
        ("a" * 8, "x"),
        ("a", "x" * 8),
        ("好好", "x"),
        ("a", "好"),
        ("b好", "x"),
        ("好c", "x"),
    ]
    train, valid = (known + pairs, known) if part == "training" else (known, pairs)
    recipe = recipe_of(tmp_path, train, valid, max_tokens=8)
    recipe = msgspec.structs.replace(recipe, tokenizer=latin(tmp_path))
    counts = getattr(report(prepare(recipe, tmp_path / "run")), part)
    assert counts.left_out == {"too long": 2, "unreadable": 2}
    assert counts.longest == 8
    name = {"training": "train", "validation": "valid"}[part]
    assert [pair for pair in rows(tmp_path / "run", name) if pair != known[0]] == [
        ("a" * 7, "x"),
        ("b", "x"),
        ("c", "x"),
    ]
    if part == "validation":
        kept = read_kept_pairs(tmp_path / "run" / DATA / "valid", 9)
        assert kept == [("a" * 7, "x"), ("b好", "x"), ("好c", "x")]
    assert counts.unknown["source"].unknown == 4
    assert counts.unknown["source"].most_frequent == ["好"]


def test_repeats_overlap_headers_and_files_are_counted(tmp_path: Path) -> None:
    train = [("Source", "target"), ("a", "x"), ("a", "x"), ("a", "y"), ("b", "z"), ("a", "x")]
    valid = [("a", "x"), ("a", "z"), ("b", "x"), ("a", "x")]
    training, validation = report(prepare(recipe_of(tmp_path, train, valid), tmp_path / "run"))
    assert (training.kept, training.repeats, training.in_training) == (6, 2, 0)
    assert (validation.repeats, validation.in_training, validation.sources_in_training) == (1, 2, 4)
    name = f"{tmp_path}/source.txt and {tmp_path}/target.txt"
    assert training.headers == [
        f"{name} begins with names of columns (Source, target), which are a pair like any other"
    ]
    assert validation.headers == []
    assert [(file.name, file.examples) for file in training.files] == [(name, 6)]


@pytest.mark.parametrize(
    ("cells", "header"),
    [
        (["source", "target"], True), (["en", "de"], True), (["Source text", "Translation"], True),
        (["English", "Deutsch"], True), (['"src"', '"tgt"'], True), (["en_US", "de"], True),
        (["A dog.", "Ein Hund."], False), (["source", "ein Hund"], False), (["a", "x"], False),
        (["1", "2"], False), (["yes", "ja"], False),
    ],
)  # fmt: skip
def test_first_rows_that_name_columns_are_suspected(cells, header) -> None:
    assert is_header(cells) == header


def test_tables_are_counted_file_by_file(tmp_path: Path) -> None:
    files = [*write(tmp_path / "a.tsv", ["en\tde", "a\tx"]), *write(tmp_path / "b.tsv", ["b\tz"])]
    fields = {"data": {"pairs": files}, "tokenizer": {"kind": "char"}}
    training = report(prepare(resolve_recipe(None, fields, []), tmp_path / "run")).training
    assert [(file.name, file.examples) for file in training.files] == list(
        zip(files, [2, 1], strict=True)
    )
    remedy = "which are a pair like any other; to leave them out: --columns en,de"
    assert training.headers == [f"{files[0]} begins with names of columns (en, de), {remedy}"]


# ── the validation part of pairs ────────────────────────────────────────────────────────────────


def drawn(folder: Path, pairs: list[tuple[str, str]], *, seed: int = 1, fraction=0.2) -> list:
    recipe = recipe_of(folder, pairs, valid_fraction=fraction)
    recipe = msgspec.structs.replace(recipe, seed=seed)
    shutil.rmtree(folder / "run", ignore_errors=True)
    prepare(recipe, folder / "run")
    parts = [rows(folder / "run", part) for part in ("train", "valid")]
    assert sorted(parts[0] + parts[1]) == sorted(pairs)
    assert parts[1] == read_kept_pairs(folder / "run" / DATA / "valid", len(pairs))
    return parts


def test_validation_pairs_are_drawn_by_seed_and_source_and_stay_together(tmp_path: Path) -> None:
    pairs = [(f"s{n // 3}", f"t{n}") for n in range(600)]  # three targets of each source
    train, valid = drawn(tmp_path, pairs)
    assert 0.1 < len(valid) / 600 < 0.3
    assert not {source for source, _ in train} & {source for source, _ in valid}
    assert valid != pairs[-len(valid) :]  # not the end
    assert sorted(drawn(tmp_path, pairs[::-1])[1]) == sorted(valid)  # the order does not matter
    assert set(drawn(tmp_path, pairs[:300])[1]) <= set(valid)  # nor do other pairs
    assert drawn(tmp_path, pairs, seed=2)[1] != valid


def test_few_pairs_give_one_source_to_validation_and_one_source_none(tmp_path: Path) -> None:
    pairs = [("a b", "x y"), ("b a", "y x"), ("a b", "y"), ("b", "x")]
    _, valid = drawn(tmp_path, pairs, fraction=1e-9)
    assert len({source for source, _ in valid}) == 1
    assert drawn(tmp_path, [("a", "x"), ("a", "y")], fraction=1e-9)[1] == []


@pytest.mark.parametrize("fraction", [1e-9, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_what_a_model_cannot_read_is_not_all_that_is_drawn(tmp_path, fraction, seed) -> None:
    """At least one pair to validate on is one that the model can read, if there are two."""
    chance, long = random.Random(seed), [("a" * n, "x" * n) for n in range(30, 50)]
    pairs = [*long, ("ab", "xy"), ("ba", "yx")]
    chance.shuffle(pairs)
    recipe = recipe_of(tmp_path, pairs, valid_fraction=fraction, max_tokens=20)
    recipe = msgspec.structs.replace(recipe, seed=seed)
    both = report(prepare(recipe, tmp_path / "run"))
    assert (both.training.kept, both.validation.kept) == (1, 1)
    assert both.training.examples + both.validation.examples == len(pairs)


def test_a_seed_that_decides_on_no_ids_prepares_nothing_anew(tmp_path) -> None:
    """The end of a running text is for validation, whatever the seed; of pairs, drawn ones are."""
    for objective, again in (("language-model", False), ("translation", True)):
        (tmp_path / objective).mkdir()
        recipe = toy_recipe(tmp_path / objective, objective)
        prepare(recipe, tmp_path / objective / "run")
        before = (tmp_path / objective / "run" / DATA).stat().st_ino
        other = msgspec.structs.replace(recipe, seed=recipe.seed + 1)
        prepare(other, tmp_path / objective / "run")
        assert ((tmp_path / objective / "run" / DATA).stat().st_ino != before) == again


def test_letters_of_a_drawn_pair_alone_do_not_stop_training(tmp_path) -> None:
    recipe = recipe_of(tmp_path, [("aaa", "x"), ("bbb", "x")], valid_fraction=0.1)
    both = report(prepare(recipe, tmp_path / "run"))
    assert (both.training.unknown["source"].share, both.validation.unknown["source"].share) == (
        0,
        1,
    )
    named = recipe_of(tmp_path, [("aaa", "x")], [("bbb", "x")])
    with pytest.raises(CorpusError, match="does not know 100% of the characters in the validation"):
        prepare(named, tmp_path / "other")


def test_a_document_that_is_cut_for_validation_counts_in_both_parts(tmp_path) -> None:
    path = write(tmp_path / "book.txt", [f"line {n} of the book" for n in range(100)])
    fields = {"data": {"text": path, "valid_fraction": 0.2}, "tokenizer": {"kind": "char"}}
    recipe = resolve_recipe(None, {"objective": "language-model", **fields}, [])
    both = report(prepare(recipe, tmp_path / "run"))
    for part in (both.training, both.validation):
        assert (part.kept, part.longest, part.files[0].examples) == (1, part.tokens, 1)


# ── unknown text ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("part", ["training", "validation"])
def test_text_that_is_mostly_unknown_stops_before_training(tmp_path, side, part) -> None:
    known = [("ab cd", "ab cd")] * 4
    strange = [("ab", "Это")[:: 1 if side else -1]] * 7
    train, valid = (known + strange, known) if part == "training" else (known, strange)
    recipe = msgspec.structs.replace(recipe_of(tmp_path, train, valid), tokenizer=latin(tmp_path))
    name = ("source", "target")[side]
    with pytest.raises(CorpusError) as error:
        prepare(recipe, tmp_path / "run")
    assert f"characters in the {part} {name} text (т о Э …)" in str(error.value).replace(
        "Э т о", "т о Э"
    )
    assert "leave --tokenizer out" in str(error.value)
    assert "data.max_unknown=1" in str(error.value)
    assert not (tmp_path / "run" / DATA).exists()
    data = msgspec.structs.replace(recipe.data, max_unknown=1.0)
    counts = getattr(
        report(prepare(msgspec.structs.replace(recipe, data=data), tmp_path / "run")), part
    )
    assert counts.unknown[name].share > 0.5


def test_the_way_on_depends_on_where_the_tokenizer_comes_from(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, [("".join(map(chr, range(0x4E00, 0x4F00))), "ab")] * 3)
    few = TokenizerRecipe(kind="char", vocab_size=20)
    with pytest.raises(CorpusError, match=r"tokenizer.kind to byte-bpe.*tokenizer.vocab_size"):
        prepare(msgspec.structs.replace(recipe, tokenizer=few), tmp_path / "run")
    tokenizer = Tokenizer.load(Path(latin(tmp_path).path))
    own(tmp_path / "model", small("translate-tiny"), tokenizer)
    initial = load_model(tmp_path / "model", device="cpu")
    with pytest.raises(CorpusError, match=r"start from a model whose tokenizer .*without --init"):
        prepare(recipe, tmp_path / "run", initial=initial)


# The examples of objectives on no running text, by the key of their files: a record of a pair.
RECORDS = {
    "instructions": ("conversations", lambda a, b: {"prompt": a, "completion": b}),
    "classification": ("labelled", lambda a, _: {"text": a, "label": ["x", "y"]}),
    "tagging": ("tagged", lambda a, b: {"tokens": [a, b], "tags": ["O", "B-X"]}),
}
UNITS = {"translation": "pairs", "instructions": "conversations", "classification": "texts"}
UNITS["tagging"] = "tagged texts"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_is_not_compared_is_told(monkeypatch, tmp_path, objective) -> None:
    """Of a very large corpus, the first examples alone are looked at for repeats."""
    monkeypatch.setattr(data_report, "MAX_HASHES", 3)
    line = "a line of running text that is long enough to compare"
    train = [(line, line)] * 5
    recipe = recipe_of(tmp_path, train, train[:4])
    unit = UNITS.get(objective, "longer lines")
    if objective != "translation":
        data = {"text": recipe.data.source, "valid_text": recipe.data.valid_source}
        if objective in RECORDS:
            key, record = RECORDS[objective]
            data = {
                name: write(tmp_path / f"{name}.jsonl", [json.dumps(record(*p)) for p in pairs])
                for name, pairs in ((key, train), (f"valid_{key}", train[:4]))
            }
        fields = {"objective": objective, "data": data, "tokenizer": {"kind": "char"}}
        recipe = resolve_recipe(None, fields, [])
    event = report(prepare(recipe, tmp_path / "run"))
    assert [(part.repeats, part.not_compared) for part in event] == [(2, 2), (2, 1)]
    told = data_lines(event)
    assert f"not compared with others: the last 2 {unit}" in told[1]
    last = f"not compared with others: the last 1 {unit[:-1]}; not compared with the last 2 of"
    assert any(last in line for line in told if line.startswith("validation: "))
    record = metrics_record(event)
    assert [record[part]["not_compared"] for part in ("training", "validation")] == [2, 1]
    assert record["training"]["unit"] == unit.replace("longer lines", "documents")


def test_too_little_text_is_told(tmp_path) -> None:
    """Repeated pairs are not more, and one pair to validate on measures nothing."""
    pairs = [(f"a{n}", f"b{n}") for n in range(10)] * 60
    told = data_lines(report(prepare(recipe_of(tmp_path, pairs, [("a1", "b1")]), tmp_path / "run")))
    page = "(see docs/it-does-not-learn.md)"
    assert any(line.startswith("training: only 10 different pairs, too few") for line in told)
    assert any(line.startswith("validation: 1 pair to validate on, too few") for line in told)
    assert sum(page in line for line in told) == 2
    enough = [(f"a{n}", f"b{n}") for n in range(600)]
    (tmp_path / "enough").mkdir()
    recipe = recipe_of(tmp_path / "enough", enough, enough[:30])
    told = data_lines(report(prepare(recipe, tmp_path / "enough" / "run")))
    assert not any(page in line for line in told)


def test_of_text_that_is_all_left_out_nothing_else_is_told(tmp_path) -> None:
    recipe = recipe_of(tmp_path, [("a", "x")] * 3, [("", "")] * 2)
    *_, last = data_lines(report(prepare(recipe, tmp_path / "run")))
    assert last.startswith("validation: 0 pairs of ") and last.endswith("; left out: 2 blank")


def test_source_and_target_are_two_columns(tmp_path) -> None:
    with pytest.raises(ConfigError, match="1,1: source and target are the same column"):
        check_recipe(resolve_recipe(None, {"data": {"pairs": ["p"], "columns": ["1", "1"]}}, []))
