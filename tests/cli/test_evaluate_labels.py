"""`evaluate --labelled`: what classify gives, scored by the labels of files, as text and JSON."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from scipy import stats
from sklearn import metrics

from cli.io.label_scores import ScoredLabels
from cli.render.label_scores import evaluation_of_labels
from tests.label_models import LABELS, write_classifier
from tests.masked_models import write_masked
from tokenizer import CorpusCounts
from transformer.evaluation import label_report

TEXTS = ["one two", "three four five", "größer", "日本 one", "five four", "two two two"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("classifiers")
    return {k: write_classifier(folder / k, k) for k in ("single", "multi", "number")}


@pytest.fixture
def evaluate(transduce, folders):
    def go(file, *options, kind="single", code=0):
        model = ("-m", folders[kind], "--device", "cpu")
        ended = transduce("evaluate", *model, "--labelled", file, *options)
        assert ended.code == code, ended.err
        return ended

    return go


@pytest.fixture
def answers(transduce, folders):
    """Return what `classify` says of lines: the scores of each label, in the order of LABELS."""

    def ask(lines, *options, kind="single"):
        command = ("classify", "-q", "-m", folders[kind], "--top-k", "9", "--json", *options)
        ended = transduce(*command, stdin="".join(f"{line}\n" for line in lines).encode())
        records = [json.loads(line) for line in ended.out.splitlines()]
        if kind == "number":
            return [record["score"] for record in records]
        scores = [{each["label"]: each["score"] for each in r["labels"]} for r in records]
        return np.array([[each[name] for name in LABELS] for each in scores])

    return ask


def test_scores_are_of_what_classify_gives(evaluate, answers, tmp_path):
    """A label that the model lacks is one that it gets wrong; blank texts are left out."""
    labels = ["city", "person", "thing", "city", "river", "thing"]
    file = tmp_path / "in.tsv"
    file.write_text("".join(f"{t}\t{label}\n" for t, label in zip(TEXTS, labels, strict=True)))
    file.write_text(f"{file.read_text()} \tcity\n")
    ended = evaluate(file, "--columns", "1,2", "--json")
    found = json.loads(ended.out)
    given = [LABELS[n] for n in answers(TEXTS).argmax(1)]
    assert found["texts"] == 6
    assert found["accuracy"]["score"] == pytest.approx(100 * metrics.accuracy_score(labels, given))
    f1 = metrics.f1_score(labels, given, average="macro", zero_division=0)
    assert found["f1_macro"]["score"] == pytest.approx(100 * f1)
    assert found["labels"]["river"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}
    matrix = metrics.confusion_matrix(labels, given, labels=[*LABELS, "river"])
    assert found["confusion"] == {"labels": [*LABELS, "river"], "texts": matrix.tolist()}
    assert sum(each["texts"] for each in found["calibration"]) == 6
    told = ended.err.decode()
    assert "1 blank text left out" in told
    assert "1 text with a label that the model lacks, which counts as missed: 'river'" in told
    assert found["notices"]["files"] == [line.partition(": ")[2] for line in told.splitlines()]


def test_rows_are_of_three_columns(evaluate, tmp_path):
    file, saved = tmp_path / "in.jsonl", tmp_path / "saved.tsv"
    rows = [{"text": "one\ttwo", "label": "city"}, {"text": "three", "label": "thing"}]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    lines = evaluate(file, "--save-outputs", saved).out.decode().splitlines()
    assert {line.count("\t") for line in lines} == {2}
    names = [line.partition("\t")[0] for line in lines]
    scores = ["accuracy", "f1_micro", "f1_macro", "f1_weighted", "matthews", "calibration_error"]
    assert names[:6] == scores
    assert {"f1 of city", "f1 of thing", "right of city", "right of thing"} < {*names}
    kept = [line.split("\t") for line in saved.read_text().splitlines()]
    assert [(row[0], row[3]) for row in kept] == [("city", "one two"), ("thing", "three")]
    right = sum(own == given for own, given, *_ in kept)
    assert lines[0] == f"accuracy\t{50 * right:.2f}\t{right} of 2 texts | texts:2"
    assert all(row[1] in LABELS and 0 < float(row[2]) < 1 for row in kept)


def test_several_labels_of_a_text(evaluate, answers, tmp_path):
    """From lists of JSON, or with a separator from tables."""
    labels = [["city"], ["person", "thing"], [], ["thing", "city"], ["river"], ["person"]]
    rows = [json.dumps({"text": t, "labels": own}) for t, own in zip(TEXTS, labels, strict=True)]
    (tmp_path / "in.jsonl").write_text("\n".join(rows))
    ended = evaluate(tmp_path / "in.jsonl", "--json", kind="multi")
    found = json.loads(ended.out)
    names = [*LABELS, "river"]
    truth = np.array([[name in own for name in names] for own in labels])
    given = np.pad(answers(TEXTS, kind="multi") >= 0.5, ((0, 0), (0, 1)))
    f1 = metrics.f1_score(truth, given, average="micro")
    assert found["f1_micro"]["score"] == pytest.approx(100 * f1)
    accuracy = metrics.accuracy_score(truth, given)
    assert found["accuracy"]["score"] == pytest.approx(100 * accuracy)
    assert not found.keys() & {"confusion", "calibration"}
    table, saved = tmp_path / "in.csv", tmp_path / "saved"
    cells = [f'{t},"{", ".join(own)}"' for t, own in zip(TEXTS, labels, strict=True) if own]
    table.write_text("\n".join(["text,label", *cells]))
    options = ("--label-separator", ",", "--save-outputs", saved, "--json")
    ended = evaluate(table, *options, kind="multi")
    again = json.loads(ended.out)
    kept = [line.split("\t") for line in saved.read_text().splitlines()]
    assert [row[0] for row in kept] == [",".join(own) for own in labels if own]
    assert [row[1].count(",") + bool(row[1]) for row in kept] == [
        int(row.sum()) for row, own in zip(given, labels, strict=True) if own
    ]
    assert again["labels"]["river"] == found["labels"]["river"]


def test_numbers(evaluate, answers, tmp_path):
    numbers, file, saved = [1.5, -2, 3, 0.25, 7, 2], tmp_path / "in.tsv", tmp_path / "saved"
    file.write_text("".join(f"{t}\t{x}\n" for t, x in zip(TEXTS, numbers, strict=True)))
    found = json.loads(evaluate(file, "--save-outputs", saved, "--json", kind="number").out)
    given = answers(TEXTS, kind="number")
    assert found["pearson"]["score"] == pytest.approx(100 * stats.pearsonr(numbers, given)[0])
    assert found["spearman"]["score"] == pytest.approx(100 * stats.spearmanr(numbers, given)[0])
    error = metrics.mean_squared_error(numbers, given)
    assert found["mean_squared_error"]["score"] == pytest.approx(error)
    kept = [line.split("\t") for line in saved.read_text().splitlines()]
    assert [row[0] for row in kept] == [str(x) for x in numbers]
    assert [float(row[1]) for row in kept] == pytest.approx(given, abs=1e-6)
    assert [row[2] for row in kept] == TEXTS


def test_the_one_label_of_a_cross_encoder_is_a_number(transduce, tmp_path):
    model, file = write_classifier(tmp_path / "m", "multi", ["LABEL_0"]), tmp_path / "in.tsv"
    file.write_text("".join(f"{t}\t{n % 3}\n" for n, t in enumerate(TEXTS)))
    command = ("evaluate", "-m", model, "--device", "cpu", "--labelled", file, "--json")
    saved = tmp_path / "saved"
    found = json.loads(transduce(*command, "--save-outputs", saved).out)
    rows = [line.split("\t") for line in saved.read_text().splitlines()]
    scores = [float(row[1]) for row in rows]
    assert all(0 < score < 1 for score in scores)
    wanted = stats.pearsonr([0, 1, 2, 0, 1, 2], scores)[0]
    assert found["pearson"]["score"] == pytest.approx(100 * wanted, abs=0.1)
    lists = [{"text": "one two", "labels": ["LABEL_0"]}, {"text": "two", "labels": []}]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in lists))
    assert "f1_samples" in json.loads(transduce(*command).out)


def test_pairs_of_texts(evaluate, answers, tmp_path):
    """Labelled as classify --pairs labels them, so that nothing is wrong."""
    pairs = [("one", "two"), ("three", "one two"), ("日本", "five"), ("four", "größer")]
    chances = answers(map("\t".join, pairs), "--pairs")
    given = [LABELS[n] for n in chances.argmax(1)]
    file, saved = tmp_path / "in.csv", tmp_path / "saved"
    rows = [f"{a},{b},{label}" for (a, b), label in zip(pairs, given, strict=True)]
    file.write_text("\n".join(["premise,hypothesis,label", *rows]))
    found = json.loads(evaluate(file, "--json", "--save-outputs", saved).out)
    assert (found["accuracy"]["score"], found["texts"]) == (100, 4)
    rows = [line.split("\t") for line in saved.read_text().splitlines()]
    assert [float(row[2]) for row in rows] == pytest.approx(chances.max(1), abs=1e-6)
    assert [(row[3], row[4]) for row in rows] == pairs


def test_odd_files_are_told(evaluate, transduce, folders, tmp_path):
    file = tmp_path / "in.tsv"
    for content, told in {
        "": "has no text with a label",
        "one two\tsea\nfive\triver\n": "none of its labels ('sea', 'river') is one of the model's",
        "one\tcity\tperson\tcity\n": "which are text and label? Name them, the label last, with",
        " \tcity\n": "has no text with a label",
    }.items():
        file.write_text(content)
        ended = evaluate(file, code=4)
        assert told in ended.err.decode()
        assert ended.out == b""
    file.write_text("one\tcity\n")
    assert b"accuracy\t" in evaluate(file).out  # one text, one label
    ended = transduce("evaluate", "-m", write_masked(tmp_path / "masked"), "--labelled", file)
    assert ended.code == 2
    assert b"cannot classify, which needs a classifier" in ended.err
    assert b"it can do this: transduce evaluate --text FILE -m" in ended.err
    for options, words in {
        ("--beam", "3"): ["--beam: with --source or --pairs, not with --labelled"],
        ("--column", "1"): ["--column: with --text, not with --labelled"],
        ("-m", folders["multi"]): ["what is measured on --labelled is one model's"],
        ("--text", file): ["--labelled and --text: give one text"],
    }.items():
        ended = evaluate(file, *options, code=2)
        assert all(word in ended.err.decode() for word in words)
    ended = transduce("evaluate", "-m", folders["single"], "--label-separator", ",")
    assert b"--label-separator: with --labelled, which is missing" in ended.err
    ended = transduce("evaluate", "-m", folders["single"])
    assert b"is no training run" in ended.err


def scored(outputs, targets, names):
    report = label_report("single", np.array(outputs), np.array(targets), names)
    return evaluation_of_labels(ScoredLabels(CorpusCounts(), Counter(), len(targets), report))


MATRICES = {(2, 40), (2, 80), (2, 200), (6, 80), (6, 200)}  # labels, and columns that have room


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("size", [2, 6, 60])
def test_tables_fit_the_terminal(columns, size):
    names = [f"label {n:02d} with a name" for n in range(size)]
    targets = [n % size for n in range(4 * size)]
    outputs = np.full((4 * size, size), 0.01)
    outputs[np.arange(4 * size), [(n * n) % size for n in range(4 * size)]] = 0.5
    lines = [*scored(outputs, targets, names).lines(columns)]
    assert all(len(line) < columns for line in lines)
    text = " ".join(lines)
    assert ("more labels, of 120 texts" in text) == (size == 60)
    assert ("rows: the labels" in text) == ((size, columns) in MATRICES)
    assert ("with a name given label" in text) != ("rows: the labels" in text)


def test_names_of_wide_characters_are_cut_by_their_columns():
    names = ("日本語日本語日本語日本語", "two", "three")
    found = scored([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], [0, 1, 2], names)
    lines = [*found.lines(40)]
    rows = [line for line in lines if line.startswith(("日", "two ", "three "))]
    assert {cell_len(line) for line in rows} == {39}
    assert len(rows) == 6
    assert sum("日本語…" in line for line in rows) == 1


def test_a_matrix_has_the_labels_that_there_are():
    """A label that no text has is there if it is given to one."""
    outputs = [[0.8, 0.1, 0.1, 0]] * 3 + [[0.1, 0.1, 0.8, 0]]
    found = scored(outputs, [0, 0, 1, 1], ("a", "b", "c", "d"))
    lines = [*found.lines(80)]
    assert lines[-4:] == ["   a  b  c", "a  2  0  0", "b  1  0  1", "c  0  0  0"]
    rows = [*found.lines(None)]
    assert rows[-3:] == [
        "right of a\t2\tof 2 texts",
        "right of b\t0\tof 2 texts; given instead: a: 1, c: 1",
        "right of c\t0\tof 0 texts",
    ]
