"""Memory that training takes, and that there is, so that a model too large is refused at once."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from tokenizer.quantities import format_bytes

from ...attention import ATTENTION
from ...config import TransformerConfig
from ...errors import ConfigError
from ...parameters import alike_layers, count_parameters
from ..optimizers import OPTIMIZERS
from ..recipe import TrainingRecipe

_FLOAT = 4  # bytes; weights, gradients and moments are float32 in every precision
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
# A container's limit, what it uses, and what of that is cache of files: version 2, and version 1
_CGROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
        "total_inactive_file",
    ),
)


class TrainingMemory(NamedTuple):
    """Bytes that training takes, of each kind."""

    weights: int
    training: int  # gradients, the optimizer's moments, the average of the weights
    activations: int  # of a batch, kept for the backward pass

    @property
    def total(self) -> int:
        """All bytes together."""
        return sum(self)


def training_memory(
    config: TransformerConfig, training: TrainingRecipe, *, trained: int | None = None
) -> TrainingMemory:
    """Estimate the memory that training takes, kernels and the program itself left out.

    `trained` of the parameters are trained; None: all.
    """
    total = count_parameters(config)
    # an average is kept, and weights are set aside while it validates
    copies = 1 + OPTIMIZERS[training.optimizer].moments + 2 * bool(training.ema)
    return TrainingMemory(
        _FLOAT * total,
        copies * _FLOAT * (total if trained is None else trained),
        _activations(config, training.batch_tokens),
    )


def _activations(config: TransformerConfig, batch_tokens: int) -> int:
    """Estimate what a batch keeps of each token.

    In a layer these are about 10 vectors of d_model, 3 of d_ff and what its attention keeps; in a
    decoder's one half more.
    """
    stacks = ((config.encoder_layers, 1.0, False), (config.decoder_layers, 1.5, True))
    numbers = 0.0
    for count, share, causal in stacks:
        for own, layers in alike_layers(config, count):
            kept = ATTENTION[own.attention].count_kept(own, causal=causal)
            numbers += share * layers * (10 * own.d_model + 3 * own.d_ff + kept)
    return int(batch_tokens * _FLOAT * numbers)


def available_memory(device: torch.device) -> int | None:
    """Return the bytes that are free on a device; None where that is not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = [_system_memory(), *(_container_memory(*names) for names in _CGROUPS)]
    return min((size for size in free if size is not None), default=None)


def _system_memory() -> int | None:
    with suppress(OSError, ValueError, KeyError):
        return _read_table(_MEMINFO)["MemAvailable:"] << 10
    with suppress(OSError, ValueError, AttributeError):  # no Linux: all that there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _container_memory(limit: str, usage: str, table: str, cache: str) -> int | None:
    """Return what a container's limit leaves; None without a limit."""
    with suppress(OSError, ValueError, KeyError):  # "max" is no number
        used = int((_CGROUP / usage).read_text()) - _read_table(_CGROUP / table)[cache]
        return max(0, int((_CGROUP / limit).read_text()) - used)
    return None


def _read_table(path: Path) -> dict[str, int]:
    """Return the numbers of a table of the kernel by their names."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows}


def check_memory(
    config: TransformerConfig,
    training: TrainingRecipe,
    device: torch.device,
    *,
    trained: int | None = None,
) -> None:
    """Raise ConfigError if weights and the optimizer's state cannot fit into free memory.

    `trained` of the parameters are trained; None: all.
    """
    needed = training_memory(config, training, trained=trained)
    wanted = {device: needed.weights + needed.training + needed.activations}
    if device.type != "cpu":  # weights get their first values on the CPU
        wanted[torch.device("cpu")] = needed.weights
    for place, size in wanted.items():
        free = available_memory(place)
        if free is not None and size > free:
            raise ConfigError(
                f"a model of {count_parameters(config):,} weights takes {format_bytes(size)} of "
                f"memory to train on {place.type}, and {format_bytes(free)} are free: "
                f"{_remedy(needed)}"
            )


def _remedy(needed: TrainingMemory) -> str:
    """Name the setting that most of the memory depends on."""
    if needed.activations > needed.weights + needed.training:
        return f"lower training.batch_tokens: a batch takes {format_bytes(needed.activations)}"
    return "choose a smaller preset"
