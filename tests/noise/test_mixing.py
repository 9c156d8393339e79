"""Mixed corpora, with exact shares; and the split of a text for a prefix LM."""

from collections import Counter

import numpy as np
import pytest

from tests.noise.toys import rng_of
from transformer.data import MixedData, WindowData
from transformer.data.noise import draw_prefix_length, mixing_order, mixing_shares
from transformer.errors import ConfigError


def test_shares_by_temperature_by_hand() -> None:
    assert mixing_shares([3, 1]) == [0.75, 0.25]
    assert mixing_shares([81, 16, 1], 4) == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert mixing_shares([1e12, 1, 0], 1e9) == pytest.approx([0.5, 0.5, 0])
    assert mixing_shares([0.2, 0.2, 0.6]) == pytest.approx([0.2, 0.2, 0.6])  # weights
    assert mixing_shares([1e300, 1e300], 0.01) == [0.5, 0.5]


def test_shares_are_exact_where_they_can_be() -> None:
    shares = mixing_shares([81, 16, 1], 4)
    for epoch in range(20):
        order = mixing_order(shares, 60, seed=1, epoch=epoch)
        assert Counter(order.tolist()) == {0: 30, 1: 20, 2: 10}


def test_shares_are_exact_on_average_and_within_one_always() -> None:
    shares = mixing_shares([7, 2, 1])
    counts = np.stack(
        [np.bincount(mixing_order(shares, 9, seed=1, epoch=e), minlength=3) for e in range(2000)]
    )
    assert counts.sum(axis=1).tolist() == [9] * 2000
    assert np.abs(counts - 9 * np.array(shares)).max() < 1
    assert np.abs(counts.mean(axis=0) - 9 * np.array(shares)).max() < 4.5 * 0.5 / 2000**0.5


def test_an_order_depends_on_seed_and_epoch_alone() -> None:
    keys = [(1, 0), (1, 0), (1, 1), (2, 0)]
    orders = [mixing_order([0.5, 0.5], 40, seed=s, epoch=e).tolist() for s, e in keys]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0] != sorted(orders[0])
    assert mixing_order([1.0], 0, seed=1, epoch=0).tolist() == []


@pytest.mark.parametrize("sizes", [[], [0, 0], [1, -1], [1, float("nan")]])
def test_sizes_that_mean_nothing_are_one_line(sizes: list[float]) -> None:
    with pytest.raises(ConfigError, match="sizes of corpora"):
        mixing_shares(sizes)


def test_a_temperature_is_above_0() -> None:
    with pytest.raises(ConfigError, match="temperature is 0"):
        mixing_shares([1, 2], 0)


def windows(tokens: int, first: int) -> WindowData:
    ids = np.arange(first, first + tokens, dtype=np.uint16)
    return WindowData(ids, context=10, max_tokens=10, seed=3)


def mixture(seed: int = 1, shares: tuple[float, float] = (0.5, 0.5)) -> MixedData:
    parts = windows(61, 0), windows(201, 1000)
    return MixedData(parts, shares, names=["small", "large"], seed=seed)


def test_a_mixture_has_all_of_a_part_before_any_comes_again() -> None:
    data = mixture()
    parts = data.parts
    size = data.batches_per_epoch
    assert size == parts[0].batches_per_epoch + parts[1].batches_per_epoch == 24
    drawn: list[list[list[int]]] = [[], []]
    for number in range(4 * size):
        batch = data.batch(number)
        part = int(batch.inputs.ids_BT[0, 0] >= 1000)
        assert data.describe(number) == (
            f"{['small', 'large'][part]}: {parts[part].describe(len(drawn[part]))}"
        )
        drawn[part].append(batch.inputs.ids_BT.tolist())
        assert data.num_targets(number) == batch.num_targets == 10
        if number % size == size - 1:  # half of each epoch
            assert len(drawn[0]) == len(drawn[1]) == (number + 1) // 2
    for part, batches in zip(parts, drawn, strict=True):
        assert batches == [part.batch(n).inputs.ids_BT.tolist() for n in range(len(batches))]


def test_a_mixtures_batches_depend_on_data_seed_and_number_alone() -> None:
    numbers = [70, 3, 50, 3, 0]
    ids = [mixture().batch(number).inputs.ids_BT.tolist() for number in numbers]
    data = mixture()
    assert [data.batch(number).inputs.ids_BT.tolist() for number in reversed(numbers)] == ids[::-1]
    other = mixture(seed=2)
    assert [other.batch(n).rows.tolist() for n in range(24)] != [
        data.batch(n).rows.tolist() for n in range(24)
    ]


def test_a_mixture_is_validated_on_all_of_its_parts() -> None:
    data = mixture(shares=(0.9, 0.1))
    tokens = [t for batch in data.in_order() for t in batch.targets.flatten().tolist()]
    assert tokens == [*range(1, 61), *range(1001, 1201)]
    with pytest.raises(ConfigError, match="2 parts need as many shares"):
        mixture(shares=(0.5, 0.6))


def test_prefixes_are_of_every_length_alike() -> None:
    drawn = Counter(draw_prefix_length(5, rng_of(n)) for n in range(1000))
    assert set(drawn) == {1, 2, 3, 4}
    assert all(abs(count - 250) < 4.5 * (1000 * 3 / 16) ** 0.5 for count in drawn.values())
    assert [draw_prefix_length(length, rng_of(3)) for length in (0, 1, 2)] == [0, 0, 1]
    assert len({draw_prefix_length(1000, rng_of(1, epoch)) for epoch in (0, 0, 1)}) == 2
