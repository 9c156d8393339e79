"""Loading for inference: number types, on the command line and in Python."""

import logging
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

import transduce
from cli.options.names import DTYPES as OFFERED
from tests.loading.owned import own
from tests.models import tiny_config
from tests.pipelines.test_models import tiny_translator
from transformer.errors import ConfigError, UnknownNameError
from transformer.export import convert_model
from transformer.kernels import PackedLinear, is_usable, packing
from transformer.loading import DTYPES, inference, load_for_inference, load_model
from transformer.pipelines.arguments import SpeculationArguments, TranslateArguments
from transformer.pipelines.session import Session


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path, tokenizer = tmp_path_factory.mktemp("models") / "model", tiny_translator().tokenizer
    own(path, tiny_config("encoder-decoder", vocab_size=tokenizer.vocab_size), tokenizer)
    return path


@pytest.fixture(autouse=True)
def _all_large(monkeypatch) -> None:
    monkeypatch.setattr(packing, "SMALL", 0)


def is_packed(model: torch.nn.Module) -> bool:
    return any(isinstance(module, PackedLinear) for module in model.modules())


def test_the_command_line_offers_all_types() -> None:
    assert list(OFFERED) == list(DTYPES)


@pytest.mark.parametrize("dtype", [name for name in DTYPES if not DTYPES[name].is_choice])
def test_a_type_has_its_weights_and_its_kernel(folder: Path, dtype: str) -> None:
    loaded = load_for_inference(folder, dtype=dtype, device="cpu")
    assert loaded.model.dtype == DTYPES[dtype].dtype
    assert is_packed(loaded.model) == (DTYPES[dtype].kernel is not None)
    assert loaded.number_type == dtype
    assert not loaded.dtype_notices
    assert loaded.dtype == dtype
    assert type(loaded.model).__call__ is type(loaded.model).forward


@pytest.mark.skipif(not is_usable("onednn", torch.bfloat16), reason="the processor has no bfloat16")
def test_bfloat16_is_laid_out_too(folder: Path) -> None:
    assert is_packed(load_for_inference(folder, dtype="bfloat16", device="cpu").model)


def test_translations_in_float16_are_those_of_float32(folder: Path) -> None:
    lines = ["one two three", "two", "three one one two"]
    texts = [
        [*transduce.load(folder, dtype=dtype).translate(lines)] for dtype in ("float32", "float16")
    ]
    assert texts[0] == texts[1]


def test_a_line_in_int8_does_not_depend_on_its_neighbours(folder: Path) -> None:
    """One scale for all rows of a batch would let each change the others."""
    model, lines = transduce.load(folder, dtype="int8"), ["one two three", "two", "one", "three"]
    alone = [model.translate(line, beam=4, no_guard=True) for line in lines]
    assert [*model.translate(lines, beam=4, no_guard=True)] == alone
    assert [*model.translate(lines[::-1], beam=4, no_guard=True)] == alone[::-1]


def test_a_draft_has_the_models_type(folder: Path) -> None:
    lead = load_for_inference(folder, dtype="float16", device="cpu")
    session = Session([lead], SpeculationArguments(draft=folder))
    assert is_packed(session._draft.model)


def test_a_machine_without_the_kernel_says_so_once(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(inference, "is_usable", lambda *_: False)
    loaded = load_for_inference(folder, dtype="float16", device="cpu")
    assert not is_packed(loaded.model)
    assert loaded.dtype == "float32"
    assert loaded.dtype_notices == ("this machine has no kernel for float16: float32 is used",)


def test_float32_without_its_kernel_is_float32_all_the_same(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(inference, "is_usable", lambda *_: False)
    loaded = load_for_inference(folder, device="cpu")
    assert not is_packed(loaded.model)
    assert loaded.dtype == "float32"
    assert not loaded.dtype_notices


@pytest.mark.parametrize(
    ("speeds", "chosen", "reason"),
    [
        ({"onednn": 1.0, "float16": 1.84, "int8": 3.0}, "float16", "1.8 times as fast here"),
        ({"onednn": 1.0, "float16": 0.9, "int8": 3.0}, "float32", "no other was measured to be"),
        ({"onednn": 1.0, "float16": 1.05}, "float32", "no other"),
        ({"float16": 0.9, "onednn": 1.2}, "float32", "no other"),
        ({"onednn": 1.0}, "float32", "no other"),
        ({}, "float32", "no other"),
    ],
)
def test_auto_is_the_fastest_that_is_as_good_as_exact(
    folder: Path, monkeypatch, speeds, chosen, reason
) -> None:
    monkeypatch.setattr(inference, "kernel_speeds", lambda base: speeds)
    loaded = load_for_inference(folder, dtype="auto", device="cpu")
    assert loaded.dtype == chosen
    assert loaded.dtype_choice.startswith(f"dtype auto is {chosen}")
    assert reason in loaded.dtype_choice
    by_default = load_for_inference(folder, device="cpu")
    assert by_default.dtype == chosen
    assert by_default.dtype_choice == ("" if chosen == "float32" else loaded.dtype_choice)


def test_python_logs_a_type_that_nobody_asked_for(folder: Path, monkeypatch, logged) -> None:
    """Once for several models, and as information."""
    monkeypatch.setattr(inference, "kernel_speeds", lambda base: {base: 1.0, "float16": 2.0})
    transduce.load(folder, device="cpu")
    assert not logged  # of warnings
    logging.getLogger("transduce").setLevel(logging.INFO)
    try:
        transduce.load(folder, folder, device="cpu")
        (message,) = logged
        transduce.load(folder, device="cpu", dtype="float16")
    finally:
        logging.getLogger("transduce").setLevel(logging.NOTSET)
    assert message.startswith("dtype auto is float16")
    assert len(logged) == 1


def test_nothing_is_measured_for_a_model_without_large_matrices(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(packing, "SMALL", 1 << 17)
    monkeypatch.setattr(inference, "kernel_speeds", lambda base: 1 / 0)
    assert load_for_inference(folder, device="cpu").dtype == "float32"
    loaded = load_for_inference(folder, device="cpu", dtype="auto")
    assert loaded.dtype_choice == "dtype auto is float32: the model has no large matrices"


@pytest.mark.parametrize(("has", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_auto_on_a_gpu_is_bfloat16_if_it_has_it(monkeypatch, has, chosen) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    for is_quantized in (False, True):  # a GPU has no integers
        found = inference._choose_without_model(torch.device("cuda"), is_quantized=is_quantized)
        assert found[0] == chosen


def test_a_gpu_has_another_type_of_half_the_size(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(inference, "choose_device", lambda name: torch.device("cuda"))
    with pytest.raises(
        ConfigError, match="is for a CPU, and the device is cuda: take the dtype bfl"
    ):
        load_for_inference(folder, dtype="float16")


@pytest.mark.parametrize("dtype", ["int4", torch.float16, 1])
def test_types_that_do_not_exist_are_named(folder: Path, dtype) -> None:
    with pytest.raises(UnknownNameError, match=rf"no dtype is called {dtype!r}; .*float16"):
        transduce.load(folder, dtype=dtype)


def test_matrices_that_stay_in_float32_are_told(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(inference, "pack_model", lambda *_: 2)
    loaded = load_for_inference(folder, dtype="float16", device="cpu")
    (notice,) = loaded.dtype_notices
    assert notice == "2 matrices with numbers beyond float16 stay in float32"


def test_a_draft_of_a_model_that_was_loaded_otherwise_has_its_type(folder: Path) -> None:
    lead = load_model(folder, dtype=torch.bfloat16, device="cpu")
    draft = Session([lead], SpeculationArguments(draft=folder))._draft
    assert draft.model.dtype == torch.bfloat16


def test_what_a_draft_cannot_do_is_told_too(folder: Path, tmp_path: Path) -> None:
    """But for what is told of its model as well."""
    convert_model(folder, tmp_path / "eight", dtype="int8")
    rounded = f"the weights of {tmp_path / 'eight'} were rounded to int8: they are used in float32"
    for lead, count in ((folder, 1), (tmp_path / "eight", 0)):
        loaded = load_for_inference(lead, dtype="float32", device="cpu")
        session = Session([loaded], SpeculationArguments(draft=tmp_path / "eight"))
        told = session.warnings(TranslateArguments())
        assert sum(each.startswith(rounded) for each in told) == count
