"""Decoders as sentence models (Qwen3-Embedding): pooled as their folders say, else refused."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn import functional as F

from tests.families.published import FAMILIES, edit, randomize
from tests.families.random_tokenizers import TOKENIZERS
from tests.tokenizer.pretrained.folders import write
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.loading import LoadedModel, load_model, summarize_model
from transformer.pipelines.arguments import EmbedArguments
from transformer.pipelines.comparison import compare_models, compare_pooling
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

TEXTS = ["the quick fox", "", "jumps over lazy dogs, e.g. bananas " * 3, " 1234 Zwölf "]
INSTRUCTION = "Instruct: Find what answers the query\nQuery:"
END = "<|endoftext|>"
POOLING_FILES = ("modules.json", "1_Pooling/config.json", "config_sentence_transformers.json")


def sentence_decoder(folder: Path, **options: Any) -> Path:
    """A small random Qwen3 without its head, in a folder like that of Qwen3-Embedding."""
    tokenizers = TOKENIZERS["qwen3"]
    tokenizers.write({}, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (end,) = [token["id"] for token in tokenizer["added_tokens"] if token["content"] == END]
    tokenizer["post_processor"] = {
        "type": "Sequence",
        "processors": [
            tokenizer["post_processor"]
            or {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False},
            {
                "type": "TemplateProcessing",
                "single": [
                    {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": END, "type_id": 0}},
                ],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {END: {"id": END, "ids": [end], "tokens": [END]}},
            },
        ],
    }
    write(folder, {"tokenizer.json": tokenizer})
    sizes = {**FAMILIES["qwen3"].sizes, "tie_word_embeddings": True, **options}
    torch.manual_seed(1)
    ids = tokenizers.ids(folder)
    config = transformers.Qwen3Config(vocab_size=ids.size, eos_token_id=end, **sizes)
    model = transformers.Qwen3Model(config)
    randomize(model)
    model.save_pretrained(folder)
    edit(folder / "config.json", architectures=["Qwen3ForCausalLM"])
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [{"type": f"sentence_transformers.models.{k}", "path": p} for k, p in kinds.items()]
    prompts = {"query": INSTRUCTION, "document": ""}
    named = {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    write(folder, {"modules.json": modules, "config_sentence_transformers.json": named})
    modes = {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
    write(folder / "1_Pooling", {"config.json": {**modes, "include_prompt": True}})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sentence_decoder(tmp_path_factory.mktemp("sentences"))


def vectors(loaded: LoadedModel, texts: list[str] = TEXTS, **asked: Any) -> Tensor:
    answers = Session([loaded]).embed(IterableSource(texts), EmbedArguments(**asked), Counter())
    return torch.stack([output.vector for answer in answers for output in answer.outputs])


@torch.inference_mode()
def wanted(folder: Path, prompt: str = "") -> Tensor:
    """The states of each text's last token, which its tokenizer adds, scaled to length 1."""
    pieces = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    rows = []
    for text in TEXTS:
        encoded = pieces(
            (prompt + text).strip(), return_tensors="pt", truncation=True, max_length=64
        )
        assert pieces.decode(encoded.input_ids[0, -1:]) == END
        rows.append(model(input_ids=encoded.input_ids).last_hidden_state[0, -1])
    return F.normalize(torch.stack(rows), dim=-1)


def without_modules(folder: Path) -> None:
    """Remove what says how a model's states are pooled, and the checksums of its files."""
    for name in ("modules.json", "manifest.json"):
        (folder / name).unlink()


@pytest.mark.parametrize(("asked", "prompt"), [({}, ""), ({"prompt_name": "query"}, INSTRUCTION)])
def test_vectors_are_the_last_states(asked: dict[str, Any], prompt: str, folder: Path) -> None:
    loaded, expected = load_model(folder, device="cpu"), wanted(folder, prompt)
    together = vectors(loaded, **asked)
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=0)
    alone = torch.cat([vectors(loaded, [text], **asked) for text in TEXTS])
    torch.testing.assert_close(alone, expected, atol=1e-5, rtol=0)


def test_windows_count(tmp_path: Path) -> None:
    windows = dict(use_sliding_window=True, sliding_window=3, max_window_layers=1)
    folder = sentence_decoder(tmp_path, **windows)
    found = vectors(load_model(folder, device="cpu"))
    torch.testing.assert_close(found, wanted(folder), atol=1e-5, rtol=0)


def test_one_without_a_head_of_its_own_needs_none(tmp_path: Path) -> None:
    """As the larger Qwen3-Embedding, whose configuration does not tie an output to the input."""
    folder = sentence_decoder(tmp_path, tie_word_embeddings=False)
    found = vectors(load_model(folder, device="cpu"))
    torch.testing.assert_close(found, wanted(folder), atol=1e-5, rtol=0)


def test_conversions_keep_the_vectors(folder: Path, tmp_path: Path) -> None:
    convert_model(folder, tmp_path / "ours", to="transduce")
    convert_model(tmp_path / "ours", tmp_path / "again", to="huggingface")
    first, *others = (load_model(f, device="cpu") for f in (folder, *sorted(tmp_path.iterdir())))
    for other in others:
        assert torch.equal(vectors(other), vectors(first))
        assert max(d.max_vector_diff or 0.0 for d in compare_models(first, other, TEXTS[:2])) == 0
        assert compare_pooling(first, other) == []
    for name in POOLING_FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    torch.testing.assert_close(wanted(tmp_path / "again"), wanted(folder), atol=1e-6, rtol=0)
    without_modules(tmp_path / "ours")
    assert "kind 'last', 'mean'" in compare_pooling(first, load_model(tmp_path / "ours"))


def test_what_it_is_for_comes_first(folder: Path) -> None:
    facts = dict(summarize_model(folder))
    assert facts["commands"].startswith("embed, generate")
    assert facts["pooling"] == "last; scaled to length 1; prompts document, query"


def test_without_a_pooling_it_is_a_language_model(folder: Path, tmp_path: Path) -> None:
    convert_model(folder, tmp_path / "plain", to="qwen3")
    without_modules(tmp_path / "plain")
    loaded = load_model(tmp_path / "plain", device="cpu")
    words = r"cannot embed, which needs .* how its states are pooled \(modules.json\), or --pooling"
    with pytest.raises(ConfigError, match=words):
        vectors(loaded)
    with pytest.raises(ConfigError, match=words):
        Session([loaded]).vector_size(EmbedArguments())
    assert Session([loaded]).vector_size(EmbedArguments(pooling="last")) == 16
    texts = [text.strip() for text in TEXTS]  # as sentence-transformers has them
    found, expected = vectors(loaded, texts, pooling="last"), vectors(load_model(folder), texts)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    facts = dict(summarize_model(tmp_path / "plain"))
    assert "embed" not in facts["commands"] and "pooling" not in facts
