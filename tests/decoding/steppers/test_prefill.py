"""Prompts that are read in chunks, and a prefix that is read once, beside one pass for each."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor

from tests.decoding.tables import build
from tests.models import VOCABULARY, tiny_model
from tests.transformer.test_every_variant import LINEAR, SLIDING, WITH_DECODER, name
from transformer.decoding import ModelStepper, Request, decode_all
from transformer.decoding.steppers import prefill, prefixes
from transformer.kernels import LINEAR_KERNELS, pack_model, packing, rounds_inputs
from transformer.layer_spec import RotaryScaling
from transformer.model import DecoderCache, Transformer

CHUNK = 4
COMMON = 6
DECODERS = [variant for variant in WITH_DECODER if variant["shape"] == "decoder"]


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def ids(count: int, seed: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(4, VOCABULARY, (count,), generator=generator).tolist()


def request(read: int, seed: int, *, common: int = 0, source: bool = False) -> Request:
    """A prompt of which `read` tokens are read; the first `common` are those of all such."""
    prompt = [*ids(common, 99), *ids(read + 1 - common, seed)]
    texts = {"prompt": prompt, "source": ids(5 + seed, seed) if source else ()}
    return Request(**texts, max_new_tokens=6)


def admit_in_turn(stepper: ModelStepper, batches: Sequence[Sequence[Request]]) -> list[Tensor]:
    """The logits of two steps after each batch; then of one of all rows the other way round."""
    found, rows = [], 0
    for batch in batches:
        stepper.admit(batch)
        rows += len(batch)
        found += [stepper.step(torch.arange(rows) % VOCABULARY) for _ in range(2)]
    stepper.reorder([*reversed(range(rows))])
    return [*found, stepper.step(torch.arange(rows) % VOCABULARY)]


def set_sizes(monkeypatch, *, chunk: int = 1000, min_shared: int = 1000) -> None:
    monkeypatch.setattr(prefill, "CHUNK", chunk)
    monkeypatch.setattr(prefixes, "MIN_SHARED", min_shared)


class CountedReads:
    """Forward passes of a model: their widths, the slots they see, tokens that are no padding."""

    def __init__(self, monkeypatch, model: Transformer) -> None:
        self.widths: list[int] = []
        self.slots: list[int] = []
        self.tokens = 0
        decode = model.decode

        def counted(
            ids_BT: Tensor, positions_BT: Tensor, cache: DecoderCache, slots: int
        ) -> Tensor:
            self.widths.append(ids_BT.size(1))
            self.slots.append(slots)
            self.tokens += int((positions_BT >= 0).sum())
            return decode(ids_BT, positions_BT, cache, slots)

        monkeypatch.setattr(model, "decode", counted)

    def take_tokens(self) -> int:
        tokens, self.tokens = self.tokens, 0
        return tokens


@pytest.mark.parametrize("variant", WITH_DECODER, ids=name)
def test_chunks_give_what_one_pass_gives(monkeypatch, variant) -> None:
    """Texts end in a chunk, with it, and a token behind it."""
    model = tiny_model(**variant)
    source = model.config.has_encoder
    lengths = ([0, 3, 4, 5, 9], [8, 7], [13, 1])
    batches = [[request(n, n, source=source) for n in batch] for batch in lengths]
    set_sizes(monkeypatch)
    whole = admit_in_turn(ModelStepper(model), batches)
    set_sizes(monkeypatch, chunk=CHUNK)
    in_chunks = admit_in_turn(ModelStepper(model), batches)
    torch.testing.assert_close(in_chunks, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [CHUNK, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("variant", DECODERS, ids=name)
def test_a_shared_prefix_gives_what_one_pass_gives(monkeypatch, variant, chunk) -> None:
    """In all batches some have it; one is it, one lacks it, one has more than a limit."""
    model = tiny_model(**variant)
    batches = [
        [request(8, 1, common=COMMON), request(5, 2), request(7, 3, common=COMMON)],
        [request(5, 4)],
        [request(12, 5, common=COMMON)],
        [request(9, 6), request(COMMON, 7, common=COMMON), request(7, 8, common=COMMON)],
    ]
    set_sizes(monkeypatch)
    whole = admit_in_turn(ModelStepper(model), batches)
    set_sizes(monkeypatch, chunk=chunk, min_shared=COMMON - 1)
    shared = admit_in_turn(ModelStepper(model), batches)
    torch.testing.assert_close(shared, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("search", ["greedy", "beam", "sample", "contrastive"])
def test_searches_write_the_same_texts(monkeypatch, search) -> None:
    model = tiny_model(positions="rotary")
    tasks = [request(7 + seed % 3, seed, common=COMMON * (seed % 4 > 0)) for seed in range(8)]
    found = []
    for sizes in ({}, {"chunk": CHUNK, "min_shared": 4}):
        set_sizes(monkeypatch, **sizes)
        own = {"beam": 3} if search == "beam" else {}
        searching = build(search, end_ids=frozenset({2}), **own)
        stepper = ModelStepper(model, keep_hidden_states=searching.reads_hidden_states)
        texts = [decode_all(stepper, searching, tasks[at : at + 4]) for at in (0, 4)]
        found.append([[best.ids for best in each] for batch in texts for each in batch])
    assert found[0] == found[1]


def test_hidden_states_are_those_of_whole_prompts(monkeypatch) -> None:
    model, states = tiny_model(), []
    for sizes in ({}, {"chunk": CHUNK, "min_shared": 4}):
        set_sizes(monkeypatch, **sizes)
        stepper = ModelStepper(model, keep_hidden_states=True)
        stepper.admit([request(8, 1, common=COMMON), request(7, 2), request(7, 3, common=COMMON)])
        hidden_RTD, lengths_R = stepper.hidden_states()
        assert lengths_R.tolist() == [8, 7, 7]
        states += [[hidden_RTD[row, :length] for row, length in enumerate(lengths_R)]]
    torch.testing.assert_close(states[0], states[1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("variant", [{}, SLIDING[0], LINEAR[0]], ids=name)
def test_no_pass_is_longer_than_a_chunk(monkeypatch, variant) -> None:
    model = tiny_model(max_positions=2 * prefill.CHUNK, **variant)
    reads = CountedReads(monkeypatch, model)
    ModelStepper(model).admit([request(prefill.CHUNK + 40, 1), request(3, 2)])
    assert reads.widths == [prefill.CHUNK, 40]
    assert reads.tokens == prefill.CHUNK + 43


def test_texts_whose_length_changes_their_early_keys_are_read_at_once(monkeypatch) -> None:
    scaling = RotaryScaling(
        kind="longrope",
        factor=2.0,
        original_context=8,
        short_factors=(1.5, 3.0),
        long_factors=(9.0, 9.0),
    )
    model = tiny_model(positions="rotary", rotary_scaling=scaling)
    batches = [
        [request(9, 1, common=COMMON), request(8, 2, common=COMMON), request(7, 3, common=COMMON)],
        [request(7, 4, common=COMMON), request(10, 5, common=COMMON)],
    ]
    set_sizes(monkeypatch)
    whole = admit_in_turn(ModelStepper(model), batches)
    set_sizes(monkeypatch, chunk=CHUNK, min_shared=4)
    torch.testing.assert_close(
        admit_in_turn(ModelStepper(model), batches), whole, atol=1e-5, rtol=0
    )
    reads = CountedReads(monkeypatch, model)
    ModelStepper(model).admit(batches[0])
    assert reads.widths == [CHUNK, COMMON - CHUNK, 9, 2]


def test_a_prefix_is_read_once_over_several_admissions(monkeypatch) -> None:
    model = tiny_model(max_positions=128)
    reads = CountedReads(monkeypatch, model)
    stepper = ModelStepper(model)
    stepper.admit([request(44, seed, common=40) for seed in range(5)])
    assert reads.take_tokens() == 40 + 5 * 4
    stepper.step(torch.arange(5))
    stepper.reorder([3, 3])
    reads.take_tokens()
    stepper.admit([request(44, seed, common=40) for seed in range(5, 8)])
    assert reads.take_tokens() == 3 * 4
    stepper.reorder([])
    stepper.admit([request(45, 9, common=40), request(50, 10), request(40, 11, common=40)])
    assert reads.take_tokens() == 5 + 50
    stepper.admit([request(50, 12)])
    stepper.admit([request(45, 13, common=40)])
    assert reads.take_tokens() == 50 + 5


def test_chunks_end_at_the_same_places_behind_a_prefix(monkeypatch) -> None:
    set_sizes(monkeypatch, chunk=CHUNK, min_shared=4)
    model = tiny_model()
    reads = CountedReads(monkeypatch, model)
    ModelStepper(model).admit([request(13, 1, common=COMMON), request(10, 2, common=COMMON)])
    assert reads.widths == [4, 2, 2, 4, 1]


def test_requests_that_come_one_by_one_share_from_the_third_on(monkeypatch) -> None:
    """The first is only remembered; with the second it is seen what they have in common."""
    model = tiny_model(max_positions=128)
    reads, stepper = CountedReads(monkeypatch, model), ModelStepper(model)
    read = []
    for seed in range(4):
        stepper.admit([request(44, seed, common=40)])
        read.append(reads.take_tokens())
    assert read == [44, 44, 4, 4]


def test_a_prefix_that_is_longer_by_chance_becomes_shorter(monkeypatch) -> None:
    model = tiny_model(max_positions=128)
    reads, stepper = CountedReads(monkeypatch, model), ModelStepper(model)
    alike = ids(43, 99)
    stepper.admit([Request(prompt=[*alike, 5, last], max_new_tokens=5) for last in (6, 7)])
    assert reads.take_tokens() == 44
    later = [Request(prompt=[*alike[:40], last, 8, 9], max_new_tokens=5) for last in (21, 22)]
    stepper.admit(later)
    assert reads.take_tokens() == 40 + 2 * 2
    stepper.admit(later)
    assert reads.take_tokens() == 2 * 2


def test_an_encoder_decoder_reads_each_prompt(monkeypatch) -> None:
    model = tiny_model("encoder-decoder", max_positions=128)
    reads, stepper = CountedReads(monkeypatch, model), ModelStepper(model)
    stepper.admit([request(44, seed, common=40, source=True) for seed in range(3)])
    assert reads.tokens == 3 * 44


def int8_model(monkeypatch, **variant: object) -> Transformer:
    monkeypatch.setattr(packing, "SMALL", 0)
    fields = {"d_model": 64, "d_ff": 96, "max_positions": 1024, "positions": "rotary"}
    model = tiny_model(**{**fields, **variant})
    pack_model(model.requires_grad_(False), LINEAR_KERNELS["int8"])
    assert rounds_inputs(model)
    return model


def test_a_pass_of_int8_sees_whole_chunks_and_reads_whole_blocks(monkeypatch) -> None:
    """So that sums are over as many keys, whatever the longest prompt."""
    model = int8_model(monkeypatch)
    reads = CountedReads(monkeypatch, model)
    ModelStepper(model).admit([request(130, 1), request(64, 2)])
    assert reads.widths == [64, 64, 16]
    assert reads.slots == [64, 128, 192]
    ModelStepper(model).admit([request(1, 1), request(0, 2)])
    assert (reads.widths[3:], reads.slots[3:]) == ([1], [1])


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"attention": "sliding", "window": 128},
        {"attention": "linear"},
    ],
    ids=name,
)
def test_bits_of_int8_do_not_depend_on_neighbours_of_any_length(monkeypatch, variant) -> None:
    """Nor on what they share, nor on what was read before."""
    model = int8_model(monkeypatch, **variant)

    def steps(*batches: list[int]) -> list[Tensor]:
        stepper = ModelStepper(model)
        for batch in batches:
            stepper.admit([request(n, n, common=100 if n > 100 else 0) for n in batch])
        rows = sum(map(len, batches))
        return [stepper.step(torch.full((rows,), 5 + step)) for step in range(3)]

    for alone in (129, 200, 300):
        wanted = steps([alone])
        for batches in ([[alone, 700]], [[alone, 20], [150]], [[700, 140], [alone]]):
            row = [n for batch in batches for n in batch].index(alone)
            pairs = zip(steps(*batches), wanted, strict=True)
            assert all(torch.equal(one[row], other[0]) for one, other in pairs)
