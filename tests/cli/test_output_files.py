"""Outputs: looked at before the work, written where they stand, and never one of the inputs."""

import os
import resource
import sys

import pytest

from tokenizer import Tokenizer, TrainingOptions, read_text, train_tokenizer
from tokenizer.text.signatures import PACKINGS, find_packing

TEXT = b"one two\nthree\n"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(["one two three"] * 9, TrainingOptions(vocab_size=40)).save(path)
    return path


@pytest.fixture
def encode(transduce, tokenizer, tmp_path, monkeypatch):
    """Encode a text to an output, in a folder of its own; its code, and what came on stdout."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_bytes(TEXT)

    def run(out, *files, stdin=b""):
        output = () if out is None else ("-o", out)
        return transduce("tokenizer", "encode", "-t", tokenizer, *output, *files, stdin=stdin)

    return run


def test_a_dash_and_names_of_stdout_are_stdout(encode, tmp_path):
    wanted = encode(None, "in.txt").out
    assert wanted.count(b"\n") == 2
    (tmp_path / "link").symlink_to("/dev/stdout")
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"):
        assert encode(name, "in.txt")[:2] == (0, wanted), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "link"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/{log}", "/dev/stderr", "log", "-"])
@pytest.mark.integration
def test_an_open_file_is_written_where_it_stands(process, tokenizer, tmp_path, name):
    """As by `-o /dev/stdout >> log`, of which nothing may be lost."""
    (tmp_path / "in.txt").write_bytes(TEXT)
    (tmp_path / "log").write_bytes(b"kept\n")
    with (tmp_path / "log").open("ab") as log:
        os.set_inheritable(log.fileno(), True)
        out = name.format(log=1) if name != "log" else tmp_path / "log"
        stream = {"stderr": log} if name == "/dev/stderr" else {"stdout": log}
        program = process(
            "tokenizer", "encode", "-t", tokenizer, "-o", out, tmp_path / "in.txt", **stream
        )
        program.communicate()
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert (program.returncode, lines[0], len(lines)) == (0, b"kept", 3)


@pytest.mark.parametrize(
    ("kind", "ending"), [(kind, end) for kind, p in PACKINGS.items() for end in p.suffixes]
)
def test_a_packed_name_is_packed_and_read_again(encode, tmp_path, kind, ending):
    wanted = encode(None, "in.txt").out
    (tmp_path / "link").symlink_to(f"behind{ending}")
    for name in (f"x{ending}", f"X{ending.upper()}", "link"):
        assert encode(name, "in.txt")[:2] == (0, b""), name
        assert find_packing((tmp_path / name).read_bytes()) == kind, name
        assert read_text(str(tmp_path / name)) == wanted.decode(), name


def test_a_packing_that_python_lacks_is_refused_before_the_work(encode, tmp_path, monkeypatch):
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    ended = encode("x.zst", "in.txt")
    assert (ended.code, b"backports.zstd" in ended.err) == (2, True)
    assert not (tmp_path / "x.zst").exists()


@pytest.mark.parametrize(
    "name",
    ["x.zip", "X.7Z", "x.tgz", "x.tar.gz", "x.npy", "x.NPY.gz", "x.docx", "x.onnx", "x.br2.lz4"],
)
def test_a_name_that_promises_another_kind_of_file_is_refused(encode, tmp_path, name):
    ended = encode(name, "in.txt")
    assert (ended.code, ended.out, ended.err.count(b"\n")) == (2, b"", 1)
    assert b"is the name of" in ended.err
    assert b".zst" in ended.err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["x.pt", "x.de", "x.br", "x.1", "x", ".gz.txt", "x.jsonl"])
def test_other_names_are_written_plain(encode, tmp_path, name):
    wanted = encode(None, "in.txt").out
    assert encode(name, "in.txt").code == 0
    assert (tmp_path / name).read_bytes() == wanted


@pytest.mark.parametrize("name", ["t.gz", "t.json.XZ", "t.zip", "t.model.bz2"])
def test_a_tokenizer_is_written_as_it_is_read(transduce, tmp_path, name):
    ended = transduce("tokenizer", "train", "-o", tmp_path / name, stdin=b"some text\n" * 9)
    assert (ended.code, b"not packed" in ended.err, list(tmp_path.iterdir())) == (2, True, [])


@pytest.mark.parametrize("name", ["in.txt", "./in.txt", "hard", "soft", "/dev/fd/{open}"])
def test_an_input_is_no_output_under_any_name(encode, tmp_path, name):
    (tmp_path / "hard").hardlink_to(tmp_path / "in.txt")
    (tmp_path / "soft").symlink_to("in.txt")
    with (tmp_path / "in.txt").open("ab") as stream:
        ended = encode(name.format(open=stream.fileno()), "in.txt")
    assert (ended.code, ended.out, ended.err.count(b"is an input file")) == (3, b"", 1)
    assert (tmp_path / "in.txt").read_bytes() == TEXT


@pytest.mark.integration
@pytest.mark.parametrize("out", ["file", "stdout"])
def test_stdin_and_stdout_are_files_too(process, tokenizer, tmp_path, out):
    """As by `-o in.txt < in.txt`, and by `in.txt >> in.txt`, which would never end."""
    path = tmp_path / "in.txt"
    path.write_bytes(TEXT)
    words = ["tokenizer", "encode", "-t", tokenizer]
    with path.open("rb") as source, path.open("ab") as target:
        if out == "file":
            program = process(*words, "-o", path, stdin=source)
        else:
            program = process(*words, path, stdout=target)
        program.wait()
    assert program.returncode == 3
    assert path.read_bytes() == TEXT


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("nowhere/x", b"nowhere/x: no such file or directory; make the folder"),
        (".", b"is a folder; name a file to write"),
        ("in.txt/x", b"in.txt/x: no such file or directory"),
        ("/dev/fd/99", b"bad file descriptor"),
        ("/dev/fd/" + "9" * 30, b"bad file descriptor"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        "translate -m nothing in.txt",
        "score -m nothing in.txt",
        "embed -m nothing in.txt",
        "generate -m nothing one",
        "tokenizer encode -t nothing in.txt",
        "tokenizer decode -t nothing in.txt",
        "tokenizer train in.txt",
    ],
)
def test_an_output_is_looked_at_before_the_work(encode, transduce, command, out, words):
    ended = transduce(*command.split(), "-o", out)
    assert (ended.code, ended.err.count(b"\n"), words in ended.err) == (3, 1, True), ended.err


@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
@pytest.mark.parametrize(
    "command",
    ["train --pairs pairs.tsv", "checkpoint convert model", "checkpoint average model model"],
)
def test_a_folder_does_not_go_to_stdout(transduce, tmp_path, monkeypatch, command, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.tsv").write_text("one\ttwo\n")
    ended = transduce(*command.split(), "-o", out)
    line = f"transduce: {out}: is stdout, which cannot hold a folder; name a folder\n"
    assert (ended.code, ended.err) == (3, line.encode())
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]


@pytest.mark.parametrize("command", ["translate", "score", "embed", "classify", "tag", "fill"])
def test_an_input_is_looked_at_before_the_work(encode, transduce, command):
    ended = transduce(command, "-m", "nothing", "in.txt", "missing.txt")
    assert (ended.code, ended.err) == (3, b"transduce: missing.txt: no such file or directory\n")


@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
def test_a_tokenizer_may_go_to_stdout(transduce, tmp_path, out):
    (tmp_path / "in.txt").write_bytes(TEXT * 9)
    words = ("tokenizer", "train", "--vocab-size", "40", tmp_path / "in.txt", "-q")
    ended = transduce(*words, "-o", out)
    (tmp_path / "t.json").write_bytes(ended.out)
    assert Tokenizer.load(tmp_path / "t.json").encode("one")


def test_training_a_tokenizer_never_replaces_its_text(transduce, tmp_path):
    (tmp_path / "in.txt").write_bytes(TEXT)
    (tmp_path / "hard").hardlink_to(tmp_path / "in.txt")
    ended = transduce("tokenizer", "train", tmp_path / "in.txt", "-o", tmp_path / "hard")
    assert (ended.code, b"is an input file" in ended.err) == (3, True)
    assert (tmp_path / "in.txt").read_bytes() == TEXT


def test_a_tokenizer_is_written_whole_or_not_at_all(transduce, tmp_path):
    """A disk that is full leaves what was there; a link stays one to the file it names."""
    (tmp_path / "in.txt").write_bytes(TEXT * 9)
    (tmp_path / "old.json").write_bytes(b"old")
    (tmp_path / "link.json").symlink_to("old.json")
    words = ("tokenizer", "train", "--vocab-size", "40", tmp_path / "in.txt", "-q", "-o")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        ended = transduce(*words, tmp_path / "link.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (ended.code, ended.err.count(b"\n")) == (3, 1)
    assert (tmp_path / "old.json").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.txt", "link.json", "old.json"]
    assert transduce(*words, tmp_path / "link.json").code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert Tokenizer.load(tmp_path / "old.json").encode("one")


def test_training_a_tokenizer_says_that_words_were_cut(transduce, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"acgt" * 500 + b"\n" + TEXT)
    words = ("tokenizer", "train", "--vocab-size", "60", tmp_path / "in.txt", "-o", tmp_path / "t")
    assert b"words of more than 1,024 characters were cut into parts" in transduce(*words).err


@pytest.mark.parametrize("name", ["x", "x.gz"])
def test_an_error_tells_that_an_output_is_incomplete(transduce, tokenizer, tmp_path, name):
    out = tmp_path / name
    words = ("tokenizer", "decode", "-t", tokenizer)
    ended = transduce(*words, "-o", out, stdin=b"5\nfive\n")
    assert ended.code == 4
    assert (
        ended.err == f"transduce: line 2 is no list of ids: 'five'; {out} is incomplete\n".encode()
    )
    assert b"incomplete" not in transduce(*words, stdin=b"5\nfive\n").err
    assert b"incomplete" not in transduce(*words, "-o", out, stdin=b"5\n").err


UNFIT = {  # commands that end before there is a result: by the model, or by the first line
    "translate": ("translate", "-m", "writer"),
    "classify": ("classify", "-m", "writer"),
    "tag": ("tag", "-m", "writer"),
    "fill": ("fill", "-m", "writer"),
    "generate": ("generate", "-m", "translator", "--lines"),
    "decode": ("tokenizer", "decode", "-t", "tokenizer"),
}


@pytest.fixture
def paths(translator, writer, tokenizer):
    return {"translator": translator, "writer": writer, "tokenizer": tokenizer}


@pytest.mark.parametrize("name", UNFIT)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_error_before_the_first_result_replaces_nothing(
    transduce, paths, tmp_path, name, ending
):
    (tmp_path / f"old{ending}").write_bytes(b"kept")
    words = [paths.get(word, word) for word in UNFIT[name]]
    for out in (tmp_path / f"old{ending}", tmp_path / f"new{ending}"):
        ended = transduce(*words, "-o", out, stdin=b"one\n")
        assert (ended.code != 0, ended.out, b"incomplete" in ended.err) == (True, b"", False)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"kept"]


@pytest.mark.parametrize("name", ["x.npy", "x.txt"])
def test_an_array_of_an_unfit_model_replaces_nothing(transduce, writer, tmp_path, name):
    (tmp_path / name).write_bytes(b"kept")
    ended = transduce(
        "embed", "-m", writer, "--prompt-name", "none", "-o", tmp_path / name, stdin=b"a\n"
    )
    assert ended.code == 2
    assert (tmp_path / name).read_bytes() == b"kept"


@pytest.mark.parametrize("name", ["x", "x.gz", "x.npy"])
def test_a_result_without_a_line_replaces_a_file(transduce, translator, tokenizer, tmp_path, name):
    (tmp_path / name).write_bytes(b"old")
    encode = ("tokenizer", "encode", "-t", tokenizer)
    words = ("embed", "-m", translator) if name == "x.npy" else encode
    assert transduce(*words, "-o", tmp_path / name).code == 0
    assert (tmp_path / name).read_bytes()[:3] != b"old"


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), RuntimeError("a bug"), OSError(28, "full"), OSError(27, "large")]
)
def test_whatever_ends_the_work_tells_it(capsys, monkeypatch, tmp_path, error):
    from cli import errors
    from cli.io.outputs import output

    def program():
        with output(tmp_path / "x") as writer:
            writer.line("one")
            raise error

    assert errors._run(program) != 0
    err = capsys.readouterr().err
    assert (err.count("\n"), err.endswith(f"; {tmp_path / 'x'} is incomplete\n")) == (1, True)


def test_a_model_that_another_takes_the_place_of_is_told(transduce, translator, tmp_path):
    command = ("checkpoint", "convert", translator, "--to", "transduce", "-o", tmp_path / "out")
    told = [transduce(*command).err.decode().splitlines()[0] for _ in range(2)]
    first = f"transduce: {tmp_path}/out: written as a transduce model"
    assert told == [first, f"{first}, in place of the model that was there"]
