"""Sentence models' folders: poolings, Dense modules, prompts; obeyed, and kept by conversions."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor

from checkpoints import CheckpointError
from tests.pipelines.test_embedding import small_encoder
from tests.tokenizer.pretrained.folders import write
from transformer.errors import ConfigError
from transformer.export import average_models, convert_model
from transformer.loading import LoadedModel, load_model, read_pooling_config
from transformer.pipelines.arguments import EmbedArguments
from transformer.pipelines.comparison import compare_models, compare_pooling
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

TEXTS = ["The quick fox", "  jumps Over lazy dogs ", "", "zwolf cafe " * 20]
PROMPTS = {"query": "Movie: ", "passage": "the "}
Pool = Callable[[Tensor], Tensor]  # of states (S, D) that are pooled


def weighted(states_SD: Tensor, first: int = 0) -> Tensor:
    weights_S = torch.arange(first + 1, first + len(states_SD) + 1).float()
    return (states_SD * weights_S[:, None]).sum(0) / weights_S.sum()


# sentence-transformers' definitions, by its names.
POOLINGS: dict[str, Pool] = {
    "pooling_mode_cls_token": lambda states_SD: states_SD[0],
    "pooling_mode_max_tokens": lambda states_SD: states_SD.amax(0),
    "pooling_mode_mean_tokens": lambda states_SD: states_SD.mean(0),
    "pooling_mode_mean_sqrt_len_tokens": lambda states_SD: states_SD.sum(0) / len(states_SD) ** 0.5,
    "pooling_mode_weightedmean_tokens": weighted,
    "pooling_mode_lasttoken": lambda states_SD: states_SD[-1],
}
ACTIVATIONS: dict[str, Pool] = {
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.linear.Identity": lambda vector_D: vector_D,
    "torch.nn.modules.activation.GELU": torch.nn.functional.gelu,
}


def sentence_model(
    folder: Path,
    *,
    mode: str = "pooling_mode_mean_tokens",
    normalize: bool = True,
    dense: str | None = None,
    prompts: dict[str, Any] | None = None,
    texts: dict[str, Any] | None = None,
    **pooling: Any,
) -> Path:
    """A small random BERT, as sentence-transformers saves one."""
    small_encoder(folder)
    kinds = {"Transformer": "", "Pooling": "1_Pooling"}
    kinds |= {"Dense": "2_Dense"} if dense else {}
    kinds |= {"Normalize": "3_Normalize"} if normalize else {}
    modules = [{"type": f"sentence_transformers.models.{k}", "path": p} for k, p in kinds.items()]
    settings = {"max_seq_length": 12, "do_lower_case": False} if texts is None else texts
    files = {"modules.json": modules, "sentence_bert_config.json": settings}
    if prompts is not None:
        files["config_sentence_transformers.json"] = prompts
    write(folder, files)
    write(folder / "1_Pooling", {"config.json": {mode: True, **pooling}})
    if dense:
        sizes = {"in_features": 16, "out_features": 7, "bias": True, "activation_function": dense}
        write(folder / "2_Dense", {"config.json": sizes})
        weights = {"linear.weight": torch.randn(7, 16), "linear.bias": torch.randn(7)}
        save_file(weights, folder / "2_Dense" / "model.safetensors")
    return folder


def vectors(loaded: LoadedModel, **asked: Any) -> Tensor:
    answers = Session([loaded]).embed(IterableSource(TEXTS), EmbedArguments(**asked), _counts())
    return torch.stack([output.vector for answer in answers for output in answer.outputs])


def _counts() -> Counter[str]:
    return Counter[str]()


@torch.inference_mode()
def wanted(
    folder: Path, pool: Pool, *, prompt: str = "", unpooled: int = 0, lower: bool = False
) -> Tensor:
    """What sentence-transformers computes, before Dense and Normalize."""
    pieces = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    rows = []
    for text in TEXTS:
        said = (prompt + text).strip()
        said = said.lower() if lower else said
        encoded = pieces(said, return_tensors="pt", truncation=True, max_length=12)
        rows.append(pool(model(**encoded).last_hidden_state[0, unpooled:]))
    return torch.stack(rows)


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", POOLINGS)
def test_each_pooling_is_that_of_sentence_transformers(mode: str, tmp_path: Path) -> None:
    folder = sentence_model(tmp_path, mode=mode, normalize=False)
    same(vectors(load_model(folder, device="cpu")), wanted(folder, POOLINGS[mode]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_dense_module_maps_the_vectors(activation: str, tmp_path: Path) -> None:
    folder = sentence_model(tmp_path, dense=activation)
    (layer,) = read_pooling_config(folder).dense
    pooled = wanted(folder, POOLINGS["pooling_mode_mean_tokens"])
    mapped = ACTIVATIONS[activation](pooled @ layer.weight.T + layer.bias)
    same(vectors(load_model(folder, device="cpu")), torch.nn.functional.normalize(mapped, dim=-1))


def test_prompts_stand_before_texts_as_asked_for(tmp_path: Path) -> None:
    prompts = {"prompts": PROMPTS, "default_prompt_name": "query"}
    folder = sentence_model(tmp_path, normalize=False, prompts=prompts)
    loaded, mean = load_model(folder, device="cpu"), POOLINGS["pooling_mode_mean_tokens"]
    same(vectors(loaded), wanted(folder, mean, prompt="Movie: "))
    same(vectors(loaded, prompt_name="passage"), wanted(folder, mean, prompt="the "))
    same(vectors(loaded, prompt="a fox"), wanted(folder, mean, prompt="a fox"))
    same(vectors(loaded, prompt=""), wanted(folder, mean))
    with pytest.raises(ConfigError, match="no prompt 'title'; it has: passage, query"):
        vectors(loaded, prompt_name="title")
    with pytest.raises(ConfigError, match="--prompt and --prompt-name"):
        vectors(loaded, prompt_name="query", prompt="a")


@pytest.mark.parametrize("mode", ["pooling_mode_mean_tokens", "pooling_mode_weightedmean_tokens"])
def test_a_prompt_may_be_read_and_not_pooled(mode: str, tmp_path: Path) -> None:
    folder = sentence_model(tmp_path, mode=mode, normalize=False, include_prompt=False)
    loaded, pool = load_model(folder, device="cpu"), POOLINGS[mode]
    skipped = 1 + len(loaded.tokenizer.encode("Movie:"))
    if pool is weighted:
        pool = lambda states_SD: weighted(states_SD, skipped)  # noqa: E731
    same(
        vectors(loaded, prompt="Movie: "), wanted(folder, pool, prompt="Movie: ", unpooled=skipped)
    )
    same(vectors(loaded), wanted(folder, POOLINGS[mode]))


def test_texts_may_be_in_lower_case(tmp_path: Path) -> None:
    texts = {"max_seq_length": 12, "do_lower_case": True}
    folder = sentence_model(tmp_path, normalize=False, texts=texts)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false'))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder, {"tokenizer_config.json": {**settings, "do_lower_case": False}})
    loaded, mean = load_model(folder, device="cpu"), POOLINGS["pooling_mode_mean_tokens"]
    same(vectors(loaded), wanted(folder, mean, lower=True))
    assert loaded.tokenizer.encode("The") != loaded.tokenizer.encode("the")


def test_texts_are_cut_where_the_tokenizers_configuration_says_if_nothing_else_does(
    tmp_path: Path,
) -> None:
    folder = sentence_model(tmp_path, texts={})
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    for length, limit in ((9, 9), (10**30, None)):
        write(folder, {"tokenizer_config.json": {**settings, "model_max_length": length}})
        assert read_pooling_config(folder).max_tokens == limit


@pytest.mark.parametrize("dense", [None, "torch.nn.modules.activation.Tanh"])
def test_conversions_keep_all_of_it(dense: str | None, tmp_path: Path) -> None:
    prompts = {"prompts": PROMPTS, "default_prompt_name": "query", "similarity_fn_name": "cosine"}
    theirs = sentence_model(tmp_path / "theirs", dense=dense, prompts=prompts, include_prompt=False)
    convert_model(theirs, tmp_path / "ours", to="transduce")
    convert_model(tmp_path / "ours", tmp_path / "again", to="huggingface")
    models = [load_model(tmp_path / n, device="cpu") for n in ("theirs", "ours", "again")]
    for model in models[1:]:
        assert torch.equal(vectors(model), vectors(models[0]))
        assert max(d.largest for d in compare_models(models[0], model, TEXTS[:2])) == 0
        assert compare_pooling(models[0], model) == []
    names = ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"]
    names += ["1_Pooling/config.json", *(["2_Dense/model.safetensors"] if dense else [])]
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (theirs / name).read_bytes()


OUTSIDE = {"modules.json", "config_sentence_transformers.json", "1_Pooling", "2_Dense"}


def in_the_old_layout(folder: Path) -> Path:
    """Move a sentence model's network below it, as sentence-transformers 0.3 wrote it."""
    inner = folder / "0_Transformer"
    paths = [path for path in folder.iterdir() if path.name not in OUTSIDE]
    inner.mkdir()
    for path in paths:
        path.rename(inner / path.name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    write(folder, {"modules.json": modules, "README.md": "---\nlicense: mit\n---\n"})
    return folder


def test_a_network_in_a_folder_of_its_own_is_read_and_all_of_it_travels(tmp_path: Path) -> None:
    options = {"mode": "pooling_mode_max_tokens", "dense": "torch.nn.modules.activation.Tanh"}
    options |= {"prompts": {"prompts": PROMPTS, "default_prompt_name": "query"}}
    plain = load_model(sentence_model(tmp_path / "plain", **options), device="cpu")
    shutil.copytree(tmp_path / "plain", tmp_path / "old")
    old, notices = in_the_old_layout(tmp_path / "old"), []  # type: ignore[var-annotated]
    write(old, {"notes.txt": "", "eval.csv": ""})
    for path in (old, old / "0_Transformer"):
        assert torch.equal(vectors(load_model(path, device="cpu")), vectors(plain))
    convert_model(old, tmp_path / "ours", to="transduce", notices=notices)
    convert_model(tmp_path / "ours", tmp_path / "again", to="bert", notices=notices)
    convert_model(old, tmp_path / "flat", to="bert", notices=notices)
    average_models([old, old], tmp_path / "mean", notices=notices)
    left = f"not carried over from {old / '0_Transformer'}: eval.csv, notes.txt"
    assert [notice.partition(", bert.pooler")[0] for notice in notices] == [left, left, left]
    for name in ("ours", "again", "flat", "mean"):
        made = load_model(tmp_path / name, device="cpu")
        assert torch.equal(vectors(made), vectors(plain)), name
        assert compare_pooling(plain, made) == []
        modules = json.loads((tmp_path / name / "modules.json").read_text())
        assert [module["path"] for module in modules][:2] == ["", "1_Pooling"]
        card = tmp_path / name / ("published" if name == "ours" else "") / "README.md"
        assert card.read_text() == (old / "README.md").read_text()
    assert torch.equal(vectors(load_model(tmp_path / "mean", device="cpu")), vectors(plain))


def test_a_folder_that_only_looks_like_a_part_of_a_sentence_model_is_a_model(
    tmp_path: Path,
) -> None:
    """What lies above other models is none of their business."""
    write(tmp_path, {"modules.json": '{"of": "another program"}'})
    assert read_pooling_config(sentence_model(tmp_path / "a")).max_tokens == 12
    (tmp_path / "a" / "modules.json").unlink()
    assert read_pooling_config(tmp_path / "a").max_tokens is None


def test_a_lost_pooling_is_seen(tmp_path: Path) -> None:
    theirs = sentence_model(tmp_path / "theirs", mode="pooling_mode_max_tokens")
    other = sentence_model(tmp_path / "other", dense="torch.nn.modules.activation.Tanh")
    convert_model(theirs, tmp_path / "ours", to="transduce")
    (tmp_path / "ours" / "modules.json").unlink()
    (tmp_path / "ours" / "manifest.json").unlink()
    one, two = (load_model(folder, device="cpu") for folder in (theirs, tmp_path / "ours"))
    (difference,) = compare_models(one, two, ["the fox"])
    assert (difference.max_logit_diff, difference.same_output) == (0, None)
    assert difference.largest > 0.01
    assert "max_tokens 12, None" in compare_pooling(one, two)
    (difference,) = compare_models(one, load_model(other, device="cpu"), ["the fox"])
    assert difference.largest == float("inf")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"modules.json": [{"type": "x.Transformer", "path": ""}]}, "names no Pooling"),
        ({"modules.json": [{"type": "x.LSTM", "path": "1"}]}, "a module 'LSTM' is not supported"),
        (
            {"modules.json": [{"type": "x.Dense", "path": "2_Dense"}]},
            "a module 'Dense' in this order",
        ),
        ({"sentence_bert_config.json": {"max_seq_length": 0}}, "max_seq_length is 0"),
        ({"sentence_bert_config.json": {"max_seq_length": "9"}}, "max_seq_length is '9'"),
        (
            {"config_sentence_transformers.json": {"default_prompt_name": "query"}},
            "default_prompt_name is 'query'; its prompts: none",
        ),
        ({"config_sentence_transformers.json": {"prompts": {"query": 3}}}, "must be texts"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_by_name(
    files: dict[str, Any], words: str, tmp_path: Path
) -> None:
    write(sentence_model(tmp_path), files)
    with pytest.raises(CheckpointError, match=words):
        read_pooling_config(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"in_features": 9}, r"its weights are \(7, 16\), not \(7, 9\)"),
        ({"bias": False}, "holds linear.bias, linear.weight"),
        ({"activation_function": "x.Softsign"}, "softsign"),
    ],
)
def test_a_dense_module_that_is_another_is_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    sentence_model(tmp_path, dense="torch.nn.modules.activation.Tanh")
    path = tmp_path / "2_Dense" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises((CheckpointError, ConfigError, ValueError), match=words):
        vectors(load_model(tmp_path, device="cpu"))


def test_a_limit_that_leaves_no_room_for_a_text_is_refused(tmp_path: Path) -> None:
    folder = sentence_model(tmp_path, texts={"max_seq_length": 2})
    with pytest.raises(ConfigError, match="cuts texts at 2 tokens"):
        vectors(load_model(folder, device="cpu"))
