"""`embed`: vectors as lists, as records with their texts, and as a NumPy array."""

import json

import numpy as np
import pytest

pytestmark = pytest.mark.integration

LINES = "one two\n\nthree größer\n".encode()


@pytest.fixture
def run(transduce, translator):
    def go(*options, stdin=LINES, code=0):
        ended = transduce("embed", "-m", translator, *options, "--device", "cpu", stdin=stdin)
        assert ended.code == code, ended.err
        return ended

    return go


def test_an_array_has_the_rows_that_are_written_as_lists(run, tmp_path):
    lists = [json.loads(line) for line in run().out.split(b"\n")[:-1]]
    ended = run("-o", tmp_path / "x.npy")
    assert (ended.out, ended.err) == (b"", b"")
    array = np.load(tmp_path / "x.npy")
    assert (array.shape, array.dtype) == ((3, 32), np.float32)
    assert np.allclose(array, np.array(lists, np.float32), atol=1e-7)
    run("-o", tmp_path / "X.NPY", stdin=b"")
    assert np.load(tmp_path / "X.NPY").shape == (0, 32)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(mapped, array)


def test_an_array_of_work_that_broke_off_has_the_rows_before_it(run, tmp_path):
    lines = b'{"text": "one"}\n' * 3000 + b'{"other": "two"}\n'
    (tmp_path / "in.jsonl").write_bytes(lines)
    ended = run(tmp_path / "in.jsonl", "-o", tmp_path / "x.npy", code=4)
    assert b"x.npy is incomplete" in ended.err
    array = np.load(tmp_path / "x.npy")
    assert array.shape[1] == 32
    assert len(array) < 3000 or np.isfinite(array).all()


def test_a_record_has_its_text_and_the_other_fields(run, tmp_path):
    vectors = [json.loads(line) for line in run().out.split(b"\n")[:-1]]
    records = [json.loads(line) for line in run("--json").out.split(b"\n")[:-1]]
    texts = LINES.decode().split("\n")[:-1]
    assert records == [
        {"text": text, "embedding": vector} for text, vector in zip(texts, vectors, strict=True)
    ]
    table = "id,text,prefix\n7,one two,x\n8,three €,y\n"
    (tmp_path / "in.csv").write_text(table)
    first, second = map(json.loads, run("--json", tmp_path / "in.csv").out.split(b"\n")[:-1])
    assert first.pop("embedding") == pytest.approx(vectors[0], abs=1e-6)
    assert first == {"id": "7", "prefix": "x", "text": "one two"}
    assert (second["id"], second["notices"]) == ("8", {"unknown_read": ["€"]})


@pytest.mark.parametrize("name", ["x.npz", "x.npy.gz", "x.pkl"])
def test_other_arrays_are_refused_with_a_name_that_is_written(run, tmp_path, name):
    ended = run("-o", tmp_path / name, code=2)
    assert b"is the name of an array; this command writes text" in ended.err
    assert b"or an array in a file named .npy" in ended.err
    assert not (tmp_path / name).exists()


def test_what_cannot_be_written_is_told_before_a_file_is_touched(run, transduce, writer, tmp_path):
    (tmp_path / "x.npy").write_bytes(b"mine")
    ended = run("--json", "-o", tmp_path / "x.npy", code=2)
    assert b"--json writes text" in ended.err
    ended = transduce("embed", "-m", writer, "-o", tmp_path / "x.npy", stdin=b"one\n")
    assert ended.code == 2 and b"cannot embed" in ended.err
    assert (tmp_path / "x.npy").read_bytes() == b"mine"
    ended = transduce("translate", "-m", writer, "-o", tmp_path / "y.npy", stdin=b"one\n")
    assert b"plain, or packed" in ended.err and b"file named .npy" not in ended.err


def test_a_pipe_is_no_array(tmp_path):
    import os

    from cli.io.output_checks import check_files
    from transformer.errors import ConfigError

    os.mkfifo(tmp_path / "p.npy")
    (tmp_path / "q.npy").symlink_to("/dev/null")
    for name in ("p.npy", "q.npy"):
        with pytest.raises(ConfigError, match=rf"{name} is no regular file: an array's header"):
            check_files(tmp_path / name, [], arrays=True)
