"""Classification, from labelled files to checkpoints, in all kinds of labels."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
import transformers

from checkpoints import read_json
from tests.training.preparing import prepare
from tests.training.test_run import changed
from tests.training.toys import toy_recipe, train, write_labelled
from tokenizer import CorpusError, Tokenizer
from transformer.data import LabelledData, TokenStore
from transformer.errors import ConfigError
from transformer.evaluation import label_outputs, label_scores
from transformer.export import convert_model
from transformer.folder_layout import DATA
from transformer.inputs import ModelInputs
from transformer.labels import LabelInventory
from transformer.loading import ModelTexts, default_generation_config, load_model
from transformer.training.events import DataPrepared, Notice, Remark, Validated
from transformer.training.labelled_encoding import labelled_data, read_labels
from transformer.training.objectives import OBJECTIVES, TRAIN, VALID
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.trainer import StepReport

from .toys import store

OBJECTIVE = OBJECTIVES["classification"]
KINDS = {
    "single": ("accuracy", "f1_macro"),
    "multi": ("f1_micro", "accuracy"),
    "number": ("pearson", "spearman"),
}


def write_kind(folder: Path, kind: str, lines: int = 60) -> Path:
    """Rows of digits: the parity of the first, which of them are there, or the mean."""
    path = folder / f"{kind}.jsonl"
    records = []
    for n in range(lines):
        digits = [int(d) for d in f"{n * 37 % 991:03d}"]
        label = {
            "single": "odd" if digits[0] % 2 else "even",
            "multi": sorted({str(d) for d in digits if d < 3}),
            "number": sum(digits) / 3,
        }[kind]
        records.append({"text": " ".join(map(str, digits)), "label": label})
    path.write_text("".join(f"{json.dumps(r)}\n" for r in records))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run of each kind, trained for two steps."""
    folder = tmp_path_factory.mktemp("labels")
    runs = {}
    for kind in KINDS:
        recipe = toy_recipe(folder, "classification", steps=2)
        data = {"labelled": [str(write_kind(folder, kind))]}
        train(changed(recipe, data=data, validation={"every": 2}), folder / kind)
        runs[kind] = folder / kind
    return runs


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_knows_its_labels(runs, kind) -> None:
    loaded = load_model(runs[kind])
    names = {"single": ("even", "odd"), "multi": ("0", "1", "2"), "number": ("LABEL_0",)}[kind]
    config = loaded.config
    assert (config.shape, config.head, config.label_kind) == ("encoder", "classification", kind)
    assert loaded.labels == names
    assert config.labels == len(names)
    assert loaded.special_affixes == ([loaded.tokenizer.role("begin")], [loaded.generation.end_id])


@pytest.mark.parametrize("kind", KINDS)
def test_validation_scores_are_those_of_its_kind(runs, kind) -> None:
    run = runs[kind]
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (validated,) = [record for record in records if record["event"] == "validation"]
    assert validated["perplexity"] is None
    loaded = load_model(run)
    data = labelled_data(run / DATA / VALID, max_tokens=256, seed=1)
    outputs, targets = label_outputs(loaded.model, data.in_order())
    scores = label_scores(kind, outputs, targets, loaded.labels)
    assert validated["scores"].keys() == {*KINDS[kind]}
    for name in KINDS[kind]:
        assert validated["scores"][name]["value"] == pytest.approx(scores[name].value)


def test_rows_have_tokens_around_texts_types_of_second_texts_and_their_targets(tmp_path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("one\ttwo\tyes\nthree\tone\tno\n" * 3)
    data = {"labelled": [str(path)], "columns": ["1", "2", "3"], "valid_fraction": 0.0}
    recipe = changed(toy_recipe(tmp_path, "classification"), data=data)
    prepare(recipe, tmp_path / "run")
    folder = tmp_path / "run" / DATA
    tokenizer = Tokenizer.load(tmp_path / "run" / "tokenizer.json")
    plain = ModelTexts(tokenizer, default_generation_config(tokenizer), folder)
    texts = OBJECTIVE.frame_texts(plain, "encoder")
    made = OBJECTIVE.open(recipe, texts, folder, TRAIN)
    batch = made.make(np.array([0, 1]))
    begin, end = (tokenizer.role(role) for role in ("begin", "end"))
    rows = [
        [begin, *tokenizer.encode(a), end, *tokenizer.encode(b), end]
        for a, b in (("one", "two"), ("three", "one"))
    ]
    ids, positions, types = batch.inputs[:3]
    assert ids[1].tolist() == rows[1]
    assert ids[0].tolist() == [*rows[0], 0, 0]
    assert positions.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7, 8, -1, -1], [*range(11)]]
    assert types.tolist() == [[0] * 5 + [1] * 4 + [0, 0], [0] * 7 + [1] * 4]
    assert read_labels(folder) == LabelInventory(("no", "yes"))
    assert batch.targets.tolist() == [1, 0]
    assert batch.num_targets == 2


@pytest.mark.parametrize("kind", ["single", "multi", "number"])
def test_a_batchs_targets_are_counted_by_their_labels(tmp_path: Path, kind: str) -> None:
    ids = store(tmp_path / "ids", [[3], [4, 5]])
    targets = {
        "single": np.array([1, 0]),
        "multi": np.array([[1, 0, 1], [0, 0, 0]], dtype=np.float32),
        "number": np.array([[0.5], [2.0]], dtype=np.float32),
    }[kind]
    data = LabelledData(ids, np.array([1, 2]), targets, max_tokens=100, seed=0)
    assert data.num_targets(0) == {"single": 2, "multi": 6, "number": 2}[kind]
    (batch,) = data.in_order()
    assert batch.inputs.types_BT is None
    assert batch.targets.tolist() == targets[batch.rows].tolist()


def test_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "long.tsv"
    path.write_text("0 1 2 3 4 5 6 7 8 9\todd\n1\teven\n" * 2)
    data = {"labelled": [str(path)], "max_tokens": 8, "valid_fraction": 0.0}
    recipe = changed(toy_recipe(tmp_path, "classification"), data=data)
    events = train(changed(recipe, training={"steps": 1}), tmp_path / "run")
    (prepared,) = [event for event in events if isinstance(event, DataPrepared)]
    assert (prepared.training.shortened, prepared.training.limit) == (2, 8)
    assert prepared.training.labels == {"even": 2, "odd": 2}
    assert max(TokenStore(tmp_path / "run" / DATA / TRAIN / "ids").lengths()) == 8


def test_validation_texts_with_a_label_that_training_lacks_are_left_out_and_told(tmp_path) -> None:
    other = tmp_path / "valid.tsv"
    other.write_text("1 2\todd\n3\tprime\n2\teven\n")
    recipe = changed(
        toy_recipe(tmp_path, "classification", steps=1), data={"valid_labelled": [str(other)]}
    )
    events = train(recipe, tmp_path / "run")
    (prepared,) = [event for event in events if isinstance(event, DataPrepared)]
    assert prepared.validation.kept == 2
    told = [event.text for event in events if isinstance(event, Notice)]
    assert any("1 text with a label that the training text lacks" in text for text in told)


def test_equal_texts_are_drawn_together_by_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "twice.tsv"
    path.write_text("".join(f"{n}\t{'ab'[n % 2]}\n" for n in range(30)) * 2)
    recipe = toy_recipe(tmp_path, "classification")
    parts = {}
    for seed in (1, 2):
        fields = {"labelled": [str(path)], "valid_fraction": 0.3}
        prepare(
            msgspec.structs.replace(changed(recipe, data=fields), seed=seed), tmp_path / str(seed)
        )
        ids = [TokenStore(tmp_path / str(seed) / DATA / p / "ids") for p in (TRAIN, VALID)]
        sets = [{tuple(part[n]) for n in range(len(part))} for part in ids]
        assert not sets[0] & sets[1]
        parts[seed] = sets[1]
    assert parts[1] != parts[2]


def test_a_model_gets_a_new_head_and_keeps_it_for_the_same_labels(runs, tmp_path: Path) -> None:
    recipe = resolve_recipe(
        None,
        {
            "objective": "classification",
            "data": {"labelled": [str(write_kind(tmp_path, "multi"))], "max_tokens": 30},
            "training": {"steps": 1, "learning_rate": 1e-9, "warmup": 0},
        },
        [],
    )
    events = train(recipe, tmp_path / "new", init=runs["single"])
    (remark,) = [e.text for e in events if isinstance(e, Remark) and "head" in e.text]
    assert "new head" in remark and "over 2 labels" in remark
    new, old = load_model(tmp_path / "new"), load_model(runs["single"])
    assert new.labels == ("0", "1", "2")
    body = {n: t for n, t in new.model.state_dict().items() if not n.startswith("head.")}
    for name, tensor in body.items():
        torch.testing.assert_close(tensor, old.model.state_dict()[name], atol=1e-6, rtol=0)
    events = train(recipe, tmp_path / "same", init=runs["multi"])
    assert not [e for e in events if isinstance(e, Remark) and "head" in e.text]
    same = load_model(tmp_path / "same").model.head.weight
    torch.testing.assert_close(same, load_model(runs["multi"]).model.head.weight, atol=1e-6, rtol=0)


def test_a_resumed_run_whose_text_has_other_labels_is_refused(runs, tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "classification", steps=1)
    train(recipe, tmp_path / "run")
    path = Path(recipe.data.labelled[0])
    path.write_text(path.read_text() + "1 2 3\tneither\n")
    with pytest.raises(ConfigError, match=r"2 outputs for labels .* the text 3"):
        train(changed(recipe, training={"steps": 2}), tmp_path / "run", resume=True)


def test_a_decoder_classifies_by_its_last_token(tmp_path: Path) -> None:
    fields = {
        "objective": "classification",
        "data": {**write_labelled(tmp_path), "valid_fraction": 0.1, "max_tokens": 40},
        "tokenizer": {"kind": "char"},
        "model": {"preset": "write-tiny", "d_model": 16, "d_ff": 32, "heads": 2},
        "training": {"steps": 1, "batch_tokens": 256},
    }
    fields["model"]["decoder_layers"] = 1
    train(resolve_recipe(None, fields, []), tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    assert (loaded.config.classifier_pooling, loaded.config.classifier_layer) == ("last", "none")
    ids = TokenStore(tmp_path / "run" / DATA / TRAIN / "ids")
    assert ids[0][-1] == loaded.generation.end_id
    convert_model(tmp_path / "run", tmp_path / "published", to="llama")  # which has no bias there
    assert load_model(tmp_path / "published").special_affixes == loaded.special_affixes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\tb\nc\tb\n", "all texts have the label 'b'"),
        ("", "no text with a label"),
    ],
)
def test_text_without_labels_to_tell_apart_is_refused(tmp_path, text, message) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    data = {"labelled": [str(path)], "columns": ["1", "2"], "valid_fraction": 0.0}
    recipe = changed(toy_recipe(tmp_path, "classification"), data=data)
    with pytest.raises(CorpusError, match=message):
        train(recipe, tmp_path / "run")


def test_a_metric_that_the_labels_have_no_score_of_gives_way_to_the_loss(tmp_path: Path) -> None:
    recipe = changed(
        toy_recipe(tmp_path, "classification", steps=2),
        data={"labelled": [str(write_kind(tmp_path, "number"))]},
        validation={"metric": "f1_macro", "every": 2},
    )
    events = train(recipe, tmp_path / "run")
    (validated,) = [event for event in events if isinstance(event, Validated)]
    assert validated.decided_by == "loss"
    told = [event.text for event in events if isinstance(event, Notice)]
    assert "macro F1 is no score of these labels: the loss decides" in " ".join(told)


@pytest.mark.parametrize("kind", ["multi", "number"])
def test_every_kind_learns_its_toy(tmp_path: Path, kind: str) -> None:
    recipe = toy_recipe(tmp_path, "classification", steps=60, learning_rate=1e-2, warmup=4)
    recipe = changed(
        recipe,
        data={"labelled": [str(write_kind(tmp_path, kind, lines=20))], "valid_fraction": 0.0},
    )
    losses = [e.loss for e in train(recipe, tmp_path / "run") if isinstance(e, StepReport)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("positions", "family", "layer"), [("rotary", "roformer", "gelu"), ("learned", "bert", "tanh")]
)
@pytest.mark.parametrize("objective", ["masked-lm", "classification", "tagging"])
def test_an_encoder_is_published_with_each_of_its_heads(
    objective: str, positions: str, family: str, layer: str, tmp_path: Path
) -> None:
    recipe = toy_recipe(tmp_path, objective, steps=1, warmup=0)
    train(changed(recipe, model={"positions": positions}), tmp_path / "run")
    out = tmp_path / "published"
    assert convert_model(tmp_path / "run", out, to="huggingface") == family
    ours = load_model(tmp_path / "run", device="cpu")
    if objective == "classification":
        assert ours.config.classifier_layer == layer
    (name,) = read_json(out / "config.json")["architectures"]
    theirs = getattr(transformers, name).from_pretrained(out).eval()
    ids = torch.arange(5, 12)[None]
    with torch.no_grad():
        wanted, found = theirs(input_ids=ids).logits, ours.model(ModelInputs(ids))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_labels_of_a_run_lie_in_its_data(runs) -> None:
    assert read_json(runs["multi"] / DATA / "labels.json") == {
        "kind": "multi",
        "names": ["0", "1", "2"],
    }


def test_a_head_over_other_labels_of_the_same_number_is_replaced(runs, tmp_path: Path) -> None:
    path = tmp_path / "xy.tsv"
    path.write_text("1 1\tx\n2 2 2\ty\n" * 5)
    fields = {
        "data": {"labelled": [str(path)], "max_tokens": 30},
        "training": {"steps": 1, "warmup": 0},
    }
    events = train(resolve_recipe(None, fields, []), tmp_path / "run", init=runs["single"])
    assert [e for e in events if isinstance(e, Remark) and "new head" in e.text]
    assert load_model(tmp_path / "run").labels == ("x", "y")


@pytest.mark.parametrize("kind", ["single", "number"])
def test_an_empty_list_of_labels_is_left_out_where_a_text_needs_one(tmp_path, kind) -> None:
    path = tmp_path / "lists.jsonl"
    records = [{"text": f"{n} {n}", "label": [[], ["1"], ["2"]][n % 3]} for n in range(9)]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    data = {"labelled": [str(path)], "label_kind": kind, "valid_fraction": 0.0}
    recipe = changed(toy_recipe(tmp_path, "classification", steps=1), data=data)
    (prepared,) = [e for e in train(recipe, tmp_path / "run") if isinstance(e, DataPrepared)]
    assert (prepared.training.kept, prepared.training.left_out) == (6, {"unlabelled": 3})


def test_texts_that_are_all_drawn_for_validation_are_told(tmp_path: Path) -> None:
    path = tmp_path / "equal.tsv"
    path.write_text("a b\tx\na b\ty\n")
    recipe = changed(
        toy_recipe(tmp_path, "classification"),
        data={"labelled": [str(path)], "valid_fraction": 0.99, "columns": ["1", "2"]},
    )
    with pytest.raises(CorpusError, match="no text is left to train on: all are drawn for valid"):
        train(recipe, tmp_path / "run")
