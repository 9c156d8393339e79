"""Weights that were saved from wrapped models, from models without a head, and with one matrix."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoints import CheckpointError
from tests.families.published import edit, make
from transformer.families.tensor_names import current_names
from transformer.loading import build_model, inspect_folder


def test_old_names_of_norms() -> None:
    """TensorFlow's gamma is the weight, beta the bias."""
    names = {
        "a.gamma": "a.weight",
        "a.beta": "a.bias",
        "a.b.weight": "a.b.weight",
        "gamma": "gamma",
    }
    assert current_names(names) == names


@pytest.mark.parametrize(
    ("stored", "current"),
    [
        ("module.model.a lm_head.b", "model.a lm_head.b"),
        ("_orig_mod.module.model.a model._orig_mod.b", "model.a model.b"),
        ("model.module.a model.layers.0._checkpoint_wrapped_module.b", "model.a model.layers.0.b"),
        ("model.model.a model.lm_head.b", "model.a lm_head.b"),
        ("net.base_model.model.a net.base_model.lm_head.b", "model.a lm_head.b"),
        ("a b.c", "model.a model.b.c"),
        ("a.b lm_head.c", "model.a.b lm_head.c"),
        ("model.a model.b", "model.a model.b"),
        ("model.model.a model.model.b", "model.a model.b"),
        ("model.lm_head.a model.b", "lm_head.a model.b"),
        ("model.a other.b", "model.a other.b"),
    ],
)
def test_what_wraps_a_model_is_left_out(stored: str, current: str) -> None:
    found = current_names(stored.split(), prefix="model.", outside=("lm_head",))
    assert list(found.values()) == current.split()


def stored(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


NAMES = ("gpt2", "llama", "mistral", "qwen3", "bert", "roberta", "bart", "marian", "m2m_100", "t5")
WRAPPED = ("module.{}", "_orig_mod.{}", "model.{}", "module._orig_mod.model.{}")


@pytest.mark.parametrize("name", NAMES)
def test_a_wrapped_model_is_the_model(name: str, tmp_path: Path) -> None:
    make(name, 0, tmp_path)
    wanted = build_model(inspect_folder(tmp_path)).state_dict()
    tensors = load_file(tmp_path / "model.safetensors")
    for pattern in WRAPPED:
        stored(tmp_path, lambda _, p=pattern: {p.format(n): t for n, t in tensors.items()})
        found = build_model(inspect_folder(tmp_path)).state_dict()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize(("name", "prefix"), [("gpt2", "transformer."), ("llama", "model.")])
def test_a_bare_model_with_a_head_of_its_own(name: str, prefix: str, tmp_path: Path) -> None:
    """Names without the prefix, and two different matrices."""
    make(name, {"gpt2": 2, "llama": 0}[name], tmp_path)
    wanted = build_model(inspect_folder(tmp_path)).state_dict()
    stored(tmp_path, lambda old: {n.removeprefix(prefix): t for n, t in old.items()})
    found = build_model(inspect_folder(tmp_path)).state_dict()
    assert found.keys() == wanted.keys() and "head.weight" in found
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize("flag", [True, False, None])
@pytest.mark.parametrize(
    ("case", "matrices"),
    [
        (("gpt2", 0), ("lm_head", "transformer.wte")),
        (("llama", 1), ("lm_head", "model.embed_tokens")),
        (("bart", 0), ("lm_head", "model.shared")),
        (("bert", 0), ("cls.predictions.decoder", "bert.embeddings.word_embeddings")),
        (("t5", 0), ("lm_head", "shared")),
    ],
)
def test_one_matrix_is_both(
    case: tuple[str, int], matrices: tuple[str, str], flag: bool | None, tmp_path: Path
) -> None:
    """Whichever of the two names it has, and whatever tie_word_embeddings says."""
    make(*case, tmp_path)
    wanted = build_model(inspect_folder(tmp_path)).state_dict()
    edit(tmp_path / "config.json", tie_word_embeddings=flag)
    tensors = load_file(tmp_path / "model.safetensors")
    (whole,) = {name for name in map("{}.weight".format, matrices) if name in tensors}
    for kept in matrices:
        one = {**tensors, f"{kept}.weight": tensors[whole]}
        for lost in {whole, *(n for n in tensors if n.endswith("embed_tokens.weight"))}:
            if lost != f"{kept}.weight":
                del one[lost]
        stored(tmp_path, lambda _, one=one: one)
        found = build_model(inspect_folder(tmp_path)).state_dict()
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_two_tensors_of_one_name_are_refused(tmp_path: Path) -> None:
    make("gpt2", 0, tmp_path)
    stored(tmp_path, lambda old: {**old, "module.transformer.wte.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"wte.weight and .*wte.weight are one tensor"):
        inspect_folder(tmp_path)
