"""Noise that its keys alone decide; the largest of long rows; loops: each by hand or by count."""

import math

import pytest
import torch

from transformer.decoding.keyed_random import exponential, mix
from transformer.kernels.topk import blockwise_argmax, blockwise_top_k
from transformer.pipelines.loop_detection import ends_in_loop

CPU = torch.device("cpu")


def test_mixing_is_splitmix64() -> None:
    """The first numbers of its generator with the seed 0 (Vigna's splitmix64.c), whose state grows
    by the same odd constant that a key is added to."""
    golden = 0x9E3779B97F4A7C15
    wanted = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [mix(n * golden) for n in range(3)] == wanted


def test_all_keys_count_in_their_order() -> None:
    keys = [(1, 2, 3), (2, 1, 3), (1, 2), (1, 2, 3, 0), (0, 2, 3), (1, 0, 3), (-1, 2, 3)]
    assert len({mix(*some) for some in keys}) == len(keys)
    assert mix(-1) == mix((1 << 64) - 1)


def test_noise_is_exponentially_distributed_over_rows_and_over_tokens() -> None:
    """`P(t > x) = e^-x` at some x, within five standard deviations; the mean and variance are 1."""
    times_RV = exponential([(7, row) for row in range(400)], 500, CPU)
    assert times_RV.isfinite().all()
    assert times_RV.min() > 0
    for x in (0.01, 0.5, 1.0, 3.0, 6.0):
        chance = math.exp(-x)
        share = (times_RV > x).double().mean().item()
        assert share == pytest.approx(chance, abs=5 * math.sqrt(chance * (1 - chance) / 200_000))
    assert times_RV.mean().item() == pytest.approx(1, abs=0.012)
    assert times_RV.var().item() == pytest.approx(1, abs=0.05)
    for means in (times_RV.mean(dim=0), times_RV.mean(dim=1)):  # no token and no row is favoured
        assert (means - 1).abs().max() < 5 / math.sqrt(400)


def test_noise_by_its_equation() -> None:
    """In whole numbers without a sign, one by one."""
    for keys in ((1, 2), (3, 4), (5, 6, 7), (0,)):
        found = exponential([keys], 20, CPU)[0].tolist()
        for token, time in enumerate(found):
            bits = mix(*keys) ^ mix(token)
            bits ^= bits >> 32
            bits = bits * 0x94D049BB133111EB % (1 << 64)
            bits ^= bits >> 29
            assert time == pytest.approx(-math.log(((bits >> 11) + 0.5) / (1 << 53)), rel=1e-12)


def test_the_rarest_time_is_finite() -> None:
    """Where a row's key is a token's, no bit is left: half of 2^-53."""
    assert exponential([(5,)], 6, CPU)[0, 5].item() == pytest.approx(54 * math.log(2))


def test_neighbouring_rows_and_tokens_have_nothing_in_common() -> None:
    times_RV = exponential([(7, row) for row in range(300)], 300, CPU)
    for one, other in (
        (times_RV[1:], times_RV[:-1]),
        (times_RV[:, 1:], times_RV[:, :-1]),
        (times_RV[::2], times_RV[1::2]),
    ):
        together = torch.stack([one.flatten(), other.flatten()])
        assert abs(torch.corrcoef(together)[0, 1].item()) < 5 / math.sqrt(one.numel())


def test_noise_of_a_token_does_not_hang_on_how_many_there_are() -> None:
    rows = [(1, 2), (3, 4)]
    assert torch.equal(exponential(rows, 50, CPU)[:, :20], exponential(rows, 20, CPU))
    assert torch.equal(exponential(rows[1:], 50, CPU), exponential(rows, 50, CPU)[1:])


@pytest.mark.parametrize("size", [1, 3, 63, 64, 65, 640, 641, 1000, 2048, 2050])
@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_the_largest_are_those_of_torch(size: int, count: int) -> None:
    values_RV = torch.randperm(3 * size).view(3, size).float()
    found, places = blockwise_top_k(values_RV, count)
    wanted, wanted_places = values_RV.topk(min(count, size))
    assert torch.equal(found, wanted)
    assert torch.equal(places, wanted_places)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 640, 2048, 2049, 2111])
@pytest.mark.parametrize("values", [1, 2, 9, 1000])
def test_the_likeliest_is_the_first_of_equals(size: int, values: int) -> None:
    """Few rows are searched by torch; many by blocks, of which the last may not be whole."""
    for rows in (1, 40):
        values_RV = torch.randint(-values, values, (rows, size)).float()
        assert torch.equal(blockwise_argmax(values_RV), values_RV.argmax(dim=-1))


@pytest.mark.parametrize("place", [0, 63, 64, 1022, 1023, 1024])
def test_the_largest_is_found_wherever_it_stands(place: int) -> None:
    """Alone among small ones, in the last of a row too, where a block is not whole."""
    values_RV = torch.zeros(1, 1025)
    values_RV[0, place] = 1.0
    found, places = blockwise_top_k(values_RV, 3)
    assert (found[0, 0].item(), places[0, 0].item()) == (1.0, place)
    assert blockwise_argmax(values_RV.repeat(99, 1)).tolist() == [place] * 99


@pytest.mark.parametrize(
    ("ids", "loops"),
    [
        ([7] * 16, True),
        ([7] * 15, False),  # 16 tokens, at least
        ([9] + [7] * 16, True),
        ([7] * 16 + [9], False),  # the end counts
        ([1, 2, 3, 4, 5] * 4, True),
        ([1, 2, 3, 4, 5] * 3 + [1, 2, 3, 4], False),  # four times, at least
        ([*range(16)] * 4, True),
        ([*range(17)] * 5, False),  # longer than 16
        ([], False),
        ([3], False),
    ],
)
def test_what_is_a_loop(ids: list[int], loops: bool) -> None:
    assert ends_in_loop(ids) is loops
