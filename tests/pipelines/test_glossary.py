"""Glossaries: which entries a text has, and the text without them."""

import time
from pathlib import Path

import pytest

from transformer.errors import ConfigError
from transformer.pipelines.glossary import Glossary, GlossaryEntry, Term


def glossary(*pairs):
    return Glossary(GlossaryEntry(s, t, n) for n, (s, t) in enumerate(pairs, start=1))


def phrases_for(terms: Glossary, text: str) -> list[str]:
    return [term.text for term in terms.terms_for(text)]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "g.tsv"
    path.write_bytes(
        "\ufeff# terms\r\nHaus\thouse\r\n\n  \nder Hund \t the dog\nHaus\thouse".encode()
    )
    found = Glossary.read(path)
    assert len(found) == 2
    assert phrases_for(found, "Der Hund vor dem Haus.") == ["the dog", "house"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"Haus house", "line 2 is 'Haus house'; it must be a phrase, a tab and its translation"),
        (b"Haus\thouse\tnoun", "line 2 is "),
        (b"Haus\t ", "line 2 is "),
        (b"\thouse", "line 2 is "),
        (b"Ha\xffus\thouse", "line 2 is not UTF-8"),
        (b"Hund\thound", "line 2: 'Hund' has another translation in line 1; keep one of the two"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "g.tsv"
    path.write_bytes(b"Hund\tdog\n" + line + b"\n")
    with pytest.raises(ConfigError) as caught:
        Glossary.read(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the cat", ["CAT"]),
        ("The CAT!", ["CAT"]),
        ("cats and concatenation", []),
        ("a cat, a cat", ["CAT"]),
        ("a cat-flap; (cat)", ["CAT"]),
        ("cat_flap", []),
        ("a cat-flap, a tom-cat", []),
        ("a cat - flap", ["CAT"]),
        ("a NATO-like cat\u2011flap", ["NATO"]),
        ("in New York City", ["NYC"]),
        ("in New  York\tstate", ["NY"]),
        ("York City Hall Square in New York", ["YCHS", "NY"]),
        ("New York City Hall", ["NYC"]),
        ("New York City Hall Square", ["YCHS"]),
        ("Bank Of america, BANK OF AMERICA", ["BOA"]),
        ("The iPhone case, the IPHONE case", ["CASE"]),
        ("an iPhone, an IPHONE, NATO, nato", ["IPHONE", "NATO"]),
        ("cafe\u0301", ["CAFE"]),
        ("日本語の本", ["JP"]),
        ("कि", []),
        ("", []),
    ],
)
def test_whole_words_the_longest_first_and_each_once(text: str, found: list[str]) -> None:
    terms = glossary(
        ("cat", "CAT"),
        ("New York", "NY"),
        ("new york city", "NYC"),
        ("York city hall square", "YCHS"),
        ("Bank of America", "BOA"),
        ("the iPhone case", "CASE"),
        ("iPhone", "IPHONE"),
        ("NATO", "NATO"),
        ("café", "CAFE"),
        ("日本語", "JP"),
        ("क", "KA"),
    )
    assert phrases_for(terms, text) == found


def test_capitals_choose_between_entries() -> None:
    terms = glossary(("us", "uns"), ("US", "USA"), ("it", "es"), ("IT", "EDV"))
    assert phrases_for(terms, "the US told us that IT is it") == ["USA", "uns", "EDV", "es"]


def test_a_capital_tells_a_name_from_a_word_that_is_in_the_glossary_too() -> None:
    for entries in ([("may", "darf"), ("May", "Mai")], [("May", "Mai"), ("may", "darf")]):
        terms = glossary(*entries)
        assert phrases_for(terms, "it may be in May") == ["darf", "Mai"]
        assert phrases_for(terms, "MAY it be?") == ["darf"]
    assert phrases_for(glossary(("May", "Mai")), "it may be, MAY it?") == ["Mai"]


def test_ten_thousand_entries_are_not_looked_through() -> None:
    terms = glossary(*((f"w{n} of the w{n + 1}", f"T{n}") for n in range(10_000)))
    text = "of the " * 500 + "w77 of the w78"
    before = time.perf_counter()
    for _ in range(20):
        assert phrases_for(terms, text) == ["T77"]
    assert (time.perf_counter() - before) / 20 < 0.2


def test_a_term_has_the_text_without_what_it_translates() -> None:
    """By which the model shows where it translates it. All of several are left out."""
    terms = glossary(("red", "ROT"), ("big dog", "HUND"), ("日本", "JAPAN"), ("café", "CAFE"))
    assert terms.terms_for("A big dog, a red hat, a red tie") == [
        Term("HUND", "A , a red hat, a red tie", source_words=2),
        Term("ROT", "A big dog, a  hat, a  tie", num_places=2),
    ]
    assert terms.terms_for("日本語") == [Term("JAPAN", "語", source_words=2)]
    assert terms.terms_for("the cafe\u0301!") == [Term("CAFE", "the !")]
