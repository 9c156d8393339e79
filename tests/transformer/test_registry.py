"""Suggestions: the name that a mistaken one most likely means, and none where none is likely."""

import pytest

from transformer.registry import likely_names, suggest

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
        ("translations", "translation"),
        ("rotaries", None),
        ("trans", None),  # begins two
        ("ro", None),
        ("cat", None),
        ("alibi", None),
        ("bpa", None),  # another letter of three
        ("", None),
        ("x" * 10_000_000, None),
    ],
)
def test_a_name_means_the_one_that_it_is_a_slip_of(name, meant):
    assert likely_names(name, NAMES) == ([] if meant is None else [meant])


@pytest.mark.parametrize(
    ("name", "names", "meant"),
    [
        ("tiny", ["big", "write-tiny", "translate-tiny"], ["write-tiny", "translate-tiny"]),
        ("tokens", ["max_tokens", "tokenizer"], ["max_tokens"]),
        ("t5", ["t5-base", "t50"], ["t50"]),
        ("top-", ["top-k", "top-p"], ["top-k", "top-p"]),  # as near as each other
        ("gpt2-l", ["gpt2-xl", "gpt2-large"], ["gpt2-xl", "gpt2-large"]),
        ("training", ["train", "tokenizer"], ["train"]),
        ("embedding", ["embed", "evaluate"], ["embed"]),
        ("model-name", ["model", "module"], ["model"]),
        ("to-nowhere", ["to"], []),
        ("part", [f"{letter}-part" for letter in "abcde"], []),  # of too many
    ],
)
def test_several_names_may_be_meant(name, names, meant):
    assert likely_names(name, names) == meant


@pytest.mark.parametrize("name", ["", "x", "  ", "-"])
def test_a_letter_means_nothing(name):
    assert likely_names(name, ["a", "xy", "b-c", "-x"]) == []


def test_all_names_are_listed_behind_the_likely_one():
    assert suggest("rotry", ["rotary", "alibi"]) == "did you mean rotary? (allowed: alibi, rotary)"
    assert suggest("learned", ["rotary", "alibi"]) == "allowed: alibi, rotary"
