"""Every command that opens a text looks at its bytes: packed ones are read, archives refused."""

import codecs
import gzip

import pytest

pytestmark = pytest.mark.integration

TEXT = b"one two\n"
COMMANDS = {
    "translate -m {translator} {file}": TEXT,
    "translate -m {translator} --glossary {file} {plain}": b"one\tone\n",
    "score -m {translator} {file}": b"one two\ttwo one\n",
    "embed -m {translator} {file}": TEXT,
    "generate -m {writer} -n 2 -f {file}": TEXT,
    "generate -m {writer} -n 2 --lines -f {file}": TEXT,
    "evaluate -m {translator} --source {file} --reference {plain}": TEXT,
    "evaluate -m {translator} --source {plain} --reference {file}": TEXT,
    "evaluate -m {writer} --text {file}": TEXT,
    "checkpoint verify {writer} {writer} --text {file}": TEXT,
    "tokenizer encode -t {writer} {file}": TEXT,
    "tokenizer decode -t {writer} {file}": b"5 6\n",
    "tokenizer train --vocab-size 40 -o - {file}": TEXT * 9,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_packed_and_marked_texts_are_read_as_plain_ones(
    transduce, translator, writer, tmp_path, command
):
    (tmp_path / "plain").write_bytes(TEXT)
    models = {"translator": translator, "writer": writer, "plain": tmp_path / "plain"}
    answers = []
    for change in (bytes, codecs.BOM_UTF8.__add__, gzip.compress):
        (tmp_path / "t.txt").write_bytes(change(COMMANDS[command]))
        words = command.format(file=tmp_path / "t.txt", **models).split()
        ended = transduce(*words)
        assert ended.code == 0, ended.err
        answers.append(ended.out)
    assert answers[0]
    assert answers[1:] == answers[:1] * 2
    (tmp_path / "t.txt").write_bytes(b"PK\x03\x04" + bytes(40))
    ended = transduce(*words)
    assert (ended.code, ended.out, ended.err.count(b"\n")) == (4, b"", 1)
    assert b"t.txt is a zip archive, not text: unpack it" in ended.err
