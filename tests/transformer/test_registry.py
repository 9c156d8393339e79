"""Suggestions: the name that a mistaken one most likely means, and none where none is likely."""

import pytest

from transformer.registry import nearest, suggest

NAMES = ["bpe", "byte-bpe", "char", "float32", "gpt2", "rotary", "translate-small", "translation"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rotry", "rotary"),  # a letter left out
        ("rottary", "rotary"),  # added
        ("rotery", "rotary"),  # changed
        ("rtoary", "rotary"),  # swapped
        ("bep", "bpe"),
        ("BPE", "bpe"),
        ("byte_bpe", "byte-bpe"),
        ("translate-smlal", "translate-small"),
        ("translate-", "translate-small"),  # the only one that begins so
        ("translator", "translation"),
        ("rot", "rotary"),
        ("gpt3", None),  # another number is another thing
        ("float16", None),
        ("float64", None),
        ("trans", None),  # begins two
        ("ro", None),
        ("cat", None),
        ("alibi", None),
        ("", None),
        ("x" * 10_000_000, None),
    ],
)
def test_a_name_means_the_one_that_it_is_a_slip_of(name, meant):
    assert nearest(name, NAMES) == meant


def test_all_names_are_listed_behind_the_likely_one():
    assert suggest("rotry", ["rotary", "alibi"]) == "did you mean rotary? (allowed: alibi, rotary)"
    assert suggest("learned", ["rotary", "alibi"]) == "allowed: alibi, rotary"
