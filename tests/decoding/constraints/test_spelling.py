"""Texts that tokens can spell, compared with all texts of a few tokens."""

from itertools import product

import pytest
import tokenizers
from tokenizers import decoders, models

from tokenizer import TOKENIZERS, Tokenizer, TrainingOptions, train_tokenizer
from transformer.decoding.constraints.literals import pattern_literals, schema_literals
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


@pytest.mark.parametrize(
    ("pattern", "needed", "others"),
    [
        (r"ab?c(de|\d\.)+[^x][y-z]", ["a", "b", "c", "de", "."], ""),
        ("狗|Hund", ["狗", "Hund"], ""),
        (r"(?:Ein|Zwei) Hund\n", ["Ein", "Zwei", " Hund\n"], ""),
        (r"[狗犬a-z]+\x{72d7}\u732b", ["狗猫"], "狗犬"),
        (r"(?P<n>a狗)\p{L}[\p{Greek}x\]]{2,3}\-", ["a狗", "-"], "x]"),
        (r"狗{0,2}a", ["狗", "a"], ""),
        ("(?i)HUND", [], ""),
        ("[[:alpha:]_]*", [], "_"),
    ],
)
def test_the_characters_that_a_pattern_names(pattern, needed, others) -> None:
    literals = list(pattern_literals(pattern))
    assert [literal.text for literal in literals if literal.is_needed] == needed
    assert "".join(literal.text for literal in literals if not literal.is_needed) == others


def test_the_texts_that_a_schema_names() -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ['a"b', {"key": "value"}, 3]}, "x": {"pattern": "no?"}},
        "$defs": {"q": {"const": "cc", "description": "not this"}},
        "patternProperties": {"^y+": True},
        "additionalProperties": {"anyOf": [{"const": ["dd"]}, {"prefixItems": [{"enum": ["e"]}]}]},
        "required": ["z"],
    }
    texts = {literal.text for literal in schema_literals(schema)}
    assert texts == {'a\\"b', "key", "value", "n", "o", "cc", "y", "dd", "e", "z", "name", "x"}
    assert list(schema_literals(True)) == []


IMPOSSIBLE = [
    {"choice": ["狗", "ant"]},
    {"choice": ["ant", "ant 狗 sat"]},
    {"regex": "狗|ant"},
    {"regex": "ant( 狗)?"},
    {"regex": r"ant|\x{72d7}"},
    {"json_schema": {"enum": ["狗", "ant"]}},
    {"json_schema": {"anyOf": [{"const": "狗"}, {"type": "null"}]}},
    {"json_schema": {"properties": {"狗": {"type": "null"}}}},
    {"json_schema": {"items": {"pattern": "a|狗"}}},
]


@pytest.mark.parametrize("options", IMPOSSIBLE, ids=str)
def test_a_grammar_that_names_what_cannot_be_written_is_refused(options) -> None:
    letters = 'an ant sat, a mat {"}[]:null true false'
    options_of_tokens = TrainingOptions(kind="char", vocab_size=60)
    tokenizer = train_tokenizer([letters] * 9, options_of_tokens)
    grammar = GenerateArguments(**options).grammar
    with pytest.raises(ConfigError, match=r"the model cannot write .*狗"):
        grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])


def test_a_character_among_others_that_cannot_be_written_is_named() -> None:
    tokenizer = train_tokenizer(CORPUS, TrainingOptions(kind="char", vocab_size=60))
    grammar = GenerateArguments(regex="[a狗]+").grammar
    assert grammar.unused_characters(tokenizer, tokenizer.vocab_size) == "狗"
    assert len(grammar(tokenizer, tokenizer.vocab_size, end_ids=[3])([])) == 1
