"""BART's five noises, worked by hand, and what each leaves as it is."""

from collections import Counter

import numpy as np
import pytest

from tests.noise.toys import (
    BEGIN,
    END,
    MASK,
    PIECES,
    STOP,
    is_subsequence,
    random_row,
    rng_of,
    vocabulary,
)
from transformer.data.noise import NOISES, DenoisingOptions, denoise
from transformer.data.noise.denoising import (
    draw_span_lengths,
    permute_sentences,
    scatter_spans,
    sentence_starts,
)
from transformer.errors import ConfigError, UnknownNameError

A, B, C, D, E = range(4, 9)


def noised(row, *keys: int, **options) -> list[int]:
    facts = options.pop("facts", vocabulary())
    ids = np.array(row, dtype=np.uint16)
    return denoise(ids, rng_of(*keys), facts, DenoisingOptions(**options)).tolist()


class Scripted:
    """A generator whose draws are written down."""

    def __init__(self, **draws) -> None:
        self._draws = {name: list(values) for name, values in draws.items()}

    def _next(self, name: str):
        return np.array(self._draws[name].pop(0))

    def poisson(self, mean: float, size: int) -> np.ndarray:
        return self._next("poisson")

    def choice(self, options, size: int, **how) -> np.ndarray:
        return self._next("choice")

    def integers(self, high: int) -> np.ndarray:
        return self._next("integers")

    def random(self, size: int | None = None) -> np.ndarray:
        return self._next("random")

    def permutation(self, items) -> np.ndarray:
        return self._next("permutation")


def by_hand(noise: str, row: list[int], options: DenoisingOptions, **draws) -> list[int]:
    ids = np.array(row, dtype=np.int64)
    return NOISES[noise](ids, Scripted(**draws), vocabulary(), options).tolist()


# Figure 2 of the paper shows all five on A B C . D E .
ABC_DE = [A, B, C, STOP, D, E, STOP]


def test_token_masking_by_hand() -> None:
    options = DenoisingOptions(noises=("token_masking",), share=2 / 7)
    masked = by_hand("token_masking", ABC_DE, options, choice=[[4, 1]])
    assert masked == [A, MASK, C, STOP, MASK, E, STOP]


def test_token_deletion_by_hand() -> None:
    options = DenoisingOptions(noises=("token_deletion",), share=2 / 7)
    assert by_hand("token_deletion", ABC_DE, options, choice=[[4, 1]]) == [A, C, STOP, E, STOP]
    deleted = by_hand("token_deletion", [A, BEGIN, B, C], options, choice=[[1]])
    assert deleted == [A, BEGIN, C]


def test_text_infilling_by_hand() -> None:
    options = DenoisingOptions(share=2 / 7)
    # spans of no word and of two, at the fifth and the second place: A [B C] . D [] E .
    infilled = by_hand("text_infilling", ABC_DE, options, poisson=[[0, 2, 5]], choice=[[4, 1]])
    assert infilled == [A, MASK, STOP, D, MASK, E, STOP]
    # spans of one, no and one (cut from four) words: A [B] [] C . [D] E .
    draws = {"poisson": [[1, 0, 4]], "choice": [[1, 2, 5]]}
    infilled = by_hand("text_infilling", ABC_DE, options, **draws)
    assert infilled == [A, MASK, MASK, C, STOP, MASK, E, STOP]
    # spans of one word side by side: A [B] [C] . D E .
    infilled = by_hand("text_infilling", ABC_DE, options, poisson=[[1, 1]], choice=[[1, 2]])
    assert infilled == [A, MASK, MASK, STOP, D, E, STOP]


def test_an_empty_span_at_the_end_inserts_a_mask_before_what_closes_the_row() -> None:
    options = DenoisingOptions(share=0.5)
    row = [BEGIN, A, B, END]
    # [A] B and [] after it: lengths 0 at the last place
    infilled = by_hand("text_infilling", row, options, poisson=[[0, 1]], choice=[[0, 2]])
    assert infilled == [BEGIN, MASK, A, MASK, END]


def test_a_special_token_parts_a_span() -> None:
    options = DenoisingOptions(share=0.6)
    row = [A, B, END, C, D, E]
    infilled = by_hand("text_infilling", row, options, poisson=[[3]], choice=[[1]])
    assert infilled == [A, MASK, END, MASK, E]


def test_infilling_takes_whole_words() -> None:
    options = DenoisingOptions(share=0.5, whole_words=True)
    piece = PIECES[0]
    row = [A, piece, B, C, piece, piece, D]
    infilled = by_hand("text_infilling", row, options, poisson=[[2]], choice=[[1]])
    assert infilled == [A, piece, MASK, D]


def test_sentence_permutation_by_hand() -> None:
    options = DenoisingOptions(noises=("sentence_permutation",))
    permuted = by_hand("sentence_permutation", ABC_DE, options, permutation=[[0, 1], [1, 0]])
    assert permuted == [D, E, STOP, A, B, C, STOP]


def test_sentences_that_do_not_change_places() -> None:
    row = np.array([A, B, STOP, C, STOP, D, E])
    starts = sentence_starts(row, vocabulary().ends_sentence_V)
    assert starts.tolist() == [0, 3, 5]
    # two of three, the last and the first, come back in the order first, last
    script = Scripted(permutation=[[2, 0, 1], [0, 2]])
    permuted = permute_sentences(row, starts, script, share=0.5)
    assert permuted.tolist() == [D, E, C, STOP, A, B, STOP]


def test_document_rotation_by_hand() -> None:
    options = DenoisingOptions(noises=("document_rotation",))
    rotated = by_hand("document_rotation", ABC_DE, options, random=[0.5], integers=[2])
    assert rotated == [C, STOP, D, E, STOP, A, B]


@pytest.mark.parametrize("noise", [*NOISES, "bart"])
@pytest.mark.parametrize("row", [[], [BEGIN, END], [A], [BEGIN, A, END], [A, STOP]])
def test_the_shortest_rows(noise: str, row: list[int]) -> None:
    options = {} if noise == "bart" else {"noises": (noise,)}
    for epoch in range(10):
        noisy = noised(row, epoch, **options)
        assert len(noisy) <= len(row) + 10
        specials = [token for token in row if token in (BEGIN, END)]
        assert sorted(t for t in noisy if t in (BEGIN, END)) == specials


@pytest.mark.parametrize("noise", ["token_masking", "token_deletion", "text_infilling"])
@pytest.mark.parametrize("whole_words", [True, False])
def test_special_tokens_stay_where_they_are_among_what_is_kept(
    noise: str, whole_words: bool
) -> None:
    row = [BEGIN, *range(4, 20), END, END, *range(20, 40), 49, END]
    kept = [BEGIN, END, 49]
    for epoch in range(20):
        noisy = noised(row, epoch, noises=(noise,), share=0.7, whole_words=whole_words)
        assert [t for t in noisy if t in kept] == [t for t in row if t in kept]
        assert is_subsequence([t for t in noisy if t != MASK], row)
        assert noisy[0] == BEGIN
        assert noisy[-1] == END


@pytest.mark.parametrize("share", [0.0, 0.15, 0.3, 0.35, 1.0])
def test_infilling_takes_its_share_exactly_and_keeps_the_rest_in_order(share: float) -> None:
    row = random_row(100).tolist()
    for epoch in range(20):
        noisy = noised(row, epoch, noises=("text_infilling",), share=share)
        kept = [token for token in noisy if token != MASK]
        assert len(kept) == 100 - round(100 * share)
        assert is_subsequence(kept, row)
        assert (MASK in noisy) == (share > 0)


def test_lengths_of_spans_are_poissons_and_add_up() -> None:
    lengths = [draw_span_lengths(300, 3, rng_of(n)) for n in range(100)]
    assert {int(each.sum()) for each in lengths} == {300}
    drawn = np.concatenate([each[:-1] for each in lengths])  # the last is cut
    # 4.5 standard deviations; what is cut makes long spans a little rarer
    assert abs(drawn.mean() - 3) < 4.5 * (3 / len(drawn)) ** 0.5 + 0.02
    empty = np.exp(-3)
    deviation = (empty * (1 - empty) / len(drawn)) ** 0.5
    assert abs((drawn == 0).mean() - empty) < 4.5 * deviation
    assert all(each[-1] > 0 for each in lengths)
    assert draw_span_lengths(0, 3, rng_of()).tolist() == []


def test_any_span_may_be_the_empty_or_the_cut_one() -> None:
    seen = {tuple(scatter_spans(np.array([0, 7]), 1, rng_of(n))[0].tolist()) for n in range(60)}
    assert seen == {(0, 7, 1), (7, 0, 1), (0, 1, 7), (7, 1, 0), (1, 0, 7), (1, 7, 0)}


def test_masks_may_be_random_tokens_instead() -> None:
    row = [A] * 1000
    noisy = noised(row, noises=("token_masking",), share=1.0, random=0.1)
    assert 50 < sum(token != MASK for token in noisy) < 160
    assert not {BEGIN, END, 49} & set(noisy)


def test_permutation_keeps_each_sentence_whole() -> None:
    sentences = [[A, B, STOP], [C, STOP], [D, D, STOP, STOP], [E, END, A, STOP]]
    row = [token for sentence in sentences for token in sentence]
    seen = set()
    for epoch in range(200):
        noisy = noised(row, epoch, noises=("sentence_permutation",))
        assert Counter(noisy) == Counter(row)
        starts = sentence_starts(np.array(noisy), vocabulary().ends_sentence_V).tolist()
        parts = [noisy[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
        assert sorted(parts) == sorted(sentences)
        seen.add(tuple(noisy))
    assert len(seen) == 24


def test_a_share_of_the_sentences_changes_places() -> None:
    sentences = [[token, STOP] for token in range(4, 14)]
    row = [token for sentence in sentences for token in sentence]
    for epoch in range(20):
        noisy = noised(row, epoch, noises=("sentence_permutation",), sentence_share=0.25)
        moved = sum(a != b for a, b in zip(noisy, row, strict=True))
        assert moved <= 3  # 2.5, rounded up


def test_rotation_begins_with_every_token_alike() -> None:
    row = [A, B, C, D]
    seen = Counter(tuple(noised(row, n, noises=("document_rotation",))) for n in range(800))
    turned = {tuple(row[n:] + row[:n]) for n in range(4)}
    assert set(seen) == turned
    assert all(abs(count - 200) < 4.5 * (800 * 3 / 16) ** 0.5 for count in seen.values())
    rare = Counter(
        tuple(noised(row, n, noises=("document_rotation",), rotated=0.2)) for n in range(800)
    )
    assert abs(rare[tuple(row)] - 800 * 0.85) < 4.5 * (800 * 0.85 * 0.15) ** 0.5


def test_noises_are_done_in_the_registrys_order() -> None:
    """Sentences first, while their full stops are there; a rotation last."""
    assert list(NOISES) == [
        *("sentence_permutation", "token_masking", "token_deletion", "text_infilling"),
        "document_rotation",
    ]
    row = random_row(40).tolist()
    one = noised(row, 1, noises=("document_rotation", "token_deletion"))
    other = noised(row, 1, noises=("token_deletion", "document_rotation"))
    assert one == other
    assert not is_subsequence(one, row)


@pytest.mark.parametrize("options", [{}, {"noises": ("token_deletion",)}])
def test_noise_is_drawn_anew_in_every_epoch_and_is_the_same_for_the_same_keys(options) -> None:
    row = random_row(100).tolist()
    rows = [tuple(noised(row, 1, epoch, 5, **options)) for epoch in (0, 0, 1, 2)]
    assert rows[0] == rows[1]
    assert len(set(rows)) == 3


def test_without_full_stops_a_text_is_one_sentence() -> None:
    facts = vocabulary(ends_sentence_V=None)
    row = [A, STOP, B, STOP]
    assert noised(row, facts=facts, noises=("sentence_permutation",)) == row


def test_options_that_mean_nothing_are_one_line() -> None:
    with pytest.raises(UnknownNameError, match=r"no noise is called 'infilling'.*text_infilling"):
        DenoisingOptions(noises=("infilling",))
    with pytest.raises(ConfigError, match="ask for one of them"):
        DenoisingOptions(noises=("token_masking", "text_infilling"))
    with pytest.raises(ConfigError, match=r"mean_span is 0\.5"):
        DenoisingOptions(mean_span=0.5)
