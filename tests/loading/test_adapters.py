"""Adapters beside models: loaded, merged, shown, and told where they do not belong."""

import json
from pathlib import Path

import pytest
import torch

import transduce
from checkpoints import CheckpointError, save_tensors
from tests.adapters.sides import our_logits, with_adapter, write_random_adapter
from tests.families.random_folders import draw, write_folder
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.loading import find_folder, find_model, load_model, summarize_model
from transformer.loading.adapter_folder import describe_base, write_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "llama"
    write_folder(draw("llama", 2)._replace(stored="file", edits={}), folder)
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path) -> Path:
    return write_random_adapter(base, base.parent / "adapter", target_modules=["q_proj", "up_proj"])


def load(folder: Path, adapter: Path | None = None, **options: object):
    return load_model(folder, device="cpu", adapter=adapter, **options)


def test_a_model_is_loaded_with_an_adapter(base: Path, adapter: Path) -> None:
    plain, adapted = load(base), load(base, adapter)
    assert (plain.adapter, adapted.adapter) == (None, adapter)
    wanted = our_logits(with_adapter(base, adapter))
    assert torch.equal(our_logits(adapted.model), wanted)
    assert (our_logits(plain.model) - wanted).abs().max() > 0.01
    half = load(base, adapter, dtype=torch.bfloat16).model
    assert half.dtype == torch.bfloat16
    weight = "decoder.layers.0.attention.qkv.weight"
    exact = adapted.model.state_dict()[weight].bfloat16()
    torch.testing.assert_close(half.state_dict()[weight], exact, atol=0.01, rtol=0.01)


def test_python_loads_it_too(base: Path, adapter: Path) -> None:
    model = transduce.load(base, adapter=str(adapter), device="cpu")
    assert model.session.lead.adapter == adapter
    with pytest.raises(ConfigError, match="an adapter is for one model, and 2 are named"):
        transduce.load(base, base, adapter=adapter)


def test_an_adapter_is_merged_into_a_model_of_its_own(
    tmp_path: Path, base: Path, adapter: Path
) -> None:
    for form in ("llama", "transduce"):
        merged = tmp_path / form
        convert_model(base, merged, to=form, adapter=adapter)
        assert not [*merged.glob("adapter*")]
        logits = [our_logits(load(*folders).model) for folders in ((merged,), (base, adapter))]
        torch.testing.assert_close(*logits, atol=1e-5, rtol=0)


def test_an_adapter_alone_says_how_to_use_it(base: Path, adapter: Path) -> None:
    both = f"is an adapter of {base}, not a model: give both, as -m {base} --adapter {adapter}"
    with pytest.raises(CheckpointError, match=both):
        load(adapter)
    with pytest.raises(CheckpointError, match=f"checkpoint convert {base} --adapter {adapter} -o"):
        find_model(adapter)
    with pytest.raises(CheckpointError, match="is an adapter itself; -m takes the model"):
        load(adapter, adapter)
    with pytest.raises(
        CheckpointError, match=f"--adapter: {base} is no adapter: it has no adapter_"
    ):
        load(base, base)
    assert find_folder(adapter) == adapter


def copy(adapter: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in adapter.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_an_adapter_that_names_its_base_is_a_model(
    tmp_path: Path, base: Path, adapter: Path
) -> None:
    moved = tmp_path / "base"
    moved.mkdir()
    copied = copy(adapter, tmp_path / "adapter")
    for path in base.iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    write_base(copied, describe_base(moved))
    wanted = our_logits(load(base, adapter).model)
    assert torch.equal(our_logits(load(copied).model), wanted)
    facts = dict(summarize_model(copied))
    assert facts["use"] == f"-m {copied}"
    assert "generate" in facts["commands"]
    other = load(moved).model.state_dict()
    (moved / "model.safetensors").unlink()
    convert_model(base, tmp_path / "again", to="llama", adapter=adapter)
    (moved / "model.safetensors").write_bytes((tmp_path / "again/model.safetensors").read_bytes())
    with pytest.raises(
        CheckpointError, match=r"another model than .*: model.safetensors is not the"
    ):
        load(copied)
    loaded = load(moved, copied)  # told, and done
    assert loaded.notices[-1].endswith("model.safetensors is not the same")
    assert other.keys() == loaded.model.state_dict().keys()
    moved.rename(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="not there any more: give the model where it is now"):
        load(copied)
    assert summarize_model(copied)  # which needs no base


def test_an_adapter_is_shown(adapter: Path, base: Path) -> None:
    facts = dict(summarize_model(adapter))
    assert facts["adapter"] == "LoRA, rank 2, alpha 16 (alpha / rank)"
    assert facts["target modules"] == "q_proj, up_proj"
    assert facts["use"] == f"-m {base} --adapter {adapter}"
    assert int(facts["parameters"].replace(",", "")) > 0


def test_an_adapter_of_another_model_is_told(tmp_path: Path, base: Path, adapter: Path) -> None:
    wrong = copy(adapter, tmp_path / "wrong")
    fields = json.loads((wrong / "adapter_config.json").read_text())
    name = f"base_model.model.{fields['target_modules'][0]}"
    tensors = {
        f"{name}.lora_A.weight": torch.ones(2, 99),
        f"{name}.lora_B.weight": torch.ones(9, 2),
    }
    save_tensors(wrong / "adapter_model.safetensors", tensors)
    with pytest.raises(CheckpointError, match=rf"\(2, 99\), and the model's is .* made for {base}"):
        load(base, wrong)
