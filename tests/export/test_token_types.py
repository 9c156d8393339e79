"""Token types of pairs in files that are written here, by the ordinary call of transformers."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from checkpoints import read_json
from tests.label_models import LABELS, write_classifier
from transformer.export import convert_model
from transformer.export.side_files import write_other_tokenizer
from transformer.loading import LoadedModel, load_model
from transformer.pipelines.arguments import ClassifyArguments
from transformer.pipelines.records import IterableSource, Line
from transformer.pipelines.session import Session

PAIRS = [("one two", "three"), ("four", "five one two"), ("three three", "two")]
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {"positions": "learned", "feedforward": "gelu"},
    "roformer": {"classifier_layer": "gelu"},
}


def classifier(folder: Path, family: str, **changes: Any) -> LoadedModel:
    """An encoder whose answers tell a token's type, in our own format."""
    write_classifier(folder, **FAMILIES[family], **changes)
    return load_model(folder, device="cpu")


def our_answers(loaded: LoadedModel) -> list[list[float]]:
    lines = [Line(n, a, fields={"text_pair": b}) for n, (a, b) in enumerate(PAIRS)]
    arguments = ClassifyArguments(top_k=len(LABELS))
    answers = Session([loaded]).classify(IterableSource(lines), arguments, Counter())
    found = [{each.label: each.score for each in answer.outputs[0]} for answer in answers]
    return [[scores[label] for label in LABELS] for scores in found]


@pytest.mark.parametrize("types", [1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_exported_classifiers_answer_pairs_by_the_ordinary_call(
    family: str, types: int, tmp_path: Path
) -> None:
    loaded = classifier(tmp_path / "ours", family, token_types=types)
    assert convert_model(tmp_path / "ours", tmp_path / "out", to="huggingface") == family
    pieces = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    (name,) = read_json(tmp_path / "out" / "config.json")["architectures"]
    theirs = getattr(transformers, name).from_pretrained(tmp_path / "out").eval()
    for (first, second), ours in zip(PAIRS, our_answers(loaded), strict=True):
        inputs = pieces(first, second, return_tensors="pt")
        assert ("token_type_ids" in inputs) == (types > 1)
        with torch.no_grad():
            expected = theirs(**inputs).logits.softmax(dim=-1)[0].tolist()
            plain = theirs(inputs["input_ids"]).logits.softmax(dim=-1)[0].tolist()
        assert ours == pytest.approx(expected, abs=1e-5)
        assert (ours == pytest.approx(plain, abs=1e-4)) == (types == 1)


@pytest.mark.parametrize("types", [0, 1, 2])
def test_a_tokenizer_that_has_grown_names_what_its_network_reads(
    types: int, tmp_path: Path
) -> None:
    loaded = classifier(tmp_path / "ours", "bert", token_types=types)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    write_other_tokenizer(tmp_path, loaded)
    settings = SimpleNamespace(**read_json(tmp_path / "tokenizer_config.json"))
    assert settings.tokenizer_class == "PreTrainedTokenizerFast"
    own = ["token_type_ids"] if types == 2 else []
    assert settings.model_input_names == ["input_ids", *own, "attention_mask"]
