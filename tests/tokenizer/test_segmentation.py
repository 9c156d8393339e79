"""Sentences: where they end, that nothing is lost, and how what is too long is cut."""

import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenizer.errors import TokenizerOptionError
from tokenizer.segmentation.sentences import Segment, split_segments, split_sentences

# A bar stands where a sentence ends.
SENTENCES = {
    "plain": "He left. |She stayed! |Why? |We cannot know.",
    "small letters go on": "Yahoo! is old. |It is at 5 p.m. today, or so. |And then... nothing.",
    "no blank": "See a.b.c and 1.5.2 or x.Y for more.Then go.",
    "titles": "Dr. Smith met Mrs. Jones and Prof. Dr. Lee. |They ate.",
    "examples": "Fruit, e.g. Apples, i.e. food vs. Stones. |The end.",
    "numbers of things": "See p. 5, pp. 6, No. 7, Fig. 8 and vol. 9. |No. |I did not.",
    "months": "On Jan. 5 we met. |It was Jan. |The snow fell.",
    "states": "The U.S. Army came. |He lives in the U.S. |The house is big.",
    "firms": "Acme Inc. Chairman Lee spoke for Acme Inc. |He was brief.",
    "initials": "J. R. R. Tolkien and J.K. Rowling wrote. |So did I.",
    "decimals": "Pi is 3.14. |Half is .5 or 0.5. |10.000 are many.",
    "addresses": "See https://a.example/b.c?d=e!f or mail a.b@c.example. |Thanks.",
    "dots": "Wait... |What? |He said ... John? |Yes… |No … but so...",
    "quoted": 'He said: "Stop!" |She left. |"Really?" she asked. |(It was late.) |“Go.” |‘No.’',
    "guillemets": "« Oui. » |Il part. |Quoi ? |Non ! |»Halt.« |«¡Sí!» |¿Qué? |¡No!",
    "lists": "1. Introduction. |2. Methods. |3. The rest.",
    "German": "Das kostet z. B. 5 Euro, d. h. viel, z.B. Geld usw. |Danach ging er am 3. Mai "
    "und 12. Juni 2020 bzw. Juli. |Im 19. Jahrhundert lebte Hr. Dr. Ludwig XIV. Wagner. "
    "|Er war 12. |Dann nicht mehr.",
    "German references": "Siehe S. 5 f. und Abb. 3, Nr. 4, Art. 5 Abs. 6. |Ende.",
    "French": "M. Dupont et Mme. Durand, cf. Paris. |Ils parlent. |C'est tout.",
    "Spanish": "El Sr. Pérez y la Dra. Gil viven aquí. |Él es de EE. UU. |Ella no.",
    "Russian": "Он жил на ул. Ленина в г. Москва и т. д. |Потом ушёл. |Это было в 2020 г. |Он рад.",
    "Greek": "Είναι εδώ. |Πού είναι; |Εδώ.",
    "Chinese": "你好。|我是谁？|真的吗!?|“好。”|他走了……然后回来。|价格是3.5元。|完！",
    "Japanese": "「走る。」|彼は言った。|「行く。」と言った。|終わり！？|ｱｱ｡|３．１４です。",
    "Korean": "안녕하세요. |저는 학생입니다. |네!",
    "Arabic": "كيف حالك؟ |أنا بخير. |شكرا! |د. محمد هنا.",
    "Urdu": "یہ کتاب ہے۔ |وہ قلم ہے۔ |کیا؟ |ہاں",
    "Hindi": "आप कैसे हैं? |मैं ठीक हूँ। |धन्यवाद।|अच्छा॥ |हाँ",
    "Amharic and Armenian": "ሰላም።|እንዴት ነህ፧ |Բարեւ։ |Ինչպես ես։",
}


@pytest.mark.parametrize("name", SENTENCES)
def test_where_sentences_end(name: str) -> None:
    wanted = SENTENCES[name].split("|")
    assert [piece.text + piece.after for piece in split_sentences("".join(wanted))] == wanted


def test_layout_is_between_the_sentences() -> None:
    assert split_sentences(" \tOne.  Two.\n\nA heading\n \nThree\nlines. \n") == [
        Segment(" \tOne.", "  "),
        Segment("Two.", "\n\n"),
        Segment("A heading", "\n \n"),
        Segment("Three\nlines.", " \n"),
    ]
    assert split_sentences("a \r\n\r\nb") == [Segment("a", " \r\n\r\n"), Segment("b", "")]


def test_texts_without_words() -> None:
    assert split_sentences("") == []
    assert split_sentences(" \n") == [Segment(" \n", "")]
    assert split_sentences("\n\n\n.") == [Segment("\n\n\n.", "")]
    assert split_sentences("...") == [Segment("...", "")]


MARKS = "aBé1.!?…。！？؟۔।,;:、 \n\r\t\u00a0\u2028'\"”»«()「」とZ"
WHOLE = ["Dr.", "z. B. ", "\n\n", "e\u0301", "🇩🇪", "👩\u200d👧", "👍🏽", "XIV.", "p.", "12."]
PIECES = st.lists(st.sampled_from([*MARKS, *WHOLE]), max_size=60).map("".join)


def joined(pieces: list[Segment]) -> str:
    return "".join(piece.text + piece.after for piece in pieces)


@settings(max_examples=400, deadline=None)
@given(PIECES | st.text(), st.integers(1, 12))
def test_nothing_is_lost(text: str, most: int) -> None:
    whole = split_sentences(text)
    cut = split_sentences(text, max_characters=most)
    sized = split_segments(
        whole, lambda part: len(part.encode("utf-16-le", "surrogatepass")), 2 * most + 2
    )
    for pieces in (whole, cut, sized):
        assert joined(pieces) == text
        assert all(piece.text for piece in pieces)
        assert all(piece.after == "" or piece.after.isspace() for piece in pieces)
        assert not any(piece.text[-1].isspace() for piece in pieces if piece.text.strip())
    assert all(len(piece.text) <= most for piece in cut)
    assert all(
        len(piece.text.encode("utf-16-le", "surrogatepass")) <= 2 * most + 2 for piece in sized
    )


def texts(text: str, most: int) -> list[str]:
    return [piece.text for piece in split_sentences(text, max_characters=most)]


CUTS = {
    ("one two, three four; five six", 22): ["one two, three four;", "five six"],
    ("one two, three four five six", 18): ["one two,", "three four five", "six"],
    ("one, two, three", 9): ["one, two,", "three"],
    ("at 12:30,5 http://x.example/a,b,c;d it", 30): ["at 12:30,5", "http://x.example/a,b,c;d it"],
    ("一，二、三；四", 4): ["一，二、", "三；四"],
    ("أ، ب؛ ج", 5): ["أ، ب؛", "ج"],
    ("one two  three", 9): ["one two", "three"],
    ("abcdefghij", 4): ["abcd", "efgh", "ij"],
    ("abce\u0301fg", 4): ["abc", "e\u0301fg"],
    ("ab👩\u200d👧c", 4): ["ab", "👩\u200d👧c"],
    ("🇩🇪🇫🇷🇮🇹", 3): ["🇩🇪", "🇫🇷", "🇮🇹"],
    ("a👍🏽b", 2): ["a", "👍🏽", "b"],
    ("\u1112\u1161\u11ab\u1112\u1161", 4): ["\u1112\u1161\u11ab", "\u1112\u1161"],
    ("e" + "\u0301" * 5, 4): ["e" + "\u0301" * 3, "\u0301" * 2],  # more than fits
    ("Short. A long one here.", 12): ["Short.", "A long one", "here."],
}


@pytest.mark.parametrize(("text", "most"), CUTS)
def test_where_what_is_too_long_is_cut(text: str, most: int) -> None:
    assert texts(text, most) == CUTS[text, most]


def test_a_size_that_shrinks_as_a_text_grows() -> None:
    """Tokens: `abcd` is one, and parts of it are letters."""

    def size(text: str) -> int:
        return len(text.replace("abcd", "x"))

    text = "abcd" * 10 + "ab, c" + "abcd" * 3
    pieces = split_segments(split_sentences(text), size, 3)
    assert joined(pieces) == text
    assert all(size(piece.text) <= 3 for piece in pieces)


def test_a_character_that_is_too_large_is_an_error() -> None:
    with pytest.raises(
        TokenizerOptionError, match=r"the character '🦀' alone has a size above 3.*raise the limit"
    ):
        split_segments([Segment("ab 🦀", "")], lambda text: len(text.encode()), 3)


LONG = [
    "a",
    ". ",
    ".",
    "\n ",
    "a. ",
    "z. B. ",
    " ",
    "\n",
    "1. ",
    '."',
    "( ",
    "A.B.",
    "»",
    ". »",
    "a, ",
    "🇩",
]


@pytest.mark.parametrize("unit", LONG)
def test_a_long_line_takes_no_longer_than_its_length(unit: str) -> None:
    """100,000 characters in well under what is quadratic; each character is sized a few times."""
    text = (unit * 100_000)[:100_000]
    sized = 0

    def size(part: str) -> int:
        nonlocal sized
        sized += len(part)
        return len(part)

    began = time.process_time()
    pieces = split_sentences(text)
    assert joined(split_segments(pieces, size, 100)) == text
    assert time.process_time() - began < 2
    assert sized < 40 * len(text)


def test_combining_marks_are_those_of_unicode() -> None:
    for mark in ("\u0301", "\u093f", "\ufe0f"):
        assert unicodedata.category(mark).startswith("M")
        assert texts("ab" + mark, 2) == ["a", "b" + mark]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("a dog runs . two men sit on a bench .", 2),
        ("the dog slept. nobody knew why. it rained!", 3),
        ("was it late? nobody knew.", 2),
        ("he met dr. miller and mr. jones, e.g. in berlin.", 1),
        ("see fig. 3 and no. 5 on p. 7.", 1),
        ("am 3. mai kam er z. b. nach haus.", 1),
        ('"who was it?" asked the man.', 1),
        ("well ... maybe later.", 1),
        ("the firm acme inc. sold it.", 1),
        ("A dog runs. iPhones ring.", 1),  # capitals tell here
    ],
)
def test_a_text_without_capitals_is_split_too(text: str, sentences: int) -> None:
    found = split_sentences(text)
    assert len(found) == sentences
    assert "".join(part.text + part.after for part in found) == text
