"""Lines through a pipeline with a task and probability tables made by hand."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.decoding.tables import END, TableStepper
from transformer.decoding.engine import Engine
from transformer.decoding.request import Hypothesis, Request
from transformer.decoding.search import SEARCHES, GreedyParameters
from transformer.errors import LineError
from transformer.pipelines.executors import DecodingExecutor, ForwardExecutor
from transformer.pipelines.line_pipeline import OpenLines, WindowReader, answer_lines, decode_lines
from transformer.pipelines.notices import that_happened
from transformer.pipelines.read_ahead import ReadAhead
from transformer.pipelines.records import (
    Answer,
    IterableSource,
    Line,
    LineSource,
    LineTask,
    Output,
)

A, B = 1, 2


class Lengths(LineTask):
    """A line is a number: so many tokens are written. `!` fails, blank lines are empty."""

    def to_requests(self, lines: Sequence[Line]) -> list[list[Request] | LineError]:
        return [self._prepare(line) for line in lines]

    def _prepare(self, line: Line) -> list[Request] | LineError:
        if line.text == "!":
            return LineError("it says so")
        text = line.text.strip()
        return [
            Request(prompt=[9], source=[1], max_new_tokens=int(n)) for n in text.split("+") if n
        ]

    def revise(self, request: Request, hypotheses: list[Hypothesis]):
        """Texts in a loop are decoded again, once for each ten tokens."""
        again = request
        for _ in range(len(hypotheses[0].ids) // 10 if request.max_new_tokens < 100 else 0):
            again = replace(again, no_repeat_ngram_size=again.no_repeat_ngram_size + 2)
            hypotheses = yield again
        return again, hypotheses

    def to_outputs(
        self, line: Line, requests: Sequence[Request], hypotheses: Sequence[Sequence[Hypothesis]]
    ):
        del line
        text = "+".join(str(len(some[0].ids)) for some in hypotheses)
        repaired = any(request.no_repeat_ngram_size for request in requests)
        return [Output(text, hypotheses[0][0])], that_happened(repaired=repaired)


def forever(tokens):
    """A is always likeliest, and nothing ends."""
    return {A: 0.5, **dict.fromkeys(range(B, 30), 0.5 / 28)}


def engine(table=forever) -> Engine:
    parameters = GreedyParameters(end_ids=frozenset({END}))
    return Engine(TableStepper(table, size=30), parameters.build())


def answered(lines, *, budget=8, engines=1, counts=None) -> list[Answer]:
    made, counts = [engine() for _ in range(engines)], Counter() if counts is None else counts
    return list(decode(IterableSource(lines), Lengths(), made, budget=budget, counts=counts))


def decode(source: LineSource, task: LineTask, engines, *, budget: int, counts=None):
    counts = Counter() if counts is None else counts
    return decode_lines(source, task, engines, budget=budget, counts=counts)


@pytest.mark.parametrize("budget", [1, 3, 50])
@pytest.mark.parametrize("engines", [1, 3])
def test_lines_keep_their_order_whatever_takes_long(budget: int, engines: int) -> None:
    lines = ["9", "1", "", "3", "!", "2+5", " ", "12", *["1"] * 40]
    counts: Counter[str] = Counter()
    found = answered(lines, budget=budget, engines=engines, counts=counts)
    assert [answer.line.number for answer in found] == list(range(len(lines)))
    texts = [answer.outputs[0].text if answer.outputs else answer.error for answer in found]
    assert texts == ["9", "1", None, "3", "it says so", "2+5", None, "12", *["1"] * 40]
    assert counts["failed"] == 1


def test_a_result_is_revised_by_further_requests_and_counted() -> None:
    counts: Counter[str] = Counter()
    (found,) = answered(["20"], counts=counts)
    assert counts["repaired"] == 1 and found.notices == {"repaired": True}
    assert found.outputs[0].hypothesis.ids[:5] == [A, A, A, A, B]  # the second time: no four A's


@pytest.mark.parametrize("tries", [0, 1, 3])
def test_a_revision_may_keep_the_first_result(tries: int) -> None:
    class Reluctant(Lengths):
        def revise(self, request, hypotheses):
            for size in range(1, tries + 1):
                tried = yield replace(request, no_repeat_ngram_size=size)
                assert tried[0].ids != hypotheses[0].ids
            return request, hypotheses

    found = decode(IterableSource(["9", "5"]), Reluctant(), [engine()], budget=8)
    assert [answer.outputs[0].hypothesis.ids for answer in found] == [[A] * 9, [A] * 5]


@pytest.mark.parametrize("tries", [0, 1, 3])
def test_a_line_is_revised_once_all_its_results_are_there(tries: int) -> None:
    class Whole(Lengths):
        def revise_line(self, requests, results):
            assert [len(result[0].ids) for result in results] == [
                r.max_new_tokens for r in requests
            ]
            return self.longer(requests, results) if len(requests) > 1 else None

        def longer(self, requests, results):
            for more in range(1, tries + 1):
                longer = replace(requests[0], max_new_tokens=requests[0].max_new_tokens + more)
                results = [(yield longer), *results[1:]]
            return results

    found = decode(IterableSource(["3+2", "4", "1+1+6"]), Whole(), [engine()], budget=8)
    texts = [answer.outputs[0].text for answer in found]
    assert texts == [f"{3 + tries}+2", "4", f"{1 + tries}+1+6"]


def test_answers_end_early_while_a_text_is_written() -> None:
    """Whoever waits for results looks up, however long one text takes."""
    waits: list[float | None] = []
    executor = SimpleNamespace(
        wants_requests=True,
        submit=lambda _: setattr(executor, "wants_requests", False),
        results=lambda timeout: waits.append(timeout) or [],
    )
    stops = iter([False, False, False, True])
    source = IterableSource(["5"])
    assert list(answer_lines(source, Lengths(), executor, Counter(), lambda: next(stops))) == []
    assert waits[1:] and all(wait and wait <= 0.1 for wait in waits)


class Watched(TableStepper):
    """A table that notes how large the batch is, in tokens of padded sources, at each step."""

    def __init__(self) -> None:
        super().__init__(forever, size=30)
        self.sources: list[int] = []
        self.sizes: list[tuple[int, int]] = []  # rows, padded tokens

    def admit(self, tasks, copies=1):
        super().admit(tasks, copies)
        self.sources += [len(task.source) for task in tasks for _ in range(copies)]

    def step(self, ids_R):
        self.sizes.append((len(self.sources), len(self.sources) * max(self.sources)))
        return super().step(ids_R)

    def reorder(self, rows, copies=1):
        super().reorder(rows, copies)
        self.sources = [self.sources[row] for row in rows]


class Sources(Lengths):
    """A line is a number: so long is its source; three tokens are written."""

    def _prepare(self, line: Line) -> list[Request] | LineError:
        return [Request(prompt=[9], source=[1] * int(line.text), max_new_tokens=3)]


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("budget", [10, 24, 60])
def test_no_batch_is_over_the_budget_unless_it_is_one_text(beam: int, budget: int) -> None:
    """Padding and beams counted; and the budget is used, not only kept."""
    own = {"beam": beam} if beam > 1 else {}
    parameters = SEARCHES["beam" if own else "greedy"](end_ids=frozenset({END}), **own)
    made = Engine(Watched(), parameters.build())
    lines = [str(n % 7 + 1) for n in range(60)] + ["40"]
    list(decode(IterableSource(lines), Sources(), [made], budget=budget))
    sizes = made.stepper.sizes
    assert all(size <= budget or rows == beam for rows, size in sizes)
    assert max(size for _, size in sizes if size <= budget) > budget / 2


def test_what_is_finished_leaves_and_what_waits_enters() -> None:
    """Two rows at a time: 1 + 1 + 1 tokens beside 3 take three steps, not four."""
    made = engine()
    found = list(decode(IterableSource(["3", "1", "1", "1"]), Lengths(), [made], budget=2))
    assert [answer.outputs[0].text for answer in found] == ["3", "1", "1", "1"]
    assert made.stepper.steps <= 4


@pytest.mark.parametrize("engines", [1, 2])
def test_windows_without_anything_to_write_do_not_hold_up_others(engines: int) -> None:
    lines = [*[""] * 200, "1", *["!"] * 200, "2"]
    found = answered(lines, engines=engines)
    assert len(found) == 402
    assert [answer.outputs[0].text for answer in found if answer.outputs] == ["1", "2"]


class Broken(IterableSource):
    """Lines whose reading fails after the last."""

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        lines = super().take(limit, wait=wait)
        if lines is None:
            raise OSError("the file is gone")
        return lines


def test_what_was_read_is_answered_before_an_error_is_told() -> None:
    found = decode(Broken(["9", *["3"] * 40]), Lengths(), [engine()], budget=8)
    seen = []
    with pytest.raises(OSError, match="gone"):
        seen.extend(answer.outputs[0].text for answer in found)
    assert seen == ["9", *["3"] * 40]


def test_few_lines_are_shared_among_engines() -> None:
    made = [engine(), engine()]
    list(decode(IterableSource(["300"] * 4), Lengths(), made, budget=100))
    assert all(each.stepper.steps for each in made)


class Typist(LineSource):
    """Gives a line only when the answer to the one before was seen."""

    def __init__(self, texts: list[str]) -> None:
        self.texts, self.given, self.seen = texts, 0, threading.Semaphore(1)

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        if self.given == len(self.texts):
            return None
        if not self.seen.acquire(blocking=wait, timeout=5 if wait else None):
            assert not wait, "the answer did not come before more was asked for"
            return []
        self.given += 1
        return [Line(self.given - 1, self.texts[self.given - 1])]


@pytest.mark.parametrize("engines", [1, 2])
def test_a_line_is_answered_before_the_next_is_typed(engines: int) -> None:
    source = Typist(["2", "", "3", "1"])
    found = []
    for answer in decode(source, Lengths(), [engine() for _ in range(engines)], budget=8):
        found.append(answer.line.text)
        source.seen.release()
    assert found == source.texts


def test_what_goes_wrong_in_an_engine_is_raised_to_who_asks() -> None:
    def broken(tokens):
        raise RuntimeError("no table")

    with pytest.raises(RuntimeError, match="no table"):
        list(decode(IterableSource(["1"]), Lengths(), [engine(broken)], budget=8))


def test_who_has_had_enough_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    found = decode(IterableSource(["5"] * 500), Lengths(), [engine(), engine()], budget=8)
    next(found)
    found.close()
    assert threading.active_count() == before


def test_a_slow_line_does_not_let_others_pile_up(monkeypatch) -> None:
    monkeypatch.setattr("transformer.pipelines.line_pipeline._MAX_OPEN_LINES", 20)
    taken = []

    class Counting(IterableSource):
        def take(self, limit, *, wait):
            lines = super().take(min(limit, 5), wait=wait)
            taken.append(len(lines or []))
            return lines

    found = decode(Counting(["200", *["1"] * 500]), Lengths(), [engine()], budget=400)
    next(found)
    assert sum(taken) <= 60
    assert len(list(found)) == 500


def test_windows_double_up_to_a_limit_and_begin_small() -> None:
    limits = []

    class Endless(LineSource):
        def take(self, limit: int, *, wait: bool) -> list[Line] | None:
            limits.append(limit)
            return [Line(0, "")]

    reader = WindowReader(Endless())
    for _ in range(9):
        reader.read(wait=True)
    assert limits == [16, 32, 64, 128, 256, 512, 1024, 1024, 1024]


def test_open_lines_are_full_by_lines_or_characters_until_they_are_answered(monkeypatch) -> None:
    monkeypatch.setattr("transformer.pipelines.line_pipeline._MAX_OPEN_CHARACTERS", 10)
    lines = OpenLines[Request, str]()
    request = Request(prompt=[1], max_new_tokens=1)
    lines.add(Line(0, "0123456789"), [request])
    assert lines.full and list(lines.pop_done()) == []
    assert (
        lines.advance(
            SimpleNamespace(revise=lambda *_: None, revise_line=lambda *_: None), request, "done"
        )
        is None
    )
    (entry,) = lines.pop_done()
    assert entry.results == {0: "done"}
    assert not lines.full and len(lines) == 0


def test_a_request_that_is_decoded_again_comes_first() -> None:
    calls = []
    scheduler = SimpleNamespace(
        submit=lambda requests, first=False: calls.append((requests, first))
    )
    executor = DecodingExecutor(scheduler)
    short, long = (Request(prompt=[1], source=[1] * n, max_new_tokens=1) for n in (1, 2))
    executor.submit([short, long])
    executor.resubmit(short)
    executor.submit([long, short])  # lengths meet where windows do
    assert calls == [([long, short], False), ([short], True), ([short, long], False)]


def test_a_forward_pass_has_texts_of_similar_length_within_the_budget() -> None:
    batches = []

    def compute(batch):
        batches.append(batch)
        return [-n for n in batch]

    executor = ForwardExecutor(compute, lambda n: n, budget=10)
    executor.submit([1, 5, 4, 30, 2, 3])
    found = []
    while not executor.wants_requests:
        found += executor.results(None)
    assert batches == [[30], [5, 4], [3, 2, 1]]
    assert found == [(n, -n) for batch in batches for n in batch]


def test_reading_ahead_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr("transformer.pipelines.read_ahead._MAX_LINES", 5)
    read = []

    def endless():
        for number in range(10**9):
            read.append(number)
            yield Line(number, "x")

    with ReadAhead(endless()) as source:
        assert [line.number for line in source.take(3, wait=True)][:1] == [0]
        time.sleep(0.05)
        assert len(read) <= 10
