"""Tokenizers that are trained: what their vocabularies have room for, and how words are cut."""

import re

import pytest
from tokenizers import normalizers

from tokenizer import (
    TOKENIZERS,
    CorpusCounts,
    CorpusError,
    TextFile,
    Tokenizer,
    TokenizerOptionError,
    TrainingOptions,
    read_lines,
    train_tokenizer,
)
from tokenizer.kinds import _CHINESE, MAX_WORD
from tokenizer.special import BASIC
from tokenizer.text.lines import _trim_partial_character
from tokenizer.token_bytes import is_local


def train(lines, **options):
    return train_tokenizer(lines, TrainingOptions(**{"normalization": "none", **options}))


def test_a_run_of_unknown_characters_is_one_token():
    trained = train(["the cat sat"] * 9, kind="bpe", vocab_size=60)
    assert trained.encode("ξψω").count(trained.require_role("unknown")) == 1
    apart = train(["the cat sat"] * 9, kind="char", vocab_size=60)
    assert apart.encode("ξψω") == [apart.require_role("unknown")] * 3


def test_an_alphabet_leaves_half_of_the_room_to_merges():
    """300 characters, of which most come once, and a word that comes often."""
    lines = ["".join(map(chr, range(0x4E00, 0x4E00 + 300))), *["banana"] * 50]
    for kind in ("bpe", "wordpiece"):
        trained = train(lines, kind=kind, vocab_size=100)
        names = [trained.token(i) for i in range(trained.vocab_size)]
        longer = [n for n in names if len(n.removeprefix("##").removeprefix("▁")) > 1]
        assert len(longer) > len(BASIC), kind
        assert trained.vocab_size <= 100


def test_words_have_the_space_before_them_and_stand_apart_from_signs():
    trained = train(["the cat, the cat. the cat! the\ncat"] * 20, kind="bpe", vocab_size=60)
    assert trained.pieces("the cat, the cat") == ["▁the", "▁cat", ",", "▁the", "▁cat"]
    assert trained.pieces("the cat.!") == ["▁the", "▁cat", ".", "!"]
    assert trained.decode(trained.encode("the cat,\nthe cat")) == "the cat,\nthe cat"


def test_bytes_get_no_space_before_them():
    trained = train(["the cat"] * 9, kind="byte-bpe", vocab_size=280)
    assert trained.pieces("the")[0].startswith("t")
    assert trained.decode(trained.encode("é\x00\xff日")) == "é\x00\xff日"


@pytest.mark.parametrize("text", ["é", "e\u0301", "ế", "Å", "\u212b"])
def test_accents_are_taken_from_composed_letters_too(text):
    trained = train(["eA"] * 9, kind="char", vocab_size=20, normalization="strip-accents")
    assert trained.decode(trained.encode(text)) in {"e", "A"}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_case_stays_unless_it_is_not_wanted(kind):
    lines = ["The Cat sat on The Mat"] * 9
    size = 300 if kind == "byte-bpe" else 60
    kept, lower = (train(lines, kind=kind, vocab_size=size, lowercase=low) for low in (0, 1))
    assert kept.encode("The Cat") != kept.encode("the cat")
    assert lower.encode("The Cat") == lower.encode("the cat")


def test_tags_are_found_before_anything_is_normalized():
    options = {"kind": "bpe", "vocab_size": 60, "lowercase": True, "special": ("<2DE>",)}
    trained = train(["the cat"] * 9, **options)
    assert trained.encode("<2DE> the")[0] == trained.token_id("<2DE>")
    assert trained.token_id("<2DE>") not in trained.encode("<2de> the")


def test_a_limit_counts_bytes_and_ends_with_the_line_that_reaches_it():
    for most, known in ((4, "éö"), (3, "é"), (5, "éö"), (6, "éöab")):
        trained = train(["é", "ö", "ab"], kind="char", vocab_size=20, max_bytes=most)
        assert {c for c in "éöab" if trained.token_id(c) is not None} == {*known}


@pytest.mark.parametrize("special", [(), ("<2de>", "<2en>")])
@pytest.mark.parametrize("kind", sorted(TOKENIZERS.keys() - {"unigram"}))
def test_the_least_vocabulary_is_told_and_can_be_had(kind, special):
    least = TOKENIZERS[kind].min_alphabet + len(BASIC) + len(special)
    lines = ["ab"] * 9
    with pytest.raises(ValueError, match=f"choose at least {least}"):
        train(lines, kind=kind, vocab_size=least - 1, special=special)
    assert train(lines, kind=kind, vocab_size=least, special=special).vocab_size <= least


@pytest.mark.parametrize("text", ["é", "日", "🦀"])
def test_characters_that_were_cut_in_two_are_left_out(text):
    """What is whole stays."""
    raw = text.encode()
    for before in (b"x", "é".encode(), "🦀".encode()):
        for count in range(len(raw) + 1):
            wanted = before if count < len(raw) else before + raw
            assert _trim_partial_character(before + raw[:count]) == wanted


def test_a_table_can_be_read_as_whole_lines(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\nc\td\n")
    counts = CorpusCounts()
    assert [*read_lines(TextFile(str(path), plain=True), counts)] == ["a\tb", "c\td"]
    assert [*read_lines(TextFile(str(path), "1"), counts)] == ["a", "c"]
    assert counts.lines == 4


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("run", ["acgt" * 18_000, "-" * 5_000 + "=" * 5_000, "ภาษาไทย" * 2_000])
def test_a_word_without_end_is_cut_to_be_counted_and_that_is_said_once(kind, run):
    notices = []
    options = TrainingOptions(kind=kind, vocab_size=300, normalization="none")
    trained = train_tokenizer([run, "the cat", run], options, notice=notices.append)
    assert trained.vocab_size <= 300
    if kind == "char" or (kind == "wordpiece" and "-" in run):
        assert notices == []  # each is a word by itself
        return
    (notice,) = notices
    assert "words of more than 1,024 characters were cut into parts to be counted" in notice
    assert ("65,536" in notice) == (kind == "unigram")
    if kind != "wordpiece":  # whose words stay cut
        assert "1024" not in trained.to_json()


@pytest.mark.parametrize("kind", ["bpe", "byte-bpe", "wordpiece"])
def test_no_other_word_is_cut(kind):
    """Not even one of just the limit; tokens are those of uncut words."""
    lines = ["ab" * (MAX_WORD // 2) + " the", "the cat sat on the mat"] * 5
    notices = []
    size = 300 if kind == "byte-bpe" else 60
    options = TrainingOptions(kind=kind, vocab_size=size, normalization="none")
    cut = train_tokenizer(lines, options, notice=notices.append)
    assert notices == []
    assert cut.encode(lines[1]) == train_tokenizer(lines, options).encode(lines[1])


def test_what_is_known_of_a_cut_word_is_its_first_characters():
    """Unigram's time would be minutes: it counts 65,536 characters of a word."""
    lines = ["ab" * 40_000 + "z" * 9, "the cat"]
    unigram, bpe = (train(lines, kind=kind, vocab_size=60) for kind in ("unigram", "bpe"))
    assert unigram.token_id("z") is None
    assert bpe.token_id("z") is not None
    assert unigram.unknown_characters(["the cat"]) == bpe.unknown_characters(["the cat"]) == [""]


def test_what_stands_around_a_cut_word_is_counted():
    lines = ["first " + "ab" * 1_500 + " next " + "cd" * 600 + "; last"]
    for kind in ("bpe", "unigram", "wordpiece"):
        trained = train(lines, kind=kind, vocab_size=60)
        assert trained.unknown_characters([*lines, "first ab next cd; last"]) == ["", ""], kind


SYLLABLES = [consonant + vowel for consonant in "bcdfghklmnprst" for vowel in "aeiou"]
WORDS = [first + second for first in SYLLABLES for second in SYLLABLES] * 2  # 4,900, twice
OTHER = "日本語 ξψω \x07 🦀 the bab, dog\u2028x"


def test_bpe_of_2000_tokens_spells_unknown_characters_in_bytes():
    trained = train(WORDS, kind="bpe", vocab_size=2000)
    plain = train(WORDS, kind="bpe", vocab_size=1744, special=())
    assert (trained.unknown_id, plain.unknown_id) == (None, plain.role("unknown"))
    assert (trained.vocab_size, plain.vocab_size) == (2000, 1744)
    assert trained.decode(trained.encode(OTHER)) == OTHER
    text = " ".join(WORDS[:99])
    assert trained.encode(text) == plain.encode(text)  # bytes come after all other tokens
    again = Tokenizer.from_json(trained.to_json())
    assert again.decode(again.encode(OTHER)) == OTHER
    stream = trained.stream()
    assert "".join(map(stream.feed, trained.encode(OTHER))) + stream.flush() == OTHER
    assert is_local(trained)


@pytest.mark.parametrize(
    ("size", "wanted", "has_bytes"),
    [(1999, None, False), (2000, None, True), (300, True, True), (2000, False, False)],
)
def test_bytes_are_for_vocabularies_with_room_for_them_or_as_one_says(size, wanted, has_bytes):
    trained = train(["the cat"] * 9, kind="bpe", vocab_size=size, byte_fallback=wanted)
    assert (trained.token_id("<0xFF>") is not None) == has_bytes


def test_bytes_are_for_bpe_alone_and_need_their_room():
    with pytest.raises(TokenizerOptionError, match="byte fallback is for bpe, not char"):
        train(["ab"], kind="char", byte_fallback=True)
    with pytest.raises(TokenizerOptionError, match="choose at least 261"):
        train(["ab"], kind="bpe", vocab_size=260, byte_fallback=True)


def test_a_character_that_wordpiece_does_not_know_costs_itself():
    """Also one that it knows at the start of words only; and a word of any length is known."""
    trained = train(["the cat sat on the mat", "Quit 9"] * 9, kind="wordpiece", vocab_size=60)
    unknown = trained.role("unknown")
    assert trained.decode(trained.encode("the caξt sat")) == "the ca t sat"
    assert trained.encode("ξ日the").count(unknown) == 2
    assert trained.unknown_characters(["caξt 日 sat"]) == ["ξ日"]
    assert unknown not in trained.encode("catQ theQ9 the")
    assert unknown not in trained.encode("cat" * 5_000)


@pytest.mark.parametrize("text", ["ab ab", "aab ab b", "字", "a.b"])
def test_wordpiece_may_know_no_character_that_begins_a_word(text):
    smallest = len(BASIC) + TOKENIZERS["wordpiece"].min_alphabet
    for size in range(smallest, smallest + 3):
        trained = train([text] * 3, kind="wordpiece", vocab_size=size)
        assert trained.encode("字 z") == [trained.unknown_id] * 2 or text == "字"


@pytest.mark.parametrize("kind", sorted(TOKENIZERS.keys() - {"byte-bpe"}))
def test_a_text_of_which_normalization_leaves_nothing_is_told(kind):
    with pytest.raises(CorpusError, match=r"nothing of the text is left .* strip-accents takes"):
        train(["\u0301\u0300"] * 3, kind=kind, vocab_size=300, normalization="strip-accents")


def test_wordpiece_splits_chinese_as_bert_does():
    trained = train(["我爱北京 ab", "我 爱", "ひらがな"] * 9, kind="wordpiece", vocab_size=80)
    assert trained.pieces("我爱北京ab") == ["我", "爱", "北", "京", "ab"]
    assert "##爱" not in trained.to_json()
    assert "##ら" in trained.to_json()  # kana is no Chinese to it
    bert = normalizers.BertNormalizer(clean_text=False, strip_accents=False, lowercase=False)
    for code in (0x3400, 0x4DBF, 0x4DC0, 0x4E00, 0x9FFF, 0xF900, 0xFAFF, 0x20000, 0x2A6DF, 0x2B81F,
                 0x2CEAF, 0x2F800, 0x2FA1F, 0x3042, 0xAC00, 0x3002):  # fmt: skip
        spaced = bert.normalize_str(chr(code)) != chr(code)
        assert bool(re.fullmatch(_CHINESE, chr(code))) == spaced, hex(code)


@pytest.mark.parametrize("special", [(), ("<2de>", "<2en>")])
@pytest.mark.parametrize("size", [309, 310, 312, 313, 320])
def test_unigram_keeps_to_the_size_that_was_said(size, special):
    lines = ["".join(map(chr, range(0x4E00, 0x4E00 + 300))), *["banana bandana"] * 50]
    try:
        trained = train(lines, kind="unigram", vocab_size=size, special=special)
    except TokenizerOptionError:
        assert size < 312
        return
    assert trained.vocab_size <= size
    for token_id in range(trained.vocab_size):
        assert trained.token_id(trained.token(token_id)) == token_id
    if size > 312:  # else letters are dropped, too
        assert trained.decode(trained.encode("banana")) == "banana"


def test_a_tokenizer_of_characters_says_so():
    for kind, said in (("char", "char"), ("bpe", "BPE"), ("unigram", "Unigram")):
        assert train(["the cat sat"] * 9, kind=kind, vocab_size=60).describe()["kind"] == said
