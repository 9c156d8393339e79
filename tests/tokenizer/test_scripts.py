"""Scripts without spaces and marks that end sentences: one table, which everything obeys."""

import importlib.util
import unicodedata

import pytest

from tokenizer import TrainingOptions, train_tokenizer
from tokenizer.scripts import (
    FINAL_MARKS,
    FINAL_MARKS_BEFORE_SPACE,
    UNSPACED_SCRIPTS,
    is_unspaced,
)
from tokenizer.segmentation import split_sentences
from transformer.decoding.constraints.bad_words import BadWords
from transformer.decoding.request import Request, SequenceState
from transformer.evaluation.bleu_tokenization import tokenization_of
from transformer.pipelines.glossary import split_words
from transformer.pipelines.word_tokens import word_tokens

UNSPACED = "木々ひカーｶﾏไລលမབᥐᦀᨀꪀㄅꆈ𛅰ꦄᬅꨀ"
ENDS = FINAL_MARKS + FINAL_MARKS_BEFORE_SPACE


def test_each_script_has_a_character_here() -> None:
    names = [unicodedata.name(character) for character in UNSPACED]
    assert all(any(name.startswith(start) for name in names) for start in UNSPACED_SCRIPTS)


@pytest.mark.parametrize("character", UNSPACED)
def test_each_character_is_a_word_for_all_that_count_words(monkeypatch, character: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # no MeCab
    assert is_unspaced(character)
    assert tokenization_of([character]) in ("zh", "char")
    assert [word.text for word in split_words(character * 2)] == [character] * 2
    tokenizer = train_tokenizer([character], TrainingOptions(kind="char", vocab_size=20))
    bad, ids = BadWords([character], tokenizer, tokenizer.vocab_size), tokenizer.encode(character)
    request = Request(prompt=[0], source=[0], max_new_tokens=9)
    assert ids[-1] in bad(SequenceState(request, ids))  # inside a longer text, too


@pytest.mark.parametrize("character", "aя한अע5。、។ ฿")
def test_other_letters_and_the_marks_of_such_scripts_are_none(character: str) -> None:
    assert not is_unspaced(character)


@pytest.mark.parametrize("mark", ENDS)
def test_a_final_mark_ends_sentences_and_is_written_in_no_word(mark: str) -> None:
    assert len(split_sentences(f"ab{mark} cd")) == 2
    assert len(split_sentences(f"ab{mark}cd")) == 1 + (mark in FINAL_MARKS)
    tokenizer = train_tokenizer(["ab" + mark], TrainingOptions(kind="char", vocab_size=20))
    (token,) = tokenizer.encode(mark)[-1:]
    assert token not in word_tokens(tokenizer, tokenizer.vocab_size, ()).writable.tolist()
