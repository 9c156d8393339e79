"""A folder in int8 on the command line: made, used, shown, compared, trained from."""

import pytest

from transformer.kernels import packing

pytestmark = pytest.mark.integration

LINES = b"one two\ntwo one\none\n"
ROUNDED = "eight were rounded to int8: they are used in float32, no more exact than that"


@pytest.fixture
def eight(transduce, translator, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "SMALL", 256)
    out = tmp_path / "eight"
    ended = transduce("checkpoint", "convert", translator, "-o", out, "--dtype", "int8")
    assert ended.code == 0, ended.err
    assert ended.err.decode() == f"transduce: {out}: written as a transduce model\n"
    return out


def answers(transduce, *command):
    ended = transduce(*command, "--device", "cpu", stdin=LINES)
    assert ended.code == 0, ended.err
    return ended.out, ended.err.decode()


def test_it_writes_what_its_model_writes_in_int8(transduce, translator, eight):
    translate = ("translate", "--json", "--beam", "3")
    wanted, _ = answers(transduce, *translate, "-m", translator, "--dtype", "int8")
    assert wanted != answers(transduce, *translate, "-m", translator)[0]
    for more in ((), ("--dtype", "int8"), ("--dtype", "auto")):
        found, told = answers(transduce, *translate, "-m", eight, *more)
        assert found == wanted
        assert "rounded" not in told
    found, told = answers(transduce, *translate, "-q", "-m", eight, "--dtype", "float32")
    assert found != wanted
    assert told.count(ROUNDED) == 1


def test_it_is_shown_and_listed_as_what_it_is(transduce, translator, eight):
    def rows(model):
        return dict(
            line.split(maxsplit=1)
            for line in transduce("checkpoint", "show", model).out.decode().splitlines()
            if line.startswith(("parameters", "weights"))
        )

    shown, before = rows(eight), rows(translator)
    assert shown["parameters"] == before["parameters"]
    assert " int8, " in shown["weights"]
    assert shown["weights"].partition(" in ")[2] == before["weights"].partition(" in ")[2]
    listed = transduce("checkpoint", "list", eight.parent).out.decode()
    assert "encoder-decoder" in next(line for line in listed.splitlines() if "eight" in line)


def test_it_is_compared_as_the_rounded_model(transduce, translator, eight):
    ended = transduce("checkpoint", "verify", translator, eight, "--tolerance", "0")
    assert ended.code == 1
    assert ROUNDED in ended.err.decode()


def test_training_goes_on_from_the_rounded_weights(transduce, eight, pairs, tmp_path):
    ended = transduce(
        *("train", "--pairs", pairs, "--init", eight, "-o", tmp_path / "run", "--steps", "2"),
        *("--device", "cpu", "--valid-fraction", "0"),
    )
    assert ended.code == 0, ended.err
    assert ROUNDED in ended.err.decode()
    shown = transduce("checkpoint", "show", tmp_path / "run").out.decode()
    assert " float32 in " in shown
    assert "int8" not in shown


def test_an_adapter_that_was_trained_on_it_adds_to_the_rounded_weights(
    transduce, eight, pairs, tmp_path
):
    ended = transduce(
        *("train", "--pairs", pairs, "--init", eight, "-o", tmp_path / "run", "--steps", "2"),
        *("--device", "cpu", "--valid-fraction", "0", "--lora-rank", "2"),
    )
    assert ended.code == 0, ended.err
    _, told = answers(transduce, "translate", "-m", tmp_path / "run")
    assert told.count(ROUNDED.replace("float32", "int8")) == 1


def test_other_formats_and_means_are_refused_in_one_line(transduce, eight, translator, tmp_path):
    command = ("checkpoint", "convert", translator, "-o", tmp_path / "out", "--dtype", "int8")
    refused = transduce(*command, "--to", "marian")
    assert refused.code == 2
    told = "transduce: --to marian has no place for int8; --to transduce has\n"
    assert refused.err.decode() == told
    refused = transduce("checkpoint", "average", eight, eight, "-o", tmp_path / "mean")
    assert refused.code == 2
    assert refused.err.count(b"\n") == 1
    assert b"eight is in int8, of which there is no mean" in refused.err
