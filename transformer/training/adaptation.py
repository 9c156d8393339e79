"""Adapters of a run: trained beside the model of --init, which stays as it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from ..adapters.lora import attach_lora, lora_updates, set_updates
from ..adapters.parts import LinearPart, linear_parts, select_parts
from ..adapters.peft_folder import read_adapter, write_adapter
from ..adapters.saved_modules import HEAD, insert_saved, select_saved
from ..adapters.settings import NO_ADAPTER, AdapterSettings
from ..config import TransformerConfig
from ..errors import ConfigError
from ..export.save import CARD, model_card
from ..families import FAMILIES, MODEL_TYPE, Family
from ..folder_layout import INITIAL
from ..loading import LoadedModel, inspect_folder
from ..loading.adapter_folder import AdapterBase, describe_base, write_base
from ..model import Transformer
from ..model_names import is_hub_name
from ..registry import Registry
from .kept_texts import copy_kept_texts
from .recipe import Recipe


@dataclass(frozen=True)
class Adaptation:
    """The adapter that a run trains: what it changes, and the model beside which it is trained."""

    settings: AdapterSettings
    parts: list[LinearPart]
    saved: frozenset[str]  # our names of parameters that are trained and kept whole
    family: Family
    config: TransformerConfig  # of the model beside which it is trained
    base: AdapterBase

    def attach(self, model: Transformer, *, seed: int | None) -> None:
        """Put the adapter on its model and freeze the rest; without a seed, it has no values."""
        attach_lora(model, self.parts, self.settings, seed=seed)
        for name in self.kept_whole(model):
            model.get_parameter(name).requires_grad_(True)

    def kept_whole(self, model: Transformer) -> set[str]:
        """Return our names of the parameters that are trained whole.

        Among them are those of a new head and, as in PEFT, of any head over labels.
        """
        if model.config == self.config and not model.config.labels:
            return {*self.saved}
        head = {name for name, _ in model.named_parameters() if name.startswith(HEAD)}
        return {*self.saved} | head

    def write(
        self,
        run: Path,
        folder: Path,
        model: Transformer,
        card: Mapping[str, Any],
        labels: Sequence[str] = (),
    ) -> None:
        """Write a model's adapter as a checkpoint, with the run's texts and names of labels."""
        named = self.base.model
        write_adapter(
            folder,
            model,
            self.family,
            lora_updates(model),
            self.settings,
            saved=self.kept_whole(model),
            base=named.partition("@")[0] if is_hub_name(named) else named,
        )
        write_base(folder, self.base)
        (folder / INITIAL).mkdir()  # apart: the adapter's folder is PEFT's
        copy_kept_texts(run, folder / INITIAL, model.config, labels)
        facts = {"adapter of": named, **card}
        (folder / CARD).write_text(model_card(model.config, facts), encoding="utf-8")

    def read(self, folder: Path, model: Transformer) -> None:
        """Give the adapter on a model the values of a checkpoint. Raises CheckpointError."""
        adapter = read_adapter(folder, model, self.family)
        with torch.no_grad():
            set_updates(model, adapter.updates)
            insert_saved(model, adapter.saved)


def _lora(settings: AdapterSettings, init: LoadedModel) -> Adaptation:
    if init.adapter is not None:
        raise ConfigError(
            f"{init.adapter} is an adapter, and another one needs a whole model as its base: merge "
            f"it first (transduce checkpoint convert {init.adapter} -o MERGED --to transduce)"
        )
    family = inspect_folder(init.folder).family
    saved = frozenset(select_saved(init.model, family, settings.modules_to_save))
    chosen = select_parts(
        linear_parts(init.model, family), settings.target_modules, settings.layers
    )
    parts = [part for part in chosen if f"{part.module}.weight" not in saved]
    return Adaptation(settings, parts, saved, family, init.config, describe_base(init.folder))


ADAPTERS: Registry[Callable[[AdapterSettings, LoadedModel], Adaptation | None]] = Registry(
    "adapter", {NO_ADAPTER: lambda _settings, _init: None, "lora": _lora}
)

# By which a rate for all weights is multiplied: updates start at zero, and take larger steps.
RATE_FACTORS = {NO_ADAPTER: 1.0, "lora": 10.0}


def make_adaptation(recipe: Recipe, init: LoadedModel | None) -> Adaptation | None:
    """Return the adapter that a recipe has trained beside the initial model, if any.

    Raises ConfigError where there is none to train it beside, or what it names does not exist.
    """
    build, settings = ADAPTERS[recipe.adapter.kind], recipe.adapter
    if init is not None:
        return build(settings, init)
    if settings.kind != NO_ADAPTER:
        raise ConfigError(f"adapter.kind is {settings.kind!r}: it needs a model, --init MODEL")
    return None


def attach_stand_in(model: Transformer, recipe: Recipe) -> Recipe:
    """Put updates on all linear maps of a network if a recipe trains an adapter.

    Returns the recipe without patterns of names. It is for measuring steps of a network that no
    folder has: which maps are adapted makes little difference.
    """
    if recipe.adapter.kind == NO_ADAPTER:
        return recipe
    parts = linear_parts(model, FAMILIES[MODEL_TYPE])
    attach_lora(model, parts, recipe.adapter, seed=recipe.seed)
    plain = msgspec.structs.replace(recipe.training, freeze=[], learning_rates={})
    return msgspec.structs.replace(recipe, training=plain)


def count_stand_in(config: TransformerConfig, recipe: Recipe) -> int | None:
    """Return how many parameters a recipe's adapter has at most; None if it trains none."""
    if recipe.adapter.kind == NO_ADAPTER:
        return None
    with torch.device("meta"):
        parts = linear_parts(Transformer(config), FAMILIES[MODEL_TYPE])
    return sum(recipe.adapter.rank * (part.inputs + part.stop - part.start) for part in parts)
