"""Batches to pre-train on: pure functions of data, seed and number; noise anew in each epoch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models import tiny_model
from tests.noise.test_spans import restored
from tests.noise.toys import BEGIN, END, MASK, SENTINELS, is_subsequence, vocabulary
from tests.training.toys import store
from transformer.batch_loss import batch_loss
from transformer.data import (
    IGNORE,
    Batch,
    BatchLoader,
    Data,
    DenoisingData,
    Framing,
    MaskedData,
    PackedData,
    PrefixData,
    SpanCorruptionData,
    document_pieces,
    row_pieces,
    window_pieces,
)
from transformer.data.noise import DenoisingOptions, MaskingOptions, SpanOptions
from transformer.data.packing import pack
from transformer.errors import ConfigError

LENGTHS = [1, 2, 3, 40, 9, 12, 5, 1, 30, 16, 17, 8, 8, 8, 21]
DOCUMENTS = [
    np.random.default_rng(n).integers(3, 40, length).tolist() for n, length in enumerate(LENGTHS)
]
IDS = np.array([END, *(token for d in DOCUMENTS for token in [*d, END])], dtype=np.uint16)
LIMIT = 16
FRAMING = Framing(start=BEGIN, source_before=(BEGIN,), source_after=(END,), target_after=(END,))
PIECES = document_pieces(IDS, LIMIT, end_id=END)
BUDGET = {"max_tokens": 60}
MAKERS: dict[str, Callable[..., Data]] = {
    "masked": lambda seed=1: MaskedData(
        window_pieces(IDS, LIMIT),
        vocabulary=vocabulary(),
        options=MaskingOptions(),
        before=[BEGIN],
        after=[END],
        seed=seed,
        **BUDGET,
    ),
    "spans": lambda seed=1: SpanCorruptionData(
        PIECES,
        vocabulary=vocabulary(),
        options=SpanOptions(density=0.3),
        framing=FRAMING,
        seed=seed,
        **BUDGET,
    ),
    "denoising": lambda seed=1: DenoisingData(
        PIECES,
        vocabulary=vocabulary(),
        options=DenoisingOptions(),
        framing=FRAMING,
        seed=seed,
        **BUDGET,
    ),
    "prefix": lambda seed=1: PrefixData(PIECES, framing=FRAMING, seed=seed, **BUDGET),
    "packed": lambda seed=1: PackedData(IDS, end_id=END, context=24, seed=seed, **BUDGET),
}
PAIRS = ["spans", "denoising", "prefix"]
NOISY = ["masked", *PAIRS]


def contents(batch: Batch) -> list[object]:
    """All that is in a batch, to be compared."""
    tensors: list[torch.Tensor] = [batch.targets]
    batch.inputs.map(lambda tensor: tensors.append(tensor) or tensor)
    return [*(tensor.tolist() for tensor in tensors), batch.rows.tolist(), batch.num_targets]


def texts_of(batch: Batch) -> list[tuple[int, list[int], list[int]]]:
    """The start of each row's piece, and what is read and written without frames and padding."""
    source = batch.inputs.source
    assert source is not None
    positions = source.positions_BT
    rows = []
    for row, start in enumerate(batch.rows.tolist()):
        read = source.ids_BT[row]
        read = read if positions is None else read[positions[row] >= 0]
        written = batch.targets[row]
        written = written[written != IGNORE]
        assert (read[0], read[-1], written[-1]) == (BEGIN, END, END)
        shifted = [BEGIN, *written[:-1].tolist()]
        assert batch.inputs.ids_BT[row, : len(shifted)].tolist() == shifted
        rows.append((start, read[1:-1].tolist(), written[:-1].tolist()))
    return rows


def length_at(start: int) -> int:
    return int(PIECES.lengths[PIECES.starts.tolist().index(start)])


def text_at(start: int) -> list[int]:
    return IDS[start : start + length_at(start)].tolist()


@pytest.mark.parametrize("name", MAKERS)
def test_a_batch_depends_on_data_seed_and_number_alone(name: str) -> None:
    numbers = [0, 1, 2, 30, 1, 0]
    data = MAKERS[name]()
    first = [contents(data.batch(number)) for number in numbers]
    again = [contents(MAKERS[name]().batch(number)) for number in reversed(numbers)]
    assert first == again[::-1]
    assert [MAKERS[name](seed=2).batch(n).rows.tolist() for n in range(9)] != [
        data.batch(n).rows.tolist() for n in range(9)
    ]


@pytest.mark.parametrize("name", MAKERS)
def test_an_epoch_has_every_piece_once_in_an_order_of_its_own(name: str) -> None:
    data = MAKERS[name]()
    size = data.batches_per_epoch
    epochs = [[data.batch(e * size + n).rows.tolist() for n in range(size)] for e in range(3)]
    starts = [sorted(start for batch in epoch for start in batch) for epoch in epochs]
    assert epochs[0] != epochs[1] != epochs[2]
    if name == "masked":  # windows move
        assert len({tuple(np.diff(each)) for each in starts}) == 1
        assert len({each[0] for each in starts}) > 1
    else:
        assert starts[0] == starts[1] == starts[2]
        assert len(set(starts[0])) == len(starts[0])


@pytest.mark.parametrize("name", MAKERS)
def test_batches_keep_to_the_budget_and_count_their_targets(name: str) -> None:
    data = MAKERS[name]()
    for number in range(2 * data.batches_per_epoch):
        batch = data.batch(number)
        targets = batch.targets.flatten()
        assert batch.num_targets == data.num_targets(number) == (targets != IGNORE).sum() > 0
        if batch.predicted_N is None:
            assert (targets != IGNORE).all()
        else:
            assert batch.predicted_N.tolist() == (targets != IGNORE).nonzero().flatten().tolist()
        widest = max(len(targets), 0 if (s := batch.inputs.source) is None else s.ids_BT.numel())
        masks = len(batch.rows) if name == "denoising" else 0  # of empty spans
        assert widest <= 60 + 5 * masks
        assert str(int(batch.rows[0])) in data.describe(number)


@pytest.mark.parametrize("name", NOISY)
def test_noise_is_drawn_anew_in_every_epoch(name: str) -> None:
    """Text of windows moves as well, so only documents tell it apart."""
    data = MAKERS[name]()
    if name == "masked":
        data = MaskedData(
            PIECES, vocabulary=vocabulary(), options=MaskingOptions(), seed=1, **BUDGET
        )
    size = data.batches_per_epoch
    seen: dict[int, set[str]] = {}
    for number in range(8 * size):
        batch = data.batch(number)
        inputs = batch.inputs.source or batch.inputs
        for start, ids, targets in zip(
            batch.rows.tolist(), inputs.ids_BT.tolist(), batch.targets.tolist(), strict=True
        ):
            if length_at(start) == LIMIT:
                seen.setdefault(start, set()).add(f"{ids[:LIMIT]} {targets[:LIMIT]}")
    assert seen
    assert all(len(different) >= 5 for different in seen.values())


def test_each_piece_has_noise_of_its_own() -> None:
    row = list(range(4, 20))
    ids = np.array([END, *[*row, END] * 20], dtype=np.uint16)
    data = MaskedData(
        document_pieces(ids, LIMIT, end_id=END),
        vocabulary=vocabulary(),
        options=MaskingOptions(),
        seed=1,
        max_tokens=1000,
    )
    for batch in (data.batch(0), *data.in_order()):
        assert len({tuple(targets) for targets in batch.targets.tolist()}) > 10


@pytest.mark.parametrize("name", MAKERS)
def test_validation_is_the_same_whatever_the_seed(name: str) -> None:
    data = MAKERS[name]()
    first = [contents(batch) for batch in data.in_order()]
    data.batch(5)
    assert [contents(batch) for batch in data.in_order()] == first
    assert [contents(batch) for batch in MAKERS[name](seed=9).in_order()] == first


def test_masked_text_is_framed_and_only_chosen_tokens_are_targets() -> None:
    data = MAKERS["masked"]()
    seen = []
    for batch in data.in_order():
        for start, ids, targets in zip(
            batch.rows.tolist(), batch.inputs.ids_BT, batch.targets, strict=True
        ):
            length = min(LIMIT, len(IDS) - start)
            text = torch.from_numpy(IDS[start : start + length].astype(np.int64))
            assert ids[0] == BEGIN
            assert ids[length + 1] == END
            chosen = targets != IGNORE
            assert not chosen[0]
            assert not chosen[length + 1 :].any()
            assert torch.equal(torch.where(chosen, targets, ids)[1 : length + 1], text)
            seen.extend(range(start, start + length))
    assert sorted(seen) == list(range(len(IDS)))


@pytest.mark.parametrize("name", PAIRS)
def test_all_text_is_there_to_validate_on(name: str) -> None:
    starts = [row for batch in MAKERS[name]().in_order() for row in batch.rows.tolist()]
    tokens = [token for start in sorted(starts) for token in text_at(start)]
    assert tokens == [token for document in DOCUMENTS for token in document]


def test_corrupted_spans_are_in_the_target() -> None:
    data = MAKERS["spans"]()
    for number in range(data.batches_per_epoch):
        for start, read, written in texts_of(data.batch(number)):
            text = restored(np.array(read), np.array(written), list(SENTINELS))
            assert text == text_at(start)
            assert written[-1] in SENTINELS


def test_spans_of_a_window_join_its_documents() -> None:
    data = SpanCorruptionData(
        window_pieces(IDS, LIMIT),
        vocabulary=vocabulary(),
        options=SpanOptions(),
        framing=FRAMING,
        seed=1,
        **BUDGET,
    )
    for batch in data.in_order():
        for start, read, written in texts_of(batch):
            text = restored(np.array(read), np.array(written), list(SENTINELS))
            assert text == [t for t in IDS[start : start + LIMIT].tolist() if t != END]


def test_denoising_writes_the_text_itself() -> None:
    data = MAKERS["denoising"]()
    for number in range(data.batches_per_epoch):
        for start, read, written in texts_of(data.batch(number)):
            assert written == text_at(start)
            assert MASK in read
            assert set(read) <= {MASK, *written}


def test_a_prefix_and_the_rest_are_the_text() -> None:
    data = MAKERS["prefix"]()
    for number in range(data.batches_per_epoch):
        for start, read, written in texts_of(data.batch(number)):
            assert read + written == text_at(start)
            assert written
            assert read or len(written) == 1


def test_rows_of_a_store_are_pieces(tmp_path: Path) -> None:
    pieces = row_pieces(store(tmp_path, [[5, 6, 7, 8, 9], [], [4], [3] * 4], 50), 4)
    texts = [pieces.read(number).tolist() for number in range(len(pieces))]
    assert texts == [[5, 6], [7, 8, 9], [4], [3, 3, 3, 3]]
    with pytest.raises(ConfigError, match="no tokens"):
        row_pieces(store(tmp_path / "empty", [[]], 50), 4)
    with pytest.raises(ConfigError, match="no tokens"):
        window_pieces(np.array([], dtype=np.uint16), 4)


def test_short_streams_are_one_window() -> None:
    pieces = window_pieces(IDS[:3], 16)
    assert (len(pieces), pieces.max_shift) == (1, 0)
    assert pieces.read(0).tolist() == IDS[:3].tolist()


def test_packed_windows_by_hand() -> None:
    ids = np.array([END, 4, 5, END, 6, END, END, 7, 8, 9, END], dtype=np.uint16)
    data = PackedData(ids, end_id=END, context=5, max_tokens=99, seed=1)
    (batch,) = data.in_order()
    assert batch.inputs.ids_BT.tolist() == [[END, 7, 8, 9, 0], [END, 4, 5, END, 6]]
    assert batch.targets.tolist() == [[7, 8, 9, END, IGNORE], [4, 5, END, 6, END]]
    assert batch.inputs.positions_BT.tolist() == [[0, 1, 2, 3, -1], [0, 1, 2, 0, 1]]
    assert batch.inputs.segments_BT.tolist() == [[0, 0, 0, 0, -1], [0, 0, 0, 1, 1]]
    assert batch.num_targets == 9


def test_packed_documents_may_begin_with_a_token_of_their_own() -> None:
    """As of a model that begins each text with one, where no end token stands before it."""
    ids = np.array([BEGIN, 4, 5, END, BEGIN, 6, END, BEGIN, 7], dtype=np.uint16)
    size = {"end_id": END, "context": 5, "max_tokens": 99, "seed": 1}
    (batch,) = PackedData(ids, has_begin=True, **size).in_order()
    assert batch.inputs.ids_BT.tolist() == [[BEGIN, 4, 5, BEGIN, 6], [BEGIN, 0, 0, 0, 0]]
    assert batch.targets.tolist() == [[4, 5, END, 6, END], [7, *[IGNORE] * 4]]
    assert batch.inputs.segments_BT.tolist() == [[0, 0, 0, 1, 1], [0, -1, -1, -1, -1]]


def test_a_packed_document_longer_than_a_window_is_cut() -> None:
    ids = np.array([END, 4, 5, 6, 7, 8, END], dtype=np.uint16)
    (batch,) = PackedData(ids, end_id=END, context=4, max_tokens=99, seed=1).in_order()
    assert batch.inputs.ids_BT.tolist() == [[END, 4, 5], [6, 7, 8]]
    assert batch.targets.tolist() == [[4, 5, 6], [7, 8, END]]


@pytest.mark.parametrize("stream", [IDS, IDS[1:], IDS[:-1], IDS[5:-5]])
def test_every_token_of_packed_text_but_the_first_is_predicted_once(stream: np.ndarray) -> None:
    data = PackedData(stream, end_id=END, context=24, seed=1, **BUDGET)
    predicted = torch.cat([batch.targets.flatten() for batch in data.in_order()])
    counts = np.bincount(predicted[predicted != IGNORE].numpy(), minlength=50)
    assert counts.tolist() == np.bincount(stream[1:], minlength=50).tolist()


def test_the_loss_of_packed_documents_is_that_of_each_alone() -> None:
    model = tiny_model(vocab_size=50, shape="decoder", positions="learned", max_positions=64)
    model.eval()
    context = max(LENGTHS) + 1
    data = PackedData(IDS, end_id=END, context=context, max_tokens=10**6, seed=1)
    (packed,) = data.in_order()
    alone = [
        PackedData(np.array([END, *d, END]), end_id=END, context=context, max_tokens=1, seed=1)
        for d in DOCUMENTS
    ]
    losses = [batch_loss(model, batch)[1] for each in alone for batch in each.in_order()]
    torch.testing.assert_close(batch_loss(model, packed)[1], torch.stack(losses).sum())
    assert packed.num_targets == sum(LENGTHS) + len(LENGTHS)


def test_packing_leaves_little_room() -> None:
    lengths = np.random.default_rng(1).integers(1, 100, 2000)
    windows = pack(lengths, 128)
    assert sorted(text for window in windows for text in window) == list(range(2000))
    assert max(lengths[window].sum() for window in windows) <= 128
    assert lengths.sum() / (128 * len(windows)) > 0.97


@pytest.mark.parametrize("name", MAKERS)
def test_a_loader_counts_all_targets_of_a_step(name: str) -> None:
    data = MAKERS[name]()
    loader = BatchLoader(data, accumulate=10, device=torch.device("cpu"))
    for step in range(2):
        tokens, batches = loader.step(step)
        made = list(batches)
        assert tokens == sum(batch.num_targets for batch in made)
        assert contents(made[3]) == contents(data.batch(10 * step + 3))


def test_what_cannot_be_is_told_before_training() -> None:
    with pytest.raises(ConfigError, match=r"texts of 16 tokens have 3 sentinels; .* has 2"):
        SpanCorruptionData(
            PIECES,
            vocabulary=vocabulary(sentinel_ids=[48, 49]),
            options=SpanOptions(density=0.3),
            framing=FRAMING,
            seed=1,
            **BUDGET,
        )
    with pytest.raises(ConfigError, match="no mask token"):
        MaskedData(
            PIECES,
            vocabulary=vocabulary(mask_id=None),
            options=MaskingOptions(),
            seed=1,
            **BUDGET,
        )


def test_noisy_sources_keep_the_order_of_what_they_keep() -> None:
    data = DenoisingData(
        PIECES,
        vocabulary=vocabulary(),
        options=DenoisingOptions(noises=("text_infilling",)),
        framing=FRAMING,
        seed=1,
        **BUDGET,
    )
    for batch in data.in_order():
        for _, read, written in texts_of(batch):
            assert is_subsequence([token for token in read if token != MASK], written)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("masked", "encoder"), *((name, "encoder-decoder") for name in PAIRS), ("packed", "decoder")],
)
def test_a_fitting_network_learns_a_batch_by_heart(name: str, shape: str) -> None:
    head = "masked" if shape == "encoder" else "linear"
    torch.manual_seed(1)
    model = tiny_model(shape, vocab_size=50, positions="learned", max_positions=64, head=head)
    batch = MAKERS[name]().batch(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(80):
        optimizer.zero_grad()
        loss, _ = batch_loss(model, batch)
        loss.backward()
        optimizer.step()
    assert loss.item() / batch.num_targets < 0.1
