"""Name maps: lines of text, prefixes, and the rows of parts."""

import pytest

from tests.models import tiny_config
from transformer.families.name_map import NameMap, TensorSource, part_rows


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
    assert (found["a.weight"].parts, found["a.weight"].forms) == (("p.first.weight",), ("^T",))
    assert (found["a.bias"].parts, found["a.bias"].forms) == (("p.second",), ("^row",))
    both = ("p.layers.3.x.weight", "p.layers.3.y.weight")
    assert found["stack.3.b.weight"].parts == both
    assert found["stack.3.b.weight"].aliases == ("p.other.weight",)
    assert found["stack.3.b.bias"].parts == tuple(n.replace("weight", "bias") for n in both)
    assert found["decoder.c.weight"].fallbacks == ("d.weight",)
    turned = NameMap("a = b ^T").sources(["a.weight", "a.bias"], {})
    assert [source.forms for source in turned.values()] == [("^T",), ("",)]
    paired = NameMap("a = b.{q ^pairs,k}").sources(["a.weight", "a.bias"], {})
    assert paired["a.bias"] == TensorSource(("b.q.bias", "b.k.bias"), ("^pairs", ""))
    assert paired["a.weight"].forms == ("^pairs", "")


def test_files_of_bare_models_lack_the_prefix() -> None:
    names = NameMap("a = {p}b", prefix="model.")
    for present, wanted in (("model.b.weight", "model.b.weight"), ("b.weight", "b.weight")):
        assert names.sources(["a.weight"], {present: None})["a.weight"].parts == (wanted,)


@pytest.mark.parametrize(
    ("kv_heads", "parts", "rows", "wanted"),
    [
        (None, "qkv", 48, [16, 16, 16]),
        (1, "qkv", 48, [32, 8, 8]),
        (2, "kv", 16, [8, 8]),
        (None, "q", 16, [16]),
    ],
)
def test_rows_of_parts_by_hand(
    kv_heads: int | None, parts: str, rows: int, wanted: list[int]
) -> None:
    assert part_rows(tiny_config(heads=4, kv_heads=kv_heads), parts, rows) == wanted
