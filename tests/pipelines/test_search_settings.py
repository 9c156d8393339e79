"""Parameters of searches: what is asked for, then a model's own settings, then defaults."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.pipelines.test_models import tiny_translator, tiny_writer
from transformer.decoding.request import Hypothesis
from transformer.decoding.search import (
    SEARCHES,
    BeamParameters,
    ContrastiveParameters,
    GreedyParameters,
    SamplingParameters,
)
from transformer.errors import ConfigError
from transformer.loading import LoadedModel
from transformer.pipelines.arguments import GenerateArguments, TranslateArguments
from transformer.pipelines.search_settings import _OWN_SETTINGS, breaks_grammar
from transformer.pipelines.session import Session

Asked = dict[str, Any]


def assert_given(parameters: object, kind: type, wanted: Asked) -> None:
    assert type(parameters) is kind
    assert {name: getattr(parameters, name) for name in wanted} == wanted


def with_settings(loaded: LoadedModel, **settings: Any) -> LoadedModel:
    generation = msgspec.structs.replace(loaded.generation, **settings)
    return replace(loaded, generation=generation)


@pytest.fixture(scope="module")
def translator() -> LoadedModel:
    return tiny_translator()


@pytest.fixture(scope="module")
def writer() -> LoadedModel:
    return tiny_writer()


SHARED: list[tuple[Asked, type, Asked]] = [
    ({"beam": 1}, GreedyParameters, {"processors": {}, "length_penalty": 1.0}),
    ({"temperature": 0.0}, GreedyParameters, {"processors": {}}),
    ({"beam": 3}, BeamParameters, {"beam": 3, "n_best": 1, "groups": 1, "early_stopping": False}),
    ({"beam": 3, "n_best": 2}, BeamParameters, {"beam": 3, "n_best": 2}),
    ({"beam": 4, "beam_groups": 2}, BeamParameters, {"groups": 2, "diversity": 0.5}),
    ({"beam": 4, "beam_groups": 2, "diversity": 0.0}, BeamParameters, {"diversity": 0.0}),
    ({"beam": 2, "early_stopping": "yes"}, BeamParameters, {"early_stopping": True}),
    ({"beam": 2, "early_stopping": "never"}, BeamParameters, {"early_stopping": "never"}),
    (
        {"beam": 2, "length_penalty": 0.0, "length_penalty_kind": "gnmt"},
        BeamParameters,
        {"length_penalty": 0.0, "length_penalty_kind": "gnmt"},
    ),
    ({"mbr": 4}, SamplingParameters, {"samples": 4, "processors": {"temperature": 1.0}}),
    ({"n_best": 2, "top_k": 5, "temperature": 0.5}, SamplingParameters, {"samples": 2}),
    ({"contrastive": 0.5}, ContrastiveParameters, {"penalty": 0.5, "candidates": 4}),
    (
        {"contrastive": 0.5, "top_k": 6, "presence_penalty": 0.5},
        ContrastiveParameters,
        {"candidates": 6, "processors": {"presence-penalty": 0.5}},
    ),
]


@pytest.mark.parametrize(("asked", "kind", "wanted"), SHARED, ids=str)
def test_a_search_is_given_its_own(translator, writer, asked, kind, wanted) -> None:
    found = Session([translator]).translation_parameters(TranslateArguments(**asked))
    assert_given(found, kind, wanted)
    found = Session([writer]).generation_parameters(GenerateArguments(**asked))
    assert_given(found, kind, wanted)


def test_every_search_takes_its_own_settings_from_arguments(writer) -> None:
    session = Session([writer])
    asked = [GenerateArguments(**options) for options in ({"beam": 1}, *(o for o, _, _ in SHARED))]
    built = {type(session.generation_parameters(arguments)) for arguments in asked}
    assert built == {*SEARCHES.values()}
    assert {*_OWN_SETTINGS} == {*SEARCHES}


def test_there_are_no_more_candidates_than_tokens(writer) -> None:
    asked = GenerateArguments(contrastive=0.5, top_k=10**9)
    found = Session([writer]).generation_parameters(asked)
    assert found.candidates == writer.config.vocab_size


@pytest.mark.parametrize(
    ("asked", "settings", "kind", "wanted"),
    [
        ({}, {}, BeamParameters, {"beam": 5, "n_best": 1}),
        ({}, {"num_beams": 3}, BeamParameters, {"beam": 3}),
        ({}, {"num_beams": 1}, GreedyParameters, {}),
        ({"n_best": 2}, {"num_beams": 1}, BeamParameters, {"beam": 2, "n_best": 2}),
        ({"n_best": 7}, {}, BeamParameters, {"beam": 7, "n_best": 7}),
        ({"temperature": 0.0, "n_best": 2}, {}, BeamParameters, {"beam": 5, "n_best": 2}),
        ({"beam": 2}, {"num_beams": 4}, BeamParameters, {"beam": 2}),
        ({"coverage_penalty": 1.0, "beam": 4}, {}, BeamParameters, {"beam": 4, "n_best": 4}),
        ({"top_k": 5}, {}, SamplingParameters, {"processors": {"top-k": 5}, "samples": 1}),
        ({}, {"early_stopping": "never"}, BeamParameters, {"early_stopping": "never"}),
        (
            {"early_stopping": "no"},
            {"early_stopping": True},
            BeamParameters,
            {"early_stopping": False},
        ),
        ({}, {"length_penalty": 0.6}, BeamParameters, {"length_penalty": 0.6}),
        ({"length_penalty": 2.0}, {"length_penalty": 0.6}, BeamParameters, {"length_penalty": 2.0}),
        (
            {"no_repeat_ngram": 4},
            {"no_repeat_ngram_size": 3, "repetition_penalty": 1.2},
            BeamParameters,
            {"processors": {"no-repeat-ngram": 4, "repetition-penalty": 1.2}},
        ),
    ],
    ids=str,
)
def test_translations_take_the_models_own_for_the_rest(
    translator, asked, settings, kind, wanted
) -> None:
    session = Session([with_settings(translator, **settings)])
    assert_given(session.translation_parameters(TranslateArguments(**asked)), kind, wanted)


@pytest.mark.parametrize(
    ("asked", "processors", "samples"),
    [
        ({}, {"temperature": 0.8}, 1),
        ({"n_best": 3}, {"temperature": 0.8}, 3),
        ({"top_p": 0.5}, {"top-p": 0.5, "temperature": 0.8}, 1),
        ({"temperature": 0.7}, {"temperature": 0.7}, 1),
        ({"mbr": 3, "top_p": 0.5}, {"top-p": 0.5, "temperature": 0.8}, 3),
    ],
    ids=str,
)
def test_generating_samples_by_default(writer, asked, processors, samples) -> None:
    found = Session([with_settings(writer, num_beams=4)]).generation_parameters(
        GenerateArguments(**asked)
    )
    assert_given(found, SamplingParameters, {"processors": processors, "samples": samples})


@pytest.mark.parametrize(
    "asked",
    [
        {"must": ["one"]},
        {"early_stopping": "yes"},
        {"coverage_penalty": 1.0},
        {"beam_groups": 2, "diversity": 1.0},
    ],
    ids=str,
)
def test_what_a_models_greedy_default_would_not_obey_is_refused(translator, asked) -> None:
    session = Session([with_settings(translator, num_beams=1)])
    with pytest.raises(ConfigError, match="the search that the options ask for is 'greedy'"):
        session.translation_parameters(TranslateArguments(**asked))


def test_beams_that_do_not_divide_are_refused(translator) -> None:
    with pytest.raises(ConfigError, match=r"--beam-groups is 3; it must divide .* which is 4"):
        Session([translator]).translation_parameters(TranslateArguments(beam=4, beam_groups=3))


@pytest.mark.parametrize(
    ("text", "reason", "is_broken"),
    [
        ("a dog", "end", False),
        ("a dog", "stop", False),
        ("a", "length", True),
        ("a", "stop", True),
        ("a", "end", True),
        ("a d\ufffd", "length", True),  # half a character is none that fits
        ("a d\ufffd", "stop", True),
        ("a d\ufffd", "end", False),
    ],
)
def test_a_text_fits_its_grammar_whatever_ended_it(text, reason, is_broken) -> None:
    grammar = TranslateArguments(regex="a d.*").grammar
    hypothesis = Hypothesis([], 0.0, [], reason)
    assert breaks_grammar(grammar, text, hypothesis) == is_broken
    assert not breaks_grammar(None, text, hypothesis)
