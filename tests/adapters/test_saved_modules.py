"""Modules that are kept whole: chosen by name, and cut from matrices that hold several."""

import pytest
import torch

from tests.families.test_families import Files, read
from tests.models import tiny_model
from transformer.adapters.saved_modules import insert_saved, published_tensors, select_saved
from transformer.errors import ConfigError
from transformer.families import FAMILIES

LLAMA = FAMILIES["llama"]
OPTIONS = {"feedforward": "swiglu", "bias": False, "norm": "rmsnorm", "positions": "rotary"}


def test_each_published_tensor_is_a_part_of_ours() -> None:
    model = tiny_model("decoder", kv_heads=2, **OPTIONS)
    tensors = {each.name: each for each in published_tensors(model, LLAMA)}
    keys = tensors["model.layers.1.self_attn.k_proj.weight"]
    assert (keys.ours, keys.start, keys.stop, keys.shape) == (
        "decoder.layers.1.attention.qkv.weight", 16, 24, (8, 16)
    )  # fmt: skip
    fused = model.state_dict()[keys.ours]
    assert torch.equal(keys.extract(fused), fused[16:24])
    before, value = fused.clone(), torch.randn(8, 16)
    insert_saved(model, [(keys, value)])
    after = model.state_dict()[keys.ours]
    assert torch.equal(after[16:24], value)
    assert torch.equal(after[:16], before[:16])
    assert torch.equal(after[24:], before[24:])
    assert torch.equal(fused, before)  # a view of a file is not written to


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("norm", {"decoder.norm.weight"}),
        ("decoder.norm", {"decoder.norm.weight"}),
        ("head", {"head.weight"}),
        ("lm_head", {"head.weight"}),
        ("layers.0.mlp", {f"decoder.layers.0.feedforward.{n}.weight" for n in ("up", "down")}),
    ],
)
def test_modules_are_chosen_by_published_names_or_ours(module: str, names: set[str]) -> None:
    options = {**OPTIONS, "norm_placement": "pre", "final_norm": True, "tie_output": False}
    chosen = select_saved(tiny_model("decoder", **options), LLAMA, [module])
    residual = {name for name in chosen if "residual" in name}
    assert chosen - residual == names
    assert not residual or module == "norm"  # ours are called so, too


@pytest.mark.parametrize(
    ("family", "fields", "names"),
    [
        ("bert", {"classifier_layer": "tanh"}, {"bert.pooler.dense", "classifier"}),
        ("bert", {"classifier_layer": "relu"}, {"head", "head.dense"}),
        ("roberta", {"classifier_pooling": "mean"}, {"head"}),
        ("gpt2", {"classifier_pooling": "last", "output_bias": False}, {"score"}),
        ("t5", {}, {"head"}),
        ("t5", {"head": "tagging"}, {"head"}),
        ("llama", {"head": "tagging"}, {"score"}),
    ],
)
def test_a_head_over_labels_has_published_names_where_it_is_the_familys(
    family: str, fields: dict, names: set[str]
) -> None:
    """As transformers' class has them, so that PEFT finds them; ours if it has no such head."""
    shape = read(family, Files()).shape
    model = tiny_model(shape, **{"head": "classification", "output_bias": True, **fields}, labels=3)
    heads = (t for t in published_tensors(model, FAMILIES[family]) if t.ours.startswith("head."))
    assert {tensor.name.rpartition(".")[0] for tensor in heads} == names


def test_a_module_that_does_not_exist_is_told() -> None:
    model = tiny_model("decoder", **OPTIONS)
    with pytest.raises(ConfigError, match="has 'lm_hed', and the model has no such module"):
        select_saved(model, LLAMA, ["lm_hed"])
    with pytest.raises(ConfigError, match="did you mean embed_tokens"):
        select_saved(model, LLAMA, ["embed_token"])
    with pytest.raises(ConfigError, match=r"has the embedding, which is the output matrix too"):
        select_saved(model, LLAMA, ["embed_tokens"])
