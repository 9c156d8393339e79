"""A step as a flat list of operators: captured from one run, replayed for other tokens.

For few rows, a step's products take less time than the Python around them and its hundreds of
views. A captured step has neither: a list of operators, and the tensors that they read and write.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from threading import Lock
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

# Runs with equal keys before one is captured, which costs what some seven replays save: a text that
# ends soon loses little, and a long one nearly nothing of what it gains.
_RUNS_BEFORE = 6
_recording = Lock()  # torch's flags of a mode are those of all threads

_aten = torch.ops.aten
# Functions of torch that do what an operator does, for less than the operator's own call.
_WITH_OUT: Mapping[OpOverload, Callable[..., object]] = {
    _aten.abs.default: torch.abs,
    _aten.add.Tensor: torch.add,
    _aten.amax.default: torch.amax,
    _aten.baddbmm.default: torch.baddbmm,
    _aten.bmm.default: torch.bmm,
    _aten.div.Tensor: torch.div,
    _aten.mul.Tensor: torch.mul,
    _aten.softmax.int: torch.softmax,
}
_PLAIN: Mapping[OpOverload, Callable[..., object]] = {
    _aten.addcmul.out: torch.addcmul,
    _aten.index_copy_.default: Tensor.index_copy_,
    _aten.layer_norm.default: torch.layer_norm,
    _aten.linear.default: torch.nn.functional.linear,
    _aten.relu.default: torch.relu,
}
# Operators whose results no replay could give: of random numbers, or sizes that depend on numbers.
_NOT_REPLAYED = {
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
    torch.Tag.nondeterministic_seeded,
}


class _Call(NamedTuple):
    """An operator's call, as it was recorded."""

    operator: OpOverload
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    result: Any

    def written(self) -> list[Tensor]:
        """Return the tensors that the call writes into."""
        return [
            self.args[number] if number < len(self.args) else self.kwargs[name]
            for number, name in _written(self.operator)
            if number < len(self.args) or name in self.kwargs
        ]


@cache
def _written(operator: OpOverload) -> list[tuple[int, str]]:
    """Return the numbers and names of the arguments that an operator writes into."""
    arguments = enumerate(operator._schema.arguments)
    return [
        (number, argument.name)
        for number, argument in arguments
        if argument.alias_info is not None and argument.alias_info.is_write
    ]


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A record of all operators that are called under it, which it calls."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[_Call] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False, or torch imports its compiler to keep it away from here: a second."""
        return False

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call an operator, and record the call."""
        call = _Call(func, args, kwargs or {}, func(*args, **(kwargs or {})))
        self.calls.append(call)
        return call.result


class _Operation(NamedTuple):
    """A function and its arguments, and where its result goes."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    users: Sequence[tuple[Any, Any]] = ()  # arguments of later ones, and its place in each
    result: Tensor | None = None  # what it is copied into, since others are views of that


class CapturedStep:
    """The operators of one run of a function of tensors, to be run for other inputs.

    The function may read and write tensors that stay where they are, such as weights and caches,
    and depends on nothing else that changes. What it computed from these and no input is not
    computed again. Its output may be overwritten by the next replay.
    """

    def __init__(self, function: Callable[..., Tensor], inputs: Sequence[Tensor]) -> None:
        """Run the function, whose result is `output`."""
        self._inputs = [tensor.clone() for tensor in inputs]
        with _recording, _Recorder() as recorder:
            self._output = [function(*self._inputs)]
        self.can_replay = all(map(_can_replay, recorder.calls))
        self._operations = _operations(recorder.calls, self._inputs, self._output)

    @property
    def output(self) -> Tensor:
        """The result of the last run."""
        return self._output[0]

    def replay(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return what the function returns for inputs of the same shapes, to the bit."""
        for mine, tensor in zip(self._inputs, inputs, strict=True):
            mine.copy_(tensor)
        for function, args, kwargs, users, result in self._operations:
            found = function(*args, **kwargs)
            if result is not None:
                result.copy_(found)
            for user, place in users:
                user[place] = found
        return self.output


def _can_replay(call: _Call) -> bool:
    """Return False for numbers of tensors that the host reads, too: Python may branch by them."""
    if isinstance(call.result, bool | int | float) and any(True for _ in _storages(call.args)):
        return False
    if call.operator in _REPLAYED_IF:
        return _REPLAYED_IF[call.operator](call)
    return _NOT_REPLAYED.isdisjoint(call.operator.tags)


def _has_no_booleans(call: _Call) -> bool:
    """Return True for an index by numbers alone."""
    masks = {torch.bool, torch.uint8}
    return all(index is None or index.dtype not in masks for index in call.args[1])


def _drops_nothing(call: _Call) -> bool:
    dropout: float = call.args[4] if len(call.args) > 4 else call.kwargs.get("dropout_p", 0.0)
    return dropout == 0


_REPLAYED_IF: Mapping[OpOverload, Callable[[_Call], bool]] = {
    _aten.where.default: lambda _: False,  # which lacks its tag
    _aten.index.Tensor: _has_no_booleans,
    _aten.scaled_dot_product_attention.default: _drops_nothing,
}


def _operations(
    calls: Sequence[_Call], inputs: Sequence[Tensor], output: list[Tensor]
) -> list[_Operation]:
    """Return the calls, but views, whose results depend on inputs or on what some call writes."""
    changing = set(_storages([*inputs, *(tensor for call in calls for tensor in call.written())]))
    viewed = set[int]()
    kept = []
    for operator, args, kwargs, result in calls:
        read = {*_storages(args), *_storages(kwargs.values())}
        found = set(_storages([result]))
        if found <= read and not _written(operator):
            if not any(result is arg for arg in args):  # what is itself needs no copy
                viewed |= found
        elif not changing.isdisjoint(read | found):
            changing |= found
            kept.append(_Call(operator, _own(args), _own(kwargs), result))
    users = defaultdict[int, list[tuple[Any, Any]]](list)
    for values in (output, *(values for call in kept for values in (call.args, call.kwargs))):
        for tensor, place in _places(values):
            users[id(tensor)].append(place)
    return [_operation(call, viewed, users) for call in kept]


def _operation(
    call: _Call, viewed: set[int], users: Mapping[int, Sequence[tuple[Any, Any]]]
) -> _Operation:
    """Return what to run: its result is written where others look for it, or handed to them."""
    operator, args, kwargs, result = call
    function = _PLAIN.get(operator, operator)
    if _written(operator):
        return _Operation(function, args, kwargs)
    if operator in _WITH_OUT:
        return _Operation(_WITH_OUT[operator], args, {**kwargs, "out": result})
    if not isinstance(result, Tensor):
        return _Operation(partial(_copy_results, result, function), args, kwargs)
    if viewed.isdisjoint(_storages([result])):
        return _Operation(function, args, kwargs, users.get(id(result), ()))
    return _Operation(function, args, kwargs, result=result)


def _copy_results(
    results: Sequence[Tensor], function: Callable[..., Sequence[Tensor]], *args: Any, **kwargs: Any
) -> None:
    for mine, tensor in zip(results, function(*args, **kwargs), strict=True):
        mine.copy_(tensor)


def _storages(values: Iterable[object]) -> Iterator[int]:
    """Yield the storages of tensors among values; matrices that oneDNN lays out have none.

    A storage is known by its address, which is its own while a tensor keeps it.
    """
    for value in values:
        if isinstance(value, Tensor):
            if not value.is_mkldnn:
                yield value.untyped_storage()._cdata
        elif isinstance(value, list | tuple):
            yield from _storages(value)


def _own(values: Any) -> Any:
    """Return arguments that may be changed: dictionaries, and lists, also for tuples."""
    if isinstance(values, dict):
        return {name: _own(value) for name, value in values.items()}
    return [*map(_own, values)] if isinstance(values, list | tuple) else values


def _places(values: Any) -> Iterator[tuple[Tensor, tuple[Any, Any]]]:
    """Yield the tensors of lists and dictionaries, and where they are."""
    for place, value in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(value, Tensor):
            yield value, (values, place)
        elif isinstance(value, list):
            yield from _places(value)


class RepeatedStep:
    """A step of decoding, which is captured once it has been run some times alike."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was captured: a tensor that it keeps is no longer in use, or not alone."""
        self._key: Hashable = None
        self._runs = 0
        self._captured: CapturedStep | None = None

    def run(
        self, key: Hashable, function: Callable[..., Tensor], inputs: Sequence[Tensor]
    ) -> Tensor:
        """Return what a function of tensors returns, which is the same one for equal keys."""
        if key != self._key:
            self.reset()
            self._key = key
        if self._captured is not None:
            return self._captured.replay(inputs)
        self._runs += 1
        if self._runs != _RUNS_BEFORE + 1:  # one that cannot be replayed is not tried again
            return function(*inputs)
        captured = CapturedStep(function, inputs)
        if captured.can_replay:
            self._captured = captured
        return captured.output
