"""Caches one by one: what they keep, where rows go, which rows share a source."""

import random

import pytest
import torch
from torch import Tensor

from tests.models import tiny_config
from transformer import buffers as slots
from transformer.buffers import Buffers
from transformer.cache import CacheSize, RingCache, StaticCache
from transformer.cross_cache import CrossAttentionCache
from transformer.masks import additive, padding

LAYER = 1  # of two
CPU = (torch.device("cpu"), torch.float32)


@pytest.fixture(autouse=True)
def _single_keys(monkeypatch) -> None:
    """Keys in blocks of one, so that texts and places can be written down."""
    monkeypatch.setattr(slots, "_BLOCK", 1)


def keys(values: list[list[float]]) -> Tensor:
    """Rows of keys (B, T, G, K) that say what they are."""
    return torch.tensor(values)[:, :, None, None].repeat(1, 1, 4, 4)


def shown(cache_keys: Tensor) -> list[list[float]]:
    return cache_keys[:, :, 0, 0].tolist()


def static(rows: list[list[float]], size: int = 6) -> StaticCache:
    cache = StaticCache(tiny_config(), CacheSize(2, len(rows), size, *CPU))
    length = len(rows[0])
    cache.start_forward(torch.arange(length).expand(len(rows), length), length)
    cache.update(LAYER, keys(rows), keys(rows))
    return cache


def one_more(cache: StaticCache, values: list[float], position: int) -> list[list[float]]:
    """Add a token to each row; all that is then seen."""
    places = cache.start_forward(torch.full((len(values), 1), position), position + 1)
    assert places.tolist() == [list(range(position + 1))]
    found, _ = cache.update(LAYER, keys([[v] for v in values]), keys([[v] for v in values]))
    return shown(found)


@pytest.mark.parametrize(
    "rows", [[0, 1, 2], [2, 1, 0], [1, 1, 1], [2], [0, 0, 1, 1, 2, 2], [2, 0, 1]]
)
def test_rows_take_all_that_they_have_with_them(rows: list[int]) -> None:
    texts = [[10.0, 11.0], [20.0, 21.0], [30.0, 31.0]]
    cache = static(texts)
    cache.reorder(rows)
    found = one_more(cache, [float(n) for n in range(len(rows))], 2)
    assert found == [[*texts[row], float(n)] for n, row in enumerate(rows)]


def test_any_rows_move_at_once() -> None:
    """Cycles, copies of copies and rows that stay, on a CPU one by one."""
    generator = random.Random(1)
    for _ in range(300):
        count = generator.randint(1, 9)
        texts = [[float(n), n + 0.5] for n in range(count)]
        rows = [generator.randrange(count) for _ in range(generator.randint(1, 12))]
        cache = static(texts)
        cache.reorder(rows)
        found = one_more(cache, [0.0] * len(rows), 2)
        assert [text[:2] for text in found] == [texts[row] for row in rows]


def test_what_joins_stands_after_what_is_there() -> None:
    cache = static([[10.0, 11.0], [20.0, 21.0]], size=3)
    cache.append_rows(static([[30.0, 31.0, 32.0, 33.0]], size=5))
    places = cache.start_forward(torch.tensor([[2], [2], [4]]), 5)
    assert places.tolist() == [[0, 1, 2, 3, 4]]
    found, _ = cache.update(LAYER, keys([[12.0], [22.0], [34.0]]), keys([[1.0]] * 3))
    assert shown(found)[0][:3] == [10.0, 11.0, 12.0]
    assert shown(found)[1][:3] == [20.0, 21.0, 22.0]
    assert shown(found)[2] == [30.0, 31.0, 32.0, 33.0, 34.0]


def test_a_position_beyond_the_cache_is_refused() -> None:
    with pytest.raises(ValueError, match="position 7 in a cache of 6 slots"):
        static([[1.0]]).start_forward(torch.tensor([[6]]), 7)


def test_keys_are_seen_in_whole_blocks(monkeypatch) -> None:
    """All that a batch is longer by than a text changes no bit of the text's sums."""
    monkeypatch.setattr(slots, "_BLOCK", 4)
    cache = static([[1.0, 2.0]], size=5)
    places = cache.start_forward(torch.tensor([[2]]), 3)
    assert places.tolist() == [[0, 1, 2, 3]]
    found, _ = cache.update(LAYER, keys([[3.0]]), keys([[3.0]]))
    assert shown(found) == [[1.0, 2.0, 3.0, 0.0]]
    assert cache.start_forward(torch.tensor([[4]]), 5).shape == (1, 8)
    with pytest.raises(ValueError, match="position 6 in a cache of 5 slots"):
        cache.start_forward(torch.tensor([[5]]), 6)
    sources = memory(ONE, [1.0] * 6)
    sources.reorder([0], 1)
    assert sources.mask_B11S.size(-1) == 4


def test_padding_is_kept_nowhere() -> None:
    cache = StaticCache(tiny_config(), CacheSize(2, 2, 4, *CPU))
    cache.start_forward(torch.tensor([[0, 1], [0, -1]]), 2)
    found, _ = cache.update(LAYER, keys([[1.0, 2.0], [3.0, 9.0]]), keys([[0.0, 0.0]] * 2))
    assert shown(found) == [[1.0, 2.0], [3.0, 0.0]]


def test_a_ring_keeps_its_window_and_the_global_tokens() -> None:
    config = tiny_config(attention="sliding", window=3, global_tokens=1)
    cache = RingCache(config, CacheSize(2, 1, 20, *CPU))
    for position in range(9):
        places = cache.start_forward(torch.tensor([[position]]), position + 1)
        found, _ = cache.update(LAYER, keys([[float(position)]]), keys([[0.0]]))
        there = {p: v for p, v in zip(places[0].tolist(), shown(found)[0], strict=True) if p >= 0}
        kept = {0, *range(max(0, position - 2), position + 1)}
        assert there == {p: float(p) for p in kept}


def test_a_rings_rows_may_stand_at_other_places_and_change_theirs() -> None:
    config = tiny_config(attention="sliding", window=2)
    cache = RingCache(config, CacheSize(2, 2, 20, *CPU))
    cache.start_forward(torch.tensor([[0, 1, 2, 3], [0, 1, -1, -1]]), 4)
    cache.update(LAYER, keys([[0.0, 1.0, 2.0, 3.0], [10.0, 11.0, 9.0, 9.0]]), keys([[0.0] * 4] * 2))
    cache.reorder([1, 0])
    places = cache.start_forward(torch.tensor([[2], [4]]), 5)
    found, _ = cache.update(LAYER, keys([[12.0], [4.0]]), keys([[0.0]] * 2))
    seen = [
        dict(zip(row, values, strict=True))
        for row, values in zip(places.tolist(), shown(found), strict=True)
    ]
    assert seen == [{1: 11.0, 2: 12.0}, {3: 3.0, 4: 4.0}]


def test_a_prompt_longer_than_its_ring_leaves_its_end_there() -> None:
    config = tiny_config(attention="sliding", window=2)
    cache = RingCache(config, CacheSize(2, 1, 20, *CPU))
    cache.start_forward(torch.arange(5)[None], 5)
    seen, _ = cache.update(LAYER, keys([[0.0, 1.0, 2.0, 3.0, 4.0]]), keys([[0.0] * 5]))
    assert shown(seen)[0][-5:] == [0.0, 1.0, 2.0, 3.0, 4.0]  # beside the empty ring
    places = cache.start_forward(torch.tensor([[5]]), 6)
    found, _ = cache.update(LAYER, keys([[5.0]]), keys([[0.0]]))
    assert dict(zip(places[0].tolist(), shown(found)[0], strict=True)) == {4: 4.0, 5: 5.0}


@pytest.mark.parametrize("length", [1, 3, 5, 9])
def test_no_two_tokens_go_to_one_slot_of_a_ring(length: int) -> None:
    """Which of them a GPU would write last is not defined."""
    config = tiny_config(attention="sliding", window=3, global_tokens=1)
    slots = (
        RingCache(config, CacheSize(2, 1, 20, *CPU))._slots(torch.arange(length)[None])[0].tolist()
    )
    kept = [slot for slot in slots if slot < 4]
    assert len(set(kept)) == len(kept) == min(length, 4)


def test_rings_of_texts_shorter_than_their_window_join() -> None:
    """Each position stands in the slot of its number, in whichever ring, so it is overwritten when
    it leaves the window and not before."""
    config = tiny_config(attention="sliding", window=6, global_tokens=1)
    short, long = (RingCache(config, CacheSize(2, 1, size, *CPU)) for size in (3, 12))
    for cache, values in ((short, [0.0, 1.0, 2.0]), (long, [10.0, 11.0, 12.0, 13.0])):
        cache.start_forward(torch.arange(len(values))[None], len(values))
        cache.update(LAYER, keys([values]), keys([values]))
    short.append_rows(long)
    for step in range(7):
        last = (3 + step, 4 + step)
        places = short.start_forward(torch.tensor([[last[0]], [last[1]]]), last[1] + 1)
        new = [[float(last[0])], [10.0 + last[1]]]
        found, _ = short.update(LAYER, keys(new), keys(new))
        seen = [
            {p: k for p, k in zip(*pair, strict=True) if p >= 0}
            for pair in zip(places.tolist(), shown(found), strict=True)
        ]
        for row, (base, end) in enumerate(zip((0.0, 10.0), last, strict=True)):
            kept = {0, *range(max(0, end - 5), end + 1)}
            assert {p: seen[row][p] for p in kept} == {p: base + p for p in kept}


def memory(*texts: list[float]) -> CrossAttentionCache:
    """A source of each, as one layer's keys and values."""
    longest = max(map(len, texts))
    rows = keys([[*text, *[0.0] * (longest - len(text))] for text in texts])
    lengths = [len(text) for text in texts]
    positions_BS = torch.tensor([[*range(n), *[-1] * (longest - n)] for n in lengths])
    return CrossAttentionCache([(rows, rows)], lengths, additive(padding(positions_BS)))


def read_by_rows(found: CrossAttentionCache) -> list[list[float]]:
    """The source that each row reads, its padding left out."""
    entries = shown(found.layers[0][0])
    masks = found.mask_B11S[:, 0, 0].isfinite().tolist()
    texts = [
        [k for k, m in zip(*pair, strict=True) if m] for pair in zip(entries, masks, strict=True)
    ]
    assert [len(text) for text in texts] == found.lengths
    return [text for text in texts for _ in range(found.rows_per_entry)]


ONE, TWO, THREE = [1.0], [2.0, 2.5], [3.0, 3.5, 3.75]


@pytest.mark.parametrize(
    ("steps", "rows", "entries"),
    [
        ([([0, 0, 1, 1, 2, 2], 2)], [ONE, ONE, TWO, TWO, THREE, THREE], 3),
        ([([0, 0, 1, 1, 2, 2], 2), ([5, 4, 0, 1], 2)], [THREE, THREE, ONE, ONE], 2),
        ([([0, 0, 1, 1], 2), ([2, 2, 3, 3], 4)], [TWO] * 4, 1),
        ([([0, 0, 0, 1, 1, 1], 3), ([0, 4, 5], 1)], [ONE, TWO, TWO], 3),
        ([([0, 0, 1, 1], 2), ([0, 2, 3], 1), ([2, 1], 2)], [TWO, TWO], 1),
        ([([2, 0, 1], 1)], [THREE, ONE, TWO], 3),
        ([([0, 1], 1)], [ONE, TWO], 2),
    ],
)
def test_rows_about_one_source_share_it(steps, rows, entries) -> None:
    found = memory(ONE, TWO, THREE)
    for order, copies in steps:
        found.reorder(order, copies)
    assert read_by_rows(found) == rows
    assert len(found.lengths) == entries
    assert found.mask_B11S.size(-1) == max(map(len, rows))  # no wider than the longest that stays


@pytest.mark.parametrize(("mine", "theirs"), [(1, 1), (2, 2), (2, 1), (1, 3)])
def test_sources_that_join_are_read_by_their_own_rows(mine: int, theirs: int) -> None:
    first, second = memory(ONE, TWO), memory(THREE)
    first.reorder([row for row in (0, 1) for _ in range(mine)], mine)
    second.reorder([0] * theirs, theirs)
    first.append_rows(second)
    assert read_by_rows(first) == [*[ONE] * mine, *[TWO] * mine, *[THREE] * theirs]


def garbage(*shape: int) -> torch.Tensor:
    return torch.full(shape, float("nan"))


def test_buffers_grow_without_losing_a_slot() -> None:
    buffers = Buffers(garbage(1, 1, 1, 4, 1))
    assert buffers.read(3)[0].flatten().tolist() == [0.0] * 3
    places_N = buffers.places(torch.arange(3)[None])
    buffers.write(0, places_N, torch.tensor([[[[1.0]], [[2.0]], [[3.0]]]]))
    buffers.reorder([0, 0, 0])
    assert buffers.read(3)[0].flatten(1).tolist() == [[1.0, 2.0, 3.0]] * 3
    longer = Buffers(garbage(1, 1, 1, 7, 1))
    longer.read(6)[0][:] = 5.0
    buffers.append_rows(longer)
    assert buffers.slots == 6
    first_three = [[1.0, 2.0, 3.0, 0.0, 0.0, 0.0]] * 3
    assert buffers.read(6)[0].flatten(1).tolist() == [*first_three, [5.0] * 6]


@pytest.mark.parametrize("rows", [[1, 0], [1, 1], [0, 0, 1], [2, 1, 0], [1, 2, 0, 0]])
def test_slots_in_use_follow_their_rows_and_those_behind_them_need_not(rows: list[int]) -> None:
    lengths = [2, 4, 3]
    buffers = Buffers(garbage(2, 3, 2, 9, 3))
    wanted = [part.copy_(torch.randn(part.shape)).clone() for part in buffers.read(6)]
    buffers.reorder(rows, lengths)
    for part, old in zip(buffers.read(6), wanted, strict=True):
        for row, source in enumerate(rows):
            end = lengths[source]
            assert torch.equal(part[row, :, :end], old[source, :, :end])
            behind = old[source] if row >= 3 or row == source else old[row]
            assert torch.equal(part[row, :, end:], behind[:, end:])


def test_no_row_shows_what_was_in_memory_before() -> None:
    """Weights of hidden slots are 0, and 0 · NaN is NaN."""
    buffers = Buffers(garbage(2, 4, 2, 9, 3))
    buffers.read(4)
    buffers.reorder([0, 1])
    buffers.read(6)  # rows 2 and 3 are spare, and are not filled
    buffers.reorder([1, 0, 1], [1, 2])
    buffers.append_rows(Buffers(garbage(2, 3, 2, 5, 3)))  # of which nothing was read
    assert all(part.eq(0).all() for part in buffers.read(8))
    shorter = Buffers(garbage(2, 2, 2, 9, 3))
    shorter.read(2)
    longer = Buffers(garbage(2, 20, 2, 12, 3))
    longer.read(11)
    shorter.append_rows(longer)
    assert all(part.shape == (22, 2, 11, 3) and part.eq(0).all() for part in shorter.read(11))
