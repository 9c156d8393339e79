"""The parts of a conversion one by one: options, name maps, and tensors that do not fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from checkpoints import CheckpointError, Weights, save_tensors
from transformer.config import config_from_fields
from transformer.families import CONVERTERS, ConfigReader, family_of
from transformer.families.family import Family
from transformer.families.name_map import NameMap, part_rows


def options(**fields: Any) -> ConfigReader:
    return ConfigReader(fields, "config.json")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda o: o.integer("yes"), "yes is True; it must be int"),
        (lambda o: o.number("yes", 0.0), "yes is True; it must be int or float"),
        (lambda o: o.flag("one", False), "one is 1; it must be bool"),
        (lambda o: o.integer("text"), "text is 'a'; it must be int"),
        (lambda o: o.integer("low"), r"low is -1000000\d*; nothing is as large"),
        (lambda o: o.integer("high"), r"high is 1000000\d*; nothing is as large"),
        (lambda o: o.integer("absent"), "absent is missing"),
        (lambda o: o.must_be("one", 2, 3), "one is 1, which is not supported; only: 2, 3"),
        (lambda o: o.choice("text", {"b": "c"}), "text is 'a', which is not supported; only: b"),
    ],
)
def test_an_option_of_another_kind_is_named(asked: Any, words: str) -> None:
    given = options(yes=True, one=1, text="a", low=-(10**19), high=10**19)
    with pytest.raises(CheckpointError, match=f"^config.json: {words}"):
        asked(given)


def test_options_and_what_their_absence_means() -> None:
    given = options(one=1, none=None, half=0.5)
    assert (given.integer("one"), given.integer("none", 3), given.number("one", 2.0)) == (1, 3, 1.0)
    assert (given.number("half", 2.0), given.flag("absent", True)) == (0.5, True)
    given.must_be("one", 0, 1)
    given.must_be("absent", 1, 0)
    assert given.choice("absent", {"a": "b"}, "a") == "b"


@pytest.mark.parametrize("value", ["", 1, "x", True, [0], {"a": 1}])
def test_an_option_that_nobody_reads_is_refused(value: Any) -> None:
    given = options(read=1, unread=value)
    given.integer("read")
    with pytest.raises(CheckpointError, match=r"the option unread = .* is not known"):
        given.finish()


@pytest.mark.parametrize("value", [None, False, 0, 0.0, {}, []])
def test_an_option_that_asks_for_nothing_changes_nothing(value: Any) -> None:
    options(unread=value, _private=1, model_type="x", top_k=50).finish()


def test_lines_of_a_name_map() -> None:
    """A tensor's own line before its module's; a bias is not turned as its matrix is."""
    names = NameMap(
        """
        a = {p}first ^T
        a.bias = {p}second ^row
        stack.{i}.b = {p}{s}.layers.{i}.{x,y} | {p}other
        {s}.c = {p}{s}.c or d
        """.replace("{p}{s}.layers", "{p}layers"),
        prefix="p.",
    )
    wanted = ["a.weight", "a.bias", "stack.3.b.weight", "stack.3.b.bias", "decoder.c.weight"]
    found = names.sources(wanted, {"p.first.weight": None})
    assert (found["a.weight"].parts, found["a.weight"].form) == (("p.first.weight",), "^T")
    assert (found["a.bias"].parts, found["a.bias"].form) == (("p.second",), "^row")
    both = ("p.layers.3.x.weight", "p.layers.3.y.weight")
    assert found["stack.3.b.weight"].parts == both
    assert found["stack.3.b.weight"].aliases == ("p.other.weight",)
    assert found["stack.3.b.bias"].parts == tuple(n.replace("weight", "bias") for n in both)
    assert found["decoder.c.weight"].instead == ("d.weight",)
    turned = NameMap("a = b ^T").sources(["a.weight", "a.bias"], {})
    assert [source.form for source in turned.values()] == ["^T", ""]


def test_files_of_bare_models_lack_the_prefix() -> None:
    names = NameMap("a = {p}b", prefix="model.")
    for present, wanted in (("model.b.weight", "model.b.weight"), ("b.weight", "b.weight")):
        assert names.sources(["a.weight"], {present: None})["a.weight"].parts == (wanted,)


@pytest.mark.parametrize(
    ("fields", "parts", "rows", "wanted"),
    [
        ({"heads": 4, "kv_heads": None}, "qkv", 48, [16, 16, 16]),
        ({"heads": 4, "kv_heads": 1}, "qkv", 48, [32, 8, 8]),
        ({"heads": 4, "kv_heads": 2}, "kv", 16, [8, 8]),
        ({"heads": 4, "kv_heads": None}, "q", 16, [16]),
    ],
)
def test_rows_of_parts_by_hand(
    fields: dict[str, Any], parts: str, rows: int, wanted: list[int]
) -> None:
    assert part_rows(fields, parts, rows) == wanted


FIELDS = {"heads": 2, "kv_heads": 1}
SHAPES = {name: torch.Size(shape) for name, shape in {"a.weight": (4, 3), "n.weight": (3,)}.items()}
TEXT = "a = {q,k,v} \nn = norm | twin or spare"


def load(folder: Path, tensors: Mapping[str, Tensor], text: str = TEXT) -> dict[str, Tensor]:
    """What a family makes of some tensors: a of three parts with 2, 1 and 1 rows, and n."""
    save_tensors(folder / "model.safetensors", tensors)
    family = Family(
        read=lambda *_: {}, write=dict, names=lambda _: NameMap(text), ignored=("extra.*",)
    )
    return dict(family.load(Weights(folder), FIELDS, SHAPES, torch.float32))


def parts(**changes: Tensor | None) -> dict[str, Tensor]:
    rows = torch.arange(12.0).view(4, 3)
    found = {"q.weight": rows[:2], "k.weight": rows[2:3], "v.weight": rows[3:]}
    found["norm.weight"] = torch.tensor([1.0, 2, 3])
    named = {**found, **{name.replace("_", "."): tensor for name, tensor in changes.items()}}
    return {name: tensor.contiguous() for name, tensor in named.items() if tensor is not None}


THREE = torch.tensor([1.0, 2, 3])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"extra_thing": torch.ones(1)},
        {"twin_weight": THREE},
        {"norm_weight": None, "twin_weight": THREE},
        {"norm_weight": None, "spare_weight": THREE},
        {"spare_weight": torch.zeros(3)},  # which counts where the other is absent alone
        {"norm_weight": None, "norm_gamma": THREE},
    ],
    ids=str,
)
def test_tensors_are_found_under_all_their_names(tmp_path: Path, changes: dict) -> None:
    found = load(tmp_path, parts(**changes))
    assert torch.equal(found["a.weight"], torch.arange(12.0).view(4, 3))
    assert torch.equal(found["n.weight"], THREE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"twin_weight": torch.tensor([1.0, 2, 4])}, "norm.weight and twin.weight should be one"),
        ({"other_weight": torch.ones(1)}, "they have other.weight, which is unknown"),
        ({"k_weight": None}, "they lack k.weight"),
        ({"norm_weight": None}, "they lack norm.weight"),
        ({"norm_weight": torch.ones(4)}, r"norm.weight is \(4,\); wanted is \(3,\)"),
        ({"k_weight": torch.ones(2, 3), "q_weight": torch.ones(1, 3)}, "wanted are 2 rows"),
        ({"k_weight": torch.ones(2, 3)}, "k.weight is .*; wanted are 1 rows"),
        ({"k_weight": torch.ones(1, 4)}, "wanted is .* of all parts"),
        ({"k_weight": torch.ones(())}, "wanted are 1 rows"),
        ({"norm_weight": torch.ones(())}, r"norm.weight is \(\); wanted is \(3,\)"),
        ({"norm_weight": None, "norm_beta": THREE}, "they lack norm.weight"),
    ],
    ids=str,
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        load(tmp_path, parts(**changes))


def test_old_names_of_norms() -> None:
    """TensorFlow's gamma is the weight, beta the bias."""
    from transformer.families.family import _modern

    names = ["a.gamma", "a.beta", "a.b.weight", "gamma"]
    assert [*map(_modern, names)] == ["a.weight", "a.bias", "a.b.weight", "gamma"]


class Files:
    """Names of tensors, all of them different or all equal."""

    def __init__(self, *names: str, same: bool = True) -> None:
        self.names, self.same = names, same

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def equal(self, first: str, second: str) -> bool:
        return self.same


def read(family: str, files: Files, **given: Any) -> dict[str, Any]:
    asked = options(**given)
    found = CONVERTERS[family].read(asked, files)
    asked.finish()
    return found


@pytest.mark.parametrize(
    ("family", "given", "words"),
    [
        ("bart", {"decoder_attention_heads": 8}, "decoder_attention_heads is 8"),
        ("bart", {"decoder_ffn_dim": 8}, "decoder_ffn_dim is 8"),
        ("marian", {"vocab_size": 9, "decoder_vocab_size": 7}, "one matrix cannot have both"),
        ("marian", {"vocab_size": 7, "decoder_vocab_size": 9}, "one matrix cannot have both"),
        ("llama", {"intermediate_size": 4, "rope_scaling": {"rope_type": "yarn"}}, "'yarn'"),
        (
            "llama",
            {"intermediate_size": 4, "rope_scaling": {"type": "linear", "beta": 3}},
            "rope_scaling: the option beta = 3",
        ),
        ("transduce", {"model_type": "transduce", "format_version": 2}, "format version 2"),
        ("transduce", {"model_type": "transduce"}, "format version 0"),
    ],
)
def test_options_of_another_network_are_refused(family: str, given: dict, words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        read(family, Files(), **given)


@pytest.mark.parametrize(
    ("family", "files", "given", "wanted"),
    [
        ("bert", Files(), {}, {"head": "none", "tie_output": True, "output_bias": False}),
        ("bert", Files("cls.predictions.bias"), {}, {"head": "masked", "output_bias": True}),
        ("bert", Files(), {"tie_word_embeddings": False}, {"head": "none", "tie_output": True}),
        ("bart", Files(), {}, {"output_bias": False}),
        ("bart", Files("final_logits_bias"), {}, {"output_bias": True}),
        ("mistral", Files(), {"intermediate_size": 4}, {"kv_heads": 8, "heads": 32}),
        ("llama", Files(), {"intermediate_size": 4}, {"kv_heads": 32, "rotary_base": 10_000.0}),
        ("llama", Files(), {"intermediate_size": 4, "rope_theta": 7.0}, {"rotary_base": 7.0}),
        (
            "llama",
            Files(),
            {"intermediate_size": 4, "rope_parameters": {"rope_theta": 7.0}},
            {"rotary_base": 7.0},
        ),
        ("t5", Files(), {}, {"output_scale": 512**-0.5, "tie_output": True}),
        ("t5", Files(), {"tie_word_embeddings": False}, {"output_scale": 1.0}),
        ("t5", Files(), {"scale_decoder_outputs": False}, {"output_scale": 1.0}),
        ("t5", Files("lm_head.weight", same=False), {}, {"tie_output": True}),
        ("t5", Files("lm_head.weight", "shared.weight", same=False), {}, {"tie_output": False}),
        ("gpt2", Files(), {"n_embd": 8, "n_head": 2}, {"d_ff": 32, "tie_output": True}),
    ],
)
def test_what_files_and_absent_options_say(
    family: str, files: Files, given: dict, wanted: dict
) -> None:
    found = read(family, files, **given)
    assert {name: found[name] for name in wanted} == wanted
    config_from_fields(found)


@pytest.mark.parametrize("same", [True, False])
def test_two_different_matrices_are_believed(same: bool) -> None:
    both = Files("lm_head.weight", "transformer.wte.weight", same=same)
    assert read("gpt2", both)["tie_output"] is same


LLAMA3 = {"kind": "llama3", "factor": 8.0, "low": 2.0, "high": 5.0, "original_context": 99}


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"rotary_scaling": LLAMA3}),
        ("llama", {"rotary_scaling": {"kind": "linear", "factor": 8.0}}),
        ("llama", {"bias": True, "attention_bias": False}),
        ("llama", {"bias": False, "attention_bias": True}),
        ("mistral", {"attention": "sliding", "window": 5}),
        ("mistral", {"attention": "full", "window": 256}),
        ("roberta", {"position_offset": 5, "max_positions": 40}),
        ("t5", {"d_head": 6, "d_model": 16, "heads": 4, "output_scale": 0.25}),
        ("marian", {"share_embeddings": False, "source_vocab_size": 9, "vocab_size": 7}),
        ("gpt2", {"attention_scale": 1.0}),
    ],
)  # fmt: skip
def test_what_is_written_is_read_again(family: str, changes: dict) -> None:
    """Our fields as theirs, and back."""
    given = {"intermediate_size": 24} if family in {"llama", "mistral"} else {}
    fields = {"kv_heads": None, "d_head": None, **read(family, Files(), **given)}
    for name, default in {"attention": "full", "window": 256, "attention_bias": None,
                          "attention_scale": None, "output_scale": 1.0}.items():  # fmt: skip
        fields.setdefault(name, default)
    fields |= changes
    back = read(family, Files(), **CONVERTERS[family].write(fields))
    assert {name: back.get(name, fields[name]) for name in changes} == changes


def test_code_of_a_model_is_refused_before_anything_is_read() -> None:
    with pytest.raises(CheckpointError, match="no code from a model is ever run"):
        family_of({"model_type": "gpt2", "auto_map": {"AutoModel": "x.Y"}}, "config.json")
    with pytest.raises(CheckpointError, match="model_type is 'gpt9'; allowed: bart"):
        family_of({"model_type": "gpt9"}, "config.json")
