"""Tagging, from tagged files to checkpoints: targets of words, windows, and F1 of spans."""

import json
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.preparing import prepare
from tests.training.test_run import changed
from tests.training.toys import store, toy_recipe, train, write_tagged
from tokenizer import CorpusError, Tokenizer
from transformer.data import IGNORE, TaggedData, TokenStore
from transformer.errors import ConfigError
from transformer.folder_layout import DATA
from transformer.inputs import ModelInputs
from transformer.labels import (
    LabelInventory,
    TaggedFile,
    TaggedText,
    TokenWindow,
    read_tagged,
    tokens_of_words,
)
from transformer.loading import load_model
from transformer.training.events import DataPrepared, Notice, Remark, Validated
from transformer.training.objectives import TRAIN, VALID
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.tagged_corpus import TagInventory
from transformer.training.tagged_encoding import (
    KeptText,
    predicted_tags,
    read_kept_texts,
    read_tags_of,
    tagged_data,
)
from transformer.training.trainer import StepReport

SPANS = ("O", "B-high", "B-low")


def write_words(folder: Path, name: str = "pos", lines: int = 40) -> Path:
    """Rows of digits, each with a tag for its parity, which is no span."""
    path = folder / f"{name}.jsonl"
    rows = [[*f"{n * 37 % 991:03d}"] for n in range(lines)]
    records = [{"tokens": row, "tags": [("EVEN", "ODD")[int(d) % 2] for d in row]} for row in rows]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def write_columns(path: Path, *sentences: str) -> Path:
    """Sentences of `word/tag`, in columns."""
    blocks = ["\n".join(each.replace("/", "\t").split(" ")) for each in sentences]
    path.write_text("\n\n".join(blocks) + "\n")
    return path


def recipe_of(folder: Path, path: Path, **data: object):
    fields = {"tagged": [str(path)], "valid_fraction": 0.0, **data}
    return changed(toy_recipe(folder, "tagging"), data=fields)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run on spans and one on tags of words, validated once on other files."""
    folder = tmp_path_factory.mktemp("tags")
    (folder / "valid").mkdir()
    spans = write_tagged(folder)["tagged"][0]
    files = {
        "spans": (spans, write_tagged(folder / "valid", 20)["tagged"][0]),
        "words": (write_words(folder), write_words(folder, "valid", 9)),
    }
    for name, (training, valid) in files.items():
        recipe = toy_recipe(folder, "tagging", steps=4, learning_rate=1e-2)
        data = {"tagged": [str(training)], "valid_tagged": [str(valid)], "valid_fraction": 0.0}
        train(changed(recipe, data=data, validation={"every": 4}), folder / name)
        (folder / name / "valid.txt").symlink_to(valid)
    return {name: folder / name for name in files}


def validation_of(run: Path) -> dict:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return next(record for record in records if record["event"] == "validation")


def said_of(run: Path) -> tuple[list[list[str]], list[list[str]]]:
    """The tags of the validation texts, and the model's, a whole text at a time."""
    loaded = load_model(run)
    begin, end = loaded.special_affixes
    truth, said = [], []
    for text in read_tagged(TaggedFile(str((run / "valid.txt").resolve()))):
        encoding = loaded.tokenizer.encode_with_offsets(text.text)
        logits = loaded.model(ModelInputs(torch.tensor([[*begin, *encoding.ids, *end]])))
        best = logits[0, len(begin) :].argmax(-1)
        tokens = tokens_of_words(encoding.offsets, text.words)
        truth.append([*text.tags])
        said.append([loaded.labels[int(best[first])] for first, _ in tokens])
    return truth, said


def test_a_checkpoint_knows_its_tags(runs) -> None:
    for name, labels in (("spans", SPANS), ("words", ("EVEN", "ODD"))):
        loaded = load_model(runs[name])
        config = loaded.config
        assert (config.shape, config.head, config.label_kind) == ("encoder", "tagging", "single")
        assert loaded.labels == labels
        assert loaded.special_affixes[0] == [loaded.tokenizer.role("begin")]
    assert read_tags_of(runs["spans"] / DATA).scheme == "bio"
    assert read_tags_of(runs["words"] / DATA).scheme is None


def test_scores_of_spans_are_those_of_seqeval(runs) -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    validated = validation_of(runs["spans"])
    assert validated["perplexity"] is None
    truth, said = said_of(runs["spans"])
    assert {*chain(*said)} >= {"O", "B-high"}, "nothing is compared"
    f1 = seqeval.f1_score(truth, said)
    assert validated["scores"]["span_f1"]["value"] == pytest.approx(100 * f1)
    assert 0 < f1 < 1


def test_tags_that_are_no_spans_have_their_accuracy(runs) -> None:
    validated = validation_of(runs["words"])
    truth, said = ([*chain(*each)] for each in said_of(runs["words"]))
    right = np.mean([a == b for a, b in zip(truth, said, strict=True)])
    assert validated["scores"].keys() == {"accuracy"}
    assert validated["scores"]["accuracy"]["value"] == pytest.approx(100 * right)
    assert validated["decided_by"] == "accuracy"


def test_a_words_first_token_has_its_tag(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "t.conll", "abc/B-X de/I-X f/O", "gh/O")
    prepare(recipe_of(tmp_path, path), tmp_path / "run")
    folder = tmp_path / "run" / DATA
    tokenizer = Tokenizer.load(tmp_path / "run" / "tokenizer.json")
    assert read_tags_of(folder).labels.names == ("O", "B-X", "I-X")
    data = tagged_data(folder / TRAIN, max_tokens=100, seed=1)
    batch = data.make(np.array([0, 1]))
    assert batch.num_targets == 4 == data.num_targets(0)
    for row, text, tags in ((0, "abc de f", {"a": 1, "d": 2, "f": 0}), (1, "gh", {"g": 0})):
        ids, offsets = tokenizer.encode_with_offsets(text)
        begins = [text[start:end][:1] for start, end in offsets]
        wanted = [tags.get(character, IGNORE) for character in begins]
        assert batch.inputs.ids_BT[row, 1 : len(ids) + 1].tolist() == ids
        targets = batch.targets[row].tolist()
        assert targets[1 : len(ids) + 1] == wanted
        assert {targets[0], *targets[len(ids) + 1 :]} == {IGNORE}
        assert batch.inputs.positions_BT[row].tolist() == [
            n if n < len(ids) + 2 else -1 for n in range(len(targets))
        ]
    flat = batch.targets.flatten()
    assert batch.predicted_N.tolist() == (flat != IGNORE).nonzero().flatten().tolist()


def test_long_texts_are_read_in_windows_that_lose_no_word(tmp_path: Path) -> None:
    tags = [f"{'BI'[n % 2]}-X" if n % 5 < 2 else "O" for n in range(40)]
    words = " ".join(f"{n % 10}/{tag}" for n, tag in enumerate(tags))
    path = write_columns(tmp_path / "t.conll", words, "1/O 2/B-X")
    recipe = recipe_of(tmp_path, path, max_tokens=12)
    (prepared,) = [e for e in prepare(recipe, tmp_path / "run") if isinstance(e, DataPrepared)]
    report, folder = prepared.training, tmp_path / "run" / DATA / TRAIN
    assert (report.windowed, report.kept, report.words, report.limit) == (1, 2, 42, 12)
    data = tagged_data(folder, max_tokens=100, seed=1)
    (first, kept), (last, _) = read_kept_texts(folder)
    assert (first, last) == (0, len(kept.windows)) and last > 2
    names = read_tags_of(tmp_path / "run" / DATA).labels.names
    found = [t for row in range(last) for t in data.make(np.array([row])).targets[0].tolist()]
    assert [names[t] for t in found if t != IGNORE] == [*kept.text.tags]
    lengths = TokenStore(folder / "ids").lengths()
    assert lengths[:last].tolist() == [12] * last
    shared = [one.end - other.start for one, other in pairwise(kept.windows)]
    assert min(shared) >= 2, "windows do not overlap"


def test_windows_without_a_target_are_not_written(tmp_path: Path) -> None:
    path = write_columns(tmp_path / "t.conll", f"{'12345' * 20}/B-X 3/O")
    prepare(recipe_of(tmp_path, path, max_tokens=12), tmp_path / "run")
    folder = tmp_path / "run" / DATA / TRAIN
    ((_, kept),) = read_kept_texts(folder)
    assert len(kept.windows) == 2 == len(TokenStore(folder / "ids"))
    data = tagged_data(folder, max_tokens=100, seed=1)
    assert [data.count_targets(np.array([n])) for n in (0, 1)] == [1, 1]


def test_predictions_of_windows_make_the_tags_of_a_text(tmp_path: Path, runs) -> None:
    """Scores of a text in windows are of all its words."""
    tags = ["B-low"] * 3 + ["O"] * 4 + ["B-high"] * 3
    row = " ".join(f"{n * 7 % 10}/{tags[n * 7 % 10]}" for n in range(40))
    valid = write_columns(tmp_path / "valid.conll", row)
    recipe = resolve_recipe(
        None,
        {
            "data": {
                **write_tagged(tmp_path),
                "valid_tagged": [str(valid)],
                "max_tokens": 12,
            },
            "training": {"steps": 1, "learning_rate": 1e-9, "warmup": 0},
        },
        [],
    )
    events = train(recipe, tmp_path / "run", init=runs["spans"])
    (validated,) = [event for event in events if isinstance(event, Validated)]
    assert validated.scores["accuracy"].details.endswith("of 40 words")
    assert validated.scores["span_f1"].value > 30


def test_each_window_answers_its_own_tokens() -> None:
    """Two windows share the tokens 2 and 3; the first of each row is a special one."""
    words = tuple((n, n + 1) for n in range(5))
    tags = TagInventory(LabelInventory(("a", "b", "c")), None)
    windows = [TokenWindow(0, 4, 0, 3), TokenWindow(2, 5, 3, 5)]
    kept = KeptText(TaggedText("vwxyz", words, ("a",) * 5), [*words], windows)
    rows = [np.array([2, 0, 1, 2, 0, 2]), np.array([2, 0, 1, 2, 0])]
    assert predicted_tags(kept, rows, tags, before=1) == ["a", "b", "c", "b", "c"]


def test_words_with_a_tag_that_training_lacks_are_told_and_count_as_wrong(tmp_path: Path) -> None:
    valid = write_columns(tmp_path / "v.conll", "8/B-high 1/B-one 5/O", "9/I-high 3/O")
    recipe = changed(
        toy_recipe(tmp_path, "tagging", steps=1),
        data={"valid_tagged": [str(valid)], "valid_fraction": 0.0},
    )
    events = train(recipe, tmp_path / "run")
    (prepared,) = [event for event in events if isinstance(event, DataPrepared)]
    assert (prepared.validation.kept, prepared.validation.words) == (2, 5)
    told = " ".join(event.text for event in events if isinstance(event, Notice))
    assert "1 word with a tag that the training text lacks" in told and "'B-one'" in told
    assert "v.conll: 1 of 5 tags repaired, which do not obey the scheme bio" in told
    (validated,) = [event for event in events if isinstance(event, Validated)]
    assert validated.scores["span_f1"].details.endswith("3 spans")
    data = tagged_data(tmp_path / "run" / DATA / VALID, max_tokens=100, seed=1)
    assert data.num_targets(0) == 4


def test_what_the_tokenizer_cannot_tell_is_counted(tmp_path: Path) -> None:
    valid = write_columns(tmp_path / "v.conll", "8/O Ж/B-high", "ЖЖ/O")
    recipe = changed(
        toy_recipe(tmp_path, "tagging", steps=1),
        data={"valid_tagged": [str(valid)], "valid_fraction": 0.0, "max_unknown": 1.0},
    )
    (prepared,) = [e for e in prepare(recipe, tmp_path / "run") if isinstance(e, DataPrepared)]
    part = prepared.validation
    assert (part.kept, part.left_out, part.unknown_words) == (1, {"unknown": 1}, 1)
    assert part.tags == {"high": 1} and part.are_spans


def test_a_model_gets_a_new_head_and_keeps_it_for_the_same_tags(runs, tmp_path: Path) -> None:
    data = {"tagged": [str(write_words(tmp_path))], "max_tokens": 30}
    fields = {"data": data, "training": {"steps": 1, "learning_rate": 1e-9, "warmup": 0}}
    recipe = resolve_recipe(None, fields, [])
    events = train(recipe, tmp_path / "new", init=runs["spans"])
    (remark,) = [e.text for e in events if isinstance(e, Remark) and "head" in e.text]
    assert "new head, tagging" in remark and "over 3 labels" in remark
    new, old = load_model(tmp_path / "new"), load_model(runs["spans"])
    assert new.labels == ("EVEN", "ODD")
    weights = (each.model.embedding.weight for each in (new, old))
    torch.testing.assert_close(*weights, atol=1e-6, rtol=0)
    events = train(recipe, tmp_path / "same", init=runs["words"])
    assert not [e for e in events if isinstance(e, Remark) and "head" in e.text]
    heads = (load_model(run).model.head.weight for run in (tmp_path / "same", runs["words"]))
    torch.testing.assert_close(*heads, atol=1e-6, rtol=0)


def test_a_resumed_run_whose_text_has_other_tags_is_refused(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "tagging", steps=1)
    train(recipe, tmp_path / "run")
    path = Path(recipe.data.tagged[0])
    path.write_text(path.read_text() + "1\tB-one\n")
    with pytest.raises(ConfigError, match=r"3 outputs for labels .* the text 4"):
        train(changed(recipe, training={"steps": 2}), tmp_path / "run", resume=True)


def test_a_decoder_tags_too(tmp_path: Path) -> None:
    fields = {
        "data": {**write_tagged(tmp_path), "valid_fraction": 0.1, "max_tokens": 40},
        "tokenizer": {"kind": "char"},
        "model": {"preset": "write-tiny", "d_model": 16, "d_ff": 32, "heads": 2},
        "training": {"steps": 1, "batch_tokens": 256},
    }
    fields["model"]["decoder_layers"] = 1
    train(resolve_recipe(None, fields, []), tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    assert (loaded.config.shape, loaded.config.head, loaded.labels) == ("decoder", "tagging", SPANS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tO\nb\tO\n", "all words have the label 'O', so there is nothing to tell apart"),
        ("\n\n", "has no words with tags"),
        ("a\tO\nb\n", "has 1 column: a word and its tag are separated by a tab"),
    ],
)
def test_text_without_tags_to_tell_apart_is_refused(tmp_path, text, message) -> None:
    path = tmp_path / "bad.conll"
    path.write_text(text)
    with pytest.raises(CorpusError, match=message):
        prepare(recipe_of(tmp_path, path), tmp_path / "run")


def test_validation_tags_that_are_none_of_spans_are_refused(tmp_path: Path) -> None:
    valid = write_columns(tmp_path / "v.conll", "8/NOUN")
    recipe = changed(
        toy_recipe(tmp_path, "tagging"),
        data={"valid_tagged": [str(valid)], "valid_fraction": 0.0},
    )
    with pytest.raises(CorpusError, match=r"v\.conll: 'NOUN' is no tag of spans"):
        prepare(recipe, tmp_path / "run")


def test_a_tagger_learns_its_toy(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "tagging", steps=40, learning_rate=1e-2, warmup=4)
    recipe = changed(recipe, data={"valid_fraction": 0.0})
    losses = [e.loss for e in train(recipe, tmp_path / "run") if isinstance(e, StepReport)]
    assert losses[-1] < 0.3 * losses[0]


def test_labels_alone_are_spans_beside_o(tmp_path: Path) -> None:
    """As some corpora have it: words of one label in a row are one span."""
    path = write_columns(tmp_path / "t.conll", "1/high 2/high 3/O", "1/O 4/low")
    events = prepare(recipe_of(tmp_path, path), tmp_path / "run")
    (prepared,) = [e for e in events if isinstance(e, DataPrepared)]
    assert prepared.training.tags == {"high": 1, "low": 1}
    tags = read_tags_of(tmp_path / "run" / DATA)
    assert (tags.labels.names, tags.scheme) == (("O", "high", "low"), None)


def test_batches_of_tags_are_those_of_their_rows(tmp_path: Path) -> None:
    ids = store(tmp_path / "ids", [[3, 4], [5, 6, 7], [8]])
    tags = store(tmp_path / "tags", [[0, 2], [1, 0, 3], [0]])
    data = TaggedData(ids, tags, max_tokens=100, seed=0)
    batch = data.make(np.array([1, 0]))
    assert batch.inputs.ids_BT.tolist() == [[5, 6, 7], [3, 4, 0]]
    assert batch.targets.tolist() == [[0, IGNORE, 2], [IGNORE, 1, IGNORE]]
    assert batch.predicted_N.tolist() == [0, 2, 4]
    assert [data.count_targets(np.array([n])) for n in range(3)] == [1, 2, 0]
    assert data.num_targets(0) == 3
