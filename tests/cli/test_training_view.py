"""The view of a training run, as a terminal shows it."""

import io
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from cli.render import progress_lines
from cli.render.live_console import LiveView
from cli.render.pace import TrainingPace
from cli.render.progress_lines import LineReporter, LineTimer
from cli.render.progress_view import ProgressView
from cli.render.run_end import print_end
from cli.render.training import follow_run
from transformer.evaluation import Score
from transformer.training.events import (
    Notice,
    Remark,
    RunFinished,
    RunOutcome,
    RunStarted,
    Saved,
    Stage,
    Validated,
    Validating,
)
from transformer.training.trainer import SkippedStep, StepReport

from .terminals import Terminal

SIZES = [(40, 24), (80, 24), (200, 50), (80, 6), (40, 6)]
SAMPLE = [("source", "two young men"), ("output", "zwei junge Männer " * 20)]


class Clock:
    """A clock that stands still between events."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def step(number: int) -> StepReport:
    return StepReport(number, 3.0, 1e-3, 1.0, 1000, 0.5)


def validated(number: int) -> Validated:
    scores = {"bleu": Score("bleu", 12.345, "nrefs:1", "")}
    return Validated(number, 3.0, 20.0, scores, SAMPLE, True, "bleu")


def a_run(clock: Clock, look, *, every: int, steps: int = 10, seconds: float = 60.0):
    """Yield the events of a run of a step a minute, and call `look` after each.

    A validation takes two minutes, saving one.
    """

    def after(event, passed: float = 0.0):
        clock.now += passed
        yield event
        look(event)

    yield from after(Stage("preparing the data", lambda: 1234), 5.0)
    yield from after(RunStarted(1000, "cpu", steps, 0, 4, 1, every))
    for number in range(1, steps + 1):
        skipped = SkippedStep(number, float("nan"), 1.0, "pairs 1, 2")
        yield from after(skipped if number == 3 else step(number), seconds)
        if every and number % every == 0:
            yield from after(Validating(number))
            yield from after(validated(number), 2 * seconds)
            yield from after(Saved(number, None), seconds)
    yield from after(RunFinished(steps, "all steps done", False))


def shown_while(columns: int, rows: int, *, every: int) -> tuple[Terminal, list[tuple]]:
    """Follow a run on a terminal; return it, and what its screen had after each event."""
    terminal, clock, screens = Terminal(columns, rows), Clock(), []

    def look(event) -> None:
        console.print("", end="")  # draws the view anew
        screens.append((event, terminal.display))

    console = terminal.console
    events = a_run(clock, look, every=every)
    follow_run(events, quiet=False, on_start=lambda: None, console=console, clock=clock)
    return terminal, screens


@pytest.mark.parametrize("every", [0, 4], ids=["without-validation", "with-validation"])
@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_step_epoch_and_times_are_always_there(columns, rows, every) -> None:
    _, screens = shown_while(columns, rows, every=every)
    of_steps = [(event, screen) for event, screen in screens if isinstance(event, StepReport)]
    assert len(of_steps) == 9
    for event, screen in of_steps:
        text = " ".join(screen)
        assert f"step {event.step}/10" in text
        assert f"epoch {event.step / 4:.1f}/2.5" in text
        assert re.search(r"\d+:\d\d elapsed", text)
        assert re.search(r"\d+:\d\d left", text)
        assert max(map(len, screen)) <= columns
        assert "loss" in text or columns == 40


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_what_is_done_between_steps_is_told_while_it_is_done(columns, rows) -> None:
    _, screens = shown_while(columns, rows, every=4)
    during = {type(event): " ".join(screen) for event, screen in screens}
    between = " " if columns == 40 else " · "  # the lines read are in a row of their own there
    assert f"preparing the data …{between}1,234 lines read" in during[Stage]
    assert "validating …" in during[Validating]
    assert "saving …" in during[Validated]
    assert " …" not in during[Saved]
    for event, screen in screens[2:-1]:
        assert "elapsed" in " ".join(screen), event


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_messages_stay_above_the_view(columns, rows) -> None:
    """Each message is there once and whole, in order; the view is there once, at the end."""
    terminal, _ = shown_while(columns, rows, every=2)
    text, told = (
        terminal.text,
        "validation at step {}: loss 3.0000, perplexity 20.00, bleu 12.35 (best)",
    )
    wanted = [
        "1,000 parameters on cpu; 10 steps, 4 batches an epoch",
        told.format(2),
        "step 3 was skipped: its loss is nan, the gradient's norm 1.0; it has pairs 1, 2",
        *map(told.format, (4, 6, 8, 10)),
        "step 10/10 · epoch 2.5/2.5",
        "all steps done at step 10, in 0:00",
    ]
    places = [text.find(message) for message in wanted]
    assert -1 not in places, text
    assert places == sorted(places)
    assert all(text.count(message) == 1 for message in wanted), text
    assert text.endswith(wanted[-1])


def test_a_view_has_no_more_lines_than_its_terminal() -> None:
    _, screens = shown_while(200, 50, every=4)
    assert any("output" in line for line in screens[-1][1])
    _, screens = shown_while(40, 6, every=4)
    rows = [screen for event, screen in screens if isinstance(event, Validating)]
    assert rows
    assert all("step" in " ".join(screen[-6:]) for screen in rows)
    assert not any("..." in line for _, screen in screens for line in screen)


def test_steps_that_fit_into_a_time_are_an_estimate() -> None:
    terminal = Terminal(80, 24)
    started = RunStarted(1000, "cpu", 9, 0, 4, is_timed=True)
    follow_run(iter([started]), quiet=False, on_start=lambda: None, console=terminal.console)
    assert "1,000 parameters on cpu; 4 batches an epoch" in terminal.text  # and tells no steps


def test_texts_of_a_model_write_no_control_characters() -> None:
    terminal, clock = Terminal(80, 24), Clock()
    bad = validated(1)._replace(sample=[("output", "a\x1b[2Jb\x07")])
    events = iter([RunStarted(1, "cpu", 9, 0, 4), step(1), bad, Notice("c\x1b[2Jd")])
    console = terminal.console
    follow_run(events, quiet=False, on_start=lambda: None, console=console, clock=clock)
    assert r"a\x1b[2Jb\x07" in terminal.text
    assert r"c\x1b[2Jd" in terminal.text


def test_the_time_left_counts_validations_and_saving() -> None:
    """A step takes a minute, a pause three; the first step, of ten, is no measure of the others."""
    clock, pace = Clock(), None
    left = []
    for event in a_run(clock, lambda _: None, every=5):
        if isinstance(event, RunStarted):
            pace = TrainingPace(clock)
        if pace is not None:
            clock.now += 600 if event == step(1) else 0
            pace.update(event)
            left.append((event, pace.seconds_left(), pace.counts_validations))
    by_step = {event.step: rest for event, *rest in left if isinstance(event, StepReport)}
    assert by_step[2] == [8 * 60, False]  # what a validation takes is not known yet
    assert by_step[6] == [4 * 60 + 180, True]
    assert by_step[10] == [180, True]
    assert left[-1][1] == 0


def test_the_time_left_passes_between_events() -> None:
    clock = Clock()
    pace = TrainingPace(clock)
    for event, passed in [
        (RunStarted(1, "cpu", 10, 0, 4, 1, 4), 0), (step(1), 60), (step(2), 60), (step(3), 60),
        (step(4), 60), (Validating(4), 0), (validated(4), 90), (Saved(4, None), 10),
    ]:  # fmt: skip
        clock.now += passed
        pace.update(event)
    assert pace.seconds_left() == 6 * 60 + 2 * 100
    clock.now += 20
    assert pace.seconds_left() == 6 * 60 + 2 * 100 - 20
    clock.now += 100
    assert pace.seconds_left() == 5 * 60 + 2 * 100  # never less than what is still to do
    pace.update(Validating(8))
    clock.now += 30
    assert pace.seconds_left() == 6 * 60 + 2 * 100 - 30


def test_a_resumed_run_counts_what_is_left_of_it() -> None:
    clock = Clock()
    view = ProgressView(clock)
    view.update(RunStarted(1, "cpu", 10_000, 9_000, 100, 2, 1000))
    assert view.status() == [
        "step 9,000/10,000", "epoch 180.0/200.0", "0:00 elapsed", "time left unknown",
    ]  # fmt: skip
    clock.now += 2
    view.update(step(9_001))
    assert view.time_left() == "33:18 left without validations"


def test_without_a_terminal_lines_come_soon_and_then_ever_more_rarely() -> None:
    clock = Clock()
    timer = LineTimer(clock)
    due = []
    for second in range(1, 4000):
        clock.now = 100.0 + second
        if timer.is_due():
            due.append(second)
    assert due == [10, 20, 40, 80, 160, 320, 640, 1240, 1840, 2440, 3040, 3640]


def test_a_run_without_a_terminal_tells_step_and_times_in_lines(capsys) -> None:
    clock = Clock()
    events = a_run(clock, lambda _: None, every=0)
    follow_run(events, quiet=False, on_start=lambda: None, clock=clock)
    lines = capsys.readouterr().err.splitlines()
    assert "\x1b" not in "".join(lines)
    assert [line for line in lines if " left: loss " in line] == [
        f"transduce: step {n}/10, epoch {n / 4:.1f}/2.5, {n}:05 elapsed, {10 - n}:00 left: "
        "loss 3.000, 2,000 tokens/s, learning rate 1.00e-03"
        for n in (1, 2, 4, 8)
    ]


class Silence:
    """A reporter of lines while no event comes, and the seconds at which they do."""

    def __init__(self, clock: Clock, view: ProgressView) -> None:
        self.clock, self.told = clock, list[str]()
        self.reporter = LineReporter(view, self.told.append, clock)

    def lines(self, seconds: int) -> list[tuple[int, str]]:
        """The lines of so many seconds."""
        lines: list[tuple[int, str]] = []
        for second in range(seconds):
            self.reporter.report()
            lines += [(second, line) for line in self.told]
            self.told.clear()
            self.clock.now += 1
        return lines


def test_without_a_terminal_long_preparation_is_told_in_lines() -> None:
    clock = Clock()
    view = ProgressView(clock)
    view.update(Stage("preparing the tokenizer", lambda: 1234))
    assert Silence(clock, view).lines(60) == [
        (n, f"preparing the tokenizer …, 1,234 lines read, 0:{n} elapsed") for n in (10, 20, 40)
    ]


def test_without_a_terminal_a_long_validation_is_told_in_lines() -> None:
    clock = Clock()
    view = ProgressView(clock)
    for event in (RunStarted(1, "cpu", 9, 0, 4, 1, 2), step(1), step(2)):
        view.update(event)
    silence = Silence(clock, view)
    assert [second for second, _ in silence.lines(330)] == [10, 20, 40, 80, 160, 320]
    view.update(Validating(2))
    lines = silence.lines(30)
    assert [second for second, _ in lines] == [10, 20]
    for _, line in lines:
        assert line.startswith("step 2/9, epoch ")
        assert "validating …: loss " in line


def test_lines_come_by_themselves_while_no_event_does(capsys, monkeypatch) -> None:
    monkeypatch.setattr(progress_lines, "_PAUSE", 0.001)
    clock = Clock()

    def events():
        yield Stage("preparing the data", lambda: 5)
        clock.now += 11
        for _ in range(2000):
            time.sleep(0.001)
            if "elapsed" in (told := capsys.readouterr().err):
                break
        assert "transduce: preparing the data …, 5 lines read, 0:11 elapsed\n" in told
        yield RunFinished(1, "all steps done", False)

    follow_run(events(), quiet=False, on_start=lambda: None, clock=clock)
    assert "elapsed" not in capsys.readouterr().err


def test_a_stage_is_told_once_at_a_terminal() -> None:
    terminal, clock = Terminal(80, 24), Clock()
    events = iter([Stage("measuring"), Remark("nothing is saved"), RunStarted(1, "cpu", 9, 0, 4)])
    console = terminal.console
    follow_run(events, quiet=False, on_start=lambda: None, console=console, clock=clock)
    assert "measuring" not in terminal.text
    assert terminal.text.count("nothing is saved") == 1


@pytest.mark.integration
def test_a_real_run_in_a_real_terminal(pairs, tmp_path, in_terminal) -> None:
    """The first line of the view is not cropped, and a stop is told without a loss."""
    program = in_terminal(
        *("train", "--pairs", pairs, "-o", tmp_path / "run", "--valid-fraction", "0.01"),
        *("--preset", "translate-tiny", "--steps", "100000", "--device", "cpu"),
        *("--set", "tokenizer.vocab_size=60", "--set", "validation.every=2"),
        *("--set", "validation.max_lines=2", "--set", "validation.patience=0"),
        *("--batch-tokens", "64"),
        rows=12,
    )
    seen = r"step \d+/100,000 · epoch \d+\.\d/[\d.]+ · \d:\d\d elapsed · \d+:\d\d:\d\d left"
    program.wait_for(lambda terminal: re.search(seen, " ".join(terminal.display)) is not None)
    program.wait_for(lambda terminal: "validating …" in " ".join(terminal.display))
    program.type("\x03")
    assert program.wait() == 130
    text = program.terminal.text
    assert "finishing the step and saving; press Ctrl-C again to exit at once" in text
    assert text.count("parameters on cpu") == 1
    assert "\x1b[?25h" in program.raw.decode()  # the cursor is shown again


class Shrinking(ProgressView):
    """A view of five lines, or of one, which is drawn for as long as another might be."""

    lines, seconds = 5, 0.0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self.lines
        if threading.current_thread() is threading.main_thread():
            time.sleep(self.seconds)
        yield from ["view"] * lines


def test_no_line_is_erased_by_two_that_print_at_once(monkeypatch) -> None:
    terminal, texts = Terminal(80, 24), [f"remark {number}" for number in range(9)]

    def events() -> Iterator[Remark]:
        for number, text in enumerate(texts):
            if number == 7:
                monkeypatch.setattr(Shrinking, "lines", 1)
                monkeypatch.setattr(Shrinking, "seconds", 0.4)
            yield Remark(text)

    monkeypatch.setattr("cli.render.training.ProgressView", Shrinking)
    follow_run(events(), quiet=False, on_start=lambda: None, console=terminal.console)
    assert terminal.lines[: len(texts)] == texts


def test_a_view_ends_while_another_thread_prints() -> None:
    """Both hold two locks, in the same order."""
    ended = threading.Event()

    def print_on() -> None:
        while not ended.is_set():
            print("on", file=sys.stderr)

    def open_and_close() -> None:
        for _ in range(15):
            view = LiveView(Text("view"), Terminal(80, 24).console)
            view.start()
            view.stop()
        ended.set()

    threads = [threading.Thread(target=each, daemon=True) for each in (print_on, open_and_close)]
    for thread in threads:
        thread.start()
    assert ended.wait(timeout=60)
    threads[0].join(timeout=60)


class Failing(ProgressView):
    """A view that cannot be drawn."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        raise ValueError("not drawn")


def test_a_view_that_cannot_be_drawn_leaves_the_terminal_as_it_was() -> None:
    terminal, stderr = Terminal(80, 24), sys.stderr
    view = LiveView(Failing(), terminal.console)
    with pytest.raises(ValueError, match="not drawn"):
        view.start()
    assert sys.stderr is stderr
    assert not terminal.screen.cursor.hidden


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_key_that_a_terminal_shows_fits_behind_the_view(columns: int) -> None:
    """^C in a line of its own would leave a part of the view above the next one."""
    terminal, clock = Terminal(columns, 24), Clock()

    def look(_event) -> None:
        assert all(len(line) <= columns - 2 for line in terminal.display if "━" in line)
        assert terminal.screen.cursor.x <= columns - 2

    events = a_run(clock, look, every=5)
    follow_run(events, quiet=False, on_start=lambda: None, console=terminal.console, clock=clock)


class Fleeting(ProgressView):
    """A view whose stage is over once it is read, as when another thread assigns it."""

    @property
    def stage(self) -> Stage | None:
        stage, self._stage = self._stage, None
        return stage

    @stage.setter
    def stage(self, stage: Stage | None) -> None:
        self._stage = stage


def test_a_stage_that_ends_while_it_is_drawn_is_drawn_whole() -> None:
    assert Fleeting().status()[0] == "starting …"


@pytest.mark.parametrize("plain", [False, True])
def test_no_colours_means_no_bold_text_either(monkeypatch, plain: bool) -> None:
    class Raw(io.StringIO):
        def isatty(self) -> bool:
            return True

    stderr, clock = Raw(), Clock()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    events = a_run(clock, lambda event: None, every=5)
    follow_run(events, quiet=False, on_start=lambda: None, clock=clock)
    outcome = RunOutcome("translation", Path("best"), 5, {}, [SAMPLE])
    print_end(RunFinished(10, "all steps done", False, outcome=outcome), Path("run"))
    drawn = stderr.getvalue()
    assert "\x1b[1A" in drawn  # the view is drawn in its place
    assert bool(re.search(r"\x1b\[[0-9;]*m", drawn)) is not plain
