"""The model that training starts from, with --init."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from checkpoints import CheckpointError, changed_weights, read_json

from ..bounds import convert
from ..chat.template import read_chat_template
from ..chat.turns import turn_end
from ..config_fields import config_from_fields
from ..errors import ConfigError
from ..export.side_files import original_options
from ..loading import CONFIG, GenerationConfig, LoadedModel, ModelTexts, load_model
from ..loading.adapter_folder import read_base
from ..model_names import is_hub_name
from ..pipelines.languages import with_languages
from ..pipelines.source_prefix import with_source_prefix
from ..registry import suggest
from .data_recipe import DataRecipe, framing_flags
from .kept_texts import given_template
from .objectives import OBJECTIVES
from .recipe import Recipe
from .vocabulary import with_special_tokens, without_further_tokens

_TASKS = "task_specific_params"  # of a published config.json


def load_initial_model(path: Path, recipe: Recipe) -> LoadedModel:
    """Return the model to start from, with the languages and the prefix that a recipe names.

    Raises ConfigError for a model that cannot be trained further so, with the reason, and what
    `load_model` raises.
    """
    init = load_model(path, device="cpu", trust_cache=False)
    init = with_special_tokens(init, recipe)
    data = recipe.data
    if init.config.shape not in OBJECTIVES[recipe.objective].shapes:
        return init  # which is told when the recipe is checked
    if init.config.shape != "encoder-decoder":
        if flags := framing_flags(data, sources=True):
            raise ConfigError(
                f"{' and '.join(flags)}: only for models that read a source; {init.folder} has "
                f"the shape {init.config.shape}"
            )
        return with_turn_end(init, data) if data.conversations else init
    if init.generation.forced_decoder_ids:
        raise ConfigError(
            f"--init: the settings of decoding of {init.folder} force tokens by their place in a "
            "text (forced_decoder_ids), of which training knows nothing: take them out"
        )
    texts = init.texts
    prefix = data.source_prefix
    if data.task:
        task = _task(init, data.task)
        texts, prefix = _with_settings(texts, task), prefix or str(task.get("prefix") or "")
    texts = with_languages(texts, data.source_language or None, data.target_language or None)
    if prefix:
        texts = with_source_prefix(texts, prefix)
    return replace(init, **vars(texts))


def resumed_model(
    run: Path, state: Path, init: LoadedModel | None, recipe: Recipe
) -> LoadedModel | None:
    """Return the model beside which a saved run trains its adapter; else `init`, if there is one.

    None stands for one whose vocabulary grew when the run began: the state has all of its network.
    Raises ConfigError if it is gone, and CheckpointError if it is not as it was.
    """
    base = read_base(state)
    if base is None:
        return init if init is None or _has_network_of(state, init) else None
    path = Path(base.model)
    if init is None and not path.exists() and not is_hub_name(path):
        raise ConfigError(
            f"{run} trains an adapter of {path}, which is not there any more: give the model where "
            "it is now, with --init"
        )
    model = init or load_initial_model(path, without_further_tokens(recipe))
    if changed := changed_weights(model.folder, base.weights):
        raise CheckpointError(
            f"{run} cannot go on: the {changed} of {model.folder} is not that of the model beside "
            "which it trains an adapter"
        )
    return model


def _has_network_of(state: Path, init: LoadedModel) -> bool:
    """Return True unless a state is of a network of another configuration than a model's."""
    path = state / CONFIG  # which older versions did not write
    return not path.is_file() or config_from_fields(read_json(path)) == init.config


def with_turn_end(init: LoadedModel, data: DataRecipe) -> LoadedModel:
    """Return a model that ends its answers as its chat template, or the recipe's, ends them."""
    template = read_chat_template(init.folder, init.tokenizer, given_template(data))
    end = None if template is None else turn_end(template, init.tokenizer)
    ends = init.generation.end_ids
    if end is None or end in ends:
        return init
    generation = msgspec.structs.replace(init.generation, eos_token_id=[*ends, end])
    return replace(init, generation=generation)


def tasks_of(init: LoadedModel) -> dict[str, dict[str, Any]]:
    """Return the tasks that a published model names in its config.json, by their names."""
    published = original_options(init.folder) or read_json(init.folder / CONFIG)
    tasks = published.get(_TASKS)
    listed = tasks.items() if isinstance(tasks, dict) else ()
    return {name: task for name, task in listed if isinstance(task, dict)}


def _task(init: LoadedModel, name: str) -> dict[str, Any]:
    """Return a task by its name. Raises ConfigError naming those there are."""
    tasks = tasks_of(init)
    if not tasks:
        raise ConfigError(
            f"--task {name}: {init.folder} names no tasks ({_TASKS} in its {CONFIG}); say what "
            "stands before each source with --source-prefix"
        )
    if name not in tasks:
        raise ConfigError(f"{init.folder} has no task {name!r}; {suggest(name, tasks)}")
    return tasks[name]


def _with_settings(texts: ModelTexts, task: dict[str, Any]) -> ModelTexts:
    """Return texts with a task's settings of decoding, of those that this program has."""
    known = {name: task[name] for name in GenerationConfig.__struct_fields__ if name in task}
    fields = {**msgspec.to_builtins(texts.generation), **known}
    return replace(texts, generation=convert(fields, GenerationConfig, prefix="task: "))
