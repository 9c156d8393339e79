"""Tokenizers that grow: what they learn, and the ids that they keep."""

import json
import random
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models

from tests.tokenizer.growing_texts import NEW, OLD, expanded, lines
from tokenizer import (
    TOKENIZERS,
    Tokenizer,
    TokenizerError,
    TokenizerOptionError,
    TrainingOptions,
    train_tokenizer,
)
from tokenizer.growing import GrowthOptions, grow_tokenizer
from tokenizer.growing.merging import learn_merges, replace_pair
from tokenizer.special import OUT_OF_VOCABULARY

TAG = "<2el>"


@cache
def trained(kind, size=400):
    options = TrainingOptions(
        kind=kind, vocab_size=size, special=("<2de>",), reserved=("<mask>",), byte_fallback=None
    )
    return train_tokenizer(lines(OLD), options)


@cache
def grown(kind, size=120):
    text = [*lines(NEW), *lines(OLD)]
    return grow_tokenizer(
        trained(kind), lambda: text, GrowthOptions(size=size, special=(TAG, "<2de>"))
    )


WORDS = st.sampled_from(
    [*OLD, *NEW, "<2de>", TAG, "<mask>", "</s>", "αβγ", "한국", "bananananas", "ψ", "\n", "  "]
)


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=st.lists(WORDS, max_size=12).map(" ".join))
@settings(max_examples=25, deadline=None)
def test_a_text_keeps_its_ids_unless_a_further_token_is_in_it(kind, text):
    growth, before = grown(kind), trained(kind).encode(text)
    after = growth.tokenizer.encode(text)
    if not growth.spellings.keys() & {*after}:
        assert after == before
    if kind == "byte-bpe" and TAG not in text:
        assert expanded(growth, after) == before


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_old_text_keeps_its_ids(kind):
    text = lines(OLD, seed=1)
    growth = grow_tokenizer(trained(kind), lambda: lines(NEW), GrowthOptions(size=120))
    assert growth.tokenizer.encode_batch(text) == trained(kind).encode_batch(text)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_ids_follow_the_old_ones_also_when_read_again(kind):
    old, growth = trained(kind), grown(kind)
    again = Tokenizer.from_json(growth.tokenizer.to_json())
    assert again.special_tokens() == old.special_tokens()
    assert all(again.token(i) == old.token(i) for i in range(old.vocab_size))
    assert growth.first_id == old.vocab_size
    assert sorted(growth.spellings) == [*range(old.vocab_size, again.vocab_size)]
    assert again.token_id(TAG) == old.vocab_size  # <2de> was there
    assert again.encode(TAG) == [old.vocab_size]
    assert growth.spellings[old.vocab_size] == ()
    assert growth.added <= 120 + 1


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_new_script_is_spelled_about_as_well_as_by_one_trained_for_it(kind):
    text = lines(NEW, seed=2)
    fresh = train_tokenizer([*lines(NEW), *lines(OLD)], TrainingOptions(kind=kind, vocab_size=520))
    old, new, best = (
        sum(map(len, each.encode_batch(text)))
        for each in (trained(kind), grown(kind).tokenizer, fresh)
    )
    assert new <= 1.15 * best
    assert kind in {"char", "bpe"} or new < old  # without bytes, a run of unknown ones is one token
    assert not any(grown(kind).tokenizer.unknown_characters(text))
    if kind != "wordpiece":
        assert grown(kind).tokenizer.decode(grown(kind).tokenizer.encode(text[0])) == text[0]


def test_what_was_unknown_is_counted():
    growth = grown("bpe")
    text = [*lines(NEW), *lines(OLD)]
    assert growth.characters == sum(map(len, text))
    unknown = {*"".join(NEW)} - {*"".join(OLD)}
    assert growth.unknown == sum(c in unknown for line in text for c in line)
    assert growth.tokens == sum(map(len, trained("bpe").encode_batch(text)))
    assert growth.tokens_left == sum(map(len, growth.tokenizer.encode_batch(text)))


def test_characters_take_half_of_the_room_where_there_are_merges():
    growth = grown("bpe", 20)
    names = [growth.tokenizer.token(i) for i in growth.spellings if growth.spellings[i] == ()]
    characters = [name for name in names if name is not None and len(name) == 1]
    assert len(characters) == 10
    assert growth.added == 21
    assert set(characters) >= {"ς", "α", "ν"}  # the most frequent ones
    assert grown("char", 20).added == 21


def test_bytes_are_the_former_spelling_of_a_character():
    text = lines(OLD)
    options = TrainingOptions(vocab_size=500, byte_fallback=True)
    growth = grow_tokenizer(
        train_tokenizer(text, options), lambda: lines(NEW), GrowthOptions(size=99)
    )
    token_id = growth.tokenizer.token_id("σ")
    old = train_tokenizer(text, options)
    assert growth.spellings[token_id] == (old.token_id("<0xCF>"), old.token_id("<0x83>"))
    sentence = lines(NEW, seed=3)[0]
    rest = [i for i in growth.tokenizer.encode(sentence) if old.token(i) != "▁"]
    assert expanded(growth, growth.tokenizer.encode(sentence)) == old.encode(sentence)
    assert growth.unknown == 0
    assert len(rest) < len(old.encode(sentence)) / 2


def test_digits_and_marks_are_not_joined():
    numbers = ["19 99 19 99 ;) ;) ;)"] * 50
    growth = grow_tokenizer(trained("byte-bpe"), lambda: numbers, GrowthOptions(size=50))
    assert growth.added == 0


def test_merges_of_the_paper():
    """The words of arXiv 1508.07909, section 3.2, letters by their codes."""
    words = {"low": 5, "lower": 2, "newest": 6, "widest": 3}
    names = {ord(c): c for word in words for c in word}

    def join(left, right, merged):
        names[merged] = names[left] + names[right]
        return names[merged] != "ne"  # refused: it is there already

    merges = learn_merges(
        {tuple(map(ord, word)): count for word, count in words.items()},
        join=join,
        first_id=1000,
        limit=6,
        min_count=2,
    )
    learned = [(names[m.merged], m.frequency) for m in merges]
    assert learned == [("es", 9), ("est", 9), ("lo", 7), ("low", 7), ("ew", 6), ("new", 6)]
    assert [m.merged for m in merges] == [*range(1000, 1006)]


def test_repeated_pairs_are_merged_from_the_left():
    merges = learn_merges(
        {(1, 1, 1, 1, 1): 3}, join=lambda *_: True, first_id=9, limit=9, min_count=2
    )
    assert [(m.left, m.right, m.frequency) for m in merges] == [(1, 1, 6), (9, 1, 3), (9, 10, 3)]


def _refused(state):
    tokenizer = Tokenizer(Backend.from_str(json.dumps(state)))
    with pytest.raises(TokenizerError, match=r"^the tokenizer cannot grow: ") as caught:
        grow_tokenizer(tokenizer, lambda: ["x"], GrowthOptions(size=9))
    return str(caught.value)


def test_what_cannot_grow_is_told():
    words = Backend(models.WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    assert "its model is WordLevel; BPE, WordPiece, Unigram can" in _refused(
        json.loads(words.to_str())
    )
    suffixed = Backend(models.BPE({"a</w>": 0}, [], end_of_word_suffix="</w>"))
    assert "'</w>' (end_of_word_suffix)" in _refused(json.loads(suffixed.to_str()))
    unlearnt = Backend(models.Unigram([("<unk>", 0), (OUT_OF_VOCABULARY, 0), ("a", -1)], 0))
    assert "pieces that its model has not learnt" in _refused(json.loads(unlearnt.to_str()))


@pytest.mark.parametrize(
    ("name", "told"), [("  ", "nothing of it is visible"), ("x" * 10_001, "too long")]
)
def test_special_tokens_that_cannot_be(name, told):
    with pytest.raises(TokenizerOptionError, match=told):
        grow_tokenizer(trained("bpe"), list, GrowthOptions(special=(name,)))


def test_a_piece_that_becomes_special_keeps_its_id():
    old = trained("bpe")
    growth = grow_tokenizer(old, list, GrowthOptions(special=("banana",)))
    assert growth.added == 0 if old.token_id("banana") is not None else growth.added == 1
    piece = old.token_id("▁banana")
    growth = grow_tokenizer(old, list, GrowthOptions(special=("▁banana",)))
    assert (growth.added, growth.tokenizer.token_id("▁banana")) == (0, piece)


def _bpe(vocabulary, merges=()):
    return Tokenizer(Backend(models.BPE(vocabulary, [*merges], unk_token="<unk>")))


def test_ids_with_gaps_are_followed_after_the_largest():
    old = _bpe({"<unk>": 0, "a": 1, "b": 7, "aa": 2}, [("a", "a")])
    old.backend.add_tokens(["<x>"])
    assert old.token_id("<x>") == 4
    growth = grow_tokenizer(old, lambda: ["ab <x>"] * 9, GrowthOptions(size=9, special=("<y>",)))
    names = {name: growth.tokenizer.token_id(name) for name in ("a", "b", "<x>", "<y>", "ab")}
    assert names == {"a": 1, "b": 7, "<x>": 4, "<y>": 8, "ab": 9}
    assert growth.tokenizer.encode("ab<x>b<y>") == [9, 4, 7, 8]


def test_a_token_that_no_merge_makes_gets_no_second_id():
    old = _bpe({"<unk>": 0, "a": 1, "b": 2, "ab": 3, "aa": 4}, [("a", "a")])
    growth = grow_tokenizer(old, lambda: ["ab"] * 9, GrowthOptions(size=9))
    assert (growth.added, growth.tokenizer.token_id("ab")) == (0, 3)
    assert growth.tokenizer.encode("ab") == [1, 2]


def test_words_that_are_spelled_well_are_not_learned():
    letters = {c: i for i, c in enumerate(["<unk>", *"abn", "ba", "an", "ban", "ana"])}
    old = _bpe(letters, [("b", "a"), ("ba", "n"), ("a", "n"), ("an", "a")])
    assert old.pieces("banana") == ["ban", "ana"]  # 3 characters each
    growth = grow_tokenizer(old, lambda: ["banana"] * 9, GrowthOptions(size=9))
    assert growth.added == 0
    growth = grow_tokenizer(old, lambda: ["bban"] * 9, GrowthOptions(size=9))
    assert growth.tokenizer.pieces("bban banana") == ["bban", "<unk>", "ban", "ana"]


def test_the_unknown_token_keeps_its_score_beside_new_pieces():
    scores = [("<unk>", 0.0), ("xa", -1.0), ("x", -12.0), ("ab", -12.0)]
    old = Tokenizer(Backend(models.Unigram(scores, 0)))
    assert old.encode("xab") == [1, 0]  # -1 - 22: the least score less 10
    growth = grow_tokenizer(old, lambda: ["ψ" * 9], GrowthOptions(size=9, special=(TAG,)))
    assert growth.tokenizer.token_id("ψ") == 5
    assert growth.tokenizer.encode("xab") == [1, 0]


def test_counts_of_pairs_are_those_of_the_words_as_they_are_by_then():
    """Each merge against a count of all pairs anew, on words with repeated letters."""
    chance = random.Random(4)
    words = {tuple(chance.choices(range(3), k=chance.randint(2, 9))): n + 1 for n in range(60)}
    merges = learn_merges(words, join=lambda *_: True, first_id=3, limit=40, min_count=2)
    rows = {word: list(word) for word in words}
    for left, right, merged, replaced in merges:
        counts = Counter()
        for word, row in rows.items():
            for pair in pairwise(row):
                counts[pair] += words[word]
        assert counts[left, right] == max(counts.values())
        before = sum(len(row) * words[word] for word, row in rows.items())
        rows = {word: replace_pair(row, (left, right), merged)[0] for word, row in rows.items()}
        assert before - sum(len(row) * words[word] for word, row in rows.items()) == replaced
    assert len(merges) == 40
