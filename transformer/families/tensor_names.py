"""Names of published tensors as their class writes them, whatever wrapped the saved model.

Wrappers for several devices and compilers, and programs that hold the model in a field of theirs,
put names of their own before it or between; a model that is saved without its head lacks the prefix
that it has inside a model with one.
"""

from collections.abc import Collection, Iterable

# What `torch` puts anywhere into names: data-parallel, compiled, sharded and checkpointed modules.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
# Fields that hold a whole model in training programs.
_FIELDS = ("model", "net", "base_model")
# Norms in files that came from TensorFlow.
_OLD_ENDS = {"gamma": "weight", "beta": "bias"}


def current_names(
    names: Iterable[str], *, prefix: str = "", outside: Collection[str] = ()
) -> dict[str, str]:
    """Return the current name of each stored tensor.

    `prefix` is what a family's names begin with, but for those of the modules in `outside`.
    """
    current = {name: _without_wrappers(name) for name in names}
    while (field := _common_field(current.values())) is not None:
        current = {stored: name.removeprefix(field) for stored, name in current.items()}
    if prefix and not any(name.startswith(prefix) for name in current.values()):
        current = {
            stored: name if name.partition(".")[0] in outside else f"{prefix}{name}"
            for stored, name in current.items()
        }
    return current


def _without_wrappers(name: str) -> str:
    """Return a name without the modules of wrappers, and with the current name of a norm's part."""
    *modules, end = [part for part in name.split(".") if part not in _WRAPPERS] or [name]
    return ".".join([*modules, _OLD_ENDS.get(end, end) if modules else end])


def _common_field(names: Collection[str]) -> str | None:
    """Return what all names begin with, where it is a field that holds a model."""
    fields = (f"{field}." for field in _FIELDS)
    return next((f for f in fields if names and all(name.startswith(f) for name in names)), None)
