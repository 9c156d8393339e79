"""Sessions under several threads: what each gets, and that none is left behind."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest
import torch

from tests.pipelines.test_models import tiny_translator, tiny_writer
from tests.pipelines.test_session import (
    BEAM,
    GREEDY,
    LINES,
    SAMPLING,
    best,
    generated,
    streamed,
    texts,
    translated,
)
from transformer.loading import LoadedModel
from transformer.pipelines.arguments import (
    EmbedArguments,
    GenerateArguments,
    ScoreArguments,
    TranslateArguments,
)
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session


@pytest.fixture(scope="module")
def translator() -> LoadedModel:
    return tiny_translator()


@pytest.fixture(scope="module")
def writer() -> LoadedModel:
    return tiny_writer()


def jobs(translator: LoadedModel, writer: LoadedModel) -> dict[str, Callable[[], object]]:
    """What sessions do, each as text or numbers; those of one model share a session."""
    one, other = Session([translator]), Session([writer])
    pairs = [f"{line}\tone two three" for line in LINES]
    sampled = TranslateArguments(temperature=1.0, seed=3, max_tokens=9)

    def scores() -> list[float]:
        answers = one.score(IterableSource(pairs), ScoreArguments(), Counter())
        return [best(answer).hypothesis.score for answer in answers]

    def vectors() -> list[list[float]]:
        answers = one.embed(IterableSource(LINES), EmbedArguments(), Counter())
        return [answer.outputs[0].vector.tolist() for answer in answers]

    return {
        "translate": lambda: translated(one, BEAM),
        "translate others": lambda: translated(one, BEAM, LINES[::-1]),
        "translate by sampling": lambda: translated(one, sampled),
        "score": scores,
        "embed": vectors,
        "generate": lambda: generated(other, GREEDY),
        "generate by contrastive search": lambda: generated(
            other, GenerateArguments(contrastive=0.6, max_tokens=12)
        ),
        "stream": lambda: streamed(other, SAMPLING),
        "stream another": lambda: streamed(other, SAMPLING, "on the mat"),
    }


def test_two_threads_at_once_get_what_each_gets_alone(translator, writer) -> None:
    work = jobs(translator, writer)
    alone = {name: job() for name, job in work.items()}
    barrier = threading.Barrier(2)

    def run(name: str) -> object:
        barrier.wait(timeout=60)
        return work[name]()

    with ThreadPoolExecutor(2) as pool:
        for one in work:
            for other in work:
                found = list(pool.map(run, (one, other)))
                assert found == [alone[one], alone[other]], (one, other)


def test_streams_take_turns(writer: LoadedModel) -> None:
    """Two that are read piece by piece, in one thread."""
    session, prompts = Session([writer]), ["the cat", "on the mat"]
    wanted = [streamed(session, SAMPLING, prompt) for prompt in prompts]
    streams = [session.stream(prompt, SAMPLING, Counter()) for prompt in prompts]
    found = ["", ""]
    for _ in range(SAMPLING.max_tokens + 1):
        for number, stream in enumerate(streams):
            found[number] += next(stream, "")
    assert found == wanted


def test_a_closed_stream_leaves_no_thread_behind(writer: LoadedModel) -> None:
    before = threading.active_count()
    stream = Session([writer]).stream("the cat", GREEDY, Counter())
    next(stream)
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before


def test_closed_answers_leave_no_thread_behind(translator: LoadedModel) -> None:
    before = threading.active_count()
    answers = Session([translator]).translate(IterableSource(LINES * 99), BEAM, Counter())
    assert best(next(answers)).text
    assert threading.active_count() > before
    answers.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(("most", "engines"), [(None, 3), (2, 2), (9, 3)])
def test_a_call_has_an_engine_for_each_core(translator, monkeypatch, most, engines) -> None:
    threads, wanted = torch.get_num_threads(), translated(Session([translator]), BEAM)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    session, before = Session([translator], max_engines=most), threading.active_count()
    answers = session.translate(IterableSource(LINES * 9), BEAM, Counter())
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    found = texts(islice(answers, len(LINES)))
    assert threading.active_count() == before + engines
    assert found + texts(answers) == wanted * 9
    assert threading.active_count() == before
