"""`benchmark`: a table by number type and batch, rows in a pipe, a record; and mistakes."""

import json

import pytest

from tests.label_models import write_classifier
from transformer.loading import DTYPES
from transformer.pipelines.benchmarking import Benchmark

pytestmark = pytest.mark.integration

QUICK = ("--device", "cpu", "--repeats", "2", "-n", "3", "--batch-size", "1,2")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A run does its work once, however little time that takes."""
    monkeypatch.setitem(Benchmark.measure.__kwdefaults__, "least_seconds", 0.0)


@pytest.fixture
def run(transduce, translator):
    def go(*options, model=translator, usual=QUICK, stdin=b"", code=0):
        ended = transduce("benchmark", "-m", model, *usual, *options, stdin=stdin)
        assert ended.code == code, ended.err
        return ended

    return go


def rows_of(out: bytes) -> list[dict[str, str]]:
    names, *rows = (line.split("\t") for line in out.decode().splitlines())
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_rows_in_a_pipe_say_all_that_they_depend_on(run):
    ended = run("--beam", "2")
    rows = rows_of(ended.out)
    cells = [(row["dtype"], row["search"], row["beam"], row["batch_size"]) for row in rows]
    told = {line.split()[1] for line in ended.err.decode().splitlines()}
    types = [name for name in DTYPES if name not in told and name != "auto"]  # others are told
    assert cells == [
        (name, search, beam, size)
        for search, beam in (("greedy", "1"), ("beam", "2"))
        for size in ("1", "2")
        for name in types
    ]
    for row in rows:
        assert float(row["rate"]) > 0 and (row["unit"], row["device"]) == ("tokens/s", "cpu")
        assert (float(row["ratio"]) == 1.0) >= (row["dtype"] == "float32")
        assert row["processor"] and int(row["threads"]) >= 1 and row["torch"]
        assert float(row["load_seconds"]) > 0 and int(row["memory_bytes"] or 0) >= 0


def test_a_record_has_the_machine_the_types_and_all_runs(run, translator):
    record = json.loads(run("--json", "--dtype", "float32,bfloat16", "--beam", "1").out)
    assert record.keys() == {
        *("model", "shape", "weights", "device", "processor", "threads", "torch", "file"),
        "cpu_quota",
        *("prompt_tokens", "new_tokens", "repeats", "unit", "dtypes", "not_measured", "results"),
        "auto",
        "complete",
    }
    assert (record["model"], record["shape"]) == (str(translator), "encoder-decoder")
    assert (record["prompt_tokens"], record["new_tokens"], record["repeats"]) == (24, 3, 2)
    assert record["file"] is None and record["complete"] is True
    assert [each["dtype"] for each in record["dtypes"]] == ["float32", "bfloat16"]
    for each in record["dtypes"]:
        names = {"dtype", "load_seconds", "memory_bytes", "mapped_bytes", "notices"}
        assert each.keys() == names
    assert len(record["results"]) == 4
    for each in record["results"]:
        assert each.keys() == {
            *("dtype", "search", "beam", "batch_size", "rate", "ratio", "runs"),
        }
        assert len(each["runs"]) == 2 and each["rate"] == pytest.approx(sum(each["runs"]) / 2)
        assert (each["search"], each["beam"]) == ("greedy", 1)
    assert record["results"][0]["ratio"] == 1.0


def test_the_quota_of_a_container_is_told(run, monkeypatch):
    monkeypatch.setattr("transformer.pipelines.benchmarking.machine.cpu_quota", lambda: 1.5)
    monkeypatch.setattr("cli.commands.benchmark.terminal_width", lambda: 200)
    ended = run("--beam", "1", "--dtype", "float32")
    assert "(CPU quota: 1.5), torch 2" in ended.out.decode()
    record = json.loads(run("--json", "--dtype", "float32", "--beam", "1").out)
    assert record["cpu_quota"] == 1.5


@pytest.mark.parametrize("columns", [70, 80, 200])
def test_a_terminal_gets_a_table_that_fits(run, monkeypatch, columns):
    monkeypatch.setattr("cli.commands.benchmark.terminal_width", lambda: columns)
    ended = run("--beam", "3", "--batch-size", "8", "--dtype", "float32,bfloat16")
    lines = ended.out.decode().splitlines()
    assert max(map(len, lines)) < columns
    assert lines[0].split() == ["greedy", "1", "text", "2", "texts", "8", "texts"]
    assert [line.split()[0] for line in lines[1:3]] == ["float32", "bfloat16"]
    assert lines[1].count("(1.00)") == 3
    assert lines[4].startswith("beam 3")
    text = " ".join(" ".join(lines).split())
    assert "loading memory mapped" in text
    assert "texts of 24 tokens, drawn at random; 3 tokens written after each" in text
    assert "tokens/s; in brackets, times float32; medians of 2 runs texts" in text
    assert "thread" in text and "torch 2" in text and "translator (encoder-decoder) of " in text


def test_a_narrow_terminal_gets_a_table_for_each_batch(run, monkeypatch):
    monkeypatch.setattr("cli.commands.benchmark.terminal_width", lambda: 40)
    out = run("--beam", "1", "--dtype", "float32", "--batch-size", "8").out.decode()
    lines = out.splitlines()
    assert lines[0] == "greedy, 1 text" and lines[3] == "greedy, 2 texts"
    assert lines[1].startswith("  float32 ") and lines[1].endswith(" (1.00)") and lines[2] == ""
    assert max(map(len, lines)) < 40


def test_without_float32_there_is_no_ratio(run):
    rows = rows_of(run("--dtype", "bfloat16", "--beam", "1").out)
    assert {row["ratio"] for row in rows} == {""}


def test_a_language_model_is_measured_greedily_as_far_as_its_context_reaches(run, writer):
    record = json.loads(run("--json", "--dtype", "float32", model=writer).out)
    assert {each["search"] for each in record["results"]} == {"greedy"}
    assert (record["prompt_tokens"], record["new_tokens"], record["unit"]) == (29, 3, "tokens/s")


def test_an_encoder_is_measured_in_texts(transduce, tmp_path, monkeypatch):
    folder = write_classifier(tmp_path / "model")
    words = ("benchmark", "-m", folder, "--device", "cpu", "--repeats", "1", "--batch-size", "2")
    row = rows_of(transduce(*words).out)[0]
    assert (row["search"], row["beam"], row["unit"]) == ("forward", "", "texts/s")
    monkeypatch.setattr("cli.commands.benchmark.terminal_width", lambda: 80)
    out = transduce(*words).out.decode()
    assert out.startswith("forward") and "texts of 32 tokens, drawn at random\nencoder of" in out


def test_lines_of_a_file_are_read(run, tmp_path, monkeypatch):
    (tmp_path / "in.txt").write_text("\none two three\n\n")
    ended = run(tmp_path / "in.txt", "--json", "--dtype", "float32", "--beam", "1")
    record = json.loads(ended.out)
    assert record["file"] == str(tmp_path / "in.txt") and record["prompt_tokens"] < 24
    assert ended.err.decode() == (
        f"transduce: {tmp_path / 'in.txt'} has 1 line of text: larger batches read some "
        "of it several times\n"
    )
    long = b"one two three " * 99 + b"\ntwo\n"
    ended = run("-", "--json", "--dtype", "float32", "--beam", "1", stdin=long)
    assert json.loads(ended.out)["prompt_tokens"] == 64
    assert ended.err.decode().splitlines() == [
        "transduce: lines that were too long and truncated: 1"
    ]
    monkeypatch.setattr("cli.commands.benchmark.terminal_width", lambda: 80)
    out = run("-", "--dtype", "float32", "--beam", "1", stdin=b"one\ntwo\n").out.decode()
    assert "\nstdin: " in out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--dtype", "float23"], 2, "--dtype is 'float23'; did you mean float32?"),
        (["--dtype", "float32,foo"], 2, "--dtype is 'foo'; allowed: "),
        (["--dtype", ""], 2, "--dtype is ''; allowed: "),
        (["--batch-size", "many"], 2, "--batch-size is 'many'; it must be whole numbers with comm"),
        (["--batch-size", "1,,8"], 2, "--batch-size is ''; it must be whole numbers with commas"),
        (["--batch-size", "0"], 2, "--batch-size is 0; it must be between 1 and 10,000"),
        (["--repeats", "0"], 2, "--repeats is 0; it must be a whole number, at least 1"),
        (["--beam", "2000"], 2, "--beam is 2000; it must be a whole number between 1 and 1000"),
        (["-n", "65"], 2, "--new-tokens 65: the model's context is 64 tokens"),
        (["--prompt-tokens", "99"], 2, "--prompt-tokens 99: the model's context is 64 tokens"),
        (
            ["--prompt-tokens", "9", "-"],
            2,
            "--prompt-tokens is of random tokens; it cannot go with",
        ),
        (["no-such-file"], 3, "no-such-file: no such file or directory"),
        (["-"], 4, "stdin has no text: there is nothing to read"),
        (["--device", "quantum"], 2, "no device is called 'quantum'; allowed: auto, cpu, cuda"),
    ],
)
def test_a_mistake_is_one_line(run, words, code, told):
    ended = run(*words, usual=(), code=code)
    assert ended.out == b""
    assert ended.err.decode().startswith(f"transduce: {told}")
    assert ended.err.count(b"\n") == 1


def test_too_little_memory_is_told(run, monkeypatch):
    monkeypatch.setattr(
        "transformer.training.planning.memory.available_memory", lambda device: 1000
    )
    assert b"are free: name fewer with --dtype" in run(code=2).err


def test_number_types_that_cannot_be_used_are_told(run, monkeypatch):
    monkeypatch.setattr("transformer.loading.inference.is_usable", lambda *_: False)
    ended = run("-q", "--beam", "1", "--json")
    reason = "this machine has no kernel for float16: float32 is used"
    assert f"transduce: float16 is not measured: {reason}\n" in ended.err.decode()
    record = json.loads(ended.out)
    assert record["not_measured"]["float16"] == reason
    assert "float16" not in {each["dtype"] for each in record["results"]}
    assert run("--dtype", "float16", code=2).out == b""


def test_what_is_to_be_said_of_a_number_type_is_said(run, monkeypatch):
    monkeypatch.setattr("transformer.loading.inference.pack_model", lambda model, kernel: 1)
    ended = run("--beam", "1", "--dtype", "float16")
    assert ended.err.decode() == (
        "transduce: float16: 1 matrix with numbers beyond float16 stay in float32\n"
    )


def test_ctrl_c_shows_what_was_measured(run, monkeypatch):
    measure = Benchmark.measure

    def interrupted(runs):
        def go(self, **options):
            for number, _ in enumerate(measure(self, least_seconds=0.0), 1):
                yield
                if number == runs:
                    raise KeyboardInterrupt

        return go

    options = ("--dtype", "float32,bfloat16", "--beam", "1")
    monkeypatch.setattr(Benchmark, "measure", interrupted(3))
    monkeypatch.setattr("cli.commands.benchmark.terminal_width", lambda: 80)
    ended = run(*options, code=130)
    _, first, second, *rest = ended.out.decode().splitlines()
    assert "(1.00)" in first and first.split()[-1] == second.split()[-1] == "-"
    assert "not all was measured" in " ".join(rest)
    assert ended.err == b"transduce: interrupted\n"
    record = json.loads(run(*options, "--json", code=130).out)
    assert record["complete"] is False and len(record["results"]) == 1
    monkeypatch.setattr(Benchmark, "measure", interrupted(1))
    assert run(*options, code=130).out == b""  # it was to warm up
