"""Contrastive search: on tables with hand-made states, and against plain full passes."""

import pytest
import torch
from torch.nn import functional as F

from tests.decoding.tables import END, StateTable, TableStepper, build, parameters, tree, trickle
from tests.models import model_inputs, tiny_model
from transformer.decoding import ModelStepper, Request, decode_all
from transformer.errors import ConfigError

A, B, C = 1, 2, 3

# The prompt's state is that of A: cos(A, prompt) = 1. B is orthogonal to both, C is between.
VECTORS = {A: [1.0, 0.0], B: [0.0, 2.0], C: [0.3, 0.4], END: [-1.0, 0.0]}
TABLE = tree({(): {A: 0.6, B: 0.4}, (B,): {A: 0.7, C: 0.3}, (A,): {END: 1.0}})


def state(tokens):
    return VECTORS[tokens[-1]] if tokens else [3.0, 0.0]


def hypotheses(table, **fields):
    stepper = StateTable(table, size=4, state=state)
    task = Request(prompt=[9], max_new_tokens=6)
    return decode_all(stepper, build("contrastive", **fields), [task])


def search(table, **fields):
    ((found,),) = hypotheses(table, **fields)
    return found


# First step: A scores (1-α)·0.6 - α, B (1-α)·0.4: A wins while (1-α)·0.2 > α, α < 1/6.
# After B: A scores (1-α)·0.7 - α·1; C's cosines are 0.6 with the prompt and 0.8 with B, so it
# scores (1-α)·0.3 - α·0.8: A wins while (1-α)·0.4 > 0.2·α, α < 2/3.
@pytest.mark.parametrize(
    ("penalty", "wanted"),
    [(0.0, [A]), (0.16, [A]), (0.17, [B, A]), (0.66, [B, A]), (0.67, [B, C])],
)
def test_likeness_is_weighed_against_probability(penalty: float, wanted: list[int]) -> None:
    found = search(TABLE, penalty=penalty, candidates=2)
    assert (found.ids, found.finish_reason) == (wanted, "end")


def test_log_probabilities_are_the_models_with_the_end_token() -> None:
    found = search(TABLE, penalty=0.5, candidates=2)
    assert found.log_probabilities == pytest.approx(torch.tensor([0.4, 0.7, 1.0]).log().tolist())
    assert found.score == pytest.approx(sum(found.log_probabilities) / 3)


def test_only_candidates_are_looked_at_and_what_is_forbidden_is_none() -> None:
    """B is unlike all, but the second: one candidate leaves it out. Forbidden, it cannot win. Of
    four tokens, nine candidates are no more than four."""
    assert search(TABLE, penalty=0.3, candidates=9).ids == [B, A]
    assert search(TABLE, penalty=0.9, candidates=1).ids == [A]
    without_b = search(TABLE, penalty=0.9, candidates=9, processors={"suppress": [B]})
    assert without_b.ids == [A]


def test_a_text_that_nothing_may_follow_is_dropped() -> None:
    table = lambda tokens: {A: 1.0}  # noqa: E731
    assert hypotheses(table, processors={"suppress": [A]}) == [[]]


def test_a_stepper_without_states_is_refused() -> None:
    stepper, task = TableStepper(TABLE, size=4), Request(prompt=[9], max_new_tokens=6)
    with pytest.raises(ConfigError, match="contrastive search reads a model's hidden states"):
        decode_all(stepper, build("contrastive"), [task])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": 1.5}, r"^penalty is 1.5; it must be between 0 and 1"),
        ({"penalty": -0.1}, r"^penalty is -0.1; it must be between 0 and 1"),
        ({"candidates": 0}, r"^candidates is 0; it must be at least 1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parameters("contrastive", **options)


def plain(model, task, penalty, candidates):
    """The definition, by a full pass for every candidate. END is token 3."""
    source = {"source_BS": torch.tensor([task.source])} if task.source else {}
    ids, gains = list(task.prompt), []
    while len(gains) < task.max_new_tokens:
        logits_V = model(model_inputs(torch.tensor([ids]), **source))[0, -1]
        chances_V = logits_V.softmax(-1)
        scores = {}
        for token in chances_V.topk(candidates).indices.tolist():
            states_TD = model.hidden(model_inputs(torch.tensor([[*ids, token]]), **source))[0]
            likeness = F.cosine_similarity(states_TD[-1:], states_TD[:-1]).max()
            scores[token] = (1 - penalty) * chances_V[token] - penalty * likeness
        best = max(scores, key=scores.__getitem__)
        ids.append(best)
        gains.append(float(logits_V.log_softmax(-1)[best]))
        if best == 3:
            break
    return ids[len(task.prompt) :], gains


MODELS = {
    "decoder": {"positions": "rotary"},
    "sliding": {"positions": "rotary", "attention": "sliding", "window": 4},
    "strided": {"positions": "rotary", "attention": "strided", "stride": 4},
    "learned": {"positions": "learned", "norm_placement": "pre", "final_norm": True},
    "encoder-decoder": {"shape": "encoder-decoder"},
}


@pytest.mark.parametrize("kind", MODELS)
@torch.inference_mode()
def test_texts_are_those_of_full_passes_alone_together_and_one_after_another(kind: str) -> None:
    fields = {"shape": "decoder", **MODELS[kind]}
    model = tiny_model(**fields)
    two = fields["shape"] == "encoder-decoder"
    generator = torch.Generator().manual_seed(2)
    tasks = []
    for number in range(8):
        size = int(torch.randint(1, 9, (), generator=generator))
        ids = torch.randint(4, 23, (size,), generator=generator).tolist()
        texts = {"prompt": [2], "source": [*ids, 3]} if two else {"prompt": ids}
        tasks.append(Request(**texts, max_new_tokens=3 + 2 * number))
    fields = {"end_ids": frozenset({3}), "penalty": 0.4, "candidates": 3}
    wanted = [plain(model, task, 0.4, 3) for task in tasks]

    def stepper():
        return ModelStepper(model, keep_hidden_states=True)

    together = decode_all(stepper(), build("contrastive", **fields), tasks)
    in_turn = trickle(stepper(), build("contrastive", **fields), tasks, most=3)
    for found in (together, in_turn):
        for (one,), (ids, gains) in zip(found, wanted, strict=True):
            assert one.ids == (ids[:-1] if ids[-1] == 3 else ids)
            assert one.log_probabilities == pytest.approx(gains, abs=1e-5)


@torch.inference_mode()
def test_no_penalty_or_one_candidate_is_greedy_search() -> None:
    model = tiny_model("encoder-decoder")
    tasks = [Request(prompt=[2], source=[n, 5, 3], max_new_tokens=9) for n in range(4, 12)]

    def ids(stepper, name, **fields):
        search = build(name, end_ids=frozenset({3}), **fields)
        return [found.ids for (found,) in decode_all(stepper, search, tasks)]

    greedy = ids(ModelStepper(model), "greedy")
    for fields in ({"penalty": 0.0}, {"candidates": 1}):
        assert ids(ModelStepper(model, keep_hidden_states=True), "contrastive", **fields) == greedy


@torch.inference_mode()
def test_the_context_can_be_filled() -> None:
    """The last token's candidates stand beyond the last trained position."""
    model = tiny_model("encoder-decoder", positions="learned", max_positions=12)
    search = build("contrastive", end_ids=frozenset())
    tasks = [Request(prompt=[2], source=[5, 3], max_new_tokens=limit) for limit in (12, 4)]
    found = decode_all(ModelStepper(model, keep_hidden_states=True), search, tasks)
    assert [len(best.ids) for (best,) in found] == [12, 4]
