"""What commands that run a model have in common: loading it, and asking a search."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformer.config import ConfigError
from transformer.decoding import SearchOptions
from transformer.decoding.penalties import token_bias
from transformer.decoding.processors import model_processors
from transformer.loading import LoadedModel, load_model
from transformer.tables import Table

from .console import is_terminal, say

if TYPE_CHECKING:
    from transformer.decoding import Engine
    from transformer.decoding.grammar import Grammar

    from .decoding_options import Decoding
    from .drafting_options import Drafting
    from .options import Filtering

_BEAMS = 5


def load(
    model: Path, *, device: str, dtype: str, quiet: bool, trust_cache: bool = True
) -> LoadedModel:
    """Load a model folder, saying so at a terminal, for it takes a while."""
    import torch

    if is_terminal() and not quiet:
        say(f"loading {model}")
    dtypes = Table("dtype", {"float32": torch.float32, "bfloat16": torch.bfloat16})
    return load_model(model, device=device, dtype=dtypes[dtype], trust_cache=trust_cache)


def load_for(model: Path, asked: "Filtering") -> LoadedModel:
    """Load a model for a command that answers line for line."""
    return load(model, device=asked.device, dtype=asked.dtype, quiet=asked.quiet)


def usual_beams(loaded: LoadedModel) -> int:
    """How many beams a translator is to be decoded with where nobody says."""
    return loaded.generation.num_beams or _BEAMS


def search_options(
    loaded: LoadedModel,
    processors: Mapping[str, Any] | None = None,
    *,
    length_penalty: float | None = None,
    early_stopping: str | None = None,
    **more: Any,
) -> SearchOptions:
    """The options of a search: those given, and for the rest the model's own settings."""
    own = loaded.generation
    usual = 1.0 if own.length_penalty is None else own.length_penalty
    rules: Table[Any] = Table("early stopping", {"yes": True, "no": False, "never": "never"})
    return SearchOptions(
        end=frozenset(own.end_ids),
        length_penalty=usual if length_penalty is None else length_penalty,
        early_stopping=(own.early_stopping or False)
        if early_stopping is None
        else rules[early_stopping],
        processors={**model_processors(own), **(processors or {})},
        **more,
    )


def token_values(loaded: LoadedModel, asked: "Decoding") -> dict[str, Any]:
    """Values of processors that are about tokens, by name. Raises ConfigError for one that the
    model does not have."""
    own = model_processors(loaded.generation)
    found: dict[str, Any] = {}
    if asked.bad_word:
        spelled = (ids for word in asked.bad_word for ids in _spellings(loaded, word))
        found["bad-words"] = [*own.get("bad-words", []), *spelled]
    if asked.suppress:
        tokens = [_token(loaded, name) for name in asked.suppress]
        found["suppress"] = [*own.get("suppress", []), *tokens]
    if asked.bias:
        found["token-bias"] = dict(_bias(loaded, text) for text in asked.bias)
    return found


def _spellings(loaded: LoadedModel, word: str) -> list[list[int]]:
    """A word's ids at the start of a text and inside one."""
    if not word.strip():
        raise ConfigError(f"--bad-word {word!r} is no word")
    ids = [loaded.writer.encode(text) for text in (word, f" {word}")]
    return [some for place, some in enumerate(ids) if some and some not in ids[:place]]


def _token(loaded: LoadedModel, name: str) -> int:
    token = loaded.writer.token_id(name)
    if token is None:
        raise ConfigError(
            f"the model has no token {name!r}; `transduce tokenizer encode --pieces` shows them"
        )
    return token


def _bias(loaded: LoadedModel, text: str) -> tuple[int, float]:
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
        token_bias({0: value})  # whether it is one that is added
    except ValueError:
        name = ""
    if not name:
        raise ConfigError(f"--bias {text!r} is not TOKEN=NUMBER, such as dog=-2.5 or dog=-inf")
    return _token(loaded, name), value


def grammar(asked: "Decoding") -> "Grammar | None":
    """What all that is written must match, if anything. Raises ConfigError for what cannot be."""
    from transformer.decoding.grammar import GRAMMARS

    schema = asked.json_schema
    if schema is not None and not schema.lstrip().startswith(("{", "true", "false")):
        schema = Path(schema).read_text(encoding="utf-8", errors="replace")
    values = {"regular-expression": asked.regex, "choices": asked.choice, "json-schema": schema}
    given = {name: value for name, value in values.items() if value is not None}
    if len(given) > 1:
        raise ConfigError("of --regex, --choice and --json-schema only one can be given")
    return next((GRAMMARS[name](value) for name, value in given.items()), None)


def make_engines(
    models: Sequence[LoadedModel], search: str, options: SearchOptions, drafting: "Drafting"
) -> "tuple[LoadedModel, list[Engine]]":
    """What writes: a model, or several that decide together, once for each core; and the model that
    reads for them.

    Raises ConfigError for models, searches and drafts that do not go together.
    """
    from transformer.decoding import SEARCHES, Engine, ModelStepper
    from transformer.decoding.ensemble import EnsembleStepper, check_ensemble
    from transformer.decoding.search import plain_engine
    from transformer.decoding.speculative import AHEAD, speculative_search

    if drafting.asked and search == "contrastive":
        raise ConfigError("contrastive search cannot be guessed for: it takes no --draft, --lookup")
    if drafting.asked and len(models) > 1:
        raise ConfigError("--draft and --lookup guess for one model; several were given")
    lead = check_ensemble(models) if len(models) > 1 else models[0]
    draft = drafting.load(lead)

    def make() -> Engine:
        if drafting.asked:
            drafter, ahead = "lookup" if draft is None else "model", drafting.draft_tokens or AHEAD
            found = speculative_search(
                options, lead, pick=search, drafter=drafter, draft=draft, ahead=ahead
            )
            return Engine(ModelStepper(lead.model), found)
        if len(models) > 1:
            steppers = [ModelStepper(model.model) for model in models]
            return Engine(EnsembleStepper(steppers), SEARCHES[search](options))
        return plain_engine(lead, search, options)

    return lead, on_each_core(lead, make)


def on_each_core(loaded: LoadedModel, make: "Callable[[], Engine]") -> "list[Engine]":
    """An engine for each of the CPU's cores, for two batches on a core each are faster than one on
    both; one on a GPU."""
    import torch

    count = torch.get_num_threads() if loaded.device.type == "cpu" else 1
    return [make() for _ in range(count)]


def tell_guesses(engines: "Sequence[Engine]", *, quiet: bool) -> None:
    """Say how many guesses of speculative decoding were right."""
    proposed = sum(getattr(engine.search, "proposed", 0) for engine in engines)
    accepted = sum(getattr(engine.search, "accepted", 0) for engine in engines)
    if proposed and not quiet:
        say(f"guessed {proposed:,} tokens, of which {accepted:,} were right")
