"""Heads over labels of published classes: which a file has, what it means, and what ours become."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from checkpoints import CheckpointError
from tests.families.published import FAMILIES as PUBLISHED
from tests.families.published import VOCABULARY, edit, first_is_global, make
from tests.families.random_folders import draw_labelled, write_folder
from tests.families.test_families import Files, read
from tests.families.test_published_configs import _BERT
from tests.loading.owned import own
from tests.models import model_inputs
from tokenizer import Tokenizer
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.families import FAMILIES
from transformer.heads import LABEL_KINDS
from transformer.loading import inspect_folder, load_model
from transformer.pipelines.arguments import EmbedArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

HEADS = [(family, kind) for family in FAMILIES for kind in FAMILIES[family].label_heads]
POOLED, TAGGED = ("bert.pooler.dense.weight", "classifier.weight"), ("classifier.weight",)
SEQUENCE, TOKENS = "BertForSequenceClassification", "BertForTokenClassification"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BertForSequenceClassification over two labels."""
    folder = tmp_path_factory.mktemp("classifier")
    config = transformers.BertConfig(vocab_size=VOCABULARY, **PUBLISHED["bert"].sizes)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_encoders_and_decoders_have_heads_over_labels() -> None:
    families = {family for family, _ in HEADS}
    encoders = {"bert", "distilbert", "roberta", "xlm-roberta", "roformer", "longformer"}
    decoders = {
        *("gpt2", "llama", "mistral", "qwen2", "qwen3", "smollm3", "olmo2"),
        *("gemma2", "gemma3_text", "phi3"),
    }
    assert families == {*encoders, *decoders}
    of_texts_alone = {"olmo2", "gemma3_text"}  # transformers has no class that labels its tokens
    assert len(HEADS) == 2 * len(families) - len(of_texts_alone)


@pytest.mark.parametrize(
    ("files", "architectures", "head"),
    [
        (POOLED, None, "classification"),
        (TAGGED, None, "tagging"),
        (POOLED, [SEQUENCE], "classification"),
        (POOLED, [TOKENS], "tagging"),  # as saved when its class still had a pooler
        (TAGGED, ["SpecialBertForTokenClassification"], "tagging"),
        (TAGGED, [SEQUENCE], "classification"),  # whose pooler is told to be lacking
        (POOLED[:1], [SEQUENCE], "none"),
    ],
)
def test_the_class_or_the_weights_say_which_head_it_is(
    files: tuple[str, ...], architectures: list[str] | None, head: str
) -> None:
    assert read("bert", Files(*files), architectures=architectures).head == head


def test_a_class_whose_head_is_not_known_is_refused() -> None:
    words = "architectures is BertForMultipleChoice; heads of these are known: BertForSeq"
    with pytest.raises(CheckpointError, match=words):
        read("bert", Files(*POOLED), architectures=["BertForMultipleChoice"])


IDENTITY, SIGMOID = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, (2, "single")),
        ({"num_labels": 3}, (3, "single")),
        ({"num_labels": 1}, (1, "number")),
        ({"num_labels": 3, "problem_type": "regression"}, (3, "number")),
        ({"id2label": {"1": "b", "0": "a"}, "num_labels": 7}, (2, "single")),
        ({"problem_type": "multi_label_classification"}, (2, "multi")),
        ({"num_labels": 1, "sbert_ce_default_activation_function": IDENTITY}, (1, "number")),
        ({"num_labels": 1, "sbert_ce_default_activation_function": SIGMOID}, (1, "multi")),
        ({"num_labels": 1, "sentence_transformers": {"activation_fn": SIGMOID}}, (1, "multi")),
        ({"num_labels": 1, "sentence_transformers": {"version": "4.0"}}, (1, "number")),
    ],
)
def test_labels_are_counted_and_understood(given: dict, wanted: tuple[int, str]) -> None:
    config = read("bert", Files(*POOLED), **given)
    assert (config.labels, config.label_kind) == wanted


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"problem_type": "ranking"}, "problem_type is 'ranking', which is not supported; only"),
        ({"id2label": {"1": "a"}}, "the ids of id2label are 1; they must be 0 to 0"),
        (
            {"sentence_transformers": {"activation_fn": "my.Module"}},
            "activation_fn is 'my.Module', which is not supported; only: Identity, Sigmoid",
        ),
    ],
)
def test_what_labels_cannot_be_is_refused(given: dict, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read("bert", Files(*POOLED), **given)


# config.json files as well-known classifiers have them, and what they are.
CONFIGS: dict[str, tuple[str, tuple[str, ...], dict[str, Any], dict[str, Any]]] = {
    "SST-2": (
        "distilbert",
        ("pre_classifier.weight", "classifier.weight"),
        {
            "activation": "gelu",
            "architectures": ["DistilBertForSequenceClassification"],
            "finetuning_task": "sst-2",
            "id2label": {"0": "NEGATIVE", "1": "POSITIVE"},
            "label2id": {"NEGATIVE": 0, "POSITIVE": 1},
            "output_past": True,
            "qa_dropout": 0.1,
            "seq_classif_dropout": 0.2,
            "sinusoidal_pos_embds": False,
            "tie_weights_": True,
        },
        {"labels": 2, "label_kind": "single", "classifier_layer": "relu"},
    ),
    "MS MARCO": (
        "bert",
        POOLED,
        {
            **_BERT,
            "architectures": [SEQUENCE],
            "hidden_size": 384,
            "id2label": {"0": "LABEL_0"},
            "intermediate_size": 1536,
            "label2id": {"LABEL_0": 0},
            "num_hidden_layers": 6,
            "sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity",
        },
        {"labels": 1, "label_kind": "number", "classifier_layer": "tanh", "d_model": 384},
    ),
    "the activation of RoFormer's feed-forward": (
        "roformer",
        ("classifier.dense.weight", "classifier.out_proj.weight"),
        {"architectures": ["RoFormerForSequenceClassification"], "hidden_act": "gelu_new"},
        {"labels": 2, "classifier_layer": "gelu-tanh", "positions": "rotary"},
    ),
    "NER": (
        "bert",
        TAGGED,
        {
            **_BERT,
            "_num_labels": 3,
            "architectures": [TOKENS],
            "directionality": "bidi",
            "id2label": {"0": "O", "1": "B-PER", "2": "I-PER"},
            "label2id": {"B-PER": 1, "I-PER": 2, "O": 0},
            "output_past": True,
            "pooler_type": "first_token_transform",
        },
        {"head": "tagging", "labels": 3, "classifier_layer": "none"},
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_published_config_is_read(name: str) -> None:
    family, files, options, wanted = CONFIGS[name]
    found = read(family, Files(*files), **{**options, "model_type": family})
    assert {field: getattr(found, field) for field in wanted} == wanted


def labelled(family: str, kind: str, folder: Path, **changes: Any) -> TransformerConfig:
    """The network of one of a family's classes with a head over labels."""
    make(family, 0, folder)
    head, body = FAMILIES[family].label_heads[kind], inspect_folder(folder).config
    fields = {
        "head": kind,
        "labels": 3,
        "classifier_pooling": head.pooling,
        "classifier_layer": head.layer_in(body),
        "output_bias": head.bias,
        "tie_output": True,
        **changes,
    }
    return msgspec.structs.replace(body, **fields)


KINDS = [
    (*head, kind)
    for head in HEADS
    for kind in (("single",) if head[1] == "tagging" else LABEL_KINDS)
]


@pytest.mark.parametrize(("family", "head", "kind"), KINDS)
@torch.no_grad()
def test_what_is_trained_here_runs_in_transformers(
    family: str, head: str, kind: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    config = labelled(family, head, tmp_path / "sizes", label_kind=kind)
    model = own(tmp_path / "ours", config, tokenizer, ["b", "a", "c d"])
    assert convert_model(tmp_path / "ours", tmp_path / "theirs", to=family) == family
    fields = json.loads((tmp_path / "theirs" / "config.json").read_text())
    (architecture,) = fields["architectures"]
    reference = getattr(transformers, architecture).from_pretrained(tmp_path / "theirs").eval()
    assert reference.config.id2label == {0: "b", 1: "a", 2: "c d"}
    assert reference.config.label2id == {"b": 0, "a": 1, "c d": 2}
    ids_BT = torch.randint(4, VOCABULARY, (1, 9))
    wanted = reference(input_ids=ids_BT, **first_is_global(reference, ids_BT)).logits
    torch.testing.assert_close(model(model_inputs(ids_BT)), wanted, atol=1e-4, rtol=0)
    back = load_model(tmp_path / "theirs", device="cpu")
    assert (back.config.label_kind, back.labels) == (kind, ("b", "a", "c d"))
    before, after = back.special_affixes
    assert (before, after) == load_model(tmp_path / "ours", device="cpu").special_affixes
    # transformers 5 reads the tokenizer of a Qwen2 as Qwen2's own, whatever class the file names.
    own_class = family == "qwen2"
    reader = transformers.PreTrainedTokenizerFast if own_class else transformers.AutoTokenizer
    pieces = reader.from_pretrained(tmp_path / "theirs")
    assert pieces("the fox")["input_ids"] == [*before, *tokenizer.encode("the fox"), *after]


@pytest.mark.parametrize(
    ("family", "changes", "words"),
    [
        ("bert", {"classifier_pooling": "mean"}, "supports classifier_pooling 'first' here"),
        ("bert", {"classifier_layer": "none"}, "supports classifier_layer 'tanh' here, not 'none'"),
        ("bert", {"output_bias": False}, "supports output_bias True here, not False"),
        (
            "gpt2",
            {"classifier_layer": "tanh"},
            "it supports classifier_layer 'none' here, not 'tanh'",
        ),
        ("gpt2", {"output_bias": True}, "supports output_bias False here, not True"),
        ("bert", {"labels": 1}, "supports label_kind 'number' here, not 'single'"),
    ],
)
def test_a_head_that_a_family_lacks_is_refused(
    family: str, changes: dict, words: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    own(tmp_path / "ours", labelled(family, "classification", tmp_path / "x", **changes), tokenizer)
    with pytest.raises(ConfigError, match=words):
        convert_model(tmp_path / "ours", tmp_path / "theirs", to=family)


def test_scores_of_pairs_stay_numbers_elsewhere(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """sentence-transformers' cross-encoders put a sigmoid on one label unless told otherwise."""
    for kind, wanted in (("number", {"activation_fn": IDENTITY}), ("multi", None)):
        changes = {"labels": 1, "label_kind": kind}
        config = labelled("bert", "classification", tmp_path / f"{kind}-sizes", **changes)
        own(tmp_path / kind, config, tokenizer)
        convert_model(tmp_path / kind, tmp_path / f"{kind}-out", to="bert")
        fields = json.loads((tmp_path / f"{kind}-out" / "config.json").read_text())
        assert fields.get("sentence_transformers") == wanted


def test_a_pooler_that_is_used_is_not_left_behind(
    classifier: Path, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    tokenizer.save(classifier / "tokenizer.json")
    told: list[str] = []
    convert_model(classifier, tmp_path / "ours", to="transduce", notices=told)
    assert told == []
    tagger, tensors = tmp_path / "tagger", load_file(classifier / "model.safetensors")
    tagger.mkdir()
    save_file(tensors, tagger / "model.safetensors", {"format": "pt"})
    for name in ("config.json", "tokenizer.json"):
        (tagger / name).write_text((classifier / name).read_text())
    edit(tagger / "config.json", architectures=[TOKENS])
    convert_model(tagger, tmp_path / "other", to="transduce", notices=told)
    assert len(told) == 1
    assert "bert.pooler.dense.weight" in told[0]


def test_the_number_of_labels_is_that_of_the_weights(classifier: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((classifier / name).read_bytes())
    edit(tmp_path / "config.json", id2label={"0": "a"})
    with pytest.raises(CheckpointError, match=r"classifier.weight is \(2, 16\); expected \(1, 16"):
        load_model(tmp_path, device="cpu")


def test_a_classifier_embeds_as_its_body_does(classifier: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(classifier / "tokenizer.json")
    loaded = load_model(classifier, device="cpu")
    session = Session([loaded])
    (answer,) = session.embed(IterableSource(["the fox"]), EmbedArguments(), Counter())
    body = transformers.BertModel.from_pretrained(classifier).eval()
    before, after = loaded.special_affixes
    ids_BT = torch.tensor([[*before, *tokenizer.encode("the fox"), *after]])
    with torch.no_grad():
        mean_D = body(input_ids=ids_BT).last_hidden_state[0].mean(dim=0)
    found_D = answer.outputs[0].vector
    cosine = torch.nn.functional.cosine_similarity(found_D, mean_D, dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-5)


def test_a_text_is_framed_elsewhere_as_in_training(tmp_path: Path) -> None:
    """Also by an end token after it, which published decoders do not have."""
    write_folder(draw_labelled("gpt2", 1, "ForSequenceClassification"), tmp_path / "theirs")
    convert_model(tmp_path / "theirs", tmp_path / "ours", to="transduce")
    ours = load_model(tmp_path / "ours", device="cpu")
    assert ours.special_affixes == ([], [])
    end = ours.generation.end_id
    for change, after in (({}, []), ({"source_affixes": [[], [end]]}, [end])):
        edit(tmp_path / "ours" / "config.json", **change)
        (tmp_path / "ours" / "manifest.json").unlink(missing_ok=True)
        out = tmp_path / f"out-{len(after)}"
        convert_model(tmp_path / "ours", out, to="gpt2")
        loaded = load_model(out, device="cpu")
        assert loaded.special_affixes == ([], after)
        pieces = transformers.AutoTokenizer.from_pretrained(out)
        assert pieces("the fox")["input_ids"] == [*loaded.tokenizer.encode("the fox"), *after]
