"""The plan of a run: its complete recipe, with comments, and what it takes on this machine."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch

from tokenizer import Spool
from tokenizer.quantities import format_bytes, format_count

from ...durations import format_duration
from ..network_notices import network_notices
from ..recipe import Recipe, recipe_to_toml
from ..recipe_checks import check_recipe
from ..recipe_keys import recipe_keys
from ..recipe_layers import without_empty_lengths
from ..recipe_resolution import with_copies
from .describing import format_epochs
from .fitting import with_steps
from .memory import available_memory, training_memory
from .planner import Choices, Planner


class RunPlan(NamedTuple):
    """A run as it would be."""

    choices: Choices
    device: torch.device
    chooses: bool  # False: the recipe was complete

    def text(self) -> str:
        """Return the recipe as TOML, with comments on its keys and, above it, on the run."""
        notes = [
            "A plan of transduce train: nothing was trained. To train by it, save it to a file:",
            "  transduce train FILE.toml -o runs/NAME",
            *(self.choices.lines if self.chooses else []),
            *network_notices(self.choices.recipe.model, self.choices.config),
            self._weights(),
            self._memory(),
            self._time(),
        ]
        return "".join(f"# {note}\n" for note in notes) + "\n" + commented(self.choices.recipe)

    def _weights(self) -> str:
        return f"parameters: {self.choices.parameters:,}, if the tokenizer has all its tokens"

    def _memory(self) -> str:
        memory = training_memory(self.choices.config, self.choices.recipe.training)
        free = available_memory(self.device)
        left = (
            "" if free is None else f" of {format_bytes(free)} that are free on {self.device.type}"
        )
        return (
            f"memory: about {format_bytes(memory.total)}{left} (weights "
            f"{format_bytes(memory.weights)}, gradients and optimizer "
            f"{format_bytes(memory.training)}, activations {format_bytes(memory.activations)})"
        )

    def _time(self) -> str:
        choices, training = self.choices, self.choices.recipe.training
        seconds = choices.steps * choices.step_seconds
        epochs = format_epochs(choices.steps * training.accumulate / choices.batches_per_epoch)
        return (
            f"time: about {format_duration(seconds)} for {format_count(choices.steps, 'step')} of "
            f"{choices.step_seconds:.2g} s or {epochs}, measured just now; validations "
            "and preparing the text come on top"
        )


def make_plan(planner: Planner, recipe: Recipe, device: torch.device) -> RunPlan:
    """Return the plan of a run that begins. Raises what `check_recipe` raises.

    Text that can be read only once is read from a temporary copy.
    """
    check_recipe(recipe)
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder)) as spool:
        readable = with_copies(recipe, spool)
        whole = without_empty_lengths(msgspec.to_builtins(recipe))
        complete = planner if planner.chooses else Planner(whole)
        choices = complete.choose(readable, device)
    # the steps that are told, whatever the pace of the run by this recipe
    fixed = with_steps(choices.recipe, choices.steps)
    return RunPlan(choices._replace(recipe=fixed), device, planner.chooses)


def commented(recipe: Recipe) -> str:
    """Return a recipe as TOML with the description of each key behind it."""
    descriptions = {key.name: key.description for key in recipe_keys(Recipe)}
    section, lines = "", []
    for line in recipe_to_toml(recipe).splitlines():
        if line.startswith("["):
            section = f"{line.strip('[]')}."
        key, equals, _ = line.partition(" = ")
        comment = descriptions.get(section + key) if equals else None
        lines.append(f"{line}  # {comment}" if comment else line)
    return "\n".join(lines) + "\n"
