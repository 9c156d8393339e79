"""Arguments: the search that they ask for, what contradicts itself, and what a search is given."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.pipelines.test_models import tiny_translator, tiny_writer
from transformer.decoding.search import (
    BeamParameters,
    ContrastiveParameters,
    GreedyParameters,
    SamplingParameters,
)
from transformer.errors import ConfigError, UnknownNameError
from transformer.loading import LoadedModel
from transformer.pipelines import arguments
from transformer.pipelines.arguments import (
    EmbedArguments,
    GenerateArguments,
    ScoreArguments,
    SpeculationArguments,
    TranslateArguments,
)
from transformer.pipelines.arguments.argument import flag_of, given_flags
from transformer.pipelines.session import Session

Asked = dict[str, Any]
KINDS = [getattr(arguments, name) for name in arguments.__all__]
SEARCHING = [TranslateArguments, GenerateArguments]

# What is asked for, and the name of the search; None: the default one.
SEARCHES: list[tuple[Asked, str | None]] = [
    ({}, None),
    ({"beam": 1}, "greedy"),
    ({"beam": 2}, "beam"),
    ({"beam": 1, "n_best": 2}, "beam"),
    ({"beam": 4, "n_best": 2}, "beam"),
    ({"n_best": 3}, None),
    ({"temperature": 0.0}, "greedy"),
    ({"temperature": 0.0, "n_best": 2}, "beam"),
    ({"temperature": 0.0, "beam": 3}, "beam"),
    ({"temperature": 0.0, "beam": 1}, "greedy"),
    ({"temperature": 1.0}, "sample"),
    ({"temperature": 1.0, "beam": 1}, "sample"),
    ({"temperature": 1.0, "n_best": 3}, "sample"),
    ({"top_k": 5}, "sample"),
    ({"top_p": 0.5}, "sample"),
    ({"min_p": 0.1}, "sample"),
    ({"typical": 0.9}, "sample"),
    ({"top_n_sigma": 2.0}, "sample"),
    ({"top_k": 5, "beam": 1, "n_best": 2}, "sample"),
    ({"mbr": 4}, "sample"),
    ({"mbr": 4, "top_p": 0.5}, "sample"),
    ({"contrastive": 0.5}, "contrastive"),
    ({"contrastive": 0.5, "top_k": 6}, "contrastive"),
    ({"contrastive": 0.0, "beam": 1}, "contrastive"),
    ({"beam": 4, "beam_groups": 2, "diversity": 1.0}, "beam"),
    ({"beam": 4, "early_stopping": "never"}, "beam"),
    ({"beam": 4, "must": ["one"]}, "beam"),
    ({"repetition_penalty": 1.2, "no_repeat_ngram": 3, "seed": 3, "max_tokens": 5}, None),
]

# What contradicts itself or would have no effect, and words of the message.
REFUSED: list[tuple[Asked, list[str]]] = [
    ({"temperature": 0.0, "top_p": 0.5}, ["--temperature 0 is greedy", "--top-p has no effect"]),
    ({"temperature": 0.0, "top_p": 2.0}, ["top-p is 2", "at most 1"]),
    ({"temperature": 0.0005}, ["temperature is 0.0005", "between 0.001"]),
    ({"beam": 3, "temperature": 1.0}, ["--temperature", "--beam above 1"]),
    ({"beam": 3, "top_k": 5, "min_p": 0.1}, ["--top-k, --min-p", "--beam above 1"]),
    ({"contrastive": 0.5, "beam": 3}, ["--contrastive", "--beam"]),
    ({"contrastive": 0.5, "n_best": 2}, ["--contrastive", "--n-best"]),
    ({"contrastive": 0.5, "top_p": 0.5}, ["--contrastive", "got --top-p"]),
    ({"contrastive": 0.5, "temperature": 0.0}, ["--contrastive", "got --temperature"]),
    ({"contrastive": 0.5, "mbr": 4}, ["--contrastive"]),
    ({"mbr": 4, "n_best": 2}, ["--mbr", "--n-best"]),
    ({"mbr": 4, "beam": 1}, ["--mbr", "--beam"]),
    ({"mbr": 4, "temperature": 0.0}, ["--mbr", "temperature"]),
    ({"beam": 1, "early_stopping": "yes"}, ["--early-stopping", "beam search", "'greedy'"]),
    ({"temperature": 1.0, "must": ["one"]}, ["--must", "beam search", "'sample'"]),
    ({"beam": 1, "beam_groups": 2, "diversity": 1.0}, ["--beam-groups, --diversity", "'greedy'"]),
    ({"contrastive": 0.5, "beam_groups": 2}, ["--beam-groups", "'contrastive'"]),
    ({"mbr": 4, "must": ["one"]}, ["--must", "'sample'"]),
    ({"beam": 4, "diversity": 1.0}, ["--diversity", "--beam-groups"]),
    ({"repetition_penalty": 0.0}, ["repetition-penalty is 0", "above 0"]),
    ({"regex": "a", "choice": ["b"]}, ["only one", "--regex", "--choice"]),
    ({"regex": "(("}, ["regular expression"]),
]
TRANSLATIONS_REFUSED: list[tuple[Asked, list[str]]] = [
    ({"coverage_penalty": 1.0, "beam": 1}, ["--coverage-penalty", "'greedy'"]),
    ({"coverage_penalty": 1.0, "temperature": 1.0}, ["--coverage-penalty", "'sample'"]),
    ({"glossary": Path("terms.tsv"), "beam": 1}, ["--glossary", "beam search", "'greedy'"]),
    ({"split": True, "regex": "a"}, ["grammar", "--split"]),
]
GENERATION_REFUSED: list[tuple[Asked, list[str]]] = [
    ({"must": ["one"]}, ["--must", "'sample'"]),
    ({"early_stopping": "no"}, ["--early-stopping", "'sample'"]),
    ({"n_best": 3, "beam_groups": 3}, ["--beam-groups", "'sample'"]),
]
OTHERS_REFUSED: list[tuple[type, Asked, list[str]]] = [
    (SpeculationArguments, {"draft": Path("a"), "lookup": True}, ["only one", "--draft"]),
    (SpeculationArguments, {"draft_tokens": 3}, ["--draft-tokens", "--lookup"]),
    (EmbedArguments, {"pooling": "men"}, ["'men'", "did you mean mean?"]),
]


@pytest.mark.parametrize("kind", SEARCHING)
@pytest.mark.parametrize(("asked", "search"), SEARCHES, ids=str)
def test_the_search_that_is_asked_for(kind: type, asked: Asked, search: str | None) -> None:
    assert kind(**asked).asked_search == search


@pytest.mark.parametrize(
    ("kind", "asked", "words"),
    [
        *[(kind, asked, words) for kind in SEARCHING for asked, words in REFUSED],
        *[(TranslateArguments, asked, words) for asked, words in TRANSLATIONS_REFUSED],
        *[(GenerateArguments, asked, words) for asked, words in GENERATION_REFUSED],
        *OTHERS_REFUSED,
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(kind: type, asked: Asked, words: list[str]) -> None:
    with pytest.raises((ConfigError, UnknownNameError)) as refused:
        kind(**asked)
    assert [word for word in words if word not in str(refused.value)] == [], refused.value


@pytest.mark.parametrize("asked", [{"must": ["one"]}, {"early_stopping": "no"}, {"n_best": 2}])
def test_what_the_models_own_beams_decide_is_no_mistake_of_a_translations(asked: Asked) -> None:
    assert TranslateArguments(**asked).asked_search is None


def with_settings(loaded: LoadedModel, **settings: Any) -> LoadedModel:
    generation = msgspec.structs.replace(loaded.generation, **settings)
    return replace(loaded, generation=generation)


@pytest.fixture(scope="module")
def translator() -> LoadedModel:
    return tiny_translator()


@pytest.fixture(scope="module")
def writer() -> LoadedModel:
    return tiny_writer()


def assert_given(parameters: object, kind: type, wanted: Asked) -> None:
    assert type(parameters) is kind
    assert {name: getattr(parameters, name) for name in wanted} == wanted


SHARED: list[tuple[Asked, type, Asked]] = [
    ({"beam": 1}, GreedyParameters, {"processors": {}, "length_penalty": 1.0}),
    ({"temperature": 0.0}, GreedyParameters, {"processors": {}}),
    ({"beam": 3}, BeamParameters, {"beam": 3, "n_best": 1, "groups": 1, "early_stopping": False}),
    ({"beam": 2, "n_best": 3}, BeamParameters, {"beam": 3, "n_best": 3}),
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
    with pytest.raises(ConfigError, match="4 beams do not divide into 3 groups"):
        Session([translator]).translation_parameters(TranslateArguments(beam=4, beam_groups=3))


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_has_a_flag_of_its_own_name_and_a_default(kind: type) -> None:
    """`--from` and `--to` are words of Python; the others are called as on the command line."""
    made, others = kind(), {"source_language": "--from", "target_language": "--to"}
    for field in fields(kind):
        wanted = others.get(field.name, f"--{field.name.replace('_', '-')}")
        assert flag_of(made, field.name) == wanted
    assert len({flag_of(made, field.name) for field in fields(kind)}) == len(fields(kind))


def test_given_flags_are_those_with_a_value() -> None:
    made = ScoreArguments(length_penalty=0.5, target_language="de")
    found = given_flags(made, "length_penalty", "source_language", "target_language")
    assert found == {"--length-penalty": 0.5, "--to": "de"}


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_do_not_change(kind: type) -> None:
    made = kind()
    with pytest.raises(AttributeError):
        setattr(made, fields(kind)[0].name, 1)


def test_a_glossary_and_a_schema_are_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv"
    with pytest.raises(FileNotFoundError):
        TranslateArguments(glossary=path)
    path.write_text("cat\tKatze\n")
    assert TranslateArguments(glossary=path).phrases.targets() == {"Katze"}
    with pytest.raises(FileNotFoundError):
        GenerateArguments(json_schema=str(tmp_path / "none.json"))
    (tmp_path / "schema.json").write_text('{"type": "boolean"}')
    assert GenerateArguments(json_schema=str(tmp_path / "schema.json")).grammar is not None
