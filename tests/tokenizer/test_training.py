"""Tokenizers that are trained: what their vocabularies have room for, and how words are cut."""

import pytest

from tokenizer import (
    TOKENIZERS,
    CorpusCounts,
    TextFile,
    TrainingOptions,
    read_lines,
    train_tokenizer,
)
from tokenizer.special import BASIC
from tokenizer.text.lines import _trim_partial_character


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
    assert [*read_lines(TextFile(str(path)), counts)] == ["a", "c"]
    assert counts.lines == 4
