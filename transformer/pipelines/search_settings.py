"""Search options: explicit ones first, then the model's generation_config.json."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..decoding import SearchOptions
from ..decoding.constraints.grammar import Grammar
from ..decoding.logits.penalties import token_bias
from ..decoding.request import Constraint
from ..errors import ConfigError
from ..loading import GenerationConfig, LoadedModel
from ..registry import Registry

_DEFAULT_BEAM_SIZE = 5


def model_processors(config: GenerationConfig) -> dict[str, Any]:
    """Return the processors that a model's generation config sets, by name in PROCESSORS."""
    end_ids, begin_suppress = list(config.end_ids), config.begin_suppress_tokens
    forced_last, decay = config.forced_eos_token_id, config.exponential_decay_length_penalty
    settings = {
        "sequence-bias": config.sequence_bias,
        "encoder-repetition-penalty": _unless_neutral(config.encoder_repetition_penalty),
        "repetition-penalty": _unless_neutral(config.repetition_penalty),
        "no-repeat-ngram": config.no_repeat_ngram_size or None,
        "encoder-no-repeat-ngram": config.encoder_no_repeat_ngram_size or None,
        "bad-words": [w for w in config.bad_words_ids or [] if w not in [[end] for end in end_ids]],
        "min-length": (config.min_length, end_ids) if config.min_length else None,
        "forced-first": config.forced_bos_token_id,
        "forced-last": [forced_last] if isinstance(forced_last, int) else forced_last,
        "length-decay": (*decay, end_ids) if decay else None,
        "suppress": config.suppress_tokens,
        "suppress-first": (int(config.forced_bos_token_id is not None), begin_suppress)
        if begin_suppress
        else None,
    }
    return {name: value for name, value in settings.items() if value not in (None, [])}


def _unless_neutral(penalty: float | None) -> float | None:
    """Return None for a penalty of 1, which changes nothing."""
    return None if penalty == 1.0 else penalty


def default_beam_size(loaded: LoadedModel) -> int:
    """Return the beam size where none is set explicitly: the model's, or 5."""
    return loaded.generation.num_beams or _DEFAULT_BEAM_SIZE


def search_options(
    loaded: LoadedModel,
    processors: Mapping[str, Any] | None = None,
    *,
    length_penalty: float | None = None,
    early_stopping: str | None = None,
    **fields: Any,
) -> SearchOptions:
    """Build search options from explicit values, and from the model's settings for the rest.

    `fields` are other fields of SearchOptions; `early_stopping` is "yes", "no" or "never".
    """
    config = loaded.generation
    default_penalty = 1.0 if config.length_penalty is None else config.length_penalty
    stopping_modes: Registry[Any] = Registry(
        "early stopping", {"yes": True, "no": False, "never": "never"}
    )
    default_stopping = config.early_stopping or False
    return SearchOptions(
        end_ids=frozenset(config.end_ids),
        length_penalty=default_penalty if length_penalty is None else length_penalty,
        early_stopping=default_stopping
        if early_stopping is None
        else stopping_modes[early_stopping],
        processors={**model_processors(config), **(processors or {})},
        **fields,
    )


def grammar_constraint(
    grammar: Grammar,
    loaded: LoadedModel,
    *,
    end_ids: Collection[int] | None = None,
    continuing: bool = False,
) -> Constraint:
    """Compile a grammar for a model's output; see Grammar.

    `end_ids` holds the ids that end a text, by default the model's. Raises ConfigError.
    """
    return grammar(
        loaded.target_tokenizer,
        loaded.config.vocab_size,
        end_ids=loaded.generation.end_ids if end_ids is None else end_ids,
        forced_first=loaded.generation.forced_bos_token_id,
        continuing=continuing,
    )


def token_processors(
    loaded: LoadedModel,
    *,
    bad_words: Iterable[str] = (),
    suppress: Iterable[str] = (),
    bias: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the values of processors that name tokens, by name in PROCESSORS.

    The model's own bad words and suppressed tokens are kept. Raises ConfigError for a token that
    the model does not have.
    """
    defaults = model_processors(loaded.generation)
    processors: dict[str, Any] = {}
    if variants := [ids for word in bad_words for ids in _word_variants(loaded, word)]:
        processors["bad-words"] = [*defaults.get("bad-words", []), *variants]
    if suppressed := [_token_id(loaded, name) for name in suppress]:
        processors["suppress"] = [*defaults.get("suppress", []), *suppressed]
    if added := dict(_parse_bias(loaded, text) for text in bias):
        processors["token-bias"] = added
    return processors


def _word_variants(loaded: LoadedModel, word: str) -> list[list[int]]:
    """Encode a word as it is encoded at the start of a text, and inside one."""
    if not word.strip():
        raise ConfigError(f"--bad-word {word!r} is not a word")
    variants = [loaded.target_tokenizer.encode(text) for text in (word, f" {word}")]
    return [list(ids) for ids in dict.fromkeys(map(tuple, variants)) if ids]


def _token_id(loaded: LoadedModel, name: str) -> int:
    """Return the id of a target token; raise ConfigError where there is none of that name."""
    token = loaded.target_tokenizer.token_id(name)
    if token is None:
        raise ConfigError(
            f"the model has no token {name!r}; `transduce tokenizer encode --pieces` shows them"
        )
    return token


def _parse_bias(loaded: LoadedModel, text: str) -> tuple[int, float]:
    """Parse TOKEN=NUMBER into an id and a bias."""
    name, _, number = text.rpartition("=")
    try:
        value = float(number)
        token_bias({0: value})  # raises ValueError for a value that is not allowed
    except ValueError:
        name = ""
    if not name:
        raise ConfigError(f"--bias {text!r} is not TOKEN=NUMBER, such as dog=-2.5 or dog=-inf")
    return _token_id(loaded, name), value
