"""Phrases: how they are written at the start and inside of a text, and which texts have them."""

import pytest

from tests.pipelines.term_texts import LINES, SENTENCEPIECE, tokenizer_of
from tokenizer import TOKENIZERS, TrainingOptions, train_tokenizer
from transformer.errors import ConfigError
from transformer.pipelines.phrases import Phrase, repeats_words


@pytest.fixture(scope="module", params=[*TOKENIZERS, *SENTENCEPIECE])
def tokenizer(request, tmp_path_factory):
    return tokenizer_of(request.param, tmp_path_factory.mktemp("phrases"))


def is_in(part, whole):
    return any(whole[n : n + len(part)] == part for n in range(len(whole)))


@pytest.mark.parametrize("text", ["cat", "the cat", " the  mat ", "café", "on the mat,"])
def test_a_phrase_is_written_as_inside_a_sentence(tokenizer, text: str) -> None:
    ids, plain = Phrase(tokenizer, text).spaced, " ".join(text.split())
    assert is_in(ids, tokenizer.encode(f"so {plain} is there"))
    glued = tokenizer.encode(f"so x{plain} is there")
    assert not is_in(ids, glued) or f" {plain}" in tokenizer.decode(glued)  # in wordpieces
    shown = tokenizer.decode([*tokenizer.encode("a"), *ids, *tokenizer.encode(" x")])
    assert f" {plain}".replace(",", "") in shown.replace(",", "").replace("  ", " ")


@pytest.mark.parametrize("text", ["cat", "the cat", "café"])
def test_at_the_start_of_a_text_no_space_precedes_it(tokenizer, text: str) -> None:
    assert tokenizer.decode(Phrase(tokenizer, text).initial) == text


def test_a_phrase_without_spaces_follows_none(tokenizer) -> None:
    if tokenizer.unknown_id in tokenizer.encode("日本。"):
        pytest.skip("it has no such characters")
    phrase = Phrase(tokenizer, "日本")
    assert phrase.spaced == phrase.unspaced
    assert is_in(phrase.spaced, tokenizer.encode("。日本。"))


def test_a_sentence_begins_with_a_capital_but_not_a_name(tokenizer) -> None:
    if tokenizer.unknown_id in tokenizer.encode("The iCat"):
        pytest.skip("it has no such characters")
    assert Phrase(tokenizer, "the cat").capitalized.text == "The cat"
    assert Phrase(tokenizer, "iCat").capitalized.text.replace(" ", "") == "iCat"
    assert Phrase(tokenizer, "The cat").capitalized.text == "The cat"


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_phrase_without_tokens_is_refused(kind: str) -> None:
    tokenizer = train_tokenizer(LINES, TrainingOptions(kind=kind, vocab_size=120))
    for text in ("ξψ cat", "", "  "):
        with pytest.raises(ConfigError, match="has no tokens for the phrase"):
            Phrase(tokenizer, text)


BYTES = train_tokenizer(LINES, TrainingOptions(kind="byte-bpe", vocab_size=320))


@pytest.mark.parametrize(
    ("phrase", "texts"),
    [
        ("Hund", ["Ein Hund.", "Hund", "der „Hund“", "Hund-Katze", "Ein  Hund", "zwei Hunde"]),
        ("der Hund", ["Der Hund bellt.", "Halt! Der Hund", "so der Hund", "der\tHunde"]),
        ("hund", ["Hund", "Nein. Hunde!"]),
        ("T-Shirt", ["ein T-Shirt", "ein T - Shirt", "T-Shirts"]),
        ("日本", ["日本語", "新日本。"]),
        ("café", ["das café", "Café"]),
        ("ab", ["ab."]),
        ("42", ["die 42."]),
    ],
)
def test_texts_that_have_a_phrase(phrase: str, texts: list[str]) -> None:
    assert [text for text in texts if not Phrase(BYTES, phrase).is_in(text)] == []


@pytest.mark.parametrize(
    ("phrase", "texts"),
    [
        ("Hund", ["", "Ein Schäferhund", "Hundert", "ein hund", "HUND", "HundE", "Hund2", "Hun d"]),
        ("der Hund", ["der große Hund", "so Der Hund", "Hund der", "der"]),
        ("hund", ["ein Hund"]),
        ("ab", ["abs", "aber"]),
        ("42", ["420", "4 2"]),
        ("日本", ["日 新本", "本日"]),
    ],
)
def test_texts_that_have_it_not(phrase: str, texts: list[str]) -> None:
    assert [text for text in texts if Phrase(BYTES, phrase).is_in(text)] == []


def test_a_phrase_is_looked_for_as_its_tokenizer_writes_it() -> None:
    lower = train_tokenizer(LINES, TrainingOptions(kind="byte-bpe", vocab_size=320, lowercase=True))
    assert Phrase(lower, "The CAT").is_in("so the cat")


@pytest.mark.parametrize(
    ("text", "before", "rest", "repeats"),
    [
        ("Ein Köter rennt.", "Ein Hund rennt.", "Ein rennt.", False),
        ("Ein Köter Hund rennt.", "Ein Hund rennt.", "Ein rennt.", True),
        ("Ein Köter rennt, ein Hund.", "Ein Hund rennt.", "Ein rennt.", True),
        ("Zwei Köter und Hunden.", "Zwei Hunde.", "Zwei.", True),  # another ending
        ("Ein Köter jagt einen Hund.", "Ein Hund jagt einen Hund.", "Ein jagt einen Hund.", False),
        ("Die Köter, die die Frau.", "Die Hunde, die.", "Die, die.", False),  # short, or new
        ("Köter Köter", "Hund Köter", "Köter", False),  # the phrase itself
    ],
)
def test_a_text_says_twice_what_it_said_once(
    text: str, before: str, rest: str, repeats: bool
) -> None:
    assert repeats_words(text, before, rest, "Köter") is repeats


def test_the_last_word_of_a_phrase_may_have_an_ending_or_not() -> None:
    phrase = Phrase(BYTES, "big dogg")
    assert phrase.is_in("a big doggs.") and not phrase.is_in("a big doggs.", inflects=False)
    assert phrase.is_in("a big dogg.", inflects=False)
