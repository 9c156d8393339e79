"""Texts that tokens can spell, compared with all texts of a few tokens."""

import json
import re
import time
from functools import partial
from itertools import product
from operator import ne

import pytest
import tokenizers
from tokenizers import decoders, models

from tokenizer import TOKENIZERS, Tokenizer, TrainingOptions, train_tokenizer
from transformer.decoding.constraints.grammar import Grammar
from transformer.decoding.constraints.literals import (
    first_missing,
    literals_of,
    pattern_parts,
    schema_parts,
)
from transformer.decoding.constraints.spelling import Spelling
from transformer.errors import ConfigError
from transformer.pipelines.arguments import GenerateArguments

CORPUS = ["an ant sat, a mat", "日本 äh"] * 9


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request):
    size = 262 if request.param == "byte-bpe" else 40
    return train_tokenizer(CORPUS, TrainingOptions(kind=request.param, vocab_size=size))


def test_what_tokens_spell_is_what_some_of_them_decode_to(tokenizer) -> None:
    spelling = Spelling(tokenizer, tokenizer.vocab_size)
    ids = sorted({i for text in ("an", " ant", "a n", "t", "日本") for i in tokenizer.encode(text)})
    written = {tokenizer.decode(some) for n in (1, 2, 3) for some in product(ids, repeat=n)}
    written = {text for text in written if text and "\ufffd" not in text}
    assert len(written) > 20
    for text in written:
        assert spelling.writes(text), text
        for part in (text[:1], text[1:], text[1:-1]):
            assert spelling.holds(part), (text, part)
        if text != text.strip():
            continue
        after = tokenizer.decode([*tokenizer.encode("mat"), *tokenizer.encode(text)])
        assert spelling.writes(after.removeprefix("mat"), continuing=True), after


def test_a_piece_that_only_goes_on_with_a_word_begins_no_text() -> None:
    backend = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##n": 2}))
    backend.decoder = decoders.WordPiece()
    spelling = Spelling(Tokenizer(backend), 3)
    assert spelling.writes("an") and spelling.holds("n") and spelling.writes("n", continuing=True)
    assert not spelling.writes("n")


def test_what_no_tokens_spell_is_told(tokenizer) -> None:
    spelling = Spelling(tokenizer, tokenizer.vocab_size)
    all_bytes = spelling.holds("狗")
    assert all_bytes == (not tokenizer.unknown_characters(["狗"])[0])
    for text in ("a 狗", "狗", "an狗t", "Äh"):
        assert spelling.holds(text) == spelling.writes(text) == all_bytes
    assert spelling.unwritable("a 狗犬狗t") == ("" if all_bytes else "狗犬")


def test_capitals_that_are_read_in_lower_case_are_not_written() -> None:
    options = TrainingOptions(kind="bpe", vocab_size=40, normalization="nfkc", lowercase=True)
    tokenizer = train_tokenizer(CORPUS, options)
    spelling = Spelling(tokenizer, tokenizer.vocab_size)
    assert not tokenizer.unknown_characters(["AN"])[0]
    assert spelling.writes("an") and not spelling.writes("AN") and not spelling.holds("A")


def needed(parts) -> list[str]:
    """Return the literals without each of which there is no text."""
    literals = dict.fromkeys(literals_of(parts))
    return [own.text for own in literals if first_missing(parts, partial(ne, own))]


PATTERNS = [  # the literals that all texts have; those that some have
    (r"ab?c(de\d\.)+[^x][y-z]", "a c de .", "b"),
    ("狗|Hund", "", "狗 Hund"),
    (r"(?:Ein|Zwei) Hund\n", " Hund\n", "Ein Zwei"),
    (r"[狗犬a-z]+\x{72d7}\u732b", "狗猫", "狗 犬"),
    (r"(?P<n>a狗)\p{L}[\p{Greek}x\]]{2,3}\-", "a狗 -", "x ]"),
    (r"狗{0,2}a", "a", "狗"),
    ("a狗?", "a", "狗"),
    ("(a狗)*b", "b", "a狗"),
    ("(a|狗{2,})b|", "", "a 狗 b"),
    ("(?:狗){0}a狗{0,0}", "a", ""),
    ("[[:alpha:]_]*", "", "_"),
    ("[狗]a", "狗 a", ""),
    (r"[a-z\w狗.]", "", "狗 ."),
    (r"\bab\b", "ab", ""),
    (r"[A-Z]{2}-\d{3}", "-", ""),
    ("(?s)a.b", "a b", ""),
    *((pattern, "", "") for pattern in ("(?i)HUND", "(?x) a b", "a(?#c)b", r"a\b{start}b")),
    *((pattern, "", "") for pattern in ("[a .&&[^b]]+", "[a[b]]c", "[a-c--b]", "[a~~b]", r"a\cA")),
]


@pytest.mark.parametrize(("pattern", "all_have", "some_have"), PATTERNS, ids=str)
def test_the_characters_that_a_pattern_names(pattern, all_have, some_have) -> None:
    parts = pattern_parts(pattern)
    wanted = [f" {text}" if text == "Hund\n" else text for text in all_have.split(" ") if text]
    assert needed(parts) == wanted
    others = {literal.text for literal in literals_of(parts)} - {*wanted}
    assert others == {*some_have.split()} - {*wanted}


def test_the_texts_that_a_schema_names() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"enum": ['a"b', {"key": "value"}, 3]},
            "x": {"type": "string", "pattern": "no?"},
            "z": {"type": "array", "items": {"const": "f"}, "minItems": 1},
        },
        "$defs": {"q": {"const": "cc", "description": "not this"}},
        "patternProperties": {"^y+": True},
        "additionalProperties": {"anyOf": [{"const": ["dd"]}, {"prefixItems": [{"enum": ["e"]}]}]},
        "required": ["z", "x"],
    }
    texts = {literal.text for literal in literals_of(schema_parts(schema))}
    some = {'a\\"b', "key", "value", "o", "cc", "y", "dd", "e", "name"}
    assert texts == some | {"z", "f", "x", "n"}
    assert needed(schema_parts(schema)) == ["z", "f", "x", "n"]
    assert schema_parts(True) == ()


@pytest.mark.parametrize("text", ['a"b', "a\nb", "a\\b", "a\tb"])
def test_a_pattern_of_a_schema_is_written_as_json_is(text) -> None:
    """Strings beside it are, too."""
    spelled = json.dumps(text)[1:-1]
    for schema in ({"const": text}, {"pattern": f"^{re.escape(text)}$"}):
        literals = literals_of(schema_parts({"type": "string", **schema}))
        assert "".join(literal.text for literal in literals) == spelled
        assert GenerateArguments(json_schema=schema).grammar.accepts(f'"{spelled}"')


LETTERS = 'an ant sat, a mat {"}[]:null true false'
STRING = {"type": "string"}
IMPOSSIBLE = [
    {"choice": ["狗", "ant"]},
    {"choice": ["ant", "ant 狗 sat"]},
    {"regex": "狗|犬"},
    {"regex": "ant (狗|[犬猫])"},
    {"regex": r"ant\x{72d7}+"},
    {"json_schema": {"enum": ["狗", "犬"]}},
    {"json_schema": {"anyOf": [{"const": "狗"}, {**STRING, "pattern": "犬"}]}},
    {"json_schema": {"type": "object", "required": ["狗"]}},
    {"json_schema": {"type": "array", "items": {**STRING, "pattern": "a狗"}, "minItems": 1}},
    {"json_schema": {"allOf": [{"const": "狗"}]}},
]
POSSIBLE = [
    {"regex": "狗|ant"},
    {"regex": "ant( 狗)?"},
    {"regex": r"ant|\x{72d7}"},
    {"regex": "(狗|a)n?"},
    {"json_schema": {"enum": ["狗", "ant"]}},
    {"json_schema": {"anyOf": [{"const": "狗"}, {"type": "null"}]}},
    {"json_schema": {"properties": {"狗": {"type": "null"}}}},
    {"json_schema": {"items": {"pattern": "狗"}}},
    {"json_schema": {"pattern": "狗"}},  # numbers have none
]


def letters_only(options) -> tuple[Tokenizer, Grammar]:
    tokenizer = train_tokenizer([LETTERS] * 9, TrainingOptions(kind="char", vocab_size=60))
    return tokenizer, GenerateArguments(**options).grammar


@pytest.mark.parametrize("options", IMPOSSIBLE, ids=str)
def test_a_grammar_none_of_whose_texts_can_be_written_is_refused(options) -> None:
    tokenizer, grammar = letters_only(options)
    with pytest.raises(ConfigError, match=r"the model cannot write .*[狗犬]"):
        grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])
    assert grammar.unused_texts(tokenizer, tokenizer.vocab_size) == []


@pytest.mark.parametrize("options", POSSIBLE, ids=str)
def test_an_alternative_that_cannot_be_written_is_named_and_left_out(options) -> None:
    tokenizer, grammar = letters_only(options)
    (unused,) = grammar.unused_texts(tokenizer, tokenizer.vocab_size)
    assert unused.strip() == "狗"
    assert len(grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])([])) > 0


def test_nothing_leads_to_an_alternative_that_cannot_be_written() -> None:
    tokenizer, grammar = letters_only({"regex": "ant( t狗| sat)?"})
    constraint = grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])
    after_space = constraint(tokenizer.encode("ant "))
    assert [tokenizer.decode([i]) for i in after_space.tolist()] == ["s"]
    tokenizer, grammar = letters_only({"regex": "ant( 狗)?"})
    constraint = grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])
    assert constraint(tokenizer.encode("ant")).tolist() == [3]


@pytest.mark.parametrize(
    ("begun", "schema"),
    [
        ('"an', {"enum": ["ann", "ant狗", ["ant", "狗"]]}),
        ('"an', {"anyOf": [{"const": "ann"}, {"const": "ant狗"}, {"enum": ["an狗"]}]}),
        ('["an', {"type": "array", "items": {"enum": ["ann", "ant狗"]}, "minItems": 1}),
        (
            '{"an',
            {
                "type": "object",
                "properties": {"ann": True, "ant狗": True},
                "additionalProperties": False,
            },
        ),
    ],
    ids=str,
)
def test_nothing_leads_to_a_value_that_cannot_be_written(begun, schema) -> None:
    tokenizer, grammar = letters_only({"json_schema": schema})
    constraint = grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])
    assert [tokenizer.decode([i]) for i in constraint(tokenizer.encode(begun)).tolist()] == ["n"]


def test_a_long_list_is_looked_up_in_no_time() -> None:
    """The tokens are joined once, not gone through for each text."""
    backend = tokenizers.Tokenizer(models.WordLevel({f"w{n}": n for n in range(20_000)}, "w0"))
    spelling = Spelling(Tokenizer(backend), 20_000)
    started = time.perf_counter()
    assert not any(spelling.holds(f"x{n:012}") for n in range(500))
    assert time.perf_counter() - started < 1


def test_a_character_among_others_that_cannot_be_written_is_named() -> None:
    tokenizer = train_tokenizer(CORPUS, TrainingOptions(kind="char", vocab_size=60))
    grammar = GenerateArguments(regex="[a狗]+").grammar
    assert grammar.unused_texts(tokenizer, tokenizer.vocab_size) == ["狗"]
    assert len(grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])([])) == 1
