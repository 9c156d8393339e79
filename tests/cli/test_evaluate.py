"""`evaluate`: pairs of one file, a run's own validation text, two models, translations kept."""

import json
from collections import Counter
from pathlib import Path

import pytest

from cli.io.pair_scores import ScoredPairs
from cli.render.evaluation import evaluation_of_pairs
from tests.cli.conftest import PAIRS, SCHEDULE, SIZE, train
from tokenizer import CorpusCounts
from transformer.evaluation import Comparison, Score
from transformer.loading import find_model

pytestmark = pytest.mark.integration

HELD_OUT = {"valid_fraction": 0.05, "max_tokens": 64}
RUN = {
    "tokenizer": {"vocab_size": 100},
    "model": {"preset": "translate-tiny", "encoder_layers": 1, **SIZE},
}


@pytest.fixture(scope="module")
def held_out(tmp_path_factory, pairs):
    """A run of a translator that drew its validation pairs."""
    return train(
        tmp_path_factory.mktemp("held-out"),
        data={"pairs": [str(pairs)], **HELD_OUT},
        training={"steps": 20, **SCHEDULE},
        validation={"every": 10, "max_lines": 10},
        **RUN,
    )


@pytest.fixture(scope="module")
def prose(tmp_path_factory, text):
    """A run of a language model with validation text."""
    return train(
        tmp_path_factory.mktemp("prose"),
        objective="language-model",
        data={"text": [str(text)], "valid_fraction": 0.1},
        tokenizer={"vocab_size": 300},
        model={"preset": "write-tiny", **SIZE},
        training={"steps": 4, "context": 32, **SCHEDULE},
        validation={"every": 4},
    )


def scores(ended):
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_pairs_of_one_file_are_those_of_two(transduce, translator, tmp_path):
    lines = PAIRS[:9]
    (tmp_path / "s").write_text("".join(f"{source}\n" for source, _ in lines))
    (tmp_path / "t").write_text("".join(f"{target}\n" for _, target in lines))
    table = "".join(f"{n}\t{target}\t{source}\n" for n, (source, target) in enumerate(lines))
    (tmp_path / "p.tsv").write_text(f"id\tde\ten\n{table}")
    command = ("evaluate", "-m", translator, "--beam", "1", "--json")
    two = transduce(*command, "--source", tmp_path / "s", "--target", tmp_path / "t")
    one = transduce(*command, "--pairs", tmp_path / "p.tsv", "--columns", "en,de")
    assert scores(one) == scores(two)
    (tmp_path / "names.tsv").write_text("source\ttarget\na\tb\n")
    ended = transduce(*command, "--pairs", tmp_path / "names.tsv")
    assert ended.code == 4
    assert b"(source, target): name the columns with --columns" in ended.err


def test_outputs_are_kept_as_they_are_scored(transduce, translator, tmp_path):
    pairs, out = tmp_path / "p.tsv", tmp_path / "out.txt.gz"
    pairs.write_text("one two three\tthree two one\n\u200b\tx\nfour five six\tsix five four\n")
    command = ("evaluate", "-m", translator, "--beam", "1", "--pairs", pairs)
    ended = transduce(*command, "--save-outputs", out)
    assert ended.code == 0, ended.err
    sources = "one two three\n\u200b\nfour five six\n".encode()
    wanted = transduce("translate", "-m", translator, "--beam", "1", "--no-guard", stdin=sources)
    import gzip

    assert gzip.decompress(out.read_bytes()) == wanted.out
    assert wanted.out.count(b"\n") == 3


def test_a_run_is_measured_on_its_own_validation_pairs(transduce, held_out, tmp_path):
    """By the run, by a checkpoint of it and by its text as a file: the same scores."""
    kept = (held_out / "data" / "valid" / "pairs.jsonl").read_text().splitlines()
    (tmp_path / "p.tsv").write_text("".join("\t".join(json.loads(line)) + "\n" for line in kept))
    by_file = transduce("evaluate", "-m", held_out, "--pairs", tmp_path / "p.tsv", "--json")
    by_run = transduce("evaluate", "-m", held_out, "--json")
    assert scores(by_run) == {**scores(by_file), "validation_of": str(held_out)}
    assert scores(by_run)["lines"] == len(kept) > 10  # all of them, not those of `max_lines` alone
    assert f"validation text of {held_out}: {len(kept)} pairs".encode() in by_run.err
    by_checkpoint = transduce("evaluate", "-q", "-m", find_model(held_out), "--json")
    assert scores(by_checkpoint) == scores(by_run)
    assert b"validation text" not in by_checkpoint.err


def test_a_language_model_is_measured_on_its_validation_text(transduce, prose):
    """The loss is that of the run's log."""
    log = [json.loads(line) for line in (prose / "metrics.jsonl").read_text().splitlines()]
    validation = next(each for each in log if each["event"] == "validation")
    found = scores(transduce("evaluate", "-m", prose, "--json"))
    assert found["loss"] == pytest.approx(validation["loss"], rel=1e-2)  # it may be in bfloat16
    assert found["bits_per_byte"] * found["bytes"] > 0
    ended = transduce("evaluate", "-m", prose, "--beam", "2")
    assert ended.code == 2
    assert b"--beam: with --source or --pairs, and" in ended.err
    assert b"validates on running text" in ended.err


def test_bytes_are_those_of_the_text_and_left_out_where_an_older_run_has_none(
    transduce, tmp_path_factory
):
    """The tokenizer lower-cases and does not know one character: its ids do not tell them."""
    folder = tmp_path_factory.mktemp("loud")
    (folder / "t.txt").write_text("ONE TWO THREE\n" * 40)
    (folder / "v.txt").write_text("ONE TWO İÉ€\n" * 9)
    run = train(
        folder,
        objective="language-model",
        data={
            "text": [str(folder / "t.txt")],
            "valid_text": [str(folder / "v.txt")],
            "max_unknown": 1.0,
        },
        tokenizer={"kind": "char", "vocab_size": 40, "lowercase": True},
        model={"preset": "write-tiny", **SIZE},
        training={"steps": 1, "context": 16, **SCHEDULE},
        validation={"every": 1},
    )
    ended = transduce("evaluate", "-m", run, "--json")
    assert scores(ended)["bytes"] == len((folder / "v.txt").read_bytes())
    assert b"characters of the text" in ended.err
    assert b"are unknown to the tokenizer, most often" in ended.err
    (run / "data" / "prepared.json").write_text("{}")
    (run / "data" / "manifest.json").unlink()
    older = transduce("evaluate", "-m", run, "--json")
    assert not scores(older).keys() & {"bytes", "bits_per_byte"}
    assert b"bits per byte are left out" in older.err


def test_a_run_is_scored_by_its_recipes_tokenization(transduce, held_out):
    import shutil

    run = shutil.copytree(held_out, held_out.parent / "characters")
    shutil.rmtree(run / "training")  # with the recipe in a state
    recipe = (run / "recipe.toml").read_text().rpartition("#")[0]
    (run / "recipe.toml").write_text(recipe.replace('tokenize = "auto"', 'tokenize = "char"'))
    for options, name in ((), "tok:char"), (("--tokenize", "none"), "tok:none"):
        found = scores(transduce("evaluate", "-m", run, "--beam", "1", "--json", *options))
        assert name in found["bleu"]["signature"]


def test_an_older_runs_validation_files_are_read_by_their_names(held_out, translator, tmp_path):
    """Ids of an older version have no texts; pairs that it drew are not known."""
    import shutil

    from transformer.errors import ConfigError
    from transformer.training.validation_text import run_with_validation, validation_pairs

    for run, named in ((held_out, False), (tmp_path / "named", True)):
        if named:
            (tmp_path / "v.tsv").write_text("one\tone\n")
            shutil.copytree(translator, run)
            recipe = (run / "recipe.toml").read_text().rpartition("#")[0]
            files = f'valid_pairs = ["{tmp_path / "v.tsv"}"]'
            (run / "recipe.toml").write_text(recipe.replace("valid_pairs = []", files))
            shutil.rmtree(run / "training")
        else:
            run = shutil.copytree(held_out, tmp_path / "drawn")  # noqa: PLW2901
        shutil.rmtree(run / "data")
        if named:
            assert validation_pairs(run_with_validation(run)) == [("one", "one")]
        else:
            with pytest.raises(
                ConfigError, match=r"cannot be drawn again: give --pairs, or --source"
            ):
                validation_pairs(run)


def test_a_second_model_that_cannot_translate_is_told_before_the_first_begins(
    transduce, translator, writer, tmp_path
):
    (tmp_path / "p.tsv").write_text("one\tone\n")
    command = ("evaluate", "-m", translator, "--pairs", tmp_path / "p.tsv", "--versus", writer)
    ended = transduce(*command, "--save-outputs", tmp_path / "out")
    assert (ended.code, b"cannot translate" in ended.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_several_models_are_measured_together(transduce, translator, tmp_path):
    """As they translate together: a model with itself is that model."""
    (tmp_path / "p.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in PAIRS[:9]))
    command = ("evaluate", "--beam", "1", "--pairs", tmp_path / "p.tsv", "--json", "-m", translator)
    alone, together = transduce(*command), transduce(*command, "-m", translator)
    assert scores(together) == scores(alone)
    ended = transduce("evaluate", "-m", translator, "-m", translator, "--text", tmp_path / "p.tsv")
    assert (ended.code, b"is one model's" in ended.err) == (2, True)


def test_a_model_of_no_run_needs_a_text(transduce, broken):
    folder = broken("alone", lambda folder: None)
    ended = transduce("evaluate", "-m", folder)
    assert (ended.code, ended.out) == (2, b"")
    assert b"is no training run, which has validation text of its own: give --pairs" in ended.err


def test_two_models_are_compared_on_the_same_lines(transduce, translator, held_out):
    """The better one by far, and a model against itself."""
    command = ("evaluate", "-m", held_out, "--beam", "1")
    found = scores(transduce(*command, "--versus", translator, "--json"))
    versus = found.pop("versus")
    assert versus["model"] == str(translator)
    gap = found["chrf"]["score"] - versus["chrf"]["score"]
    assert versus["chrf"]["difference"] == pytest.approx(gap)
    assert abs(gap) > 1
    assert versus["chrf"]["p_value"] < 0.05
    ended = transduce(*command, "--versus", held_out)
    rows = [line.split("\t") for line in ended.out.decode().splitlines()]
    values = {name: value for name, value, _ in rows}
    assert values["bleu"] == values[f"bleu of {held_out}"]
    assert values["chrf"] == values[f"chrf of {held_out}"]
    assert [*values][4:] == ["bleu difference", "bleu p", "chrf difference", "chrf p"]
    assert [*values.values()][4:] == ["+0.00", "1.0000"] * 2
    assert rows[4][2].startswith("nrefs:1|bs:1000|seed:12345|")
    assert rows[5][2] == "not significant: the difference may be chance"


METRICS = ("bleu", "chrf")
SCORES = [Score(name, 38.8, "nrefs:1|tok:13a", f"{name} = 38.8 BP 1.0") for name in METRICS]
OTHERS = [score._replace(value=8.1) for score in SCORES]
TESTS = [Comparison(30.7, 0.001, "nrefs:1|bs:1000"), Comparison(0.2, 0.0732, "nrefs:1|bs:1000")]


@pytest.mark.parametrize("columns", [40, 80, None])
def test_two_models_stand_in_a_table_that_fits_the_terminal(columns):
    parts = (dict(zip(METRICS, each, strict=True)) for each in (SCORES, OTHERS, TESTS))
    found = ScoredPairs(CorpusCounts(), Counter(), 9, *parts)
    models = [Path("runs/en-de"), Path("a/folder/with/a/very/long/name/of/a/run")]
    lines = [*evaluation_of_pairs(found, models[:1], models[1]).lines(columns)]
    assert all(len(line) < (columns or 999) for line in lines)
    if columns is None:
        rows = [line.split("\t") for line in lines]
        assert {len(row) for row in rows} == {3}
        assert [row[1] for row in rows[4:6]] == ["+30.70", "0.0010"]
        assert rows[5][2] == "significant: runs/en-de is better"
        assert rows[7][2] == "not significant: the difference may be chance"
        worse = {"bleu": TESTS[0]._replace(difference=-30.7)}
        turned = evaluation_of_pairs(found._replace(comparisons=worse), models[:1], models[1])
        assert [*turned.lines(None)][5].endswith(f"\tsignificant: {models[1]} is better")
        alone = [*evaluation_of_pairs(found, models[:1], None).lines(None)]
        assert alone[0] == "bleu\t38.80\tbleu = 38.8 BP 1.0 | nrefs:1|tok:13a"
        return
    assert [line.split()[1:] for line in lines[1:5]] == [
        ["38.80", "38.80"],
        ["8.10", "8.10"],
        ["+30.70", "+0.20"],
        ["0.0010*", "0.0732"],
    ]
    assert len({line.index(".", len(line) - 8) for line in lines[1:4]}) == 1
    text = " ".join(" ".join(lines).split())
    assert "* p < 0.05: significant; a larger p may be chance" in text
    assert "bleu difference: nrefs:1|bs:1000" in text
    assert "bleu p" not in text  # it is in the table
    assert "bleu, significant: runs/en-de is better" in text.replace("en- de", "en-de")
    assert lines[2].startswith("…" if columns == 40 else "a/folder")
    assert lines[2].split()[0].endswith("a/run" if columns != 40 else "run")
    alone = [*evaluation_of_pairs(found, models[:1], None).lines(columns)]
    assert all(len(line) < columns for line in alone)
