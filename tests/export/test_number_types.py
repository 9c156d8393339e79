"""Folders in another number type than their model's: in int8 what the kernel makes of floats."""

from collections.abc import ItemsView
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cli.options.names import STORED_TYPES as OFFERED
from tests.families.published import VOCABULARY, make
from tests.loading.owned import own
from tests.models import model_inputs, tiny_config
from tokenizer import Tokenizer
from transformer.errors import ConfigError, UnknownNameError
from transformer.export import average_models, convert_model
from transformer.export.convert import STORED_TYPES
from transformer.kernels import LINEAR_KERNELS, CompactEmbedding, pack_model, packing
from transformer.loading import (
    build_model,
    inference,
    inspect_folder,
    load_for_inference,
    load_model,
    summarize_model,
)

NETWORKS = [
    ("encoder-decoder", {}),
    ("encoder-decoder", {"share_embeddings": False, "source_vocab_size": VOCABULARY}),
    ("encoder-decoder", {"tie_output": False}),
    ("decoder", {"positions": "learned", "logit_softcap": 0.5}),
    ("decoder", {"tie_output": False, "output_bias": True, "feedforward": "swiglu"}),
    ("encoder", {"head": "masked"}),
    ("encoder", {"head": "classification", "labels": 3}),
    ("encoder", {"head": "none"}),
]


@pytest.fixture(autouse=True)
def _some_large(monkeypatch) -> None:
    """Maps of 16 outputs and inputs are small, wider ones and tables are large."""
    monkeypatch.setattr(packing, "SMALL", 16 * 16)


def made(folder: Path, tokenizer: Tokenizer, shape: str, **fields: object) -> Path:
    own(folder, tiny_config(shape, vocab_size=VOCABULARY, **fields), tokenizer)
    return folder


@torch.inference_mode()
def outputs(folder: Path, dtype: str | None = None, device: str = "cpu") -> Tensor:
    model = load_for_inference(folder, dtype=dtype, device=device).model
    ids_BT = torch.arange(18).view(2, 9) + 4
    more = {"source_BS": ids_BT.flip(1)} if model.config.shape == "encoder-decoder" else {}
    return model(model_inputs(ids_BT, **more))


def test_the_command_line_offers_all_types() -> None:
    assert list(OFFERED) == list(STORED_TYPES)


@pytest.mark.parametrize(("shape", "fields"), NETWORKS, ids=str)
def test_a_folder_in_int8_computes_to_the_bit_what_floats_do(
    shape: str, fields: dict, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """And one that is made of it has the same bytes."""
    floats, eight = made(tmp_path / "floats", tokenizer, shape, **fields), tmp_path / "eight"
    assert convert_model(floats, eight, dtype="int8") == "transduce"
    wanted = outputs(floats, "int8")
    assert not torch.equal(wanted, outputs(floats))
    for dtype in (None, "auto", "int8"):
        assert torch.equal(outputs(eight, dtype), wanted)
    convert_model(eight, tmp_path / "again", to="transduce")
    weights = "model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (eight / weights).read_bytes()


def test_integers_are_copied_as_they_are(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Rounded again, a row without ±127 would have another scale."""
    floats = made(tmp_path / "floats", tokenizer, "decoder")
    convert_model(floats, tmp_path / "eight", dtype="int8")
    path = tmp_path / "eight" / "model.safetensors"
    halved = {n: each // 2 if each.dtype == torch.int8 else each for n, each in tensors(path)}
    (path.parent / "manifest.json").unlink()
    save_file(halved, path, {"format": "pt"})
    convert_model(tmp_path / "eight", tmp_path / "again", to="transduce")
    for name, tensor in tensors(tmp_path / "again" / "model.safetensors"):
        assert torch.equal(tensor, halved[name]), name


def tensors(path: Path) -> ItemsView[str, Tensor]:
    return load_file(path).items()


@torch.inference_mode()
def test_nothing_read_as_it_is_stays_a_view_of_its_file(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """And integers are let go while others are packed."""
    floats = made(tmp_path / "floats", tokenizer, "encoder-decoder", tie_output=False)
    convert_model(floats, tmp_path / "eight", dtype="int8")
    model = build_model(inspect_folder(tmp_path / "eight"), as_stored=True)
    up, table, head = model.encoder.layers[0].feedforward.up, model.embedding, model.head
    assert up.weight.is_quantized
    assert (type(table), table.dtype) == (CompactEmbedding, torch.float32)
    before = [table.weight.data_ptr(), head.weight.data_ptr()]
    pack_model(model, LINEAR_KERNELS["int8"])
    assert not hasattr(up, "weight")
    assert model.embedding.weight.data_ptr() not in before
    assert head.packed.half_OI.data_ptr() not in before


def test_a_small_projection_computes_the_same(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch
) -> None:
    """It is in float16, beside maps of integers."""
    monkeypatch.setattr(packing, "SMALL", VOCABULARY * 16)
    floats = made(tmp_path / "floats", tokenizer, "decoder", tie_output=False, d_ff=64)
    convert_model(floats, tmp_path / "eight", dtype="int8")
    stored = dict(tensors(tmp_path / "eight" / "model.safetensors"))
    assert stored["head.weight"].dtype == torch.float16
    assert stored["decoder.layers.0.feedforward.up.weight"].dtype == torch.int8
    assert torch.equal(outputs(tmp_path / "eight"), outputs(floats, "int8"))


def test_matrices_are_kept_as_the_kernel_has_them(tmp_path: Path, tokenizer: Tokenizer) -> None:
    floats = made(tmp_path / "floats", tokenizer, "decoder", tie_output=False, bias=True)
    convert_model(floats, tmp_path / "eight", dtype="int8")
    stored, before = (
        load_file(each / "model.safetensors") for each in (tmp_path / "eight", floats)
    )
    layer = "decoder.layers.0"
    up_OI, scale_O = (
        stored[f"{layer}.feedforward.up.weight"],
        stored[f"{layer}.feedforward.up.weight.scale"],
    )
    assert (up_OI.dtype, scale_O.dtype) == (torch.int8, torch.float32)
    largest_O = before[f"{layer}.feedforward.up.weight"].abs().amax(dim=1)
    assert torch.equal(up_OI.abs().amax(dim=1), torch.full((24,), 127, dtype=torch.int8))
    torch.testing.assert_close(scale_O, largest_O / 127)
    half = {name for name, each in stored.items() if each.dtype == torch.float16}
    maps = {f"decoder.layers.{n}.attention.out.weight" for n in (0, 1)}
    assert half == {"embedding.weight", "head.weight", *maps}
    for name in half:
        assert torch.equal(stored[name], before[name].half())
    vectors = {name for name, each in stored.items() if each.dim() == 1} - {
        name for name in stored if name.endswith(".scale")
    }
    assert all(torch.equal(stored[name], before[name]) for name in vectors)


def test_numbers_beyond_float16_stay(tmp_path: Path, tokenizer: Tokenizer) -> None:
    floats = made(tmp_path / "floats", tokenizer, "decoder", tie_output=False)
    weights = load_file(floats / "model.safetensors")
    large = ("embedding.weight", "head.weight", "decoder.layers.1.attention.out.weight")
    for name in large:
        weights[name][3, 2] = 100_000.0
    (floats / "manifest.json").unlink()
    save_file(weights, floats / "model.safetensors", {"format": "pt"})
    convert_model(floats, tmp_path / "eight", dtype="int8")
    stored = load_file(tmp_path / "eight" / "model.safetensors")
    assert {stored[name].dtype for name in large} == {torch.float32}
    assert torch.equal(outputs(tmp_path / "eight"), outputs(floats, "int8"))
    with pytest.raises(ConfigError, match=r"has numbers beyond float16: take another --dtype"):
        convert_model(floats, tmp_path / "half", to="transduce", dtype="float16")
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_another_type_is_of_the_rounded_numbers_and_says_so(
    dtype: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    floats, eight = made(tmp_path / "floats", tokenizer, "decoder"), tmp_path / "eight"
    convert_model(floats, eight, dtype="int8")
    loaded = load_for_inference(eight, dtype=dtype, device="cpu")
    assert loaded.rounding == (
        f"the weights of {eight} were rounded to int8: they are used in {dtype}, no more exact "
        "than that"
    )
    assert loaded.dtype == dtype
    difference = (outputs(eight, dtype) - outputs(floats, dtype)).abs().amax()
    assert 0 < difference < 0.2
    assert not load_for_inference(floats, dtype=dtype, device="cpu").rounding
    assert not load_for_inference(eight, device="cpu").rounding


def test_a_machine_without_the_kernel_computes_with_the_rounded_numbers(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch
) -> None:
    convert_model(made(tmp_path / "f", tokenizer, "decoder"), tmp_path / "eight", dtype="int8")
    wanted = outputs(tmp_path / "eight", "float32")
    monkeypatch.setattr(inference, "is_usable", lambda name, *_: name != "int8")
    loaded = load_for_inference(tmp_path / "eight", device="cpu")
    no_kernel = "this machine has no kernel for int8: float32 is used"
    assert "used in float32" in loaded.rounding
    assert loaded.dtype_notices == (no_kernel, loaded.rounding)
    torch.testing.assert_close(outputs(tmp_path / "eight"), wanted)


def test_size_and_counts(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Scales are no parameters."""
    floats = made(tmp_path / "floats", tokenizer, "decoder", d_model=64, d_ff=256)
    for dtype, ratio in (("float16", 0.52), ("bfloat16", 0.52), ("int8", 0.4)):
        convert_model(floats, tmp_path / dtype, to="transduce", dtype=dtype)
        sizes = [(f / "model.safetensors").stat().st_size for f in (tmp_path / dtype, floats)]
        assert sizes[0] < ratio * sizes[1]
    facts, before = (dict(summarize_model(f)) for f in (tmp_path / "int8", floats))
    assert facts["parameters"] == before["parameters"]
    count, tensors = before["weights"].replace(",", "").split(" float32 in ")
    kinds, same_tensors = facts["weights"].replace(",", "").split(" in ")
    numbers = dict(zip(kinds.split()[1::2], map(int, kinds.split()[::2]), strict=True))
    assert numbers.keys() == {"int8", "float16", "float32"}
    assert sum(numbers.values()) == int(count)
    assert same_tensors == tensors


@pytest.mark.parametrize("stored", ["float16", "bfloat16"])
@pytest.mark.parametrize("dtype", [None, "float32", "bfloat16", "float16", "int8"])
def test_halved_folders_load_in_every_type(
    stored: str, dtype: str | None, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    floats = made(tmp_path / "floats", tokenizer, "decoder")
    convert_model(floats, tmp_path / "half", to="transduce", dtype=stored)
    wanted, found = outputs(floats, dtype), outputs(tmp_path / "half", dtype)
    assert (found - wanted).norm() < 0.05 * wanted.norm()
    assert not load_for_inference(tmp_path / "half", dtype=dtype, device="cpu").rounding


@pytest.mark.parametrize("small", [0, 1 << 17])
def test_a_model_too_small_for_integers_says_so(
    monkeypatch, tmp_path: Path, tokenizer: Tokenizer, small: int
) -> None:
    monkeypatch.setattr(packing, "SMALL", small)
    notices: list[str] = []
    floats = made(tmp_path / "floats", tokenizer, "decoder")
    convert_model(floats, tmp_path / "eight", dtype="int8", notices=notices)
    assert any("large enough for int8" in each for each in notices) == bool(small)


def test_published_formats_hold_floats_alone(tmp_path: Path, tokenizer: Tokenizer) -> None:
    make("gpt2", 0, tmp_path / "theirs")
    tokenizer.save(tmp_path / "theirs" / "tokenizer.json")
    for to in ("gpt2", "huggingface", "ctranslate2"):
        with pytest.raises(ConfigError, match=rf"--to {to} has no place for int8; --to transduce"):
            convert_model(tmp_path / "theirs", tmp_path / "out", to=to, dtype="int8")
    with pytest.raises(UnknownNameError, match=r"'int4'; .*int8"):
        convert_model(tmp_path / "theirs", tmp_path / "out", dtype="int4")
    notices: list[str] = []
    convert_model(tmp_path / "theirs", tmp_path / "eight", dtype="int8", notices=notices)
    assert not any("rounded" in each for each in notices)
    assert convert_model(tmp_path / "eight", tmp_path / "again", notices=notices) == "gpt2"
    assert any("were rounded to int8: they are used in float32" in each for each in notices)
    stored = load_file(tmp_path / "again" / "model.safetensors")
    assert {each.dtype for each in stored.values()} == {torch.float32}
    assert torch.equal(outputs(tmp_path / "again"), outputs(tmp_path / "eight", "float32"))
    convert_model(tmp_path / "theirs", tmp_path / "half", to="gpt2", dtype="bfloat16")
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {each.dtype for each in stored.values()} == {torch.bfloat16}


def test_integers_have_no_mean(tmp_path: Path, tokenizer: Tokenizer) -> None:
    floats = made(tmp_path / "floats", tokenizer, "decoder")
    convert_model(floats, tmp_path / "eight", dtype="int8")
    for folders in (["eight", "eight"], ["floats", "eight"]):
        with pytest.raises(ConfigError, match="eight is in int8, of which there is no mean: aver"):
            average_models([tmp_path / name for name in folders], tmp_path / "mean")


def test_a_copy_to_train_has_all_weights_in_float32(tmp_path: Path, tokenizer: Tokenizer) -> None:
    floats = made(tmp_path / "floats", tokenizer, "encoder-decoder")
    convert_model(floats, tmp_path / "eight", dtype="int8")
    assert inspect_folder(tmp_path / "eight").is_quantized
    loaded, before = (load_model(f, device="cpu") for f in (tmp_path / "eight", floats))
    assert loaded.rounded_in == tmp_path / "eight"
    assert not isinstance(loaded.model.embedding, CompactEmbedding)
    state = before.model.state_dict()
    for name, tensor in loaded.model.state_dict().items():
        assert tensor.dtype == torch.float32
        step = state[name].abs().amax(dim=-1, keepdim=True) / 127
        assert ((tensor - state[name]).abs() <= 0.51 * step).all(), name
