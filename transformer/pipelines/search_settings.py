"""The options of a search: those that were asked for, else the model's own settings."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..decoding import SearchOptions
from ..decoding.constraints.grammar import Grammar
from ..decoding.logits.penalties import token_bias
from ..decoding.request import Constraint
from ..errors import ConfigError
from ..loading import GenerationConfig, LoadedModel
from ..registry import Registry


def model_processors(config: GenerationConfig) -> dict[str, Any]:
    """What a model's own settings ask for, by name in PROCESSORS."""
    ends, begin = list(config.end_ids), config.begin_suppress_tokens
    last, decay = config.forced_eos_token_id, config.exponential_decay_length_penalty
    asked = {
        "sequence-bias": config.sequence_bias,
        "encoder-repetition-penalty": _unless_1(config.encoder_repetition_penalty),
        "repetition-penalty": _unless_1(config.repetition_penalty),
        "no-repeat-ngram": config.no_repeat_ngram_size or None,
        "encoder-no-repeat-ngram": config.encoder_no_repeat_ngram_size or None,
        "bad-words": [w for w in config.bad_words_ids or [] if w not in [[end] for end in ends]],
        "min-length": (config.min_length, ends) if config.min_length else None,
        "forced-first": config.forced_bos_token_id,
        "forced-last": [last] if isinstance(last, int) else last,
        "length-decay": (*decay, ends) if decay else None,
        "suppress": config.suppress_tokens,
        "suppress-first": (int(config.forced_bos_token_id is not None), begin) if begin else None,
    }
    return {name: value for name, value in asked.items() if value not in (None, [])}


def _unless_1(penalty: float | None) -> float | None:
    return None if penalty == 1.0 else penalty


_BEAMS = 5


def default_beam_size(loaded: LoadedModel) -> int:
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
    rules: Registry[Any] = Registry("early stopping", {"yes": True, "no": False, "never": "never"})
    return SearchOptions(
        end=frozenset(own.end_ids),
        length_penalty=usual if length_penalty is None else length_penalty,
        early_stopping=(own.early_stopping or False)
        if early_stopping is None
        else rules[early_stopping],
        processors={**model_processors(own), **(processors or {})},
        **more,
    )


def grammar_constraint(
    grammar: Grammar,
    loaded: LoadedModel,
    *,
    end: Collection[int] | None = None,
    continuing: bool = False,
) -> Constraint:
    """Compile a grammar for what a model writes; `end`: the ids that end a text, by default the
    model's. See Grammar. Raises ConfigError."""
    return grammar(
        loaded.target_tokenizer,
        loaded.config.vocab_size,
        end=loaded.generation.end_ids if end is None else end,
        forced_first=loaded.generation.forced_bos_token_id,
        continuing=continuing,
    )


def token_values(
    loaded: LoadedModel,
    *,
    bad_words: Iterable[str] = (),
    suppress: Iterable[str] = (),
    bias: Iterable[str] = (),
) -> dict[str, Any]:
    """Values of processors that are about tokens, by name. Raises ConfigError for one that the
    model does not have."""
    own = model_processors(loaded.generation)
    values: dict[str, Any] = {}
    if spelled := [ids for word in bad_words for ids in _spellings(loaded, word)]:
        values["bad-words"] = [*own.get("bad-words", []), *spelled]
    if tokens := [_token(loaded, name) for name in suppress]:
        values["suppress"] = [*own.get("suppress", []), *tokens]
    if biases := dict(_bias(loaded, text) for text in bias):
        values["token-bias"] = biases
    return values


def _spellings(loaded: LoadedModel, word: str) -> list[list[int]]:
    """A word's ids at the start of a text and inside one."""
    if not word.strip():
        raise ConfigError(f"--bad-word {word!r} is no word")
    ids = [loaded.target_tokenizer.encode(text) for text in (word, f" {word}")]
    return [some for place, some in enumerate(ids) if some and some not in ids[:place]]


def _token(loaded: LoadedModel, name: str) -> int:
    token = loaded.target_tokenizer.token_id(name)
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
