"""`torch.nn.Transformer`'s state dictionaries: the stacks of a model of ours, without embeddings,
positions and head, which that module leaves to others."""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from checkpoints import CheckpointError
from transformer.families.name_map import NameMap, UnmappedError

_NAMES = NameMap(
    """
    {s}.layers.{i}.attention.qkv.weight = {s}.layers.{i}.self_attn.in_proj_weight
    {s}.layers.{i}.attention.qkv.bias = {s}.layers.{i}.self_attn.in_proj_bias
    {s}.layers.{i}.attention.out = {s}.layers.{i}.self_attn.out_proj
    {s}.layers.{i}.attention_residual.norm = {s}.layers.{i}.norm1
    {s}.layers.{i}.feedforward.up = {s}.layers.{i}.linear1
    {s}.layers.{i}.feedforward.down = {s}.layers.{i}.linear2
    encoder.layers.{i}.feedforward_residual.norm = encoder.layers.{i}.norm2
    decoder.layers.{i}.cross.qkv.weight = decoder.layers.{i}.multihead_attn.in_proj_weight
    decoder.layers.{i}.cross.qkv.bias = decoder.layers.{i}.multihead_attn.in_proj_bias
    decoder.layers.{i}.cross.out = decoder.layers.{i}.multihead_attn.out_proj
    decoder.layers.{i}.cross_residual.norm = decoder.layers.{i}.norm2
    decoder.layers.{i}.feedforward_residual.norm = decoder.layers.{i}.norm3
    {s}.norm = {s}.norm
    """
)
_JOINED = ".cross.qkv."  # one tensor of theirs; ours are queries, and keys with values


def to_torch_nn(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dictionary of an `nn.Transformer` with the stacks of a model of ours.

    Raises CheckpointError for a part that the module does not have.
    """
    stacks = {n: t for n, t in tensors.items() if n.startswith(("encoder.", "decoder."))}
    joined = dict(_join_cross(stacks))
    try:
        sources = _NAMES.sources(joined, {})
    except UnmappedError as error:
        raise CheckpointError(f"torch.nn.Transformer has no {error.args[0]}") from None
    return {sources[name].parts[0]: tensor for name, tensor in joined.items()}


def from_torch_nn(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The stacks of a model of ours, from the state dictionary of an `nn.Transformer`.

    Raises CheckpointError for a tensor that the module does not have.
    """
    ours = ((_our_name(name), tensor) for name, tensor in state.items())
    return dict(_split_cross(ours))


def _join_cross(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        if ".cross.q." in name:
            both = [tensor, tensors[name.replace(".cross.q.", ".cross.kv.")]]
            yield name.replace(".cross.q.", _JOINED), torch.cat(both)
        elif ".cross.kv." not in name:
            yield name, tensor


def _split_cross(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors:
        if _JOINED in name:
            queries = len(tensor) // 3
            yield name.replace(_JOINED, ".cross.q."), tensor[:queries]
            yield name.replace(_JOINED, ".cross.kv."), tensor[queries:]
        else:
            yield name, tensor


def _our_name(theirs: str) -> str:
    for ours, source in _NAMES.rules.items():
        pattern = re.escape(source.parts[0]).replace(r"\{i\}", r"(?P<i>\d+)")
        found = re.fullmatch(rf"{pattern}(?P<end>\.weight|\.bias|)", theirs)
        if found:
            return ours.replace("{i}", found.groupdict().get("i", "")) + found["end"]
    raise CheckpointError(f"torch.nn.Transformer has no {theirs}")
