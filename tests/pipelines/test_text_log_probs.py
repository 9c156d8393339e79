"""Log-probabilities of whole texts: those that a search gave them, step by step."""

from dataclasses import replace

import pytest

from tests.pipelines.test_terms import SOURCES, answers, model
from transformer.decoding.request import Hypothesis, Request
from transformer.pipelines import text_log_probs as module
from transformer.pipelines.alignment import attention_weights
from transformer.pipelines.session import Session
from transformer.pipelines.text_log_probs import Query, query_log_probs, text_log_probs


def decoded(shape: str) -> list[tuple[Request, list[int], list[float]]]:
    """Requests, and their texts with the log-probabilities that decoding found."""
    if shape == "encoder-decoder":
        found = answers(Session([model()]), SOURCES, max_tokens=9)
        outputs = [output for answer in found for output in answer.outputs]
    else:
        loaded = model("bpe", shape)
        prompts = [loaded.tokenizer.encode(text) for text in SOURCES if text]
        return [_continued(loaded, Request(prompt=ids, max_new_tokens=6)) for ids in prompts]
    return [(o.request, o.hypothesis.tokens, o.hypothesis.log_probabilities) for o in outputs]


def _continued(loaded, request: Request) -> tuple[Request, list[int], list[float]]:
    """A text after a prompt, one token at a time."""
    ids, log_probs = [], []
    for _ in range(request.max_new_tokens):
        ids.append(3 + (7 * len(ids) + len(request.prompt)) % 50)
        longer = replace(request, prompt=[*request.prompt, *ids[:-1]])
        log_probs += query_log_probs(loaded, longer, [[]], [Query(0, 0, ids[-1])])
    return request, ids, log_probs


@pytest.mark.parametrize("shape", ["encoder-decoder", "decoder"])
@pytest.mark.parametrize("max_tokens", [1, 30, 10_000])
def test_a_text_has_the_log_probabilities_of_its_steps(
    monkeypatch: pytest.MonkeyPatch, shape: str, max_tokens: int
) -> None:
    """Beside texts of other lengths, in passes of any size."""
    monkeypatch.setattr(module, "_MAX_TOKENS", max_tokens)
    monkeypatch.setattr(module, "_CHUNK", 5)
    loaded = model("bpe", shape)
    for request, ids, log_probs in decoded(shape):
        rows = text_log_probs(loaded, request, [ids[:2], ids, ids[:1], ids])
        for row in rows:
            assert row == pytest.approx(log_probs[: len(row)], abs=1e-4)
        assert [len(row) for row in rows] == [min(2, len(ids)), len(ids), 1, len(ids)]


def test_the_source_of_all_texts_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = model()
    (request, ids, _), *_ = decoded("encoder-decoder")
    encode, rows = loaded.model.encode, []

    def encode_counting(source):
        rows.append(len(source.ids_BT))
        return encode(source)

    monkeypatch.setattr(loaded.model, "encode", encode_counting)
    text_log_probs(loaded, request, [ids, ids[:2], ids[:1]])
    hypotheses = [Hypothesis(ids[:n], 0.0, [], "end") for n in (3, 1, 2)]
    weights = attention_weights(loaded, request, hypotheses)
    assert rows == [1, 1]
    for hypothesis, weights_TS in zip(hypotheses, weights, strict=True):
        (alone_TS,) = attention_weights(loaded, request, [hypothesis])
        assert weights_TS.tolist() == [pytest.approx(row, abs=1e-6) for row in alone_TS.tolist()]


def test_no_texts_have_none() -> None:
    assert text_log_probs(model(), Request(prompt=[2], source=[5], max_new_tokens=1), []) == []
