"""The choice among samples: utilities by hand, chrF as sacreBLEU gives it."""

import random

import pytest
from sacrebleu.metrics.chrf import CHRF

from transformer.pipelines.mbr import mean_utilities, pairwise_chrf, rank_by_mbr

ALPHABETS = ["ab", "ab ", "the cat \t", "äöü ß\u00a0", "日本語 🙂🙃\u3000é"]


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_scores_are_sacrebleus(alphabet: str) -> None:
    chance = random.Random(1)
    texts = ["".join(chance.choices(alphabet, k=chance.randrange(40))) for _ in range(25)]
    texts += ["", " ", "a", texts[0]]
    found, metric = pairwise_chrf(texts), CHRF()
    for row, text in enumerate(texts):
        for column, reference in enumerate(texts):
            wanted = metric.sentence_score(text, [reference]).score
            assert found[row, column] == pytest.approx(wanted, abs=1e-9), (text, reference)


def test_blocks_of_ngrams_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(2)
    texts = ["".join(chance.choices("abc", k=60)) for _ in range(6)]
    whole = pairwise_chrf(texts)
    monkeypatch.setattr("transformer.pipelines.mbr._NGRAM_BLOCK", 7)
    assert (pairwise_chrf(texts) == whole).all()


def test_utilities_by_hand() -> None:
    """ "ab" and "ac" share a of {a, b} and {a, c}, no pair: sizes 1 and 2 count, P = R = 1/4."""
    assert mean_utilities(["ab", "ac"]) == pytest.approx([25.0, 25.0])
    assert mean_utilities(["ab", "ac", "ab"]) == pytest.approx([62.5, 25.0, 62.5])


def test_the_text_most_like_the_others_comes_first() -> None:
    texts = ["a dog ran", "the cat sat", "the cat sits", "the cat sat up", "a cat sat", "a cat"]
    metric = CHRF()

    def utility(place: int) -> float:
        others = [text for number, text in enumerate(texts) if number != place]
        return sum(metric.sentence_score(texts[place], [other]).score for other in others)

    assert rank_by_mbr(texts) == sorted(range(6), key=utility, reverse=True)
    assert rank_by_mbr(texts)[-1] == 0


def test_duplicates_count_as_often_as_they_are_there() -> None:
    texts = ["xyz", "abc", "xyw", "abc"]
    assert rank_by_mbr(texts) == [1, 3, 0, 2]
    assert rank_by_mbr(["xyz", "xyz", "abc"]) == [0, 1, 2]


def test_equal_texts_are_ordered_by_log_probability_then_place() -> None:
    assert rank_by_mbr(["abc", "abc", "abc"], [-2.0, -1.0, -2.0]) == [1, 0, 2]
    assert rank_by_mbr(["abc", "xyz"]) == [0, 1]
    assert rank_by_mbr(["abc", "xyz"], [-2.0, -1.0]) == [1, 0]


def test_one_text_none_and_lists_that_do_not_match() -> None:
    assert (rank_by_mbr(["abc"]), rank_by_mbr([])) == ([0], [])
    assert rank_by_mbr(["", "", "a"]) == [0, 1, 2]
    with pytest.raises(ValueError, match="1 log-probabilities for 2 texts"):
        rank_by_mbr(["a", "b"], [0.0])
