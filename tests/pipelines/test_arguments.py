"""Arguments: the search that they ask for, and what contradicts itself."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from transformer.errors import ConfigError, UnknownNameError
from transformer.pipelines import arguments
from transformer.pipelines.arguments import (
    EmbedArguments,
    GenerateArguments,
    ScoreArguments,
    SpeculationArguments,
    TranslateArguments,
)
from transformer.pipelines.arguments.argument import flag_of, flags_with_values

Asked = dict[str, Any]
KINDS = [getattr(arguments, name) for name in arguments.__all__]
SEARCHING = [TranslateArguments, GenerateArguments]

# What is asked for, and the name of the search; None: the default one.
SEARCHES: list[tuple[Asked, str | None]] = [
    ({}, None),
    ({"beam": 1}, "greedy"),
    ({"beam": 2}, "beam"),
    ({"beam": 2, "n_best": 2}, "beam"),
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
    assert kind(**asked).requested_search == search


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
    assert TranslateArguments(**asked).requested_search is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_has_a_flag_of_its_own_name_and_a_default(kind: type) -> None:
    """`--from` and `--to` are words of Python; the others are called as on the command line."""
    made, others = kind(), {"source_language": "--from", "target_language": "--to"}
    for field in fields(kind):
        wanted = others.get(field.name, f"--{field.name.replace('_', '-')}")
        assert flag_of(made, field.name) == wanted
    assert len({flag_of(made, field.name) for field in fields(kind)}) == len(fields(kind))


def test_flags_with_values_are_those_with_a_value() -> None:
    made = ScoreArguments(length_penalty=0.5, target_language="de")
    found = flags_with_values(made, "length_penalty", "source_language", "target_language")
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


@pytest.mark.parametrize("text", ["a\udcff", "\ud800", "half\udc00"])
def test_a_text_that_no_encoding_has_is_refused_by_name(text):
    for kind, values, flag in [
        (TranslateArguments, {"must": ["cat", text]}, "--must"),
        (TranslateArguments, {"prefix": text}, "--prefix"),
        (TranslateArguments, {"target_language": text}, "--to"),
        (TranslateArguments, {"json_schema": f'{{"const": "{text}"}}'}, "--json-schema"),
        (GenerateArguments, {"stop": [text]}, "--stop"),
        (ScoreArguments, {"source_language": text}, "--from"),
        (EmbedArguments, {"prompt": text}, "--prompt"),
    ]:
        with pytest.raises(ConfigError, match=f"^{flag} is .*, which is not UTF-8; give it as"):
            kind(**values)
    TranslateArguments(prefix="grün 日本 😀")
