"""BERT's masking: its proportions, whole words, and nothing special touched."""

import numpy as np
import pytest

from tests.noise.toys import BEGIN, END, MASK, PIECES, SIZE, random_row, rng_of, vocabulary
from transformer.data import IGNORE
from transformer.data.noise import MaskingOptions, mask_tokens
from transformer.errors import ConfigError

BERT = MaskingOptions()
WHOLE_WORDS = MaskingOptions(whole_words=True)


def within(count: int, trials: int, probability: float) -> bool:
    """No further from the mean than 4.5 standard deviations of a binomial: 1 in 150,000."""
    deviation = (trials * probability * (1 - probability)) ** 0.5
    return abs(count - trials * probability) <= 4.5 * deviation


@pytest.mark.parametrize("length", [10, 100, 1000])
def test_berts_proportions_over_100_000_tokens(length: int) -> None:
    rows = np.stack([random_row(length, row) for row in range(100_000 // length)])
    facts = vocabulary()
    pairs = [mask_tokens(row, rng_of(1, 0, n), facts, BERT) for n, row in enumerate(rows)]
    noisy, targets = (np.stack(side) for side in zip(*pairs, strict=True))
    chosen = targets != IGNORE
    assert within(chosen.sum(), rows.size, 0.15)
    assert np.array_equal(targets[chosen], rows[chosen])
    assert np.array_equal(noisy[~chosen], rows[~chosen])
    masked, same = noisy[chosen] == MASK, noisy[chosen] == rows[chosen]
    assert within(masked.sum(), chosen.sum(), 0.8)
    ordinary = len(vocabulary().ordinary_ids)  # one random token in so many is the same by chance
    assert within(same.sum(), chosen.sum(), 0.1 + 0.1 / ordinary)
    others = noisy[chosen][~masked & ~same]
    assert within(len(others), chosen.sum(), 0.1 * (1 - 1 / ordinary))
    assert set(np.unique(others)) == set(vocabulary().ordinary_ids)
    every_token_alike = chosen.sum(axis=0)
    assert within(every_token_alike[0], len(rows), 0.15)
    assert within(every_token_alike[-1], len(rows), 0.15)


def test_a_row_has_its_share_rounded_up_or_down() -> None:
    counts = [
        (mask_tokens(random_row(10), rng_of(n), vocabulary(), BERT)[1] != IGNORE).sum()
        for n in range(400)
    ]
    assert set(counts) == {1, 2}
    assert within(counts.count(2), 400, 0.5)


@pytest.mark.parametrize("options", [BERT, WHOLE_WORDS])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_rows_have_one_target(length: int, options: MaskingOptions) -> None:
    for epoch in range(20):
        _, targets = mask_tokens(random_row(length), rng_of(epoch), vocabulary(), options)
        assert (targets != IGNORE).sum() == 1


@pytest.mark.parametrize("row", [[], [BEGIN, END], [BEGIN, MASK, 49, END]])
@pytest.mark.parametrize("options", [BERT, WHOLE_WORDS])
def test_rows_without_ordinary_tokens_have_no_target(
    row: list[int], options: MaskingOptions
) -> None:
    noisy, targets = mask_tokens(np.array(row, dtype=np.uint16), rng_of(), vocabulary(), options)
    assert noisy.tolist() == row
    assert targets.tolist() == [IGNORE] * len(row)


def test_special_tokens_are_neither_chosen_nor_written() -> None:
    row = np.array([BEGIN, *range(4, 30), END, 48, 49, END])
    options = MaskingOptions(probability=1, masked=0, random=1, kept=0)
    noisy, targets = mask_tokens(row, rng_of(), vocabulary(), options)
    special = vocabulary().is_special_V[row]
    assert np.array_equal(noisy[special], row[special])
    assert (targets[special] == IGNORE).all()
    assert np.array_equal(targets[~special], row[~special])
    assert not vocabulary().is_special_V[noisy[~special]].any()


@pytest.mark.parametrize(
    ("shares", "expected"), [((1, 0, 0), {MASK}), ((0, 0, 1), {7}), ((0, 1, 0), {4, 5, 6, 7, 8})]
)
def test_shares_say_what_becomes_of_a_token(
    shares: tuple[float, float, float], expected: set[int]
) -> None:
    masked, random, kept = shares
    options = MaskingOptions(probability=1, masked=masked, random=random, kept=kept)
    facts = vocabulary(size=9, special_ids=[0, 1, 3], sentinel_ids=[], continues_word_V=None)
    noisy, targets = mask_tokens(np.full(200, 7), rng_of(), facts, options)
    assert set(noisy.tolist()) == expected
    assert set(targets.tolist()) == {7}


def test_noise_is_drawn_anew_in_every_epoch_and_is_the_same_for_the_same_keys() -> None:
    row = random_row(100)
    rows = [mask_tokens(row, rng_of(1, epoch, 5), vocabulary(), BERT) for epoch in (0, 0, 1, 2)]
    assert np.array_equal(rows[0], rows[1])
    assert len({tuple(noisy.tolist()) for noisy, _ in rows}) == 3


def test_all_pieces_of_a_word_are_chosen_together_within_the_budget() -> None:
    piece = PIECES[0]
    words = [[4], [5, piece], [6, piece, piece], [7], [8], [9, piece], [10]] * 6
    row = np.array([BEGIN, *(token for word in words for token in word), END])
    word_of = np.array([-1, *(n for n, word in enumerate(words) for _ in word), -1])
    counts = []
    for epoch in range(300):
        _, targets = mask_tokens(row, rng_of(epoch), vocabulary(), WHOLE_WORDS)
        chosen = targets != IGNORE
        counts.append(int(chosen.sum()))
        assert all(chosen[word_of == word].all() for word in word_of[chosen])
    assert set(counts) <= {9, 10}  # 66 tokens: 9.9
    assert within(counts.count(10), 300, 0.9)


def test_in_whole_words_each_piece_has_a_draw_of_its_own() -> None:
    row = np.array([4, PIECES[0]])
    options = MaskingOptions(probability=1, masked=0.5, random=0, kept=0.5, whole_words=True)
    seen = {tuple(mask_tokens(row, rng_of(n), vocabulary(), options)[0] == MASK) for n in range(40)}
    assert len(seen) == 4


def test_a_word_too_long_for_the_budget_is_chosen_where_there_is_no_shorter_one() -> None:
    row = np.array([4, PIECES[0], PIECES[1], 5, PIECES[0]])
    for epoch in range(10):
        _, targets = mask_tokens(row, rng_of(epoch), vocabulary(), WHOLE_WORDS)
        assert targets.tolist() == [IGNORE] * 3 + [5, PIECES[0]]


def test_a_piece_after_a_special_token_begins_a_word() -> None:
    row = np.array([PIECES[0], 4, PIECES[0], END, PIECES[1], PIECES[2]])
    starts = vocabulary().word_starts(row, whole_words=True)
    assert starts.tolist() == [True, True, False, False, True, False]
    starts = vocabulary().word_starts(row, whole_words=False)
    assert starts.tolist() == [True, True, True, False, True, True]


def test_ids_of_a_store_stay_as_they_are() -> None:
    row = random_row(40)
    before = row.copy()
    noisy, _ = mask_tokens(row, rng_of(), vocabulary(), BERT)
    assert np.array_equal(row, before)
    assert noisy.dtype == np.int64


def test_options_that_mean_nothing_are_one_line() -> None:
    with pytest.raises(ConfigError, match="must add up to 1"):
        MaskingOptions(masked=0.9)
    with pytest.raises(ConfigError, match="probability is 0;"):
        MaskingOptions(probability=0)
    with pytest.raises(ConfigError, match=r"random is 1\.5; it must be between 0 and 1"):
        MaskingOptions(random=1.5)
    with pytest.raises(ConfigError, match="no mask token"):
        mask_tokens(np.array([4]), rng_of(), vocabulary(mask_id=None), BERT)


def test_every_token_is_some_kind() -> None:
    facts = vocabulary()
    assert len(facts.ordinary_ids) == SIZE - 3 - 10
