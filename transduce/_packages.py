"""The check that the packages beside this one are those that an import finds."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

_NAMES = ("cli", "checkpoints", "tokenizer", "transformer")


def require_own_packages() -> None:
    """Raise ImportError for a module of the user that an import finds in the place of ours.

    Those of ours that import no torch are imported, so that they are there whatever folder comes:
    first what answers to Ctrl-C, if this is the program, for the others take a while.
    """
    root = Path(__file__).resolve().parents[1]
    for name in _NAMES:
        spec = find_spec(name)
        origin = None if spec is None else spec.origin
        if origin is None or Path(origin).resolve() != root / name / "__init__.py":
            stands = origin or (spec and list(spec.submodule_search_locations or ())) or "nothing"
            message = (
                f"transduce needs its own package {name!r}, but `import {name}` finds {stands}: "
                "rename that, or keep it out of the folders that Python searches first"
            )
            if _is_program():
                raise SystemExit(message)
            raise ImportError(message, name=name)
        if name == "cli" and _is_program():
            import_module("cli.interrupts").exit_on_interrupt()
        if name != "checkpoints":
            import_module(name)


def _is_program() -> bool:
    """Return True in `python -m transduce`, whose arguments are there once this is imported."""
    names = {argument.removeprefix("-m") for argument in sys.orig_argv}
    return sys.argv[:1] == ["-m"] and "transduce" in names
