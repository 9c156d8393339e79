"""JSON schemas: each keyword that is kept is kept in what is written, each other one is refused."""

import datetime
import ipaddress
import json
import random
import re
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from llguidance import LLTokenizer

from tests.models import tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transformer.decoding.constraints.grammar import json_schema
from transformer.decoding.constraints.json_schema import FORMATS, KEYWORDS
from transformer.errors import ConfigError
from transformer.loading import LoadedModel, default_generation_config
from transformer.pipelines.search_settings import grammar_constraint


@pytest.fixture(scope="module")
def letters():
    tokenizer = train_tokenizer(["x"], TrainingOptions(kind="byte-bpe", vocab_size=260))
    model = tiny_model("decoder", vocab_size=260)
    return LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path("nowhere"))


def sample(letters, schema, count=25, most=300):
    """Values of texts by chance that the schema lets through."""
    chance, constraint = random.Random(5), grammar_constraint(json_schema(schema), letters)
    decode, end = letters.target_tokenizer.decode, letters.generation.end_id
    values = []
    for _ in range(count):
        written: list[int] = []
        while len(written) < most:
            allowed = constraint(written).tolist()
            assert allowed
            if end in allowed and (len(allowed) == 1 or chance.random() < 0.5):
                values.append(json.loads(decode(written)))
                break
            others = [token for token in allowed if token != end]
            near = [token for token in others if decode([token]) in '"}],:0123456789']
            written.append(chance.choice(near if near and chance.random() < 0.6 else others))
    assert len(values) > count // 3
    return values


def lets_through(schema, text):
    """Whether a JSON text may be written."""
    matcher = json_schema(schema).matcher(LLTokenizer("byte"))
    return matcher.consume_tokens(list(text.encode())) and matcher.is_accepting()


OBJECT = {"type": "object", "additionalProperties": False}
LIST = {"type": "array", "items": {"type": "boolean"}}
TREE = {
    "type": "object",
    "properties": {"next": {"$ref": "#/$defs/leaf"}, "a/b~": {"type": "null"}},
    "required": ["next"],
    "additionalProperties": False,
    "$defs": {"leaf": {"anyOf": [{"type": "null"}, {"$ref": "#"}]}},
}


def is_tree(value):
    inner = value["next"]
    return set(value) <= {"next", "a/b~"} and (inner is None or is_tree(inner))


# By keyword: a schema, and what its values must then be.
CASES = {
    "type": ({"type": ["integer", "null"]}, lambda v: v is None or type(v) is int),
    "enum": ({"enum": [1, "é\n", None, {"a": []}]}, lambda v: v in [1, "é\n", None, {"a": []}]),
    "const": ({"const": [0.5, -2e-7, True]}, lambda v: v == [0.5, -2e-7, True]),
    "minimum": ({"type": "integer", "minimum": -3}, lambda v: v >= -3),
    "maximum": ({"type": "number", "maximum": 0.25, "minimum": -9}, lambda v: -9 <= v <= 0.25),
    "exclusiveMinimum": ({"type": "integer", "exclusiveMinimum": 7}, lambda v: v > 7),
    "exclusiveMaximum": (
        {"type": "number", "minimum": 0.1, "exclusiveMaximum": 0.3},
        lambda v: 0.1 <= v < 0.3,
    ),
    "multipleOf": (
        {"type": "integer", "multipleOf": 3, "minimum": -40, "maximum": 40},
        lambda v: v % 3 == 0 and abs(v) <= 40,
    ),
    "minLength": ({"type": "string", "minLength": 2, "maxLength": 4}, lambda v: 2 <= len(v) <= 4),
    "maxLength": ({"type": "string", "maxLength": 1}, lambda v: len(v) <= 1),
    "pattern": (
        {"type": "string", "pattern": r"^\d[a-c]+$", "maxLength": 9},
        lambda v: re.fullmatch("[0-9][a-c]+", v),
    ),
    "format": ({"type": "string", "format": "ipv4", "maxLength": 9}, ipaddress.IPv4Address),
    "items": (LIST, lambda v: all(type(part) is bool for part in v)),
    "prefixItems": (
        {"type": "array", "prefixItems": [{"const": 7}, {"type": "null"}], "items": False},
        lambda v: v == [7, None][: len(v)],
    ),
    "minItems": ({**LIST, "minItems": 2, "maxItems": 4}, lambda v: 2 <= len(v) <= 4),
    "maxItems": ({**LIST, "maxItems": 1}, lambda v: len(v) <= 1),
    "properties": (
        {**OBJECT, "properties": {"a": {"type": "null"}, "b": {"const": 1}}},
        lambda v: v.items() <= {"a": None, "b": 1}.items(),
    ),
    "required": (
        {**OBJECT, "properties": {"a": {"type": "null"}, "b": {"const": 1}}, "required": ["b"]},
        lambda v: v["b"] == 1,
    ),
    "additionalProperties": (
        {
            "type": "object",
            "properties": {"a": {"const": 1}},
            "additionalProperties": {"type": "null"},
            "maxProperties": 2,
            "required": ["a"],
        },
        lambda v: v["a"] == 1 and all(v[k] is None for k in v if k != "a"),
    ),
    "patternProperties": (
        {**OBJECT, "patternProperties": {"^x[0-9]{0,3}$": {"type": "null"}}},
        lambda v: all(re.fullmatch("x[0-9]{0,3}", k) and v[k] is None for k in v),
    ),
    "minProperties": (
        {
            "type": "object",
            "patternProperties": {"^[a-c]$": {"type": "null"}},
            "additionalProperties": False,
            "minProperties": 1,
        },
        lambda v: len(v) >= 1,
    ),
    "maxProperties": (
        {
            "type": "object",
            "patternProperties": {"^[a-c]$": {"type": "null"}},
            "additionalProperties": False,
            "maxProperties": 2,
        },
        lambda v: len(v) <= 2,
    ),
    "anyOf": (
        {"anyOf": [{"type": "null"}, {"type": "integer", "maximum": 5}]},
        lambda v: v is None or v <= 5,
    ),
    "oneOf": ({"oneOf": [{"type": "null"}, {"type": "boolean"}]}, lambda v: v in (None, 0, 1)),
    "allOf": (
        {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 6}], "maximum": 5},
        lambda v: 3 <= v <= 5,
    ),
    "$ref": (TREE, is_tree),
    "$defs": (TREE, is_tree),
    "definitions": (
        {"$ref": "#/definitions/a%20b", "definitions": {"a b": {"const": 4}}},
        lambda v: v == 4,
    ),
}


def test_every_keyword_has_a_case() -> None:
    assert set(CASES) == set(KEYWORDS)


@pytest.mark.parametrize("keyword", CASES)
def test_what_is_written_keeps_the_keyword(letters: LoadedModel, keyword: str) -> None:
    schema, keeps = CASES[keyword]
    for value in sample(letters, schema):
        assert keeps(value), value


LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
DURATION = r"P(\d+W|(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?)"
# Readers, which refuse what is no such thing: of the standard library, where it has one.
READERS = {
    "date": datetime.date.fromisoformat,
    "time": lambda v: datetime.time.fromisoformat(v.upper()),
    "date-time": lambda v: datetime.datetime.fromisoformat(v.upper()),
    "duration": lambda v: re.fullmatch(DURATION, v),
    "uuid": uuid.UUID,
    "uri": lambda v: (
        urlsplit(v).scheme and not re.search(r"[^!#-;=?-Z_a-z~\[\]]|%(?![0-9A-Fa-f]{2})", v)
    ),
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "hostname": lambda v: len(v) < 254 and re.fullmatch(rf"{LABEL}(\.{LABEL})*", v),
    "email": lambda v: re.fullmatch(rf"[^@\s\"\\]{{1,64}}@{LABEL}(\.{LABEL})*", v),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_what_other_readers_read(letters: LoadedModel, name: str) -> None:
    for text in sample(letters, {"type": "string", "format": name}, 60):
        assert READERS[name](text.replace("0000-", "0004-", 1)), text


def test_days_are_those_of_the_calendar() -> None:
    first = datetime.date(1896, 1, 1)
    matcher = json_schema({"type": "string", "format": "date"}).matcher(LLTokenizer("byte"))
    for year in (1896, 1899, 1900, 1904, 1999, 2000, 2001, 2096, 2100):
        for month in range(1, 14):
            for day in range(33):
                text = f"{year}-{month:02}-{day:02}"
                try:
                    real = bool(datetime.date(year, month, day) >= first)
                except ValueError:
                    real = False
                quoted = list(f'"{text}"'.encode())
                assert (matcher.validate_tokens(quoted) == len(quoted)) is real, text


def test_a_format_and_a_pattern_hold_together(letters: LoadedModel) -> None:
    schema = {"type": "string", "format": "date", "pattern": "-02-29$", "title": "a leap day"}
    for text in sample(letters, schema):
        assert text.endswith("-02-29")


def test_no_name_can_be_spelled_around_its_schema(letters: LoadedModel) -> None:
    constraint = grammar_constraint(
        json_schema({"type": "object", "properties": {"a": {"type": "null"}}}), letters
    )
    for text, follows in (('{"b":1', "}"), ('{"a":', "n"), ('{"\\', '"')):
        ids = letters.target_tokenizer.encode(text)
        assert letters.target_tokenizer.encode(follows)[0] in constraint(ids).tolist()
    assert (
        letters.target_tokenizer.encode("u")[0]
        not in constraint(letters.target_tokenizer.encode('{"\\')).tolist()
    )
    assert (
        letters.target_tokenizer.encode("1")[0]
        not in constraint(letters.target_tokenizer.encode('{"a":')).tolist()
    )


# What llguidance by itself lets come, by the schema that forbids it.
INVALID = [
    ({"type": "number", "exclusiveMinimum": 1, "maximum": 1.4}, "1"),
    ({"type": "number", "exclusiveMaximum": -1, "minimum": -1.4}, "-1"),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}, "0"),
    ({"type": "integer", "exclusiveMaximum": -(2**53)}, str(-(2**53))),
    ({"type": "string", "pattern": '^[^"]*$'}, r'"\""'),
    ({"type": "string", "pattern": r"^[^\\/]*$"}, r'"\\"'),
    ({"type": "string", "pattern": r"^[\x00-\x20]$"}, r'"\""'),
    ({"type": "string", "pattern": r"^\P{P}$"}, r'"\""'),
    ({"type": "string", "pattern": "^[[a]]$"}, '"a"'),
    ({"type": "string", "pattern": "^[^a&&b]$"}, '"a"'),
    ({**OBJECT, "patternProperties": {'^[^"]*$': {"type": "null"}}}, r'{"\"":null}'),
    ({"type": "string", "format": "date"}, '"1999-02-29"'),
    ({"type": "string", "format": "time"}, '"12:00:60Z"'),
    ({"type": "string", "format": "date-time"}, '"1999-02-29T12:00:00Z"'),
    ({"type": "string", "format": "date-time"}, '"1999-02-28T12:00:60Z"'),
    ({"type": "string", "format": "hostname"}, f'"{"a." * 130}a"'),
    ({"type": "string", "format": "email"}, f'"{"a" * 65}@a.b"'),
    ({"type": "object", "required": ["a"], "minProperties": 2}, '{"a":1,"a":1}'),
]


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\n "])
def test_at_most_8_white_space_characters_stand_at_each_gap(space: str) -> None:
    schema = {"type": "object", "properties": {"a": LIST}, "required": ["a"]}
    parts = ["{", '"a"', ":", "[", "true", ",", "false", "]", "}"]
    assert lets_through(schema, (space * (8 // len(space))).join(parts))
    for gap in range(1, len(parts)):
        blanks = (space * 9)[:9]
        assert not lets_through(schema, "".join(parts[:gap]) + blanks + "".join(parts[gap:]))


@pytest.mark.parametrize(("schema", "text"), INVALID)
def test_what_is_invalid_does_not_come(schema: dict, text: str) -> None:
    assert not lets_through(schema, text)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "number", "exclusiveMinimum": 1, "maximum": 1.4}, "1.01"),
        ({"type": "integer", "exclusiveMinimum": 7, "exclusiveMaximum": 9}, "8"),
        ({"type": "number", "exclusiveMinimum": 0}, "0.0001"),
        ({"type": "string", "pattern": '^[^"]*$'}, r'"a\\\n"'),
        ({"type": "string", "pattern": r"^[\x00-\x20]$"}, r'"\n"'),
        ({"type": "string", "pattern": r"^[]a[&&\]-]+$"}, '"a][&]-"'),
        ({"type": "string", "pattern": r"^\[\^a\]$"}, '"[^a]"'),
        ({"type": "string", "format": "date-time"}, '"2000-02-29t23:59:59.5+01:00"'),
        ({"type": "string", "format": "hostname"}, '"a-1.Example.org"'),
        ({"const": 0.5, "type": "number"}, "0.5"),
        ({"maximum": 2**53, "type": "integer"}, str(2**53)),
    ],
)
def test_what_is_valid_can_come(schema: dict, text: str) -> None:
    assert lets_through(schema, text)


def test_spaces_come_to_an_end(letters: LoadedModel) -> None:
    constraint = grammar_constraint(json_schema({"type": "array"}), letters)
    (space,) = letters.target_tokenizer.encode(" ")
    opened = letters.target_tokenizer.encode("[")
    assert space in constraint(opened + [space] * 7).tolist()
    assert space not in constraint(opened + [space] * 8).tolist()


@pytest.mark.parametrize(
    "keyword",
    [
        *("uniqueItems", "not", "if", "contains", "dependentRequired", "propertyNames"),
        *("unevaluatedProperties", "additionalItems", "$dynamicRef", "$anchor", "x-guidance"),
        *("contentEncoding", "nonsense", "minlength"),
    ],
)
def test_other_keywords_are_refused_wherever_they_stand(keyword: str) -> None:
    for schema, place in (
        ({keyword: True}, "#"),
        ({"properties": {"a/b": {keyword: {}}}}, "#/properties/a~1b"),
        ({"anyOf": [True, {"items": {keyword: 1}}]}, "#/anyOf/1/items"),
    ):
        with pytest.raises(ConfigError, match="is not supported") as caught:
            json_schema(schema)
        assert f"{place}: the keyword '{keyword}'" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"enum": []},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "integer", "minimum": 1, "maximum": 2, "multipleOf": 7},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "string", "pattern": "^a$", "minLength": 5},
        {"type": "string", "format": "date", "pattern": "^x"},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "object", "required": ["a"], "additionalProperties": False},
        {"type": "array", "items": False, "minItems": 1},
        {"$ref": "#"},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"type": "array", "minItems": 2, "items": {"$ref": "#"}},
    ],
)
def test_what_nothing_satisfies_is_told(schema: object) -> None:
    with pytest.raises(ConfigError, match=r"^the JSON schema: ") as caught:
        json_schema(schema)
    assert "\n" not in str(caught.value)


def test_what_would_never_end_is_left_out(letters: LoadedModel) -> None:
    endless = {"type": "object", "required": ["b"], "properties": {"b": {"$ref": "#/$defs/e"}}}
    schema = {
        **OBJECT,
        "properties": {"a": {"$ref": "#/$defs/e"}, "c": {"type": "null"}},
        "$defs": {"e": endless},
    }
    assert {str(value) for value in sample(letters, schema)} == {"{}", "{'c': None}"}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ('{"type":', "Expecting value"),
        ("[]", "must be an object"),
        ({"type": "text"}, "#: type is 'text'; Invalid enum value"),
        ({"minLength": -1}, "minLength is -1; Expected `int` >= 0"),
        ({"minItems": 10**9}, "minItems is 1000000000; Expected `int` <= 100000"),
        ({"minimum": "3"}, "minimum is '3'; Expected `float`"),
        ({"exclusiveMinimum": True, "minimum": 3}, "exclusiveMinimum is True; Expected `float`"),
        ({"minimum": 1e300}, "minimum has .* a number of more than 15 digits"),
        ({"maximum": 2**53 + 1}, "maximum has .* a number of more than 15 digits"),
        ({"const": -(2**63)}, "const has .* a number of more than 15 digits"),
        ({"const": [{"a": 0.12345678901234567}]}, "const has .* a number of more than 15 digits"),
        ({"enum": ["a\0"]}, "enum has a control character"),
        ({"pattern": r"^\x01a"}, r"pattern: the control character '\\\\x01' is not supported"),
        ({"patternProperties": {r"\u001Fa": {}}}, "the control character .* is not supported"),
        ({"multipleOf": -1}, "multipleOf is -1; Expected `float` > 0"),
        ({"multipleOf": 0}, "multipleOf is 0; Expected `float` > 0"),
        ({"items": [{}]}, r"items is \[\{\}\]; Expected `bool \| object`, got `array`"),
        ({"type": "null", "items": 5}, "items is 5; Expected `bool"),
        ({"required": "a"}, "required is 'a'; Expected `array`"),
        ({"format": "regex"}, r"format is 'regex'; Expected `str` matching regex '\^\(date\|"),
        ({"format": "unknown"}, "format is 'unknown'; Expected `str` matching"),
        ({"properties": {"a\nb": {"format": "a\nb"}}}, "#/properties/a b: format is 'a.{2}b'"),
        ({"$ref": "#/$defs/x"}, "#: \\$ref to '#/\\$defs/x', where the schema has no schema"),
        ({"$ref": "http://example.com"}, "where the schema has no schema"),
        ({"const": {"type": "null"}, "items": {"$ref": "#/const"}}, "has no schema"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, r"\$schema is .*2020-12"),
        ({"minProperties": 2}, "minProperties is more than 1 above the names in required"),
        ({"pattern": "(?=a)"}, "look-around"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "oneOf"),
        ({"const": float("nan")}, "const has .* a number"),
        ('{"items":' * 5000 + "{}" + "}" * 5000, "nested too deeply"),
        ({"const": object()}, "not JSON serializable"),
    ],
)
def test_bad_schemas_are_told_in_one_line(schema: object, reason: str, capfd) -> None:
    with pytest.raises(ConfigError, match=f"^the JSON schema: .*{reason}") as caught:
        json_schema(schema)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_deep_schemas_do_not_end_the_program() -> None:
    for depth in (100, 250, 900):
        schema = '{"items":' * depth + "{}" + "}" * depth
        try:
            json_schema(schema)
        except ConfigError as error:
            assert "\n" not in str(error)
