"""Batches: a pure function of data, seed and step; everything once an epoch; the budget kept."""

from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from transformer.data import IGNORE, PairData, TokenStore, TokenWriter, WindowData
from transformer.data.batches import cut

BEGIN, END = 1, 2


def store(folder: Path, rows: list[list[int]], vocab_size: int = 100) -> TokenStore:
    with TokenWriter(folder, vocab_size=vocab_size) as writer:
        writer.write(rows[:2])
        writer.write(rows[2:])
    return TokenStore(folder)


@pytest.fixture
def pair_data(tmp_path: Path):
    generator = np.random.default_rng(0)
    rows = [generator.integers(3, 100, generator.integers(1, 9)).tolist() for _ in range(60)]
    turned = [row[::-1] * 2 for row in rows]
    source, target = store(tmp_path / "s", rows), store(tmp_path / "t", turned)

    def make(seed: int = 7, budget: int = 64) -> PairData:
        return PairData(source, target, begin=BEGIN, end=END, budget=budget, seed=seed)

    return make


@pytest.mark.parametrize("vocab_size", [100, 1 << 16, (1 << 16) + 1])
def test_rows_come_back_from_disk(tmp_path: Path, vocab_size: int) -> None:
    rows = [[3], [], [vocab_size - 1, 0], [5, 6, 7]]
    kept = store(tmp_path, rows, vocab_size)
    assert [kept[row].tolist() for row in range(len(kept))] == rows
    assert kept.ids.itemsize == (2 if vocab_size <= 1 << 16 else 4)


def test_a_pair_as_the_model_sees_it(tmp_path: Path) -> None:
    source, target = store(tmp_path / "s", [[5, 6], [7]]), store(tmp_path / "t", [[8], [9, 10]])
    data = PairData(source, target, begin=BEGIN, end=END, budget=99, seed=0)
    (batch,) = data.in_order()
    assert batch.source_BS.tolist() == [[5, 6, END], [7, END, END]]
    assert batch.source_positions_BS.tolist() == [[0, 1, 2], [0, 1, -1]]
    assert batch.ids_BT.tolist() == [[BEGIN, 8, END], [BEGIN, 9, 10]]
    assert batch.targets_BT.tolist() == [[8, END, IGNORE], [9, 10, END]]
    assert batch.target_tokens == 5


def test_a_batch_depends_on_data_seed_and_step_alone(pair_data) -> None:
    steps = [0, 1, 2, 50, 1, 0]
    first = pair_data()
    batches = [first.batch(step) for step in steps]
    for step, batch in reversed(list(zip(steps, batches, strict=True))):
        again = pair_data().batch(step)
        assert torch.equal(batch.ids_BT, again.ids_BT)
        assert torch.equal(batch.source_BS, again.source_BS)
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
        padded = max(batch.source_BS.numel(), batch.ids_BT.numel())
        assert padded <= budget or len(batch.rows) == 1


def test_cutting_worked_by_hand() -> None:
    lengths = np.array([1, 1, 2, 3, 3])
    assert cut(lengths, lengths, 4) == [0, 2, 3, 4, 5]
    assert cut(lengths, lengths, 6) == [0, 3, 5]


def test_windows_predict_the_next_token_and_cover_the_text() -> None:
    ids = np.arange(50, dtype=np.uint16)
    data = WindowData(ids, context=8, budget=16, seed=3)
    for number in range(2 * data.batches_per_epoch):
        batch = data.batch(number)
        assert batch.ids_BT.shape == (2, 8)
        assert torch.equal(batch.targets_BT, batch.ids_BT + 1)
        assert batch.target_tokens == 16
    seen = [t for batch in data.in_order() for t in batch.targets_BT.flatten().tolist()]
    assert sorted(t for t in seen if t != IGNORE) == list(range(1, 50))


def test_windows_move_from_epoch_to_epoch() -> None:
    data = WindowData(np.arange(103, dtype=np.uint16), context=10, budget=10, seed=3)
    starts = [
        {int(data.batch(epoch * data.batches_per_epoch + i).ids_BT[0, 0]) % 10 for i in range(3)}
        for epoch in range(6)
    ]
    assert all(len(places) == 1 for places in starts)
    assert len(set.union(*starts)) > 1


@pytest.mark.parametrize("length", [3, 9, 10, 11, 19, 21])
def test_a_text_shorter_than_a_window_is_still_a_batch(length: int) -> None:
    data = WindowData(np.arange(length, dtype=np.uint16), context=10, budget=100, seed=0)
    for step in range(5):
        batch = data.batch(step)
        assert batch.target_tokens == batch.ids_BT.numel() > 0
        assert torch.equal(batch.targets_BT, batch.ids_BT + 1)
