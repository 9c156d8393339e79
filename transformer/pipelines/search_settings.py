"""Parameters of searches: what is asked for, then the model's generation_config.json."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

from ..bounds import check_number
from ..decoding.constraints.bad_words import BadWords
from ..decoding.constraints.grammar import Grammar
from ..decoding.logits.penalties import BIAS
from ..decoding.request import Constraint, Hypothesis
from ..decoding.search import SEARCHES, GreedyParameters
from ..decoding.search.parameters import SearchParameters
from ..errors import ConfigError
from ..loading import GenerationConfig, LoadedModel
from ..registry import Registry
from .arguments import ScoreArguments
from .arguments.search import SearchArguments
from .arguments.text import TextArguments

_DEFAULT_BEAM_SIZE = 5


def model_processors(config: GenerationConfig) -> dict[str, Any]:
    """Return the processors that a model's generation config sets, by name in PROCESSORS."""
    end_ids, begin_suppress = list(config.end_ids), config.begin_suppress_tokens
    has_min_length = bool(config.min_length) and config.min_new_tokens is None
    forced_last, decay = config.forced_eos_token_id, config.exponential_decay_length_penalty
    settings = {
        "sequence-bias": config.sequence_bias,
        "encoder-repetition-penalty": _unless_neutral(config.encoder_repetition_penalty),
        "repetition-penalty": _unless_neutral(config.repetition_penalty),
        "no-repeat-ngram": config.no_repeat_ngram_size or None,
        "encoder-no-repeat-ngram": config.encoder_no_repeat_ngram_size or None,
        "bad-words": [w for w in config.bad_words_ids or [] if w not in [[end] for end in end_ids]],
        "min-length": (config.min_length, end_ids) if has_min_length else None,
        "forced-first": config.forced_bos_token_id,
        "forced-last": [forced_last] if isinstance(forced_last, int) else forced_last,
        "length-decay": (*decay, end_ids) if decay else None,
        "suppress": config.suppress_tokens,
        "suppress-first": (int(config.forced_bos_token_id is not None), begin_suppress)
        if begin_suppress
        else None,
        "forced-positions": {
            position: token
            for position, token in config.forced_decoder_ids or ()
            if token is not None
        }
        or None,
        "renormalize": config.renormalize_logits or None,
    }
    return {name: value for name, value in settings.items() if value not in (None, [])}


def _unless_neutral(penalty: float | None) -> float | None:
    """Return None for a penalty of 1, which changes nothing."""
    return None if penalty == 1.0 else penalty


def search_parameters(
    loaded: LoadedModel,
    arguments: SearchArguments,
    *,
    default: str,
    beams: int = 1,
    temperature: float | None = None,
    keep_all: bool = False,
) -> SearchParameters:
    """Choose the search, with the parameters that are asked for and the model's for the rest.

    `default` is the search where none is asked for, `beams` and `temperature` are those of beam
    search and sampling where none are given. With `keep_all`, all beams are hypotheses. Raises
    ConfigError for arguments that the search would not obey.
    """
    search = arguments.requested_search
    if search is None:
        search = default
        arguments.check_search(search)
    processors = {**arguments.processors, **token_processors(loaded, arguments)}
    if search != "sample":
        processors = {k: v for k, v in processors.items() if k not in arguments.sampling}
    elif temperature is not None:
        processors.setdefault("temperature", temperature)
    common = _common_parameters(loaded, arguments)
    common["processors"] |= processors
    own = _OWN_SETTINGS[search](loaded, arguments, beams=beams, keep_all=keep_all)
    return SEARCHES[search](**common, **own)


def _no_settings(loaded: LoadedModel, arguments: SearchArguments, **_: Any) -> dict[str, Any]:
    return {}


def _sample_settings(loaded: LoadedModel, arguments: SearchArguments, **_: Any) -> dict[str, Any]:
    return {"samples": arguments.num_hypotheses}


def _contrastive_settings(
    loaded: LoadedModel, arguments: SearchArguments, **_: Any
) -> dict[str, Any]:
    return {
        "penalty": arguments.contrastive or 0.0,
        "candidates": min(arguments.top_k or 4, loaded.config.vocab_size),
    }


def _beam_settings(
    loaded: LoadedModel, arguments: SearchArguments, *, beams: int, keep_all: bool
) -> dict[str, Any]:
    number = arguments.num_hypotheses
    width, groups = max(arguments.beam or beams, number), arguments.beam_groups
    if width % groups:
        raise ConfigError(
            f"--beam-groups is {groups}; it must divide the number of beams, which is {width}"
        )
    return {
        "beam": width,
        "n_best": width if keep_all else number,
        "groups": groups,
        "diversity": 0.5 if arguments.diversity is None else arguments.diversity,
        "early_stopping": _early_stopping(loaded.generation, arguments.early_stopping),
    }


# The fields that a search has beside those of all, by the search's name in SEARCHES.
_OWN_SETTINGS: Registry[Callable[..., dict[str, Any]]] = Registry(
    "search",
    {
        "greedy": _no_settings,
        "sample": _sample_settings,
        "contrastive": _contrastive_settings,
        "beam": _beam_settings,
    },
)


def scoring_parameters(loaded: LoadedModel, arguments: ScoreArguments) -> SearchParameters:
    """Return parameters with which existing texts are scored."""
    return GreedyParameters(**_common_parameters(loaded, arguments))


def _common_parameters(
    loaded: LoadedModel, arguments: SearchArguments | ScoreArguments
) -> dict[str, Any]:
    """Return the fields of SearchParameters, with the model's own settings."""
    config = loaded.generation
    penalty = 1.0 if config.length_penalty is None else config.length_penalty
    return {
        "end_ids": frozenset(config.end_ids),
        "processors": model_processors(config),
        "length_penalty": penalty if arguments.length_penalty is None else arguments.length_penalty,
        "length_penalty_kind": arguments.length_penalty_kind,
    }


def default_beams(loaded: LoadedModel) -> int:
    """Return the number of beams where none is asked for: the model's own, or 5."""
    return loaded.generation.num_beams or _DEFAULT_BEAM_SIZE


_EARLY_STOPPING: Registry[Any] = Registry(
    "early stopping", {"yes": True, "no": False, "never": "never"}
)


def _early_stopping(config: GenerationConfig, name: str | None) -> Any:
    return (config.early_stopping or False) if name is None else _EARLY_STOPPING[name]


def grammar_constraint(
    grammar: Grammar | None,
    loaded: LoadedModel,
    *,
    end_ids: Collection[int] | None = None,
    continuing: bool = False,
) -> Constraint | None:
    """Compile a grammar, if there is one, for a model's output; see Grammar.

    `end_ids` holds the ids that end a text, by default the model's. Raises ConfigError.
    """
    if grammar is None:
        return None
    return grammar(
        loaded.target_tokenizer,
        loaded.config.vocab_size,
        end_ids=loaded.generation.end_ids if end_ids is None else end_ids,
        forced_first=loaded.generation.forced_bos_token_id,
        continuing=continuing,
    )


def breaks_grammar(grammar: Grammar | None, text: str, hypothesis: Hypothesis) -> bool:
    """Return True for a text that does not fit a grammar, whatever ended it."""
    if grammar is None:
        return False
    ends_inside_character = hypothesis.finish_reason != "end" and text.endswith("\ufffd")
    return ends_inside_character or not grammar.accepts(text)


def token_processors(loaded: LoadedModel, arguments: TextArguments) -> dict[str, Any]:
    """Return the values of processors that name tokens, by name in PROCESSORS.

    The model's own bad words and suppressed tokens are kept. Raises ConfigError for a token that
    the model does not have.
    """
    defaults = model_processors(loaded.generation)
    processors: dict[str, Any] = {}
    if arguments.bad_word:
        processors |= _bad_words(loaded, arguments.bad_word, defaults.get("bad-words", []))
    if suppressed := [_token_id(loaded, name) for name in arguments.suppress or ()]:
        processors["suppress"] = [*defaults.get("suppress", []), *suppressed]
    if added := dict(_parse_bias(loaded, text) for text in arguments.bias or ()):
        processors["token-bias"] = added
    return processors


def _bad_words(
    loaded: LoadedModel, words: Sequence[str], own: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Return the processor that keeps words out of a text.

    Where a token's text depends on its neighbours, it is that of the tokens that spell a word as
    texts are encoded, beside the model's own.
    """
    variants = [ids for word in words for ids in _word_variants(loaded, word)]
    if not BadWords.supports(loaded.target_tokenizer):
        return {"bad-words": [*own, *variants]}
    return {"bad-text": BadWords(words, loaded.target_tokenizer, loaded.config.vocab_size)}


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
    except ValueError:
        name = ""
    if not name:
        raise ConfigError(f"--bias {text!r} is not TOKEN=NUMBER, such as dog=-2.5 or dog=-inf")
    if value != -math.inf:
        check_number(f"--bias {name}", value, BIAS)
    return _token_id(loaded, name), value
