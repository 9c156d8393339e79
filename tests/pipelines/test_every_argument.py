"""Every argument, given alone, changes what is computed, or is refused: none is ignored."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.pipelines.test_models import tiny_translator, tiny_writer
from transformer.errors import ConfigError
from transformer.pipelines.arguments import (
    ClassifyArguments,
    EmbedArguments,
    FillArguments,
    GenerateArguments,
    ScoreArguments,
    TagArguments,
    TranslateArguments,
)
from transformer.pipelines.generation import GenerationTask
from transformer.pipelines.records import Line
from transformer.pipelines.session import Session
from transformer.pipelines.translation import TranslationTask

# A value other than the default for each argument; for those that need another, that too.
VALUES: dict[str, Any] = {
    "beam": 3,
    "n_best": 2,
    "length_penalty": 2.0,
    "length_penalty_kind": "gnmt",
    "early_stopping": "yes",
    "beam_groups": 2,
    "diversity": 0.3,
    "temperature": 0.5,
    "top_k": 3,
    "top_p": 0.5,
    "min_p": 0.1,
    "typical": 0.9,
    "top_n_sigma": 1.0,
    "seed": 3,
    "contrastive": 0.6,
    "mbr": 3,
    "max_tokens": 3,
    "min_tokens": 2,
    "repetition_penalty": 1.3,
    "presence_penalty": 0.4,
    "frequency_penalty": 0.4,
    "no_repeat_ngram": 2,
    "bad_word": ["cat"],
    "suppress": ["a"],
    "bias": ["a=3"],
    "stop": ["a"],
    "must": ["cat"],
    "regex": "[a-z]+",
    "choice": ["cat"],
    "json_schema": '{"type": "null"}',
    "batch_tokens": 7,
    "source_language": "de",
    "target_language": "de",
    "min_ratio": 0.5,
    "max_ratio": 0.5,
    "coverage_penalty": 0.3,
    "global_tokens": 2,  # where it counts: see test_global_tokens.py
    "split": True,
    "prefix": "cat",
    "no_guard": True,
    "overflow": "left",
}
# Those that code elsewhere reads as they are: of the texts' batches, and of what is made of them.
READ_LATER = {"batch_tokens", "no_guard", "overflow", "mbr", "split", "coverage_penalty", "must"}


def computed(command: str, model: Any, arguments: Any) -> object:
    """What is computed for a line: the search, and its requests without functions."""
    line, session = Line(0, "the cat sat on the mat"), Session([model])
    if command == "translate":
        parameters = session.translation_parameters(arguments)
        requests = TranslationTask(model, arguments, parameters).to_requests([line])[0]
    else:
        parameters = session.generation_parameters(arguments)
        requests = GenerationTask(model, arguments, parameters).to_requests([line])[0]

    def plain(value: object) -> object:
        return callable(value) if callable(value) else value

    return parameters, [
        {field.name: plain(getattr(request, field.name)) for field in dataclasses.fields(request)}
        for request in requests
    ]


CASES: list[tuple[str, Callable[[], Any], type, str]] = [
    (command, model, kind, field.name)
    for command, model, kind in (
        ("translate", tiny_translator, TranslateArguments),
        ("generate", tiny_writer, GenerateArguments),
    )
    for field in dataclasses.fields(kind)
    if field.name != "glossary"  # a file: see test_glossary.py
]


@pytest.mark.parametrize(("command", "model", "kind", "name"), CASES, ids=lambda v: str(v)[:20])
def test_an_argument_alone_counts_or_is_refused(command, model, kind, name) -> None:
    loaded = model()
    default = computed(command, loaded, kind())
    try:
        arguments = kind(**{name: VALUES[name]})
        found = computed(command, loaded, arguments)
    except ConfigError:
        return
    assert name in READ_LATER or found != default


def test_arguments_of_scoring_and_embedding_are_few() -> None:
    """Another one needs a test that it counts: tests/cli/test_outputs.py, test_embedding.py."""
    names = [field.name for field in dataclasses.fields(ScoreArguments)]
    assert sorted(names) == [
        "batch_tokens", "length_penalty", "length_penalty_kind", "source_language",
        "target_language",
    ]  # fmt: skip
    names = [field.name for field in dataclasses.fields(EmbedArguments)]
    assert {"batch_tokens", "normalize", "pooling"} <= set(names)
    names = [field.name for field in dataclasses.fields(FillArguments)]
    assert names == ["top_k", "global_tokens", "batch_tokens"]  # see test_filling.py
    names = [field.name for field in dataclasses.fields(ClassifyArguments)]
    own = ["top_k", "threshold", "pairs", "global_tokens", "batch_tokens"]
    assert names == own  # see test_classify.py
    names = [field.name for field in dataclasses.fields(TagArguments)]
    assert names == ["words", "threshold", "global_tokens", "batch_tokens"]  # see test_tagging.py


BOTH = [
    (TranslateArguments, {"beam": 1, "n_best": 3}, "--beam 1 .*--n-best 3"),
    (GenerateArguments, {"beam": 1, "n_best": 3}, "--beam 1 .*--n-best 3"),
    (TranslateArguments, {"beam": 2, "n_best": 3}, "--beam 2 .*--n-best 3"),
    (TranslateArguments, {"beam": 4, "seed": 3}, "--seed .*'beam'"),
    (GenerateArguments, {"beam": 4, "seed": 3}, "--seed .*'beam'"),
    (GenerateArguments, {"contrastive": 0.5, "seed": 3}, "--seed .*'contrastive'"),
    (GenerateArguments, {"temperature": 1.0, "seed": 2**64}, "--seed"),
    (GenerateArguments, {"temperature": 1.0, "seed": -1}, "--seed"),
    (TranslateArguments, {"min_tokens": 9, "max_tokens": 8}, "--min-tokens 9 .*--max-tokens 8"),
    (GenerateArguments, {"min_tokens": 9, "max_tokens": 8}, "--min-tokens 9 .*--max-tokens 8"),
    (TranslateArguments, {"min_ratio": 2.0, "max_ratio": 1.0}, "--min-ratio 2.0 .*--max-ratio 1.0"),
    (TranslateArguments, {"max_ratio": 2.0, "max_tokens": 9}, "--max-ratio and --max-tokens"),
]


@pytest.mark.parametrize(("kind", "values", "words"), BOTH, ids=str)
def test_arguments_that_contradict_each_other_are_named(kind, values, words) -> None:
    with pytest.raises(ConfigError, match=words):
        kind(**values)


@pytest.mark.parametrize("values", [{"beam": 1, "n_best": 3, "temperature": 1.0}, {"n_best": 2}])
def test_several_answers_of_samples_or_beams_are_no_contradiction(values) -> None:
    assert GenerateArguments(**values).num_hypotheses == values["n_best"]


def test_a_minimum_above_the_default_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--min-tokens 300 .*--max-tokens, 256"):
        computed("generate", tiny_writer(), GenerateArguments(min_tokens=300))


def test_a_default_search_that_draws_nothing_refuses_a_seed_too() -> None:
    session = Session([tiny_translator()])
    with pytest.raises(ConfigError, match=r"--seed .*'beam'"):
        session.translation_parameters(TranslateArguments(seed=3))


@pytest.mark.parametrize(
    "values", [{"min_tokens": 25, "max_ratio": 0.1}, {"min_ratio": 4.0}], ids=str
)
def test_a_minimum_raises_the_default_limit(values) -> None:
    loaded, arguments = tiny_translator(), TranslateArguments(**values)
    parameters = Session([loaded]).translation_parameters(arguments)
    (requests,) = TranslationTask(loaded, arguments, parameters).to_requests([Line(0, "the cat")])
    (request,) = requests
    wanted = max(arguments.min_tokens, int(arguments.min_ratio * len(request.source)))
    assert request.min_new_tokens == min(wanted, loaded.config.max_positions - 1)
    assert request.max_new_tokens > request.min_new_tokens
