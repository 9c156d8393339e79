"""The filter contract: n lines in, n lines out, in order; results on stdout, talk on stderr."""

import io
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from transformer.training.planning import auto_recipe
from transformer.training.planning.speed import StepTime

pytestmark = pytest.mark.integration

LINES = [
    b"one two three",
    b"",
    b"   ",
    b"\t",
    b"four five\r",
    b"\r",
    b"nul \x00 inside",
    "one\u2028two\u2029three\x85four\x0bfive\x0csix".encode(),
    b"\xff invalid \xfe",
    b"one cut \xf0\x9f\x98",
    "\u2028".encode(),
    b"one " * 1250,
    b"</s> <pad> six",
    "größer 日本 😀".encode(),
    b"seven six",
]
EMPTY = {number for number, line in enumerate(LINES) if not line.decode(errors="replace").strip()}
LONG = 11
SEARCHES = [(), ("--beam", "1"), ("-t", "1", "--seed", "3")]
HEAVY = ("torch", "tokenizers", "numpy", "transformer.model", "tokenizer.training")
# All of the package but the arguments of its pipelines, which are options of commands, and the
# defaults of training, whose names are.
NETWORKS = tuple(
    f"transformer.{name}"
    for name in [
        *("model", "decoding", "loading", "training.recipe", "training.run"),
        *("evaluation", "export", "data", "chat"),
    ]
)


def translate(*options):
    return ["translate", "--device", "cpu", *options, "-m"]


@pytest.fixture
def answers(transduce, translator):
    """Translations of many lines, by options."""
    lines = b"\n".join([*LINES, *LINES[::-1], b"three two", b"one two three four"])

    def run(*options):
        ended = transduce(*translate(*options), translator, stdin=lines)
        assert ended.code == 0, ended.err
        return ended.out.decode().split("\n")

    return run


def test_there_are_as_many_lines_out_as_in(process, transduce, translator):
    program = process(*translate(), translator)
    out, err = program.communicate(b"\n".join(LINES))
    assert transduce(*translate(), translator, stdin=b"\n".join([*LINES, b""])).out == out
    lines = out.decode().split("\n")
    assert program.returncode == 0
    assert lines.pop() == ""
    assert len(lines) == len(LINES)
    assert {number for number, line in enumerate(lines) if not line} == EMPTY | {LONG}
    assert lines[0] == "three two one"
    assert [line.endswith(b": 2") for line in err.splitlines() if b"UTF-8" in line] == [True]
    assert [line.endswith(b": 1") for line in err.splitlines() if b"answer" in line] == [True]
    assert b"line 12: the line has 1,251 tokens; the model reads 63" in err
    assert b"characters that the model does not know: 6" in err
    assert len(err.splitlines()) == 4


@pytest.mark.parametrize(
    ("content", "lines"), [(b"", 0), (b"\n", 1), (b"\n\n", 2), (b"\r\n", 1), (b" ", 1), (b"o", 1)]
)
def test_the_smallest_inputs_keep_their_number_of_lines(transduce, translator, content, lines):
    ended = transduce(*translate(), translator, stdin=content)
    assert (ended.code, ended.out.count(b"\n"), ended.err) == (0, lines, b"")


@pytest.mark.parametrize("options", SEARCHES, ids=str)
def test_the_batch_changes_no_line(answers, options):
    found = [answers(*options, "--batch-tokens", str(size)) for size in (1, 64, 4096)]
    assert found[0] == found[1] == found[2]
    assert len({*found[0]}) > 5


@pytest.mark.parametrize("options", SEARCHES, ids=str)
def test_an_answer_does_not_depend_on_the_lines_beside_it(transduce, translator, options):
    found = {
        transduce(*translate(*options), translator, stdin=stdin).out.split(b"\n")[1]
        for stdin in (
            b"\none two three four\n",
            b"six\none two three four",
            b"\n".join([LINES[7], b"one two three four", *LINES]),
        )
    }
    assert len(found) == 1
    assert b"" not in found


def test_n_best_gives_n_lines_for_each(transduce, translator):
    ended = transduce(*translate("--n-best", "3", "--scores"), translator, stdin=b"one two\n\nsix")
    rows = [line.split("\t") for line in ended.out.decode().splitlines()]
    scores = [float(score) for score, _ in rows]
    assert len(rows) == 9
    assert scores[:3] == sorted(scores[:3], reverse=True)
    assert rows[3:6] == [["0.0000", ""]] * 3


def test_a_file_and_an_output_do_what_the_pipes_do(transduce, translator, tmp_path):
    piped = transduce(*translate(), translator, stdin=b"\n".join(LINES))
    (tmp_path / "in.txt").write_bytes(b"\n".join(LINES))
    command = translate("-o", tmp_path / "out.txt", tmp_path / "in.txt")
    ended = transduce(*command, translator)
    assert (ended.out, ended.err) == (b"", piped.err)
    assert (tmp_path / "out.txt").read_bytes() == piped.out


def test_a_file_translated_onto_itself_is_not_lost(transduce, translator, tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"one two\nthree\n")
    transduce(*translate("-o", path, path), translator)
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.parametrize(("closed", "lines"), [("stdin", 0), ("stderr", 1)])
def test_a_closed_stream_is_an_empty_one(transduce, translator, monkeypatch, closed, lines):
    """As with `<&-` and `2>&-`, where Python has None in its place."""
    streams = {"stdin": io.TextIOWrapper(io.BytesIO(b"one\xff\n")), closed: None}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    ended = transduce(*translate(), translator, stdin=None)
    assert (ended.code, ended.out.count(b"\n"), ended.err) == (0, lines, b"")


def test_a_closed_stdout_is_an_error_where_it_is_written_to(
    transduce, translator, monkeypatch, tmp_path
):
    """As with `>&-`: answers would be lost without a word."""
    for options, code in (((), 3), (("-o", tmp_path / "out"), 0)):
        monkeypatch.setattr(sys, "stdout", None)
        ended = transduce(*translate(*options), translator, stdin=b"one two\n")
        assert (ended.code, b"stdout: is closed" in ended.err) == (code, code == 3), ended.err
    assert (tmp_path / "out").read_bytes().count(b"\n") == 1


def test_quiet_says_nothing_where_nothing_is_lost(transduce, translator):
    ended = transduce(*translate("-q"), translator, stdin=b"one two\n\nthree")
    assert (ended.code, ended.err) == (0, b"")


def test_a_reader_that_has_had_enough_ends_the_program_quietly(forked, translator):
    program = forked(*translate("--batch-tokens", "64"), translator)
    program.stdin.write(b"one two three\n" * 500)
    program.stdin.close()
    program.stdin = None
    assert program.stdout.readline() == b"three two one\n"
    program.stdout.close()
    assert program.stderr.read() == b""
    assert program.wait() == 0


def test_a_line_is_answered_before_the_input_ends(forked, translator):
    """As under `tail -f`, where the end never comes."""
    program = forked(*translate("--batch-tokens", "64"), translator)
    program.stdin.write(b"one two three\n" * 16)
    program.stdin.flush()
    assert [program.stdout.readline() for _ in range(16)] == [b"three two one\n"] * 16


def test_a_full_disk_behind_stdout_is_one_line_and_a_failure(forked, translator):
    with Path("/dev/full").open("wb") as full:
        program = forked(*translate(), translator, stdout=full)
        _, err = program.communicate(b"one two three\n")
    assert (program.returncode, err) == (1, b"transduce: no space left to write to: stdout\n")


@pytest.mark.parametrize(
    "command",
    [
        *("train --plan --steps 1 --pairs {pairs}", "train --presets", "train --keys"),
        *("train -h", "train --help", "--version", "runs list {run}", "checkpoint show {run}"),
    ],
)
def test_a_full_disk_behind_a_page_is_one_line_and_a_failure(
    transduce, translator, pairs, monkeypatch, command
):
    monkeypatch.setattr(auto_recipe, "measure_step", lambda *_, **options: StepTime(0.1, 0.1))
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        ended = transduce(*command.format(pairs=pairs, run=translator).split())
    assert (ended.code, ended.err) == (1, b"transduce: no space left to write to: stdout\n")


@pytest.mark.parametrize("command", ["generate -m {writer}", "tokenizer decode -t {writer}"])
def test_a_full_disk_behind_an_output_file_is_one_line_and_a_failure(transduce, writer, command):
    ended = transduce(*command.format(writer=writer).split(), "-o", "/dev/full", stdin=b"5")
    assert (ended.code, ended.err) == (1, b"transduce: no space left to write to: /dev/full\n")


@pytest.mark.parametrize("command", ["translate", "train"])
def test_an_interrupted_program_says_so_in_one_line(
    transduce, translator, tmp_path, monkeypatch, command
):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    arguments = {
        "translate": ["-m", translator],
        "train": ["-q", "-o", tmp_path / "run", "--pairs", tmp_path / "pairs.tsv"],
    }
    (tmp_path / "pairs.tsv").write_text("a\tb\n")
    for module in ("corpus", "filters"):
        monkeypatch.setattr(f"tokenizer.text.{module}.open_text", interrupt)
    ended = transduce(command, *arguments[command])
    note = {"train": "; nothing was saved yet: the same command begins again"}.get(command, "")
    assert (ended.code, ended.err.decode()) == (130, f"transduce: interrupted{note}\n")


def generate(transduce, writer, *options, stdin=b""):
    ended = transduce("generate", "--device", "cpu", "-m", writer, *options, stdin=stdin)
    assert (ended.code, ended.err) == (0, b"")
    return ended.out.decode()


@pytest.mark.parametrize(
    "options", [("--seed", "3"), ("-t", "0"), ("--beam", "3"), ("--top-p", "0.9", "--seed", "3")]
)
def test_generating_twice_with_a_seed_gives_the_same_text(transduce, writer, options):
    texts = [generate(transduce, writer, "one two", *options) for _ in range(2)]
    assert texts[0] == texts[1]
    assert texts[0].startswith("one two")
    assert texts[0].endswith("\n")


def test_another_seed_gives_another_text(transduce, writer):
    texts = {generate(transduce, writer, "one", "--seed", seed) for seed in range(4)}
    assert len(texts) > 1


def test_a_prompt_comes_from_the_argument_from_the_pipe_or_both(transduce, writer):
    greedy = ("-t", "0", "-n", "5")
    argument = generate(transduce, writer, "one two", *greedy)
    assert generate(transduce, writer, *greedy, stdin=b"one two\n") == argument
    both = generate(transduce, writer, "one", *greedy, stdin=b"two\n")
    assert both == generate(transduce, writer, "one\ntwo", *greedy)
    assert both.startswith("one\ntwo")


def test_a_prompt_of_invalid_utf8_is_read_with_replacements(transduce, writer):
    """An argument's stray bytes are lone surrogates in Python, which no tokenizer takes."""
    ended = transduce("generate", "-m", writer, "one \udcff", "-n", "3", "--device", "cpu")
    assert ended.out.decode().startswith("one \ufffd")
    assert ended.err == b"transduce: lines with invalid UTF-8, read as U+FFFD: 1\n"


def test_no_prompt_shows_the_continuation_alone(transduce, writer):
    whole = generate(transduce, writer, "one two", "-t", "0")
    assert "one two" + generate(transduce, writer, "one two", "-t", "0", "--no-prompt") == whole


def test_generated_text_is_shown_as_it_is_written(transduce, writer, monkeypatch):
    written = []

    class Recorder(io.BytesIO):
        def write(self, data):
            written.append(bytes(data))
            return len(data)

    whole = generate(transduce, writer, "one two", "-n", "20")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Recorder()))
    generate(transduce, writer, "one two", "-n", "20")
    assert b"".join(written).decode() == whole
    assert len(written) > 5


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], HEAVY),
        (["--version"], HEAVY),
        (["translate", "--help"], HEAVY),
        (["train", "--help"], HEAVY),
        (["tokenizer", "train", "--help"], HEAVY),
        (["tokenizer", "encode", "-t", "{model}"], ("torch", "numpy", *NETWORKS)),
    ],
    ids=" ".join,
)
def test_what_needs_no_model_imports_nothing_heavy(process, writer, arguments, heavy):
    """`-X importtime` lists every module on stderr; the tokenizer beside a run is a small one."""
    words = [word.format(model=writer) for word in arguments]
    program = process(*words, python=["-X", "importtime"])
    out, err = program.communicate(b"one\n")
    imported = {line.rpartition("|")[2].strip() for line in err.decode().splitlines()}
    assert program.returncode == 0
    assert out
    assert "cli.app" in imported or "cli.commands" in imported
    assert sorted(imported & {*heavy}) == []


@pytest.mark.parametrize("command", ["--help", "tokenizer", "train --help"])
def test_help_goes_where_it_was_asked_for_without_escape_bytes(transduce, monkeypatch, command):
    monkeypatch.setenv("NO_COLOR", "1")
    ended = transduce(*command.split())
    assert b"\x1b" not in ended.out + ended.err
    assert b"Usage: " in ended.out + ended.err
    assert ended.code == (0 if "--help" in command else 2)
    assert b"unexpected" not in ended.err


@pytest.mark.integration
@pytest.mark.parametrize("command", ["translate", "embed"])  # an executor each
def test_a_typed_line_is_answered_before_the_next(forked, translator, command: str) -> None:
    """The program is killed after a minute, whose line is then empty."""
    program = forked(command, "-m", translator, "--device", "cpu", "-q")
    for _ in range(2):
        program.stdin.write(b"one two\tone\n")
        program.stdin.flush()
        assert program.stdout.readline().strip()
