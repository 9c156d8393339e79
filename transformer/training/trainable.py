"""The parameters that a run trains: all but the frozen ones, each at its rate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from checkpoints import CheckpointError

from ..adapters.saved_modules import UPDATES
from ..config import TransformerConfig
from ..errors import ConfigError
from ..model import Transformer
from ..registry import either, likely_names
from .adaptation import Adaptation
from .optimizers import Groups, parameter_groups
from .recipe import TrainingRecipe

FREEZE, RATES = "training.freeze", "training.learning_rates"


@dataclass(frozen=True)
class TrainableSet:
    """The trained parameters of a network by name, each with its factor of the learning rate.

    They alone have gradients, are in the optimizer, and are averaged.
    """

    factors: dict[str, float]
    trained: int  # numbers in them
    total: int  # numbers in all parameters
    kept: tuple[str, ...] | None = None  # what a state needs: an adapter's parameters; None: all

    @classmethod
    def select(cls, model: nn.Module, training: TrainingRecipe) -> "TrainableSet":
        """Return the set that a recipe selects among the parameters that have gradients.

        Raises ConfigError for a pattern that fits none of them, or if none is left.
        """
        parameters = dict(model.named_parameters())
        able = [name for name, parameter in parameters.items() if parameter.requires_grad]
        frozen = {name for each in training.freeze for name in _fitting(each, able, FREEZE)}
        factors = {name: 1.0 for name in able if name not in frozen}
        if not factors:
            raise ConfigError(f"{FREEZE} leaves nothing to train")
        for pattern, factor in training.learning_rates.items():  # the last that fits wins
            factors |= dict.fromkeys(_fitting(pattern, list(factors), RATES), factor)
        trained = sum(parameters[name].numel() for name in factors)
        kept = tuple(able) if any(UPDATES in name for name in able) else None
        return cls(factors, trained, sum(each.numel() for each in parameters.values()), kept)

    def freeze_others(self, model: nn.Module) -> None:
        """Make every other parameter of the network one without gradients."""
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in self.factors)

    def groups(self, model: nn.Module, weight_decay: float) -> Groups:
        """Return the groups of an optimizer."""
        parameters = dict(model.named_parameters())
        rated = ((parameters[name], factor) for name, factor in self.factors.items())
        return parameter_groups(rated, weight_decay)

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the trained tensors by name."""
        state = model.state_dict()
        return {name: state[name] for name in self.factors}

    def saved(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the tensors that a state needs: all, or an adapter's beside its base."""
        state = model.state_dict()
        return state if self.kept is None else {name: state[name] for name in self.kept}

    def restore(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        """Put what `saved` returned into a network. Raises CheckpointError for other names."""
        if self.kept is not None and tensors.keys() != {*self.kept}:
            raise CheckpointError("the state's weights are not those of the run's adapter")
        model.load_state_dict(dict(tensors), strict=self.kept is None)


def trainable_set(
    config: TransformerConfig, training: TrainingRecipe, adaptation: Adaptation | None = None
) -> TrainableSet:
    """Return the set that a recipe selects in a network, perhaps with an adapter.

    Its weights are not allocated. Raises what `TrainableSet.select` raises.
    """
    with torch.device("meta"):
        model = Transformer(config)
        if adaptation is not None:
            adaptation.attach(model, seed=None)
        return TrainableSet.select(model, training)


def _fitting(pattern: str, names: Sequence[str], key: str) -> list[str]:
    """Return the parameters that a pattern names, itself or by their module."""
    fitting = [
        name for name in names if fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")
    ]
    if not fitting:
        plain = pattern.removesuffix("*").removesuffix(".")
        likely = likely_names(plain, _modules(names))
        hint = f": did you mean {either(likely)}?" if likely else ""
        raise ConfigError(
            f"{key} has {pattern!r}, and no trained parameter is called so{hint} "
            f"(they are in {', '.join(_summary(names))})"
        )
    return fitting


def _modules(names: Iterable[str]) -> list[str]:
    """Return the names of parameters and of all the modules that they are in."""
    parts = (name.split(".") for name in names)
    return [*dict.fromkeys(".".join(p[:n]) for p in parts for n in range(1, len(p) + 1))]


def _summary(names: Iterable[str]) -> list[str]:
    """Return the modules that parameters are in, of stacks the layers by number.

    >>> _summary(["embedding.weight", "decoder.layers.0.up.bias", "decoder.layers.1.up.bias"])
    ['embedding', 'decoder.layers.0', 'decoder.layers.1']
    """
    depth = {"encoder": 2, "decoder": 2}
    cut = []
    for name in names:
        parts = name.split(".")
        n = depth.get(parts[0], 1)
        cut.append(".".join(parts[: n + 1 if parts[1] == "layers" else n]))
    return [*dict.fromkeys(cut)]
