"""Models go out and come back as they were, and run elsewhere with the same numbers."""

from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import transformers
from safetensors.torch import load_file

from tests.families.published import CASES, FAMILIES, VOCABULARY, make
from tests.loading.owned import own, small
from tests.models import WiderConfig, model_inputs, tiny_config
from tests.sampling import one_in
from tokenizer import Tokenizer
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.export.published import _ONLY_WITH, _TRAINING, _network
from transformer.layer_spec import LayerSpec
from transformer.loading import build_model, inspect_folder, load_model
from transformer.presets import PRESETS


def bits(folder: Path) -> dict[str, torch.Tensor]:
    return dict(build_model(inspect_folder(folder)).state_dict())


def equal(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return some.keys() == others.keys() and all(torch.equal(some[n], others[n]) for n in some)


@pytest.mark.parametrize(("name", "number"), one_in(3, CASES, of_each=itemgetter(0)))
def test_out_and_back_is_bit_equal(
    name: str, number: int, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """Theirs → ours → theirs → ours: the weights stay, and so do transformers' logits."""
    reference = make(name, number, tmp_path / "theirs")
    tokenizer.save(tmp_path / "theirs" / "tokenizer.json")
    convert_model(tmp_path / "theirs", tmp_path / "ours", to="transduce")
    assert convert_model(tmp_path / "ours", tmp_path / "again", to=name) == name
    convert_model(tmp_path / "again", tmp_path / "back", to="transduce")
    assert equal(bits(tmp_path / "ours"), bits(tmp_path / "back"))
    assert inspect_folder(tmp_path / "ours").config == inspect_folder(tmp_path / "back").config
    theirs = load_file(tmp_path / "theirs" / "model.safetensors")
    for key, tensor in load_file(tmp_path / "again" / "model.safetensors").items():
        assert torch.equal(tensor, theirs[key])
    again = getattr(transformers, FAMILIES[name].model).from_pretrained(tmp_path / "again").eval()
    assert_same_logits(again, reference)


@torch.no_grad()
def assert_same_logits(one: Any, other: Any, *, atol: float = 5e-6) -> None:
    ids_BT = torch.randint(4, VOCABULARY - 1, (2, 9))
    more = {"decoder_input_ids": ids_BT.flip(0)} if other.config.is_encoder_decoder else {}
    found, wanted = (model(input_ids=ids_BT, **more).logits for model in (one, other))
    torch.testing.assert_close(found, wanted, atol=atol, rtol=0)


def test_a_preset_with_a_recurrence_stays_as_it_is(tmp_path: Path, tokenizer: Tokenizer) -> None:
    own(tmp_path / "ours", small("translate-student"), tokenizer)
    with pytest.raises(ConfigError, match=r"no published family .* stay as it is"):
        convert_model(tmp_path / "ours", tmp_path / "theirs", to="huggingface")
    with pytest.raises(ConfigError, match="it supports attention 'full' here, not 'ssru'; it can"):
        convert_model(tmp_path / "ours", tmp_path / "theirs", to="marian")


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "translate-student"])
@torch.no_grad()
def test_every_preset_runs_in_transformers(
    preset: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    model = own(tmp_path / "ours", small(preset), tokenizer)
    family = convert_model(tmp_path / "ours", tmp_path / "theirs", to="huggingface")
    theirs = getattr(transformers, FAMILIES[family].model).from_pretrained(tmp_path / "theirs")
    ids_BT = torch.randint(4, VOCABULARY, (2, 9))
    ours_more, theirs_more = {}, {}
    if model.config.shape == "encoder-decoder":
        ours_more = {"source_BS": ids_BT.flip(0)}
        theirs_more = {"input_ids": ids_BT.flip(0), "decoder_input_ids": ids_BT}
    else:
        theirs_more = {"input_ids": ids_BT}
    wanted = theirs.eval()(**theirs_more).logits
    torch.testing.assert_close(model(model_inputs(ids_BT, **ours_more)), wanted, atol=1e-5, rtol=0)


@torch.no_grad()
def test_texts_pass_through_transformers_own_loaders(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """AutoTokenizer and AutoModel find all they need in what we write."""
    own(tmp_path / "ours", small("translate-tiny"), tokenizer)
    convert_model(tmp_path / "ours", tmp_path / "theirs", to="huggingface")
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "theirs").eval()
    pieces = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    loaded = load_model(tmp_path / "theirs", device="cpu")
    encoded = pieces("the quick fox", return_tensors="pt")
    assert encoded.input_ids.tolist() == [[*loaded.tokenizer.encode("the quick fox"), 3]]
    generated = theirs.generate(**encoded, max_new_tokens=8, num_beams=1)
    assert generated[0, 0] == loaded.decoder_start_id == tokenizer.require_role("begin")


@pytest.mark.parametrize(
    ("to", "changes", "words"),
    [
        ("gpt2", {"positions": "rotary"}, "it supports positions 'learned' here, not 'rotary'"),
        ("gpt2", {"positions": "rotary"}, "; it can be --to transduce"),
        (
            "huggingface",
            {"positions": "alibi"},
            r"no published family.*it is \(--to transduce\)",
        ),
        ("marian", {}, "encoder_layers is 0; the shape encoder-decoder needs"),
        ("marrian", {}, "did you mean marian"),
    ],
)
def test_what_cannot_be_kept_is_named(
    to: str, changes: dict[str, Any], words: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    config = tiny_config("decoder", vocab_size=VOCABULARY, **changes)
    own(tmp_path / "ours", config, tokenizer)
    with pytest.raises((ConfigError, ValueError), match=words):
        convert_model(tmp_path / "ours", tmp_path / "theirs", to=to)
    assert not (tmp_path / "theirs").exists()


def test_a_refusal_names_the_formats_that_can_express_the_model(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    own(tmp_path / "ours", small("write-tiny"), tokenizer)
    with pytest.raises(ConfigError) as refused:
        convert_model(tmp_path / "ours", tmp_path / "theirs", to="gpt2")
    _, _, named = str(refused.value).rpartition("; it can be --to ")
    assert "llama" in named
    for name in named.split(", "):
        convert_model(tmp_path / "ours", tmp_path / name, to=name)


def decoder(**changes: Any) -> TransformerConfig:
    """A network trained here, as a Qwen3 but for its layers."""
    return msgspec.structs.replace(
        small("write-tiny"), bias=False, attention_bias=False, qk_norm="per-head", **changes
    )


WINDOW = LayerSpec(attention="sliding", window=3)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": "sliding", "window": 3},
        {"layers": (WINDOW,)},
        {"layers": (WINDOW, WINDOW)},
        {"attention": "sliding", "window": 3, "layers": (LayerSpec(), LayerSpec(window=3))},
    ],
)
@torch.no_grad()
def test_windows_may_be_said_in_several_ways(
    changes: dict[str, Any], tmp_path: Path, tokenizer: Tokenizer
) -> None:
    model = own(tmp_path / "ours", decoder(**changes), tokenizer)
    convert_model(tmp_path / "ours", tmp_path / "theirs", to="qwen3")
    theirs = transformers.Qwen3ForCausalLM.from_pretrained(tmp_path / "theirs").eval()
    ids_BT = torch.randint(4, VOCABULARY, (2, 12))
    wanted = theirs(input_ids=ids_BT).logits
    torch.testing.assert_close(model(model_inputs(ids_BT)), wanted, atol=1e-5, rtol=0)


def test_windows_of_two_sizes_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    layers = (LayerSpec(attention="sliding", window=4), WINDOW)  # the first as it is written
    own(tmp_path / "ours", decoder(layers=layers), tokenizer)
    with pytest.raises(ConfigError, match="it supports window 4 here, not 3"):
        convert_model(tmp_path / "ours", tmp_path / "theirs", to="qwen3")


def test_a_new_field_is_part_of_the_network() -> None:
    """So that a family must write and read it, or is refused."""
    config = WiderConfig(shape="decoder", vocab_size=9, decoder_layers=1, mixing=0.5)
    assert _network(config)["mixing"] == 0.5


def test_fields_that_are_not_compared_exist() -> None:
    idle = {*_TRAINING.split(), *(field for _, _, fields in _ONLY_WITH for field in fields)}
    choosing = {field for field, _, _ in _ONLY_WITH}
    assert idle | choosing <= set(TransformerConfig.__struct_fields__)
