"""Batches: a pure function of data, seed and step; everything once an epoch; the budget kept."""

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from tests.models import tiny_model
from tests.training.toys import FRAMING, recipe_of, running_data, store
from tests.training.toys import pair_data as toy_pairs
from transformer.data import (
    IGNORE,
    Batch,
    BatchLoader,
    Data,
    Framing,
    PairData,
    TokenStore,
    TokenWriter,
    WindowData,
)
from transformer.data.batches import cut_batches
from transformer.training.trainer import Trainer

BEGIN, END = 1, 2


@pytest.fixture
def pair_data(tmp_path: Path):
    generator = np.random.default_rng(0)
    rows = [generator.integers(3, 100, generator.integers(1, 9)).tolist() for _ in range(60)]
    turned = [row[::-1] * 2 for row in rows]
    source, target = store(tmp_path / "s", rows, 100), store(tmp_path / "t", turned, 100)

    def make(seed: int = 7, budget: int = 64) -> PairData:
        return PairData(source, target, framing=FRAMING, max_tokens=budget, seed=seed)

    return make


@pytest.mark.parametrize("vocab_size", [100, 1 << 16, (1 << 16) + 1])
def test_rows_come_back_from_disk(tmp_path: Path, vocab_size: int) -> None:
    rows = [[3], [], [vocab_size - 1, 0], [5, 6, 7]]
    with TokenWriter(tmp_path, vocab_size=vocab_size) as writer:
        writer.write(rows[:2])
        writer.write(rows[2:])
    kept = TokenStore(tmp_path)
    assert [kept[row].tolist() for row in range(len(kept))] == rows
    assert kept.ids.itemsize == (2 if vocab_size <= 1 << 16 else 4)


def test_a_pair_as_the_model_sees_it(tmp_path: Path) -> None:
    source, target = store(tmp_path / "s", [[5, 6], [7]]), store(tmp_path / "t", [[8], [9, 10]])
    data = PairData(source, target, framing=FRAMING, max_tokens=99, seed=0)
    (batch,) = data.in_order()
    assert batch.inputs.source.ids_BT.tolist() == [[5, 6, END], [7, END, END]]
    assert batch.inputs.source.positions_BT.tolist() == [[0, 1, 2], [0, 1, -1]]
    assert batch.inputs.ids_BT.tolist() == [[BEGIN, 8, END], [BEGIN, 9, 10]]
    assert batch.targets.tolist() == [[8, END, IGNORE], [9, 10, END]]
    assert batch.num_targets == 5


def test_a_pair_with_languages_and_a_start_of_its_own(tmp_path: Path) -> None:
    """As mBART-50 has it: the languages 7 and 9, the end token 2 to start from; rows by hand."""
    source, target = store(tmp_path / "s", [[5, 6], [4]]), store(tmp_path / "t", [[8], [3, 6]])
    framing = Framing(
        start=2, source_before=(7,), source_after=(2,), target_before=(9,), target_after=(2, 1)
    )
    (batch,) = PairData(source, target, framing=framing, max_tokens=99, seed=0).in_order()
    read = batch.inputs.source
    assert read.ids_BT.tolist() == [[7, 5, 6, 2], [7, 4, 2, 2]]
    assert read.positions_BT.tolist() == [[0, 1, 2, 3], [0, 1, 2, -1]]
    assert batch.inputs.ids_BT.tolist() == [[2, 9, 8, 2, 1], [2, 9, 3, 6, 2]]
    assert batch.targets.tolist() == [[9, 8, 2, 1, IGNORE], [9, 3, 6, 2, 1]]
    assert batch.num_targets == 9


def test_a_batch_depends_on_data_seed_and_step_alone(pair_data) -> None:
    steps = [0, 1, 2, 50, 1, 0]
    first = pair_data()
    batches = [first.batch(step) for step in steps]
    for step, batch in reversed(list(zip(steps, batches, strict=True))):
        again = pair_data().batch(step)
        assert torch.equal(batch.inputs.ids_BT, again.inputs.ids_BT)
        assert torch.equal(batch.inputs.source.ids_BT, again.inputs.source.ids_BT)
    other = [pair_data(seed=8).batch(step).rows.tolist() for step in range(10)]
    assert other != [first.batch(step).rows.tolist() for step in range(10)]


def test_an_epoch_has_every_pair_once_and_epochs_differ(pair_data) -> None:
    data = pair_data()
    n = data.batches_per_epoch
    epochs = [[data.batch(e * n + i).rows.tolist() for i in range(n)] for e in range(3)]
    for epoch in epochs:
        assert Counter(chain.from_iterable(epoch)) == Counter(range(60))
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("budget", [1, 20, 64, 10_000])
def test_no_batch_is_over_the_budget_unless_it_is_one_row(pair_data, budget: int) -> None:
    data = pair_data(budget=budget)
    for number in range(data.batches_per_epoch):
        batch = data.batch(number)
        padded = max(batch.inputs.source.ids_BT.numel(), batch.inputs.ids_BT.numel())
        assert padded <= budget or len(batch.rows) == 1


def test_cutting_worked_by_hand() -> None:
    lengths = np.array([1, 1, 2, 3, 3])
    assert cut_batches(lengths, lengths, 4) == [0, 2, 3, 4, 5]
    assert cut_batches(lengths, lengths, 6) == [0, 3, 5]
    assert cut_batches(np.array([5, 1, 1]), np.array([1, 2, 2]), 4) == [
        0,
        1,
        3,
    ]  # the longer side counts


def test_windows_predict_the_next_token_and_cover_the_text() -> None:
    ids = np.arange(50, dtype=np.uint16)
    data = WindowData(ids, context=8, max_tokens=16, seed=3)
    for number in range(2 * data.batches_per_epoch):
        batch = data.batch(number)
        assert batch.inputs.ids_BT.shape == (2, 8)
        assert torch.equal(batch.targets, batch.inputs.ids_BT + 1)
        assert batch.num_targets == 16
    seen = [t for batch in data.in_order() for t in batch.targets.flatten().tolist()]
    assert sorted(t for t in seen if t != IGNORE) == list(range(1, 50))


def test_windows_move_from_epoch_to_epoch() -> None:
    data = WindowData(np.arange(103, dtype=np.uint16), context=10, max_tokens=10, seed=3)
    starts = [
        {
            int(data.batch(epoch * data.batches_per_epoch + i).inputs.ids_BT[0, 0]) % 10
            for i in range(3)
        }
        for epoch in range(6)
    ]
    assert all(len(places) == 1 for places in starts)
    assert len(set.union(*starts)) > 1


@pytest.mark.parametrize("length", [3, 9, 10, 11, 19, 21])
def test_a_text_shorter_than_a_window_is_still_a_batch(length: int) -> None:
    data = WindowData(np.arange(length, dtype=np.uint16), context=10, max_tokens=100, seed=0)
    for step in range(5):
        batch = data.batch(step)
        assert batch.num_targets == batch.inputs.ids_BT.numel() > 0
        assert torch.equal(batch.targets, batch.inputs.ids_BT + 1)


def widths(data: Data, epoch: int) -> list[tuple[int, ...]]:
    """The shapes of an epoch's batches, in order."""
    n = data.batches_per_epoch
    return [tuple(data.batch(epoch * n + i).inputs.ids_BT.shape) for i in range(n)]


def test_batches_are_shuffled_not_only_rows_within_them(pair_data) -> None:
    """By length, each epoch would go from short to long; by seed or epoch, orders are others."""
    data = pair_data(budget=40)
    epochs = [widths(data, epoch) for epoch in range(3)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)  # the cuts are the same
    by_length = [tuple(batch.inputs.ids_BT.shape) for batch in data.in_order()]
    assert len({tuple(e) for e in (*epochs, by_length, widths(pair_data(8, 40), 0))}) == 5
    assert [shape[1] for shape in by_length] == sorted(shape[1] for shape in by_length)


def test_rows_of_equal_length_change_places(tmp_path: Path) -> None:
    """All alike but for their order: an epoch's batches hold other rows than the next one's."""
    rows = [[5, 6, 7]] * 60
    data = PairData(
        store(tmp_path / "s", rows),
        store(tmp_path / "t", rows),
        framing=FRAMING,
        max_tokens=40,
        seed=1,
    )
    n = data.batches_per_epoch
    epochs = [{frozenset(data.batch(e * n + i).rows.tolist()) for i in range(n)} for e in (0, 1)]
    assert epochs[0] != epochs[1]


def test_an_epoch_has_every_window_once_in_an_order_of_its_own() -> None:
    data = WindowData(np.arange(203, dtype=np.uint16), context=10, max_tokens=30, seed=3)
    orders = []
    for epoch in range(3):
        batches = [data.batch(epoch * data.batches_per_epoch + i) for i in range(6)]
        starts = list(chain.from_iterable(batch.rows.tolist() for batch in batches))
        assert len(set(starts)) == len(starts) == 18  # of 19 in threes
        assert len({start % 10 for start in starts}) == 1
        assert starts != sorted(starts)
        orders.append([start // 10 for start in starts])
    assert orders[0] != orders[1] != orders[2]
    other = WindowData(np.arange(203, dtype=np.uint16), context=10, max_tokens=30, seed=4)
    assert other.batch(0).rows.tolist() != data.batch(0).rows.tolist()


@pytest.mark.parametrize("budget", [5, 10, 25, 64, 10_000])
def test_windows_keep_the_budget_unless_one_is_larger(budget: int) -> None:
    data = WindowData(np.arange(203, dtype=np.uint16), context=10, max_tokens=budget, seed=3)
    sizes = {data.batch(number).inputs.ids_BT.numel() for number in range(data.batches_per_epoch)}
    assert sizes == {max(10, min(budget, 190) // 10 * 10)}


def every_data(tmp_path: Path) -> list[Data]:
    return [toy_pairs(tmp_path), running_data(), running_data(accumulate=2)]


def test_tokens_are_counted_without_the_batch_and_places_are_those_of_targets(tmp_path) -> None:
    for data in every_data(tmp_path):
        for batch, number in [(data.batch(n), n) for n in range(9)]:
            real_BT = batch.targets != IGNORE
            assert data.num_targets(number) == batch.num_targets == int(real_BT.sum())
            if batch.predicted_N is None:
                assert real_BT.all()
            else:
                assert batch.predicted_N.tolist() == real_BT.flatten().nonzero()[:, 0].tolist()


def same(one: Batch, other: Batch) -> bool:
    """Equal tensors, in the same places."""
    one_has, other_has = (tree_leaves(vars(each)) for each in (one, other))
    return len(one_has) == len(other_has) and all(map(np.array_equal, one_has, other_has))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_loader_gives_the_batches_of_each_step_from_wherever_it_begins(
    tmp_path: Path, accumulate: int
) -> None:
    for data in every_data(tmp_path):
        loader = BatchLoader(data, accumulate=accumulate, device=torch.device("cpu"))
        for step in (0, 1, 2, 40, 41, 7, 8):
            wanted = [data.batch(step * accumulate + i) for i in range(accumulate)]
            tokens, batches = loader.step(step)
            assert tokens == sum(batch.num_targets for batch in wanted)
            assert all(map(same, batches, wanted))


def test_a_loader_reads_few_batches_ahead() -> None:
    data, made = running_data(), []
    real = data.batch
    data.batch = lambda number: made.append(number) or real(number)
    loader = BatchLoader(data, accumulate=4, device=torch.device("cpu"))
    _, batches = loader.step(0)
    next(batches)
    loader._thread.submit(int).result()  # all that was asked for is made
    assert made == [0, 1, 2, 3]


class BrokenData(WindowData):
    """Data that cannot be read from the third batch on."""

    def batch(self, number: int) -> Batch:
        if number > 1:
            raise OSError("the disk is gone")
        return super().batch(number)


def test_an_error_in_reading_ahead_comes_where_the_batch_is_needed() -> None:
    data = BrokenData(np.arange(203, dtype=np.uint16), context=10, max_tokens=30, seed=3)
    loader = BatchLoader(data, accumulate=1, device=torch.device("cpu"))
    assert same(next(loader.step(0)[1]), data.batch(0))
    assert same(next(loader.step(1)[1]), data.batch(1))
    with pytest.raises(OSError, match="gone"):
        loader.step(2)


class Watched(Trainer):
    """A trainer that notes which rows it learns from."""

    def __init__(self, data: Data, **training) -> None:
        super().__init__(tiny_model(), data, recipe_of("language-model", **training))
        self.rows: list[list[int]] = []
        real = self._loader.step

        def step(number: int):
            tokens, batches = real(number)
            batches = list(batches)
            self.rows += [batch.rows.tolist() for batch in batches]
            return tokens, iter(batches)

        self._loader.step = step


def test_the_order_survives_a_resume(tmp_path: Path) -> None:
    """In the middle of an epoch and of an accumulated step's place in it."""
    whole = Watched(running_data(), accumulate=2)
    for _ in range(12):
        whole.step()
    assert whole.rows == [running_data().batch(number).rows.tolist() for number in range(24)]
    first = Watched(running_data(), accumulate=2)
    for _ in range(5):
        first.step()
    tmp_path.mkdir(exist_ok=True)
    first.save(tmp_path)
    second = Watched(running_data(), accumulate=2)
    second.restore(tmp_path, 5)
    for _ in range(7):
        second.step()
    assert first.rows + second.rows == whole.rows
