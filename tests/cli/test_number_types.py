"""Number types on the command line: what is told of one that nobody asked for."""

import pytest

from transformer.kernels import packing
from transformer.loading import inference


@pytest.mark.parametrize("speed", [1.0, 1.84])
@pytest.mark.parametrize("command", ["generate", "score"])
def test_auto_is_the_default_which_tells_another_type_than_float32(
    monkeypatch, transduce, writer, command, speed
) -> None:
    monkeypatch.setattr(packing, "SMALL", 0)
    monkeypatch.setattr(inference, "kernel_speeds", lambda base: {base: 1.0, "float16": speed})
    ended = transduce(command, "--device", "cpu", "-m", writer, stdin=b"one\n")
    told = b"transduce: dtype auto is float16: products of large matrices were measured 1.8 times "
    assert ended.code == 0
    assert (told in ended.err) == (b"dtype" in ended.err) == (speed > 1)


def test_a_choice_is_told_once_and_not_with_quiet(monkeypatch, transduce, translator) -> None:
    monkeypatch.setattr(packing, "SMALL", 0)
    monkeypatch.setattr(inference, "kernel_speeds", lambda base: {base: 1.0, "float16": 2.0})
    asked = ("translate", "--device", "cpu", "-m", translator)
    assert transduce(*asked, "-m", translator, stdin=b"one\n").err.count(b"dtype auto is") == 1
    assert b"dtype" not in transduce(*asked, "-q", stdin=b"one\n").err
