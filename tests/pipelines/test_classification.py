"""Labels of lines, whatever their neighbours, equal to transformers' own."""

from collections import Counter

import pytest
import torch
import transformers

from tests.label_models import write_classifier
from tests.tokenizer.pretrained.folders import BERT_VOCABULARY, write_bert
from transformer.loading import load_model
from transformer.pipelines.arguments import ClassifyArguments
from transformer.pipelines.records import IterableSource, Line
from transformer.pipelines.session import Session

TEXTS = ["one", "two three", "größer " * 9, "four five one", "日本", "three"] * 3


def labels_of(folder, lines, **arguments):
    session = Session([load_model(folder, device="cpu")])
    answers = session.classify(IterableSource(lines), ClassifyArguments(**arguments), Counter())
    return [answer.outputs[0] for answer in answers]


@pytest.mark.parametrize("kind", ["single", "multi", "number"])
def test_a_line_does_not_depend_on_its_neighbours(tmp_path, kind) -> None:
    folder = write_classifier(tmp_path, kind)
    together = labels_of(folder, TEXTS, top_k=3, batch_tokens=64)
    for text, labels in zip(TEXTS[:6], together[:6], strict=True):
        (alone,) = labels_of(folder, [text], top_k=3)
        assert [each.label for each in alone] == [each.label for each in labels]
        scores = [each.score for each in labels]
        assert [each.score for each in alone] == pytest.approx(scores, abs=1e-5)


def test_labels_of_pairs_are_those_of_transformers(tmp_path) -> None:
    folder = write_bert(tmp_path)
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    config = transformers.BertConfig(
        **sizes,
        vocab_size=len(BERT_VOCABULARY),
        initializer_range=0.5,
        max_position_embeddings=20,
        id2label={0: "no", 1: "yes", 2: "perhaps"},
    )
    torch.manual_seed(1)
    reference = transformers.BertForSequenceClassification(config).eval()
    reference.save_pretrained(folder)
    pieces = transformers.AutoTokenizer.from_pretrained(folder)
    pairs = [("the cat", "the"), ("cat", "the cat sat on the mat"), ("the " * 30, "cat")]
    inputs = pieces(*zip(*pairs, strict=True), padding=True, truncation="longest_first",
                    max_length=20, return_tensors="pt")  # fmt: skip
    with torch.inference_mode():
        expected = reference(**inputs).logits.softmax(dim=-1)
    lines = [Line(n, a, fields={"text_pair": b}) for n, (a, b) in enumerate(pairs)]
    found = labels_of(folder, lines, top_k=3)
    for row, labels in zip(expected.tolist(), found, strict=True):
        by_name = {each.label: each.score for each in labels}
        assert [by_name[n] for n in ("no", "yes", "perhaps")] == pytest.approx(row, abs=1e-5)


def test_the_only_label_of_a_cross_encoder_is_always_given(tmp_path) -> None:
    folder = write_classifier(tmp_path, "multi", labels=1, names=("score",))
    for labels in labels_of(folder, ["one", "two three", "four"], threshold=1.0):
        assert [each.label for each in labels] == ["score"]
