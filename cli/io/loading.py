"""Loading of models for commands, with a notice."""

from pathlib import Path

import torch

from transformer.loading import LoadedModel, load_model
from transformer.registry import Registry

from ..console import is_terminal, print_notice
from ..options.common import LineIOOptions

DTYPES = Registry("dtype", {"float32": torch.float32, "bfloat16": torch.bfloat16})


def load_with_notice(
    model: Path, *, device: str, dtype: str, quiet: bool, trust_cache: bool = True
) -> LoadedModel:
    """Load a model folder; at a terminal, print a notice first, for it may take long."""
    if is_terminal() and not quiet:
        print_notice(f"loading {model}")
    return load_model(model, device=device, dtype=DTYPES[dtype], trust_cache=trust_cache)


def load_for_lines(model: Path, options: LineIOOptions) -> LoadedModel:
    """Load a model for a command that answers lines."""
    return load_with_notice(model, device=options.device, dtype=options.dtype, quiet=options.quiet)
