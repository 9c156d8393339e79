"""`fill`: the likeliest tokens for masks, as columns and as records, one for each line."""

import json
from pathlib import Path

import pytest

from cli.commands.fill import _cells, _shown
from tests.adapters.sides import write_random_adapter
from tests.masked_models import write_masked
from transformer.export import convert_model
from transformer.pipelines.filling import Fill

LINES = "one <mask> three\n\nno mask\n<mask> größer <mask>\n".encode()


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> Path:
    return write_masked(tmp_path_factory.mktemp("masked"))


@pytest.fixture
def run(transduce, masked):
    def go(*options, stdin=LINES, code=0):
        ended = transduce("fill", "-m", masked, *options, "--device", "cpu", stdin=stdin)
        assert ended.code == code, ended.err
        return ended

    return go


def records(out: bytes) -> list[dict]:
    return [json.loads(line) for line in out.decode().split("\n")[:-1]]


def test_columns_are_the_fills_of_each_mask_in_turn(run):
    ended = run("--top-k", "2")
    first, blank, failed, last = (row.split("\t") for row in ended.out.decode().split("\n")[:-1])
    assert (len(first), blank, failed, len(last)) == (4, [""], [""], 8)
    assert ended.err.decode().splitlines() == [
        "transduce: line 3: the line has no mask, which is written <mask>",
        "transduce: lines without an answer: 1",
    ]
    found = records(run("--top-k", "2", "--json").out)
    for columns, record in ((first, found[0]), (last, found[3])):
        fills = [[Fill(**fill) for fill in mask] for mask in record["fills"]]
        assert columns == [cell for mask in fills for cell in _cells(mask)]
        assert columns[0] == _shown(fills[0][0])
    assert [len(mask) for mask in found[3]["fills"]] == [2, 2]
    assert all(len(mask) == 5 for mask in records(run("--json").out)[3]["fills"])


def test_a_record_has_the_fills_and_all_fields_of_its_line(run, tmp_path):
    first, blank, failed, _ = records(run("--json").out)
    best = first["fills"][0][0]
    assert best.keys() == {"token", "text", "probability"}
    assert first["filled"] == f"one{best['text']} three"
    assert blank == {"text": "", "fills": [], "filled": ""}
    assert failed == {"text": "no mask", "error": "the line has no mask, which is written <mask>"}
    lines = '{"id": 7, "text": "one <mask>", "prefix": "x", "filled": "mine"}\n{"id": 8}\n'
    (tmp_path / "in.jsonl").write_text(lines)
    ended = run("--json", tmp_path / "in.jsonl")
    found, lacking = records(ended.out)
    assert (found["id"], found["prefix"], found["text"]) == (7, "x", "one <mask>")
    assert found["filled"].startswith("one")
    assert lacking["id"] == 8 and "text" in lacking["error"]
    assert b"fields of the input give way to the answer's own" in ended.err


def test_a_terminal_says_how_a_mask_is_typed(run, monkeypatch):
    hints = []
    monkeypatch.setattr("cli.commands.fill.filter_lines", lambda *_, hint: hints.append(hint))
    run()
    assert hints == ["type lines with <mask> in them; Ctrl-D ends"]


def test_lines_that_fail_decide_on_the_exit_code(run):
    run("--strict", code=4)
    assert run(stdin=b"one\ntwo\n", code=4).out == b"\n\n"
    assert run(stdin=b"").out == b""


@pytest.mark.parametrize(
    ("token", "text", "shown"),
    [
        ("Ġone", " one", "one"),
        ("##ing", "##ing", "##ing"),
        ("ĸ", "\ufffd", "ĸ"),
        ("▁", "", "▁"),
        ("a\tb", "a\tb", r"a\tb"),
        ("\n", "\n", r"\n"),
        ("<0x0A>", "\n", "<0x0A>"),
    ],
)
def test_a_fill_is_shown_in_one_cell(token, text, shown):
    assert _shown(Fill(token, text, 0.5)) == shown


def test_fills_that_look_the_same_are_told_by_their_tokens():
    mask = [Fill("▁one", "one", 0.5), Fill("two", "two", 0.25), Fill("one", "one", 0.125)]
    assert [*_cells(mask)] == ["▁one", "0.5000", "two", "0.2500", "one", "0.1250"]


def test_other_models_are_refused_with_what_they_can_do(transduce, tmp_path):
    write_masked(tmp_path, head="none", output_bias=False)
    ended = transduce("fill", "-m", tmp_path, "--device", "cpu", stdin=LINES)
    assert (ended.code, ended.out, ended.err.count(b"\n")) == (2, b"", 1)
    assert b"cannot fill in masks, which needs a masked language model" in ended.err


def test_more_fills_than_tokens_are_refused_before_a_file_is_touched(run, tmp_path):
    (tmp_path / "out").write_bytes(b"mine")
    ended = run("--top-k", "1000", "-o", tmp_path / "out", code=2)
    assert (tmp_path / "out").read_bytes() == b"mine"
    assert b"--top-k is 1,000; the model has 2" in ended.err


def test_an_adapter_fills_as_what_it_is_merged_into(run, transduce, masked, tmp_path):
    adapter = write_random_adapter(masked, tmp_path / "adapter", alpha=30.0)
    convert_model(masked, tmp_path / "merged", to="transduce", adapter=adapter)
    beside = run("--adapter", adapter).out
    merged = transduce("fill", "-m", tmp_path / "merged", "--device", "cpu", stdin=LINES).out
    assert beside == merged != run().out
