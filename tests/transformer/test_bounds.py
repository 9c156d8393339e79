"""Bounds of numbers: each field's, at the least and the most that it may be and just beyond."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import partial
from sys import float_info
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from msgspec import Meta

from tests.models import tiny_config
from transformer.bounds import check_bounds, check_number, convert
from transformer.config import TransformerConfig
from transformer.decoding import SEARCHES
from transformer.errors import ConfigError
from transformer.layer_spec import RotaryScaling
from transformer.loading.generation_config import GenerationConfig
from transformer.pipelines import arguments
from transformer.training import recipe

LARGEST = 10**12
ABOVE_0, BELOW_1 = math.nextafter(0, 1), math.nextafter(1, 0)

# The least and the most of each field; None: there is no most.
NETWORK = {
    **dict.fromkeys(("vocab_size", "d_model", "d_ff", "heads", "max_positions"), (1, LARGEST)),
    "max_target_positions": (1, LARGEST),
    **dict.fromkeys(
        ("kv_heads", "d_head", "source_vocab_size", "window", "random_features"), (1, LARGEST)
    ),
    **dict.fromkeys(("stride", "summary_tokens"), (1, LARGEST)),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "token_types", "labels"), (0, LARGEST)),
    **dict.fromkeys(("position_offset", "global_tokens", "redraw_features"), (0, LARGEST)),
    "relative_buckets": (4, LARGEST),
    "relative_max_distance": (1, LARGEST),
    "rotary_base": (math.nextafter(1, 2), 1e12),
    "rotary_fraction": (ABOVE_0, 1.0),
    **dict.fromkeys(("norm_eps", "attention_softcap", "logit_softcap"), (ABOVE_0, 1e12)),
    **dict.fromkeys(("attention_scale", "output_scale", "initialization_std"), (-1e12, 1e12)),
    **dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), (0.0, BELOW_1)),
}
ROTARY = {
    **dict.fromkeys(("factor", "attention_factor"), (ABOVE_0, 1e12)),
    "low": (-1e12, 1e12),
    "high": (-1e12, 1e12),
    "original_context": (1, LARGEST),
}
TRAINING = {
    "epochs": (0.0, float_info.max),
    **dict.fromkeys(("steps", "batch_tokens", "accumulate", "context", "max_skipped"), (1, None)),
    **dict.fromkeys(("learning_rate", "adam_eps"), (ABOVE_0, float_info.max)),
    "warmup": (0, None),
    **dict.fromkeys(("weight_decay", "clip"), (0.0, float_info.max)),
    **dict.fromkeys(("beta1", "beta2", "label_smoothing", "ema"), (0.0, BELOW_1)),
}
VALIDATION = {
    **dict.fromkeys(("every", "keep", "beam", "max_lines"), (1, None)),
    "patience": (0, None),
}
GENERATION = {
    "num_beams": (1, 1000),
    "length_penalty": (-10.0, 10.0),
    "max_length": (1, 10**6),
    "max_new_tokens": (1, 10**6),
    **dict.fromkeys(("min_length", "min_new_tokens", "no_repeat_ngram_size"), (0, 10**6)),
    "encoder_no_repeat_ngram_size": (0, 10**6),
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty"), (0.001, 1000.0)),
}
# Of all searches, and of each its own.
PENALTY = {"length_penalty": (-10.0, 10.0)}
SEARCHED = {
    "greedy": PENALTY,
    "sample": {"samples": (1, 1000), **PENALTY},
    "beam": {
        **dict.fromkeys(("beam", "n_best"), (1, 1000)),
        "groups": (1, None),
        "diversity": (0.0, 1e6),
        **PENALTY,
    },
    "contrastive": {"penalty": (0.0, 1.0), "candidates": (1, None), **PENALTY},
}


def parameters(name: str, **fields: object) -> object:
    """The parameters of a search, with what it must have."""
    needed = {"end_ids": frozenset({2})} | ({"beam": 1} if name == "beam" else {})
    return SEARCHES[name](**{**needed, **fields})


# How an instance is made, the bounds, and the numbers that have none.
KINDS: dict[type, tuple[Callable[..., object], dict[str, tuple], str]] = {
    TransformerConfig: (tiny_config, NETWORK, ""),
    RotaryScaling: (RotaryScaling, ROTARY, ""),
    recipe.Recipe: (recipe.Recipe, {"seed": (0, 2**31 - 1)}, ""),
    recipe.DataRecipe: (
        lambda **fields: recipe.Recipe(data=recipe.DataRecipe(**fields)),
        {
            "valid_fraction": (0.0, BELOW_1),
            "max_tokens": (1, None),
            "max_target_tokens": (1, None),
            "max_unknown": (0.0, 1.0),
            "temperature": (0.0, None),
        },
        "",
    ),
    recipe.TokenizerRecipe: (
        lambda **fields: recipe.Recipe(tokenizer=recipe.TokenizerRecipe(**fields)),
        {"vocab_size": (1, None), "grow": (0, None)},
        "min_frequency",
    ),
    recipe.TrainingRecipe: (
        lambda **fields: recipe.Recipe(training=recipe.TrainingRecipe(**fields)),
        TRAINING,
        "",
    ),
    recipe.ValidationRecipe: (
        lambda **fields: recipe.Recipe(validation=recipe.ValidationRecipe(**fields)),
        VALIDATION,
        "",
    ),
    GenerationConfig: (
        partial(GenerationConfig, eos_token_id=2),
        GENERATION,
        """bos_token_id eos_token_id pad_token_id decoder_start_token_id forced_bos_token_id
        forced_eos_token_id""",  # which are ids
    ),
    **{SEARCHES[name]: (partial(parameters, name), SEARCHED[name], "") for name in SEARCHES},
}
CASES = [
    pytest.param(kind, name, *ends, id=f"{kind.__name__}.{name}")
    for kind, (_, bounds, _) in KINDS.items()
    for name, ends in bounds.items()
]


@pytest.mark.parametrize(("kind", "field", "least", "most"), CASES)
def test_a_number_may_be_its_least_and_its_most_and_nothing_beyond(
    kind: type, field: str, least: float, most: float | None
) -> None:
    for value in (least, 10**30 if most is None else most):
        check_bounds({field: value}, kind)
    whole = isinstance(least, int)
    below = least - 1 if whole else math.nextafter(least, -math.inf)
    above = [] if most is None else [most + 1 if whole else math.nextafter(most, math.inf)]
    for value in (below, *above, math.nan, math.inf, -math.inf):
        for check in (lambda f: check_bounds(f, kind), lambda f: KINDS[kind][0](**f)):
            with pytest.raises(ConfigError, match=rf"{field} is .+; it must be [^_]+$"):
                check({field: value})


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_bounds_or_is_known_to_have_none(kind: type) -> None:
    hints = get_type_hints(kind, include_extras=True)
    numbers = {name for name, hint in hints.items() if {int, float} & set(_types(hint))}
    assert numbers == KINDS[kind][1].keys() | set(KINDS[kind][2].split())


# The least and the most of arguments, by field; None: there is none.
COUNTS = ("top_k", "no_repeat_ngram", "max_tokens", "beam_groups", "draft_tokens", "batch_tokens")
LIMITS: dict[str, tuple[float | None, float | None]] = {
    **dict.fromkeys(COUNTS, (1, None)),
    **dict.fromkeys(("beam", "n_best"), (1, 1000)),
    "mbr": (2, 1000),
    **dict.fromkeys(("min_tokens", "global_tokens"), (0, None)),
    "seed": (None, None),
    "length_penalty": (-10.0, 10.0),
    "diversity": (0.0, None),
    "contrastive": (0.0, 1.0),
    "temperature": (0.0, 1e3),
    **dict.fromkeys(("min_p", "threshold"), (0.0, 1.0)),
    **dict.fromkeys(("top_p", "typical"), (ABOVE_0, 1.0)),
    **dict.fromkeys(("top_n_sigma", "repetition_penalty"), (ABOVE_0, None)),
    **dict.fromkeys(("presence_penalty", "frequency_penalty"), (None, None)),
    **dict.fromkeys(("min_ratio", "max_ratio", "coverage_penalty"), (0.0, 1000.0)),
}
# What else must be given with an argument.
NEEDED = {
    "diversity": {"beam": 4, "beam_groups": 2},
    "beam_groups": {"beam": 2},
    "draft_tokens": {"lookup": True},
}


def _types(hint: Any) -> Iterator[type]:
    """A field's types, without those in lists and tuples."""
    if get_origin(hint) is Annotated or NoneType in get_args(hint) or list[int] in get_args(hint):
        for part in get_args(hint):
            yield from _types(part)
    elif isinstance(hint, type):
        yield hint


NUMBERS = [
    pytest.param(kind, field, int in types, id=f"{kind.__name__}.{field.name}")
    for kind in (getattr(arguments, name) for name in arguments.__all__)
    for field in dataclasses.fields(kind)
    if (types := {int, float} & set(_types(get_type_hints(kind)[field.name])))
]


@pytest.mark.parametrize(("kind", "field", "whole"), NUMBERS)
def test_an_argument_beyond_its_bounds_is_refused_by_its_flag(
    kind: type, field: dataclasses.Field, whole: bool
) -> None:
    def made(value: float) -> object:
        return kind(**{**NEEDED.get(field.name, {}), field.name: value})

    flag, (least, most) = field.metadata["flag"], LIMITS[field.name]
    beyond = [] if field.name == "seed" else [math.nan, math.inf, -math.inf]
    for limit, outside in ((least, -1), (most, 1)):
        if limit is not None:
            assert getattr(made(limit), field.name) == limit
            beyond.append(limit + outside if whole else math.nextafter(limit, outside * math.inf))
    for value in beyond:
        with pytest.raises(ConfigError, match=rf"^{flag.name} is {value}; it must be [^_]+$"):
            made(value)


def test_the_limits_of_arguments_are_those_of_arguments_that_exist() -> None:
    assert {number.values[1].name for number in NUMBERS} == LIMITS.keys()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_beams": 0}, "num_beams is 0; it must be between 1 and 1,000"),
        (
            {"exponential_decay_length_penalty": [-1, 1.1]},
            r"exponential_decay_length_penalty\[0\] is -1; it must be between 0 and 1,000,000",
        ),
        (
            {"exponential_decay_length_penalty": [1, 0]},
            r"exponential_decay_length_penalty\[1\] is 0; it must be between 0.001 and 1,000",
        ),
        (
            {"sequence_bias": [[[3], 1e9], [[4], math.nan]]},
            r"sequence_bias\[1\]\[1\] is nan; it must be a finite number and between -1",
        ),
        ({"num_beams": "many"}, "num_beams is 'many'; it must be a whole number$"),
        ({"num_beams": True}, "num_beams is True; it must be a whole number$"),
        ({"sequence_bias": [3]}, r"sequence_bias\[0\] is 3; it must be a list"),
        ({"eos_token_id": []}, "settings: eos_token_id is empty"),
        ({"early_stopping": "nver"}, "early_stopping is 'nver'; did you mean never"),
        ({"early_stopping": "no"}, "early_stopping is 'no'; allowed: never, true or false$"),
    ],
)
def test_a_converted_mapping_is_refused_by_name_and_value(fields: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        convert({"eos_token_id": 2, **fields}, GenerationConfig, prefix="settings: ")


@pytest.mark.parametrize(
    ("bounds", "value", "allowed"),
    [
        (Meta(ge=1), 0, "at least 1"),
        (Meta(gt=0), 0, "above 0"),
        (Meta(gt=0), math.inf, "a finite number and above 0"),
        (Meta(gt=0, le=1), 1.5, "above 0 and at most 1"),
        (Meta(ge=0, lt=1 << 31), -1, "at least 0 and below 2,147,483,648"),
        (Meta(ge=-0.5, le=0.5), 0.51, "between -0.5 and 0.5"),
        (Meta(ge=1, multiple_of=1), 1.5, "a whole number and at least 1"),
        (Meta(description="0 is none"), math.nan, "a finite number (0 is none)"),
    ],
)
def test_a_message_says_what_is_allowed(bounds: Meta, value: float, allowed: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_number("it", value, bounds)
    assert str(refused.value) == f"it is {value}; it must be {allowed}"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("many", "training.warmup is 'many'; it must be a whole number"),
        ([1], "training.warmup is [1]; it must be a whole number"),
        (True, "training.warmup is True; it must be a whole number"),
    ],
)
def test_a_value_of_another_type_is_told_with_its_name_and_kind(value, told):
    with pytest.raises(ConfigError) as error:
        convert({"training": {"warmup": value}}, recipe.Recipe)
    assert str(error.value) == told
