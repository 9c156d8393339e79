"""Published models, trained here on labels or tags: they are published again, with that head."""

from operator import itemgetter
from pathlib import Path

import msgspec
import pytest
import torch
import transformers

from checkpoints import CheckpointError, read_json
from tests.families.published import first_is_global
from tests.families.random_folders import draw, write_folder
from tests.sampling import one_in
from tests.training.toys import toy_recipe, train
from transformer.errors import ConfigError
from transformer.export import convert_model, published_family
from transformer.families import FAMILIES, ConfigReader
from transformer.inputs import ModelInputs
from transformer.loading import load_model, summarize_model
from transformer.pipelines.arguments import FillArguments
from transformer.pipelines.filling import check_fills
from transformer.presets import preset_config
from transformer.training.recipe import recipe_from_fields

LABELLED = [(name, kind) for name, family in FAMILIES.items() for kind in family.label_heads]


@pytest.mark.parametrize(("family", "objective"), one_in(3, LABELLED, of_each=itemgetter(0)))
def test_a_published_model_with_new_labels_is_published_again(
    family: str, objective: str, tmp_path: Path
) -> None:
    write_folder(draw(family, 6), tmp_path / "base")
    recipe = toy_recipe(tmp_path, objective, steps=1, warmup=0)
    fields = msgspec.to_builtins(recipe)
    fields["data"] |= {"max_tokens": 16, "max_unknown": 1.0}
    fields |= {"model": {"preset": "bert-tiny"}, "tokenizer": {}}
    train(recipe_from_fields(fields), tmp_path / "run", init=tmp_path / "base")
    out = tmp_path / "out"
    assert convert_model(tmp_path / "run", out, to="huggingface") == family
    ours = load_model(tmp_path / "run", device="cpu")
    (name,) = read_json(out / "config.json")["architectures"]
    assert name == FAMILIES[family].label_heads[objective].architecture
    theirs = getattr(transformers, name).from_pretrained(out).eval()
    ids = torch.arange(5, 12)[None]
    with torch.no_grad():
        wanted = theirs(input_ids=ids, **first_is_global(theirs, ids)).logits
        found = ours.model(ModelInputs(ids))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert load_model(out, device="cpu").labels == ours.labels


def test_an_adapter_with_labels_is_named_and_shown_as_itself(tmp_path: Path) -> None:
    write_folder(draw("bert", 6), tmp_path / "base")
    fields = msgspec.to_builtins(toy_recipe(tmp_path, "classification", steps=1, warmup=0))
    fields["data"] |= {"max_tokens": 16, "max_unknown": 1.0}
    fields |= {"model": {"preset": "bert-tiny"}, "tokenizer": {}, "adapter": {"kind": "lora"}}
    train(recipe_from_fields(fields), tmp_path / "run", init=tmp_path / "base")
    loaded = load_model(tmp_path / "run", device="cpu")
    told = rf"transduce classify -m {loaded.adapter} \(also embed, evaluate --labelled FILE\)"
    with pytest.raises(ConfigError, match=told):
        check_fills(loaded, FillArguments())
    facts = dict(summarize_model(tmp_path / "run"))
    assert facts["commands"] == "classify, embed, evaluate --labelled FILE"
    assert facts["labels"].startswith("one of 2: ")


def test_a_network_has_the_first_family_that_can_express_it() -> None:
    bert = preset_config("bert-base", vocab_size=40, d_model=16, heads=2, d_ff=16, encoder_layers=1)
    assert published_family(bert) == "bert"
    assert published_family(preset_config("bert-tiny", vocab_size=40)) == "roformer"
    assert published_family(preset_config("write-tiny", vocab_size=40)) == "llama"
    assert published_family(msgspec.structs.replace(bert, norm="rmsnorm")) is None
    without_types = msgspec.structs.replace(bert, token_types=0)
    assert published_family(without_types) == "distilbert"


@pytest.mark.parametrize("family", ["bert", "roberta", "roformer"])
def test_token_types_are_one_or_more(family: str) -> None:
    """With none, transformers reads such a folder and cannot run it."""
    reader = ConfigReader({"type_vocab_size": 0}, "config.json")
    with pytest.raises(CheckpointError, match="type_vocab_size is 0; it must be at least 1"):
        FAMILIES[family].read(reader, {})


@pytest.mark.parametrize("objective", ["language-model", "classification"])
def test_special_tokens_of_other_names_are_those_of_the_model(
    objective: str, tmp_path: Path
) -> None:
    """Gemma's `<bos>` and `<eos>` are none of the names that new tokenizers have."""
    write_folder(draw("gemma2", 6), tmp_path / "base")
    assert load_model(tmp_path / "base", device="cpu").tokenizer.role("end") is None
    fields = msgspec.to_builtins(toy_recipe(tmp_path, objective, steps=1, warmup=0))
    fields["data"] |= {"max_tokens": 16, "max_unknown": 1.0}
    fields["training"] |= {"context": 16}
    fields |= {"model": {"preset": "write-tiny"}, "tokenizer": {}}
    train(recipe_from_fields(fields), tmp_path / "run", init=tmp_path / "base")
    assert (tmp_path / "run" / "run.json").is_file()
