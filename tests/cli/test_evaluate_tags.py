"""`evaluate --tagged`: what tag gives, scored by the tags of files, as text, JSON and CoNLL."""

import json
from itertools import chain
from pathlib import Path

import pytest
from msgspec.structs import replace
from sklearn import metrics

from tests.label_models import TAGS, write_classifier
from tests.pipelines.test_tagging import random_bert
from tests.training.toys import toy_recipe, train

WORDS = ("the", "cat", "sat", "on", "mat", "The")  # of random_bert's vocabulary


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Published folders: a tagger of spans, one of parts of speech, and one without names."""
    folder = tmp_path_factory.mktemp("taggers")
    names = {
        "spans": ("O", *TAGS),
        "words": ("NOUN", "VERB", "DET"),
        "unnamed": ("LABEL_0", "LABEL_1"),
    }
    for kind, each in names.items():
        random_bert(folder / kind, each)
    return {kind: folder / kind for kind in names}


@pytest.fixture
def evaluate(transduce, folders):
    def go(file, *options, kind="spans", code=0, **streams):
        model = ("-m", folders.get(kind, kind), "--device", "cpu")
        ended = transduce("evaluate", *model, "--tagged", file, *options, **streams)
        assert ended.code == code, ended.err
        return ended

    return go


def sentences(tags, sizes=(1, 5, 3, 40, 7)):
    """Sentences of words with tags, one of which is longer than the model's context."""
    lengths = [n for n in sizes for _ in range(4)]
    picked = (n * n * 7 + n // 3 for n in range(sum(lengths)))
    return [
        [(WORDS[(m := next(picked)) % 6], tags[m % len(tags)]) for _ in range(n)] for n in lengths
    ]


def write_columns(path, rows):
    path.write_text("\n\n".join("\n".join("\t".join(r) for r in each) for each in rows) + "\n")
    return path


def read_saved(path):
    blocks = path.read_text().removesuffix("\n\n").split("\n\n")
    return [[tuple(line.split("\t")) for line in block.split("\n")] for block in blocks]


def test_scores_of_spans_are_those_of_seqeval(evaluate, tmp_path):
    """With a label that the model lacks, and tags of no scheme, which are repaired."""
    report = pytest.importorskip("seqeval.metrics")
    rows = sentences(["O", "B-city", "I-city", "O", "B-person", "I-river", "I-person"])
    file, saved = write_columns(tmp_path / "in.conll", rows), tmp_path / "saved"
    ended = evaluate(file, "--json", "--save-outputs", saved)
    found, kept = json.loads(ended.out), read_saved(saved)
    assert [[row[0] for row in each] for each in kept] == [[w for w, _ in each] for each in rows]
    truth, given = ([[row[n] for row in each] for each in kept] for n in (1, 2))
    as_written = [[tag for _, tag in each] for each in rows]
    wanted = report.classification_report(as_written, given, output_dict=True, zero_division=0)
    names = {"f1": "f1-score", "precision": "precision", "recall": "recall"}
    sides = {**found["labels"], **found["averages"]}
    assert {*sides} == {each.removesuffix(" avg") for each in wanted}
    for name, scores in sides.items():
        expected = wanted.get(name) or wanted[f"{name} avg"]
        assert scores["support"] == expected["support"]
        for ours, theirs in names.items():
            assert scores[ours] == pytest.approx(100 * expected[theirs]), (name, ours)
    assert found["span_f1"]["score"] == found["averages"]["micro"]["f1"] > 0
    assert found["span_f1_macro"]["score"] == found["averages"]["macro"]["f1"]
    accuracy = 100 * report.accuracy_score(truth, given)
    assert found["accuracy"]["score"] == pytest.approx(accuracy)
    assert (found["texts"], found["words"]) == (len(rows), sum(map(len, rows)))
    rivers = found["labels"]["river"]["support"]
    told = ended.err.decode()
    assert (
        f"{rivers} spans with a label that the model lacks, which counts as missed: 'river'" in told
    )
    repaired = sum(a != b for a, b in zip(chain(*as_written), chain(*truth), strict=True))
    assert f"{repaired} of {found['words']} tags repaired, which do not obey" in told
    assert told.count("repaired") == told.count("river") == 1
    assert len(found["notices"]["files"]) == 2


def test_what_is_scored_is_what_tag_gives(evaluate, transduce, folders, tmp_path):
    """Of words between spaces, which are none of a rule's, in long texts too."""
    plain = sentences(["O", "B-city"])
    rows = [[(f",{w}" * (1 + n % 2), tag) for n, (w, tag) in enumerate(each)] for each in plain]
    file, saved = write_columns(tmp_path / "in.conll", rows), tmp_path / "saved"
    evaluate(file, "--save-outputs", saved, "-q")
    lines = "".join(" ".join(word for word, _ in each) + "\n" for each in rows)
    model = ("-m", folders["spans"], "--device", "cpu")
    ended = transduce("tag", *model, "--words", "spaces", "--json", stdin=lines.encode())
    for line, each in zip(ended.out.splitlines(), read_saved(saved), strict=True):
        starts = [sum(len(row[0]) + 1 for row in each[:n]) for n in range(len(each))]
        spans = json.loads(line)["spans"]
        begins = [(s["label"], s["start"]) for s in spans]
        pairs = zip(starts, each, strict=True)
        assert begins == [(row[2][2:], start) for start, row in pairs if row[2][0] == "B"]
        inside = sum(len(s["text"].split()) for s in spans)
        assert inside == sum(row[2] != "O" for row in each)


def test_tags_of_words_have_accuracy_and_f1_each(evaluate, tmp_path):
    rows = sentences(["NOUN", "DET", "ADJ", "VERB"])
    file, saved = write_columns(tmp_path / "in.conll", rows), tmp_path / "saved"
    ended = evaluate(file, "--json", "--save-outputs", saved, kind="words")
    found = json.loads(ended.out)
    truth, given = ([row[n] for row in chain(*read_saved(saved))] for n in (1, 2))
    assert truth == [tag for _, tag in chain(*rows)]
    assert {*given} <= {"NOUN", "VERB", "DET"}
    assert found["accuracy"]["score"] == pytest.approx(100 * metrics.accuracy_score(truth, given))
    names = sorted({*truth, *given})
    wanted = metrics.precision_recall_fscore_support(truth, given, labels=names, zero_division=0)
    for name, *expected in zip(names, *wanted, strict=True):
        each = found["labels"][name]
        scores = [each[key] / 100 for key in ("precision", "recall", "f1")]
        assert [*scores, each["support"]] == pytest.approx(expected)
    for average in ("micro", "macro", "weighted"):
        f1 = 100 * metrics.f1_score(truth, given, average=average, zero_division=0)
        assert found[f"f1_{average}"]["score"] == pytest.approx(f1)
    lacking = truth.count("ADJ")
    told = f"{lacking} words with a label that the model lacks, which counts as missed: 'ADJ'"
    assert told.encode() in ended.err


def test_rows_are_of_three_columns(evaluate, tmp_path):
    file = write_columns(tmp_path / "in.conll", sentences(["O", "B-city", "B-person"]))
    lines = evaluate(file).out.decode().splitlines()
    assert {line.count("\t") for line in lines} == {2}
    names = ["span_f1", "span_f1_macro", "accuracy", "f1 of city", "f1 of person"]
    assert [line.partition("\t")[0] for line in lines] == names
    assert " spans | average:micro|spans:default" in lines[0]
    assert lines[3].endswith(" spans")


TAGGED = ["O", "B-city", "O", "O", "B-person", "O", "B-city"]  # spans of one word, apart
FORMS = {
    "the same": str,
    "numbers": ["O", *TAGS].index,
    "bioes": lambda tag: tag.replace("B-", "S-"),
    "iob1": lambda tag: tag.replace("B-", "I-"),
    "labels": lambda tag: tag[2:] or tag,
}


@pytest.mark.parametrize("form", FORMS)
def test_tags_of_every_form_are_measured_alike(form, evaluate, tmp_path):
    rows = [[*zip(WORDS * 2, TAGGED[n:], strict=False)] for n in range(4)]
    plain = json.loads(evaluate(write_columns(tmp_path / "in.conll", rows), "--json").out)
    file = tmp_path / "in.jsonl"
    records = [{"w": [w for w, _ in each], "t": [FORMS[form](t) for _, t in each]} for each in rows]
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    ended = evaluate(file, "--columns", "w,t", "--json")
    found = json.loads(ended.out)
    assert (found["labels"], found["texts"]) == (plain["labels"], plain["texts"])
    told = b"tags are numbers of the model's: 0 'O', 1 'B-city', 3 'B-person'"
    assert (told in ended.err) == (form == "numbers")
    assert b"repaired" not in ended.err


def test_columns_are_named_and_stdin_is_read(evaluate, tmp_path):
    rows = sentences(["O", "B-city", "B-person"])
    file = write_columns(tmp_path / "in.conll", rows)
    plain = evaluate(file, "--json").out
    assert evaluate("-", "--json", stdin=file.read_bytes()).out == plain
    wide = [[("x", word, "y", tag, "z") for word, tag in each] for each in rows]
    write_columns(file, wide)
    assert evaluate(file, "--columns", "2,4", "--json").out == plain


def test_spans_of_characters(evaluate, tmp_path):
    file, saved = tmp_path / "in.jsonl", tmp_path / "saved"
    spans = [{"start": 0, "end": 7, "label": "city"}, {"start": 12, "end": 14, "label": "person"}]
    file.write_text(json.dumps({"text": "the cat sat on", "spans": spans}) + "\n")
    found = json.loads(evaluate(file, "--json", "--save-outputs", saved).out)
    assert {name: each["support"] for name, each in found["labels"].items() if each["support"]} == {
        "city": 1,
        "person": 1,
    }
    (rows,) = read_saved(saved)
    assert [row[:2] for row in rows] == [
        *(("the", "B-city"), ("cat", "I-city"), ("sat", "O"), ("on", "B-person"))
    ]


def test_a_run_is_measured_on_a_file_as_its_validation_measured_it(transduce, tmp_path):
    recipe = toy_recipe(tmp_path, "tagging", steps=4, learning_rate=1e-2, precision="float32")
    path = recipe.data.tagged[0]
    data = replace(recipe.data, valid_tagged=[path], valid_fraction=0.0)
    train(replace(recipe, data=data), tmp_path / "run")
    command = ("evaluate", "-m", tmp_path / "run", "--device", "cpu", "--json")
    own, file = (json.loads(transduce(*command, *more).out) for more in ([], ["--tagged", path]))
    for name in ("span_f1", "span_f1_macro", "accuracy"):
        assert file[name] == own[name]
    assert "commands      tag, embed, evaluate --tagged FILE\n" in (
        transduce("checkpoint", "show", tmp_path / "run").out.decode()
    )


def test_odd_files_are_told(evaluate, transduce, folders, tmp_path):
    file = tmp_path / "in.conll"
    for kind, content, told in [
        ("spans", "", "has no words with tags"),
        (
            "spans",
            "cat\tNOUN\n",
            "none of its tags ('NOUN') is one of the model's ('city', 'person')",
        ),
        (
            "words",
            "cat\tB-city\nsat\tO\n",
            "none of its tags ('B-city', 'O') is one of the model's",
        ),
        ("spans", "cat\n", "has 1 column"),
        ("unnamed", "cat\t2\n", "none of its tags ('2') is one of the model's"),
    ]:
        file.write_text(content)
        ended = evaluate(file, kind=kind, code=4)
        assert told in ended.err.decode()
        assert ended.err.count(b"\n") == 1
        assert ended.out == b""
    file.write_text("cat\tO\n")
    assert b"span_f1\t0.00\t" in evaluate(file).out  # there is nothing to find
    file.write_text("cat\t0\nsat\t1\n")
    assert b"accuracy\t" in evaluate(file, kind="unnamed").out
    ended = transduce("evaluate", "-m", write_classifier(tmp_path / "other"), "--tagged", file)
    assert ended.code == 2
    assert b"cannot tag, which needs a tagger" in ended.err
    assert b"it can do this: transduce evaluate --labelled FILE -m" in ended.err
    for options, words in {
        ("--beam", "3"): "--beam: with --source or --pairs, not with --tagged",
        ("--label-separator", ","): "--label-separator: with --labelled, not with --tagged",
        ("-m", folders["words"]): "what is measured on --tagged is one model's",
        ("--columns", "1"): "tagged text has two columns, word and tag",
    }.items():
        code = 4 if options[0] == "--columns" else 2
        assert words in evaluate(file, *options, code=code).err.decode()


def test_words_that_no_token_has_are_no_spans(evaluate, tmp_path):
    """The tokenizer drops a replacement character; tags of words have `_` there."""
    file, saved = tmp_path / "in.jsonl", tmp_path / "saved"
    for kind, tag, none in (("spans", "O", "O"), ("words", "DET", "_")):
        file.write_text(json.dumps({"tokens": ["the", "\ufffd", "cat"], "tags": [tag] * 3}) + "\n")
        evaluate(file, "--save-outputs", saved, kind=kind)
        ((first, dropped, last),) = read_saved(saved)
        assert dropped[1:] == (tag, none)
        assert "_" not in (first[2], last[2])
