"""Searches on CUDA write the CPU's texts, and wait for the device as seldom as is known of them.

In float32 logits differ by 1e-5 between devices, and two tokens of the tiny models are hardly ever
that close, so texts are equal. In bfloat16 another token may win, so what is compared are scores of
the same texts.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.decoding.test_host_reads import CACHES, CUT, SEARCHED, network, tasks
from tests.gpu.comparing import moved, waits
from tests.models import SHAPES, tiny_model
from tests.pipelines.test_models import tiny_translator
from tests.virtual_device import virtual_device
from tokenizer import TrainingOptions, train_tokenizer
from transformer.decoding import SEARCHES, ModelStepper, Request, decode_all
from transformer.decoding.keyed_random import exponential
from transformer.decoding.search import GreedyParameters, Search
from transformer.decoding.search.drafters import DRAFTERS, DraftOptions
from transformer.decoding.search.speculative import SpeculativeSearch
from transformer.loading import LoadedModel, PoolingConfig, default_generation_config
from transformer.model import Transformer
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.embedding import embed_lines
from transformer.pipelines.records import IterableSource
from transformer.pipelines.scoring import ScoringRequest, score_batch
from transformer.pipelines.session import Session
from transformer.pooling import POOLINGS
from transformer.positions import POSITIONS

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")
END = frozenset({3})
WRITERS = ("decoder", "encoder-decoder")
DTYPES = [torch.float32, torch.bfloat16]

shapes = pytest.mark.parametrize("shape", WRITERS)
caches = pytest.mark.parametrize("cache", CACHES)


def searched(name: str, **parameters: object) -> Search:
    """The search whose name is the first word."""
    return SEARCHES[name.split(maxsplit=1)[0]](end_ids=END, **parameters).build()


def written(model: Transformer, name: str, some: list[Request], **parameters: object) -> list:
    search, some = searched(name, **parameters), [replace(request, seed=4) for request in some]
    stepper = ModelStepper(model, keep_hidden_states=search.reads_hidden_states)
    return decode_all(stepper, search, some)


def assert_alike(found: list, wanted: list) -> None:
    """The same texts in the same order, with near log-probabilities and scores."""
    for some, others in zip(found, wanted, strict=True):
        ours, plain = ([(h.ids, h.finish_reason) for h in h_s] for h_s in (some, others))
        assert ours == plain
        for one, other in zip(some, others, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-3)
            assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


@shapes
@caches
@pytest.mark.parametrize("name", SEARCHED)
@torch.inference_mode()
def test_every_search_writes_the_cpus_texts(shape, cache, name, device) -> None:
    model, some, options = network(shape, cache), tasks(shape), SEARCHED[name]
    wanted = written(moved(model, CPU), name, some, **options)
    assert_alike(written(moved(model, device), name, some, **options), wanted)


@shapes
@caches
@pytest.mark.parametrize("positions", POSITIONS)
@torch.inference_mode()
def test_every_kind_of_positions_writes_the_cpus_texts(shape, cache, positions, device) -> None:
    model, some = network(shape, cache, positions), tasks(shape)
    for name in ("greedy", "sample with all", "beam"):
        wanted = written(moved(model, CPU), name, some, **SEARCHED[name])
        assert_alike(written(moved(model, device), name, some, **SEARCHED[name]), wanted)


@shapes
@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("pick", ["greedy", "sample"])
@torch.inference_mode()
def test_speculative_search_writes_the_plain_texts(shape, drafter, pick, device) -> None:
    model, some = network(shape), tasks(shape, seed=4)
    processors = CUT if pick == "sample" else {}
    parameters = SEARCHES[pick](end_ids=END, processors=processors)
    there = moved(model, device)
    made_of = DraftOptions(
        parameters=parameters, stepper=ModelStepper(there), shares_source_vocabulary=True
    )
    search = SpeculativeSearch(parameters, DRAFTERS[drafter](made_of), draft_tokens=3)
    found = decode_all(ModelStepper(there), search, some)
    assert search.proposed
    assert_alike(found, written(moved(model, CPU), pick, some, processors=processors))


def test_noise_is_the_cpus(device) -> None:
    """Its 64 bits are those of integers; a logarithm of them may differ in the last of 53."""
    keys = [(seed, line, 0, place) for seed in (0, 7) for line in range(9) for place in range(5)]
    here, there = (exponential(keys, 1000, on) for on in (CPU, device))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-13, atol=0)
    assert (here > 0).all()


@shapes
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "bfloat16"])
@torch.inference_mode()
def test_scores_are_the_cpus(shape: str, dtype: torch.dtype, device) -> None:
    """A log-probability of bfloat16 is off by what its logits are: 3e-2 of a few units."""
    model, some, parameters = network(shape), tasks(shape), GreedyParameters(end_ids=END)
    bests = [best.tokens for (best,) in written(model, "greedy", some)]
    texts = [*map(ScoringRequest, some, bests)]
    wanted = score_batch(moved(model, CPU), texts, parameters)
    found = score_batch(moved(model, device).to(dtype), texts, parameters)
    near = 1e-4 if dtype == torch.float32 else 0.2
    for one, other in zip(found, wanted, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=near)


@shapes
@caches
@torch.inference_mode()
def test_decoding_in_bfloat16_reports_the_scores_of_a_full_pass(shape, cache, device) -> None:
    """Step by step and all at once, on the device alone; rounded differently on the way."""
    model, some = moved(network(shape, cache), device).bfloat16(), tasks(shape)
    parameters = GreedyParameters(end_ids=END)
    for name in ("greedy", "beam"):
        found = written(model, name, some, **SEARCHED[name])
        texts = [ScoringRequest(r, best[0].tokens) for r, best in zip(some, found, strict=True)]
        for (best, *_), whole in zip(found, score_batch(model, texts, parameters), strict=True):
            assert best.log_probabilities == pytest.approx(whole.log_probabilities, abs=0.2)


@pytest.mark.parametrize("kind", POOLINGS)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "decoder"])
def test_embeddings_are_the_cpus(kind: str, shape: str, device) -> None:
    lines = ["one two", "", "three four five six", "two"]
    tokenizer = train_tokenizer(lines * 9, TrainingOptions(kind="char", vocab_size=40))
    model, generation = tiny_model(shape, vocab_size=40), default_generation_config(tokenizer)
    found = []
    for on in (CPU, device):
        loaded = LoadedModel(moved(model, on), tokenizer, generation, Path("nowhere"))
        answers = embed_lines(loaded, IterableSource(lines), PoolingConfig(kind=kind))
        found.append(torch.stack([answer.outputs[0].vector for answer in answers]))
    torch.testing.assert_close(found[1], found[0], atol=1e-5, rtol=0)


def test_lines_are_translated_as_on_the_cpu(device) -> None:
    """The whole way of `transduce translate`, with its own batches and threads."""
    loaded, lines = tiny_translator(), ["one two", "größer", "", "three four five 日本"] * 5
    found = []
    for on in (CPU, device):
        given = LoadedModel(
            moved(loaded.model, on), loaded.tokenizer, loaded.generation, loaded.folder
        )
        source, asked = IterableSource(lines), TranslateArguments(beam=3)
        answers = Session([given]).translate(source, asked, Counter())
        found.append([[output.text for output in answer.outputs] for answer in answers])
    assert found[0] == found[1]


def waited(model: Transformer, name: str, some: list[Request], count) -> list[int]:
    """How often the host waits in each step after admission."""
    search, some = searched(name, **SEARCHED[name]), [replace(request, seed=4) for request in some]
    stepper = ModelStepper(model, keep_hidden_states=search.reads_hidden_states)
    stepper.admit(some, search.width)
    search.add(some)
    counts = []
    while search.requests:
        counts.append(count(lambda: search.step(stepper)))
    return counts


@shapes
@caches
@pytest.mark.parametrize("name", SEARCHED)
@torch.inference_mode()
def test_the_host_waits_for_no_more_than_the_virtual_device_says(
    shape, cache, name, device
) -> None:
    """CUDA also waits for what is sent from memory that is not pinned, as lists are."""
    model, some = network(shape, cache), tasks(shape)

    def real(step) -> int:
        with waits(device) as found:
            step()
        return len(found)

    with virtual_device() as virtual:

        def counted(step) -> int:
            before = virtual.reads.total() + virtual.uploads.total()
            step()
            return virtual.reads.total() + virtual.uploads.total() - before

        allowed = waited(moved(model, torch.device("cuda")), name, some, counted)
    assert all(allowed)  # each step tells the host its tokens
    there = moved(model, device)
    waited(there, name, some, real)  # makes what is kept
    found = waited(there, name, some, real)
    assert all(one <= most for one, most in zip(found, allowed, strict=True)), (found, allowed)
