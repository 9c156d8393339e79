"""Progress of long jobs: at a terminal, beside answers that go elsewhere, and nowhere else."""

import gzip
import io
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from cli import console
from cli.console import erase_status, print_notice, write_status
from cli.io import line_progress
from cli.io.line_progress import LineProgress, input_share, line_progress_enabled
from cli.io.output_checks import output_is_terminal
from cli.io.streams import input_lines
from tokenizer import CorpusCounts

from .terminals import Terminal


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def at_terminal(monkeypatch) -> Terminal:
    """Return a terminal that stderr is; stdout is none."""
    screen = Terminal(80, 24)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.setenv("TERM", "xterm")
    return screen


def wait_until(true) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def progress(clock, lines, *, read=None, share=None, **options):
    made = LineProgress(enabled=True, share=lambda: share, clock=clock, **options)
    list(made.reading(range(read or lines)))
    made.advance(lines)
    return made


def test_lines_share_time_left_and_rate_are_shown() -> None:
    clock = Clock()
    shown = progress(clock, 1500, share=0.25)
    clock.now = 100.0
    assert shown.text(80) == "1,500 lines · 25% · 5:00 left · 15 lines/s · 1:40 elapsed"
    assert shown.text(40) == "1,500 lines · 25% · 5:00 left"
    assert shown.text(16) == "1,500 lines"
    assert shown.text(8) == "1,500 l"


def test_lines_that_are_read_and_not_done_are_no_part_of_the_share() -> None:
    clock = Clock()
    shown = progress(clock, 100, read=400, share=1.0)
    clock.now = 10.0
    assert shown.text(80) == "100 lines · 25% · 0:30 left · 10 lines/s · 0:10 elapsed"


def test_without_a_size_there_is_no_share() -> None:
    clock = Clock()
    shown = progress(clock, 3)
    clock.now = 12.0
    assert shown.text(80) == "3 lines · 0.25 lines/s · 0:12 elapsed"
    assert progress(clock, 0, share=0.0).text(80) == "0 lines · 0% · 0:00 elapsed"


def test_tokens_of_a_known_number_have_a_share() -> None:
    clock = Clock()
    shown = LineProgress(enabled=True, unit="token", clock=clock)
    shown.report(1000, 4000)
    clock.now = 10.0
    assert shown.text(80) == "1,000 tokens · 25% · 0:30 left · 100 tokens/s · 0:10 elapsed"
    assert shown.summary() == "1,000 tokens in 0:10, 100 tokens/s"


def test_a_notice_takes_the_place_of_what_is_shown(monkeypatch) -> None:
    terminal = at_terminal(monkeypatch)
    write_status("12 lines · 50%")
    assert terminal.lines == ["12 lines · 50%"]
    print_notice("line 7: is bad")
    write_status("13 lines")
    assert terminal.lines == ["transduce: line 7: is bad", "13 lines"]
    erase_status()
    assert terminal.lines == ["transduce: line 7: is bad"]


def test_what_is_shown_is_cut_at_the_width_so_that_it_can_be_erased(monkeypatch) -> None:
    terminal = at_terminal(monkeypatch)
    write_status("loading " + 200 * "x")
    assert [len(line) for line in terminal.lines] == [79]
    erase_status()
    assert terminal.lines == []


def test_a_long_job_is_summed_up_and_a_short_one_is_silent(monkeypatch) -> None:
    terminal = at_terminal(monkeypatch)
    with LineProgress(enabled=True) as short:
        short.advance()
    assert terminal.lines == []
    monkeypatch.setattr(line_progress, "_WAIT", 0.001)
    monkeypatch.setattr(line_progress, "_EVERY", 0.001)
    clock = Clock()
    with LineProgress(enabled=True, clock=clock) as long:
        long.advance(120)
        clock.now = 60.0
        wait_until(lambda: "120 lines · 2 lines/s" in terminal.text)
    assert terminal.lines == ["transduce: 120 lines in 1:00, 2 lines/s"]
    with pytest.raises(KeyError), LineProgress(enabled=True) as failing:
        wait_until(lambda: terminal.lines[-1].startswith("0 lines"))
        raise KeyError
    assert failing.time_taken() == " in 0:00"
    assert terminal.lines == ["transduce: 120 lines in 1:00, 2 lines/s"]


def test_it_is_shown_only_at_a_terminal_that_has_nothing_else(monkeypatch, tmp_path):
    terminal = at_terminal(monkeypatch)
    assert line_progress_enabled(False, None, ["a.txt"])
    assert line_progress_enabled(False, tmp_path / "out.txt", ["a.txt"])
    assert not line_progress_enabled(True, None, ["a.txt"])
    monkeypatch.setattr("sys.stdin", terminal)
    assert not line_progress_enabled(False, None, ["-"])  # someone types there
    assert line_progress_enabled(False, None, ["a.txt"])
    monkeypatch.setattr("sys.stdout", terminal)
    assert not line_progress_enabled(False, None, ["a.txt"])  # answers are shown there
    assert line_progress_enabled(False, tmp_path / "out.txt", ["a.txt"])
    monkeypatch.setenv("TERM", "dumb")
    assert not line_progress_enabled(False, tmp_path / "out.txt", ["a.txt"])
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert not line_progress_enabled(False, tmp_path / "out.txt", ["a.txt"])


def test_a_name_of_wide_characters_leaves_nothing_on_the_screen(monkeypatch):
    """A status that the terminal wraps would be erased in its last line alone."""
    terminal = at_terminal(monkeypatch)
    write_status(f"loading {'模型' * 60} …")
    print_notice("done")
    assert terminal.lines == ["transduce: done"]


def test_a_terminal_is_one_by_any_name(monkeypatch, tmp_path):
    """Answers in a null device are seen by nobody."""
    master, terminal = os.openpty()
    for name, is_one in ((os.ttyname(terminal), True), ("/dev/null", False), ("/dev/no", False)):
        assert output_is_terminal(Path(name)) is is_one, name
    assert output_is_terminal(Path(f"/dev/fd/{terminal}"))
    assert not output_is_terminal(tmp_path / "out.txt")
    os.mkfifo(tmp_path / "fifo")
    assert not output_is_terminal(tmp_path / "fifo")
    monkeypatch.setattr("sys.stdout", Terminal(80, 24))
    assert output_is_terminal(None) and output_is_terminal(Path("-"))
    os.close(master)
    os.close(terminal)


@pytest.mark.parametrize("packed", [False, True])
def test_the_share_of_files_is_of_their_bytes_as_they_are_stored(tmp_path, packed) -> None:
    counts, names = CorpusCounts(), [str(tmp_path / "a"), str(tmp_path / "b")]
    open_file = gzip.open if packed else open
    for name, size in zip(names, [1, 3], strict=True):
        with open_file(name, "wb") as stream:
            stream.write(b"".join(os.urandom(30).hex().encode() + b"\n" for _ in range(size << 13)))
    share = input_share(names, counts)
    assert share() == 0.0
    shares = [share() for _ in input_lines(names, counts, plain=True)]
    assert shares == sorted(shares)
    assert shares[-1] == share() == 1.0
    assert abs(shares[1 << 13] - 0.25) < 0.1  # the second file's first line


def test_the_share_of_a_pipe_is_not_known(tmp_path, monkeypatch) -> None:
    (tmp_path / "a").write_text("one\n")
    os.mkfifo(tmp_path / "pipe")
    counts = CorpusCounts()
    assert input_share([str(tmp_path / "a"), str(tmp_path / "pipe")], counts)() is None
    with (tmp_path / "a").open() as stream:
        monkeypatch.setattr("sys.stdin", stream)
        share = input_share(["-"], counts)
        assert list(input_lines(["-"], counts, plain=True)) == ["one"]
        assert share() == 1.0


def test_width_is_that_of_stderr(monkeypatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda number: os.terminal_size((number, 24)))
    with Path(os.devnull).open() as stream:
        monkeypatch.setattr("sys.stderr", stream)
        assert console.terminal_width() == stream.fileno()


@pytest.mark.integration
def test_a_real_filter_shows_how_far_it_is(translator, tmp_path, in_terminal) -> None:
    """Until the next line comes it tells that the last was answered; the answers are a file's."""
    read, write = os.pipe()
    program = in_terminal(
        *("translate", "-m", translator, "--device", "cpu", "--beam", "1"),
        stdin=read,
        stdout=subprocess.PIPE,
    )
    os.close(read)
    os.write(write, b"one two three\n")
    program.wait_for(lambda terminal: "1 line · " in " ".join(terminal.display))
    os.write(write, b"two\n")
    os.close(write)
    assert program.wait() == 0
    with program.process.stdout as answers:
        assert answers.read().count(b"\n") == 2
    *_, last = program.terminal.lines
    assert re.fullmatch(r"transduce: 2 lines in \d+:\d\d, [\d.]+ lines/s", last)
