"""T5's span corruption: the paper's example, its code's numbers, and nothing lost."""

from itertools import pairwise

import numpy as np
import pytest

from tests.noise.toys import SENTINELS, random_row, rng_of
from transformer.data.noise import (
    SpanOptions,
    corrupt_spans,
    corrupted_lengths,
    draw_noise_spans,
    raw_length,
    replace_spans,
)
from transformer.data.noise.spans import count_noise
from transformer.errors import ConfigError

T5 = SpanOptions()
SENTENCE = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week", "."]
IDS = np.arange(len(SENTENCE), dtype=np.uint16)
SIGNS = {99: "<X>", 98: "<Y>", 97: "<Z>"}
LENGTHS = [*range(12), 30, 31, 57, 58]


def words(ids: np.ndarray) -> str:
    return " ".join(SIGNS.get(token) or SENTENCE[token] for token in ids.tolist())


def restored(input_ids: np.ndarray, target_ids: np.ndarray, sentinels: list[int]) -> list[int]:
    """The text that an input and its target make together."""
    spans: dict[int, list[int]] = {}
    for token in target_ids.tolist():
        if token in sentinels:
            spans[token] = []
            last = token
        else:
            spans[last].append(token)
    return [
        token
        for each in input_ids.tolist()
        for token in (spans[each] if each in sentinels else [each])
    ]


def test_the_example_of_the_paper() -> None:
    """arXiv 1910.10683, figure 2."""
    noise = np.isin(SENTENCE, ["for", "inviting", "last"])
    input_ids, target_ids = replace_spans(IDS, noise, np.array([99, 98, 97]))
    assert words(input_ids) == "Thank you <X> me to your party <Y> week ."
    assert words(target_ids) == "<X> for inviting <Y> last <Z>"


def test_targets_close_with_a_sentinel_where_noise_ends_the_text_too() -> None:
    noise = np.isin(SENTENCE, ["Thank", "week", "."])
    sentinels = np.array([99, 98, 97])
    input_ids, target_ids = replace_spans(IDS, noise, sentinels)
    assert words(input_ids) == "<X> you for inviting me to your party last <Y>"
    assert words(target_ids) == "<X> Thank <Y> week . <Z>"
    input_ids, target_ids = replace_spans(IDS, noise, sentinels, closing_sentinel=False)
    assert words(target_ids) == "<X> Thank <Y> week ."


@pytest.mark.parametrize("closing", [True, False])
@pytest.mark.parametrize("length", LENGTHS)
def test_input_and_target_restore_the_text(length: int, closing: bool) -> None:
    row, sentinels = random_row(length), np.array(SENTINELS)
    options = SpanOptions(density=0.3, mean_span=2, closing_sentinel=closing)
    for epoch in range(5):
        input_ids, target_ids = corrupt_spans(row, rng_of(epoch), sentinels, options)
        assert restored(input_ids, target_ids, list(SENTINELS)) == row.tolist()
        assert (len(input_ids), len(target_ids)) == corrupted_lengths(length, options)
        used = [token for token in target_ids.tolist() if token in SENTINELS]
        assert used == list(SENTINELS)[: len(used)]
        assert [token for token in input_ids.tolist() if token in SENTINELS] == (
            used[:-1] if closing else used
        )
        if closing:
            assert target_ids[-1] in SENTINELS


@pytest.mark.parametrize("length", LENGTHS)
def test_as_many_tokens_in_as_many_spans_as_t5s_code_has(length: int) -> None:
    noise, spans = count_noise(length, T5)
    for epoch in range(5):
        mask = draw_noise_spans(length, rng_of(epoch), T5)
        assert len(mask) == length
        starts = [i for i, (a, b) in enumerate(pairwise([False, *mask.tolist()])) if b and not a]
        assert (int(mask.sum()), len(starts)) == (noise, spans)
        if length > 1:
            assert mask[-1]
            assert not mask[0]
            assert noise == min(max(round(0.15 * length), 1), length - 1)
            assert spans == max(round(noise / 3), 1)


def test_all_masks_are_equally_likely() -> None:
    """4 kept and 4 noise tokens in 2 spans each: 3 × 3 masks."""
    options = SpanOptions(density=0.5, mean_span=2)
    masks = [draw_noise_spans(8, rng_of(n), options) for n in range(1800)]
    _, counts = np.unique(np.stack(masks), axis=0, return_counts=True)
    assert len(counts) == 9
    assert abs(counts - 200).max() < 4.5 * (1800 / 9 * 8 / 9) ** 0.5


def test_the_lengths_of_t5() -> None:
    """Inputs of 512 and targets of 114 are made of 568 tokens, an end token counted in both."""
    t5_code = SpanOptions(closing_sentinel=False)
    assert raw_length(512 - 1, t5_code) == 568
    assert corrupted_lengths(568, t5_code) == (512 - 1, 114 - 1)
    assert corrupted_lengths(568, T5) == (512 - 1, 114)


@pytest.mark.parametrize("density", [0.01, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("mean_span", [1, 3, 10])
def test_raw_length_is_the_longest_whose_input_fits(density: float, mean_span: float) -> None:
    options = SpanOptions(density=density, mean_span=mean_span)
    for length in (0, 1, 2, 7, 64):
        raw = raw_length(length, options)
        assert corrupted_lengths(raw, options)[0] <= length < corrupted_lengths(raw + 1, options)[0]
        row = random_row(raw)
        assert len(corrupt_spans(row, rng_of(), np.arange(999, 1999), options)[0]) <= length


def test_noise_is_drawn_anew_in_every_epoch_and_is_the_same_for_the_same_keys() -> None:
    masks = [draw_noise_spans(100, rng_of(1, epoch, 5), T5) for epoch in (0, 0, 1, 2)]
    assert np.array_equal(masks[0], masks[1])
    assert len({tuple(mask.tolist()) for mask in masks}) == 3


def test_too_few_sentinels_are_one_line() -> None:
    with pytest.raises(ConfigError, match=r"has 2 spans of noise and needs 3 sentinels; .* has 2"):
        replace_spans(IDS, np.isin(SENTENCE, ["you", "last"]), np.array([99, 98]))
    with pytest.raises(ConfigError, match=r"density is 1\.0"):
        SpanOptions(density=1.0)
