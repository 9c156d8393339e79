"""Bad words: no tokens may spell them, in any script; longer words may hold them."""

import random

import pytest

from tokenizer import TrainingOptions, train_tokenizer
from transformer.decoding.constraints.bad_words import BadWords
from transformer.decoding.request import Request, SequenceState
from transformer.errors import ConfigError

CORPUS = [
    "the cat sat on a mat, catalogue bobcat cats Cat.",
    "この自転車は青い。自転車、自転",
    "größer café",
]
KINDS = ["unigram", "bpe", "byte-bpe", "char", "wordpiece"]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    return train_tokenizer(CORPUS * 9, TrainingOptions(kind=request.param, vocab_size=340))


def refuses(tokenizer, words: list[str], text: str, *, prompt: str = "") -> bool:
    """Whether some token of a text, as it is encoded, is forbidden where it comes."""
    bad = BadWords(words, tokenizer, tokenizer.vocab_size)
    start = tokenizer.encode(prompt) if prompt else [0]
    request = Request(prompt=start, source=() if prompt else [0], max_new_tokens=99)
    ids = tokenizer.encode(prompt + text)[len(start) if prompt else 0 :]
    return any(ids[n] in bad(SequenceState(request, ids[:n])) for n in range(len(ids)))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("cat", "cat"),
        ("cat", "the cat sat"),
        ("cat", "a (cat)"),
        ("cat", "cat, the"),
        ("cat sat", "the cat sat on"),
        ("mat,", "a mat, cats"),
        ("自転車", "この自転車は"),
        ("自転車", "自転車"),
        ("車は", "この自転車は青い"),
        ("größer", "a größer"),
        ("café", "a café"),
        (",", "mat, cat"),
    ],
)
def test_a_word_is_kept_out(tokenizer, word: str, text: str) -> None:
    assert refuses(tokenizer, [word], text)
    assert refuses(tokenizer, ["on a", word], text)


@pytest.mark.parametrize(
    ("word", "text"), [("cat", "the mat"), ("cat", "a Cat."), ("cat", "bobcat"), ("自転車", "自転")]
)
def test_other_words_are_not(tokenizer, word: str, text: str) -> None:
    assert not refuses(tokenizer, [word], text)


def test_random_texts_never_have_a_word(tokenizer) -> None:
    """Tokens by chance, mostly such that spell the words if they may."""
    words = ["cat", "自転車", "a", "on a mat"]
    bad, chance = BadWords(words, tokenizer, tokenizer.vocab_size), random.Random(3)
    request = Request(prompt=[0], source=[0], max_new_tokens=99)
    pieces = sorted(
        {i for word in words for text in (word, f" {word}", *word) for i in tokenizer.encode(text)}
    )
    for _ in range(150):
        ids: list[int] = []
        for _ in range(12):
            forbidden = {*bad(SequenceState(request, ids))}
            allowed = [i for i in pieces if i not in forbidden and i >= 4]
            ids.append(chance.choice(allowed or [chance.randrange(4, tokenizer.vocab_size)]))
            if ids[-1] in forbidden:
                ids.pop()
        text = tokenizer.decode(ids)
        assert "自転車" not in text
        plain = "".join(c if c.isalnum() and c.isascii() else " " for c in text).split(" ")
        assert not {"cat", "a"} & {*plain}, text


def test_a_word_may_begin_in_the_prompt(tokenizer) -> None:
    if not tokenizer.decode(tokenizer.encode("the cat")).startswith("the "):
        pytest.skip("this kind does not continue a text word by word")
    assert refuses(tokenizer, ["the cat"], " cat sat", prompt="on the")


def test_an_empty_word_is_refused(tokenizer) -> None:
    with pytest.raises(ConfigError, match="not a word"):
        BadWords([" "], tokenizer, 9)
