"""Which tokens begin words and go on with them, for every kind of tokenizer."""

import pytest

from tests.pipelines.term_texts import SENTENCEPIECE, tokenizer_of
from tokenizer import TOKENIZERS
from transformer.pipelines.word_tokens import word_tokens

KINDS = [*TOKENIZERS, *SENTENCEPIECE]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, tmp_path_factory):
    return tokenizer_of(request.param, tmp_path_factory.mktemp("tokens"))


def parts(tokenizer):
    words = word_tokens(tokenizer, tokenizer.vocab_size, [3])
    return words.begins, *(set(part.tolist()) for part in words[1:])


def test_words_begin_where_spaces_are(tokenizer) -> None:
    """What follows a space begins a word, which may be the space itself; its rest does not."""
    begins, within, writable, closing = parts(tokenizer)
    context = tokenizer.encode("a")
    for word in ("the", "cat", "café", "mat"):
        ids = tokenizer.encode(f"a {word}")
        assert ids[: len(context)] == context
        first, *others = ids[len(context) :]
        assert begins[first] and first in closing and first not in within, word
        assert not any(begins[token] or token in closing for token in others), word
        assert {first, *others} <= writable and set(others) <= within, word


def test_sentences_end_with_their_marks_and_the_end_token(tokenizer) -> None:
    _, within, writable, closing = parts(tokenizer)
    for mark in "!。.":
        ids = tokenizer.encode(f"mat{mark}")[len(tokenizer.encode("mat")) :]
        if tokenizer.unknown_id in ids or len(ids) != 1:
            continue  # it is unknown, or has several bytes
        assert not set(ids) & (writable | within), mark
        assert ids[0] in closing, mark
    assert 3 in closing and 3 not in writable | within


def test_characters_of_scripts_without_spaces_are_words(tokenizer) -> None:
    ids = tokenizer.encode("a日本語")[len(tokenizer.encode("a")) :]
    if not ids or tokenizer.unknown_id in ids:
        pytest.skip("it has no such characters")
    begins, _, _, closing = parts(tokenizer)
    assert begins[ids[0]] and ids[0] in closing


def test_a_word_goes_on_after_a_hyphen_or_an_apostrophe(tokenizer) -> None:
    *_, closing = parts(tokenizer)
    for text in ("cat-", "cat'"):
        ids = tokenizer.encode(text)[len(tokenizer.encode("cat")) :]
        if tokenizer.decode(tokenizer.encode(text)) == text:  # not in wordpieces: "cat - flap"
            assert not set(ids) & closing
