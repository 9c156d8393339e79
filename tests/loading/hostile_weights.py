"""Weights that are hostile, damaged or none."""

import struct
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.loading.damage import (
    INDEX,
    LFS,
    WEIGHTS,
    case,
    change,
    edit,
    entry,
    header,
    put,
    remove,
    safetensors,
    sparse,
    tensors,
    unreadable,
)

WTE, LN = "transformer.wte.weight", "transformer.ln_f.weight"
TINY = b'{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'


def empty(count: int) -> Any:
    """A file of so many tensors, none of which has a number."""
    return lambda: safetensors(b"{%s}" % b",".join(b'"a%d":%s' % (i, TINY) for i in range(count)))


def named(**changes: Any) -> Any:
    """Change one tensor's entry in the header."""
    return header(lambda fields: fields[WTE].update(changes))


FILES = {
    "weights: none": case(remove(WEIGHTS), "has no weights", "pytorch_model.bin"),
    **unreadable("weights", WEIGHTS),
    "weights: an empty file": case(put(WEIGHTS, b""), WEIGHTS),
    "weights: eight bytes": case(put(WEIGHTS, b"\1" * 8), WEIGHTS),
    "weights: zeros": case(put(WEIGHTS, bytes(1 << 20)), WEIGHTS),
    "weights: a web page": case(put(WEIGHTS, "<!DOCTYPE html><html>404"), WEIGHTS),
    "weights: a pointer": case(put(WEIGHTS, LFS), WEIGHTS, "git lfs pull"),
    "weights: cut short": case(change(WEIGHTS, lambda raw: raw[:-1]), WEIGHTS),
    "weights: one byte more": case(change(WEIGHTS, lambda raw: raw + b"x"), WEIGHTS),
}
HEADERS = {
    "header: longer than the file": case(put(WEIGHTS, safetensors({}, length=1 << 20)), WEIGHTS),
    "header: of 2^63 bytes": case(put(WEIGHTS, safetensors({}, length=1 << 63)), WEIGHTS),
    "header: claims 200 MB": case(put(WEIGHTS, safetensors({}, length=200 << 20)), WEIGHTS),
    "header: has 200 MB": case(
        sparse(WEIGHTS, 8 + (200 << 20), struct.pack("<Q", 200 << 20)), WEIGHTS, "header"
    ),
    "header: 90 MB of spaces": case(
        put(WEIGHTS, lambda: safetensors(b"{}" + b" " * 90_000_000)), WEIGHTS
    ),
    "header: half a million tensors": case(put(WEIGHTS, empty(500_000)), WEIGHTS, "header"),
    "header: a hundred thousand tensors": case(put(WEIGHTS, empty(99_999)), "asks for"),
    "header: no JSON": case(put(WEIGHTS, safetensors(b"hello")), WEIGHTS),
    "header: no UTF-8": case(put(WEIGHTS, safetensors(b'{"\xff": 1}')), WEIGHTS),
    "header: deep": case(put(WEIGHTS, safetensors(b'{"a":' * 100_000)), WEIGHTS),
    "header: a list": case(put(WEIGHTS, safetensors([])), WEIGHTS),
    "header: empty": case(put(WEIGHTS, safetensors({})), "weights hold 0"),
    "header: no such dtype": case(named(dtype="F128"), WEIGHTS),
    "header: another dtype": case(named(dtype="F64"), WEIGHTS),
    "header: overlapping": case(named(data_offsets=[0, 4]), WEIGHTS),
    "header: ends before it starts": case(named(data_offsets=[8, 4]), WEIGHTS),
    "header: beyond the file": case(named(data_offsets=[0, 1 << 50]), WEIGHTS),
    "header: a negative offset": case(named(data_offsets=[-4, 4]), WEIGHTS),
    "header: a negative shape": case(named(shape=[-37, -16]), WEIGHTS),
    "header: a shape that overflows": case(named(shape=[1 << 40, 1 << 40]), WEIGHTS),
    "header: a huge shape of nothing": case(
        put(WEIGHTS, safetensors({"a": entry("F32", [1 << 62, 0], 0, 0)})), "config.json asks for"
    ),
    "header: a shape of words": case(named(shape=["a"]), WEIGHTS),
}
TENSORS = {
    "tensors: NaN": case(
        tensors(lambda state: state[WTE][3].fill_(float("nan"))), "weights are damaged", "NaN"
    ),
    "tensors: ∞": case(
        tensors(lambda state: state[LN].fill_(float("-inf"))), "weights are damaged", "∞"
    ),
    "tensors: too large to be multiplied": case(
        tensors(lambda state: [value.fill_(3e38) for value in state.values()]),
        "too large for this type",
    ),
    "tensors: one missing": case(tensors(lambda state: state.pop(LN)), "config.json"),
    "tensors: one more": case(
        tensors(lambda state: state.update({"a.b": torch.ones(2)})), "have a.b", "unknown"
    ),
    "tensors: a name that draws": case(
        tensors(lambda state: state.update({"\x1b[2J\x07\r\nok": torch.ones(2)})), "unknown"
    ),
    "tensors: a name of a megabyte": case(
        tensors(lambda state: state.update({"x" * (1 << 20): torch.ones(2)})), "unknown"
    ),
    "tensors: a name that climbs": case(
        tensors(lambda state: state.update({"../../x": torch.ones(2)})), "../../x"
    ),
    "tensors: transposed": case(
        tensors(lambda state: state.update({WTE: state[WTE].T.contiguous()})), "wte", "(16, 37)"
    ),
    "tensors: too few rows": case(
        tensors(lambda state: state.update({WTE: state[WTE][:30].clone()})), "asks for"
    ),
    "tensors: a single number": case(
        tensors(lambda state: state.update({LN: torch.tensor(1.0), "a": torch.ones(15)})), "a"
    ),
    "tensors: int8": case(
        tensors(lambda state: state.update({WTE: state[WTE].to(torch.int8)})), "quantized"
    ),
    "tensors: float8": case(
        tensors(lambda state: state.update({WTE: state[WTE].to(torch.float8_e4m3fn)})), "quantized"
    ),
    "tensors: booleans": case(
        tensors(lambda state: state.update({LN: state[LN] > 0})), "ln_f", "float32"
    ),
    "tensors: complex": case(
        tensors(lambda state: state.update({LN: state[LN].to(torch.complex64)})), "ln_f"
    ),
    "tensors: queries and keys that share out their rows otherwise": case(
        tensors(
            lambda state: state.update(
                {
                    f"model.layers.0.self_attn.{name}_proj.weight": torch.ones(rows, 16)
                    for name, rows in (("q", 8), ("k", 16), ("v", 24))
                }
            )
        ),
        "self_attn.q_proj",
        base="llama",
    ),
}
UP, UP_ROWS = "decoder.layers.0.feedforward.up.weight", 48


def integers(scale: torch.Tensor | None, *words: str, of: str = UP) -> Any:
    """A matrix of ours in int8, with these scales."""

    def how(state: dict[str, torch.Tensor]) -> None:
        state[of] = state[of].mul(50).round().to(torch.int8)
        if scale is not None:
            state[f"{of}.scale"] = scale

    return case(tensors(how), *words, base="ours")


def scales(value: float) -> torch.Tensor:
    """Good scales, but for one."""
    return torch.full((UP_ROWS,), 0.02).index_fill(0, torch.tensor([3]), value)


INTEGERS = {
    "int8: no scales": integers(None, f"needs float32 scales of its rows in {UP}.scale", "none"),
    "int8: too few scales": integers(torch.ones(UP_ROWS - 1), "that is (47,) in float32"),
    "int8: a matrix of scales": integers(torch.ones(UP_ROWS, 1), "that is (48, 1) in float32"),
    "int8: scales in float16": integers(torch.ones(UP_ROWS).half(), "(48,) in float16"),
    "int8: scales in int8": integers(torch.ones(UP_ROWS).to(torch.int8), "(48,) in int8"),
    "int8: scales in float8": integers(
        torch.ones(UP_ROWS).to(torch.float8_e4m3fn), "of an unread type"
    ),
    "int8: a scale that is NaN": integers(scales(float("nan")), f"{UP}.scale has numbers that"),
    "int8: a scale that is ∞": integers(scales(float("inf")), f"{UP}.scale has numbers that"),
    "int8: a scale below 0": integers(scales(-0.02), f"{UP}.scale has numbers that", "not below"),
    "int8: a scale of 10^38": integers(scales(1e38), "damaged"),
    "int8: a vector": integers(
        torch.ones(16), "is (16,) in int8", of="decoder.layers.0.feedforward_residual.norm.weight"
    ),
    "int8: scales of floats": case(
        tensors(lambda state: state.update({f"{UP}.scale": torch.ones(UP_ROWS)})),
        f"have {UP}.scale, which is unknown",
        base="ours",
    ),
}
SHARD = "model-00001-of-00002.safetensors"


def weight_map(how: Any) -> Any:
    return edit(INDEX, lambda index: index.update(weight_map=how(index["weight_map"])))


def names(*files: Any) -> Any:
    """An index that names other files."""
    return weight_map(lambda _: {f"t{place}": name for place, name in enumerate(files)})


def repeat(folder: Path) -> None:
    """A tensor of the first shard in the second too."""
    first = next(iter(load_file(folder / SHARD).items()))
    tensors(lambda state: state.update([first]), SHARD.replace("1-", "2-"))(folder)


INDEXES = {
    "index: an absolute path": case(names("/abs/model.safetensors"), "'/abs/", base="sharded"),
    "index: climbs": case(names("../../etc/passwd"), "'../../etc/passwd'", base="sharded"),
    "index: climbs to tensors": case(names("../a.safetensors"), "'../a", base="sharded"),
    "index: climbs with backslashes": case(names("..\\a.safetensors"), INDEX, base="sharded"),
    "index: a folder": case(names("."), "'.'", base="sharded"),
    "index: the parent": case(names(".."), "'..'", base="sharded"),
    "index: an empty name": case(names(""), "''", base="sharded"),
    "index: itself": case(names(INDEX), INDEX, base="sharded"),
    "index: the configuration": case(names("config.json"), "config.json", base="sharded"),
    "index: a zero byte": case(names("a\0.safetensors"), INDEX, base="sharded"),
    "index: a name of ten megabytes": case(
        names("x" * 10_000_000 + ".safetensors"), INDEX, base="sharded"
    ),
    "index: a name that draws": case(names("\x1b[2J.safetensors"), "missing", base="sharded"),
    "index: names no strings": case(names(1, None), INDEX, "weight_map", base="sharded"),
    "index: a list": case(weight_map(lambda _: [SHARD]), "weight_map", base="sharded"),
    "index: empty": case(put(INDEX, "{}"), INDEX, "weight_map", base="sharded"),
    "index: no shards": case(weight_map(lambda _: {}), "hold 0", base="sharded"),
    "index: no JSON": case(put(INDEX, "{"), INDEX, base="sharded"),
    **unreadable("index", INDEX, "index", base="sharded"),
    **unreadable("index: a shard is", SHARD, SHARD, base="sharded"),
    "index: a shard is missing": case(remove(SHARD), SHARD, "missing", base="sharded"),
    "index: a shard is a pointer": case(put(SHARD, LFS), SHARD, "git lfs", base="sharded"),
    "index: a tensor twice": case(repeat, "repeats", base="sharded"),
    "index: a shard lacks its tensor": case(
        tensors(lambda state: {k: state[k] for k in [*state][1:]}, SHARD), base="sharded"
    ),
    "index: a hundred thousand shards": case(
        names(*(f"{i}.safetensors" for i in range(100_000))), "missing", base="sharded"
    ),
}


CASES = {**FILES, **HEADERS, **TENSORS, **INTEGERS, **INDEXES}
