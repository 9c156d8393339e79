"""A step of decoding reads once from its device (contrastive search twice), so that a GPU waits
for the host as rarely as it can; and what is asked of a search mixes no devices."""

from collections import Counter

import pytest
import torch

from tests.decoding.tables import TOKENWISE, build, parameters
from tests.models import tiny_model
from tests.virtual_device import VirtualDevice, virtual_device
from transformer.decoding import PROCESSORS, SEARCHES, ModelStepper, Request, decode_all
from transformer.decoding.constraints.phrase_constraint import PhraseConstraint, WordTokens
from transformer.decoding.search.drafters import DRAFTERS, DraftOptions
from transformer.decoding.search.speculative import SpeculativeSearch
from transformer.decoding.steppers import model as stepping
from transformer.decoding.steppers.ensemble import COMBINATIONS, EnsembleStepper
from transformer.model import Transformer
from transformer.pipelines.scoring import ScoringRequest, score_batch
from transformer.positions import POSITIONS

END = frozenset({3})
MOST = {"greedy": 1, "sample": 1, "beam": 1, "contrastive": 2}  # reads a step
CUT = {"temperature": 0.9, "top-k": 9, "top-p": 0.9, "min-p": 0.01, "typical": 0.95}
SEARCHED = {
    "greedy": {},
    **{f"sample {name}": {"processors": {name: value}} for name, value in CUT.items()},
    "sample with all": {"processors": CUT, "samples": 2},
    "beam": {"beam": 4},
    "beam in groups": {"beam": 4, "groups": 2, "diversity": 0.5},
    "beam with a length penalty": {"beam": 4, "length_penalty": 0.6, "early_stopping": "never"},
    "beam n-best": {"beam": 4, "n_best": 3},
    "contrastive": {},
}
PROCESSED = {
    "sequence-bias": [([5, 6], 1.0), ([7], -1.0)],
    "token-bias": {8: 0.5},
    "encoder-repetition-penalty": 1.1,
    "repetition-penalty": 1.2,
    "frequency-penalty": 0.1,
    "presence-penalty": 0.1,
    "no-repeat-ngram": 2,
    "encoder-no-repeat-ngram": 3,
    "bad-words": [[9], [5, 7]],
    "bad-text": lambda row: [9, 7],
    "min-length": (3, [3]),
    "forced-first": 5,
    "forced-last": [3],
    "length-decay": (1, 1.1, [3]),
    "suppress": [4],
    "suppress-first": (1, [6]),
    "forced-positions": {3: 6},
    "renormalize": True,
    "request-constraints": None,  # each task's own: see RULES
    "top-n-sigma": 2.0,
    "epsilon-cutoff": 0.001,
    "eta-cutoff": 0.001,
    **CUT,
}
RULES = {"min_new_tokens": 2, "forced_first": 5, "prefix": [6, 7], "no_repeat_ngram_size": 2}
WORDS = WordTokens([True] * 23, torch.tensor([4]), torch.tensor([5, 6]), torch.tensor([3, 7]))
PHRASE = PhraseConstraint([8, 9], WORDS, start=0, gap=1, gap_tokens=3)
SHAPES = ("decoder", "encoder-decoder")
CACHES = {"static": {}, "ring": {"attention": "sliding", "window": 4, "global_tokens": 1}}
# No bias of scores goes with it; other sizes give other weights, with which no row ends at once.
STATES = {"state": {"attention": "linear-decay", "d_ff": 32}}

shapes = pytest.mark.parametrize("shape", SHAPES)
caches = pytest.mark.parametrize("cache", CACHES)
states = pytest.mark.parametrize("cache", CACHES | STATES)


def network(shape: str, cache: str = "static", positions: str = "rotary") -> Transformer:
    return tiny_model(shape, positions=positions, kv_heads=2, **(CACHES | STATES)[cache])


def tasks(shape: str, **rules: object) -> list[Request]:
    """Of different lengths and limits, so that rows finish and leave one by one."""
    texts, made = [([5], 2), ([6, 7, 8, 9], 4), ([10, 11], 7)], []
    for number, (text, limit) in enumerate(texts):
        source = {"source": [*text, 3]} if shape == "encoder-decoder" else {}
        prompt = [2] if source else text
        fields = {"rng_key": (number,), "seed": 4, **source, **rules}
        made.append(Request(prompt=prompt, max_new_tokens=limit, **fields))
    return made


def watched(model: Transformer, name: str, some: list[Request], **fields: object) -> list[Counter]:
    """The reads of each step after admission, by the lines that asked."""
    kind, reads = name.split(maxsplit=1)[0], []
    search = build(kind, end_ids=END, **fields)
    with torch.inference_mode(), virtual_device() as device:
        stepper = ModelStepper(model.to("cuda"), keep_hidden_states=search.reads_hidden_states)
        stepper.admit(some, search.width)
        search.add(some)
        while search.requests:
            device.reads.clear()
            search.step(stepper)
            reads.append(device.reads.copy())
    return reads


def assert_few(reads: list[Counter], name: str) -> None:
    most = MOST[name.split(maxsplit=1)[0]]
    assert all(0 < step.total() <= most for step in reads), reads


@shapes
@states
@pytest.mark.parametrize("name", SEARCHED)
def test_a_step_reads_no_more_than_it_must(shape: str, cache: str, name: str) -> None:
    some = tasks(shape)
    reads = watched(network(shape, cache), name, some, **SEARCHED[name])
    assert_few(reads, name)
    assert len(reads) > 4  # so that the first has left


@shapes
@caches
@pytest.mark.parametrize("positions", POSITIONS)
def test_no_kind_of_positions_mixes_devices_or_reads(shape, cache, positions: str) -> None:
    for name in ("greedy", "sample with all", "beam in groups", "contrastive"):
        model = network(shape, cache, positions)
        assert_few(watched(model, name, tasks(shape), **SEARCHED[name]), name)


@shapes
@pytest.mark.parametrize("processor", PROCESSORS)
def test_no_processor_mixes_devices_or_reads(shape: str, processor: str) -> None:
    ruled = processor == "request-constraints"
    values = {} if ruled else {processor: PROCESSED[processor]}
    for name in ("greedy", "sample", "beam"):
        some = tasks(shape, **(RULES if ruled else {}))
        fields = {"processors": values, **({"beam": 3} if name == "beam" else {})}
        assert_few(watched(network(shape), name, some, **fields), name)


@shapes
def test_constraints_mix_no_devices(shape: str) -> None:
    for constraint in (PHRASE, lambda _: torch.tensor([4, 5, 3])):
        some = tasks(shape, constraint=constraint)
        for name in ("greedy", "beam"):
            assert_few(watched(network(shape), name, some), name)


@shapes
@pytest.mark.parametrize("pick", TOKENWISE)
@pytest.mark.parametrize("drafter", DRAFTERS)
def test_speculative_search_mixes_no_devices(shape: str, pick: str, drafter: str) -> None:
    with torch.inference_mode(), virtual_device():
        model = network(shape).to("cuda")
        made_of = DraftOptions(
            parameters=parameters(pick, end_ids=END, processors=CUT),
            stepper=ModelStepper(model),
            shares_source_vocabulary=True,
        )
        search = SpeculativeSearch(made_of.parameters, DRAFTERS[drafter](made_of), draft_tokens=3)
        assert all(decode_all(ModelStepper(model), search, tasks(shape)))
        assert search.proposed


@shapes
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_ensembles_and_scores_mix_no_devices(shape: str, combination: str) -> None:
    with torch.inference_mode(), virtual_device():
        models, beam = (
            [network(shape).to("cuda") for _ in range(2)],
            parameters("beam", end_ids=END),
        )
        stepper = EnsembleStepper([*map(ModelStepper, models)], combination)
        some = tasks(shape)
        found = decode_all(stepper, beam.build(), some)
        texts = [ScoringRequest(r, best.tokens) for r, (best,) in zip(some, found, strict=True)]
        assert len(score_batch(models[0], texts, beam)) == len(some)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_read_more_would_be_seen(name: str, monkeypatch) -> None:
    plain = stepping.ModelStepper.step

    def reading(self, ids_R):
        logits_RV = plain(self, ids_R)
        logits_RV.sum().item()
        return logits_RV

    before = watched(network("decoder"), name, tasks("decoder"))
    monkeypatch.setattr(stepping.ModelStepper, "step", reading)
    after = watched(network("decoder"), name, tasks("decoder"))
    assert [step.total() for step in after] == [step.total() + 1 for step in before]


def test_watching_changes_no_text() -> None:
    def written(model: Transformer) -> list[list[int]]:
        search = build("beam", end_ids=END, beam=4)
        return [best.ids for best, *_ in decode_all(ModelStepper(model), search, tasks("decoder"))]

    model = network("decoder")
    with torch.inference_mode():
        plain = written(model)
        with virtual_device() as device:
            assert written(model.to("cuda")) == plain
    assert isinstance(device, VirtualDevice) and device.reads
