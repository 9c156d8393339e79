"""`--adapter` in every command that runs a model: as the model that it is merged into."""

import json
from pathlib import Path

import pytest

from tests.adapters.sides import write_random_adapter
from transformer.export import convert_model
from transformer.kernels import packing
from transformer.loading import find_model

pytestmark = pytest.mark.integration

LINES = b"one two three\nfour\n"
PAIRS = b"one two three\tthree two one\nfour\tfour\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory, translator, writer) -> dict[str, tuple[Path, Path, Path]]:
    """A model's run, an adapter for it, and what both are merged."""
    made = {}
    for name, run in (("translator", translator), ("writer", writer)):
        folder = tmp_path_factory.mktemp("adapted") / name
        adapter = write_random_adapter(find_model(run), folder / "adapter", alpha=30.0)
        convert_model(run, folder / "merged", to="transduce", adapter=adapter)
        made[name] = run, adapter, folder / "merged"
    return made


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {"PAIRS": PAIRS, "TEXT": LINES}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


@pytest.mark.parametrize(
    ("command", "model", "options"),
    [
        ("translate", "translator", ()),
        ("generate", "writer", ("--lines", "--max-tokens", 5, "--temperature", 0)),
        ("score", "translator", ()),
        ("embed", "translator", ()),
        ("evaluate", "writer", ("--text", "TEXT")),
        ("evaluate", "translator", ("--pairs", "PAIRS")),
    ],
)
def test_a_command_answers_as_the_merged_model(
    transduce, files, folders, *, command, model, options
) -> None:
    options = [files.get(option, option) for option in options]
    run, adapter, merged = folders[model]
    answers = []
    for chosen in ((run, "--adapter", adapter), (merged,), (run,)):
        rest = (*options, "--device", "cpu", "-q")
        ended = transduce(
            command, "-m", *chosen, *rest, stdin=PAIRS if command == "score" else LINES
        )
        assert ended.code == 0, ended.err
        answers.append(ended.out)
    if command == "embed":
        vectors = [[*map(json.loads, answer.splitlines())] for answer in answers]
        assert vectors[0] == [pytest.approx(row, abs=1e-5) for row in vectors[1]]
        assert vectors[0] != vectors[2]
    else:
        assert answers[0] == answers[1]
        assert command == "evaluate" or answers[0] != answers[2]


def test_an_adapter_beside_its_base_alone(transduce, folders, tmp_path: Path) -> None:
    run, adapter, _ = folders["translator"]
    (tmp_path / "pairs").write_bytes(PAIRS * 10)
    ended = transduce(
        *("evaluate", "-m", run, "--adapter", adapter, "--versus", run, "--json"),
        *("--pairs", tmp_path / "pairs", "--device", "cpu"),
    )
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert record["chrf"]["score"] != record["versus"]["chrf"]["score"]


def test_several_models_have_no_adapter(transduce, folders) -> None:
    run, adapter, _ = folders["translator"]
    for command in ("translate", "evaluate"):
        ended = transduce(command, "-m", run, "-m", run, "--adapter", adapter, stdin=LINES)
        assert ended.code == 2
        assert b"--adapter is for one model, and -m names 2" in ended.err


def test_an_adapter_is_shown_converted_and_told_where_it_is_no_model(
    transduce, folders, tmp_path: Path
) -> None:
    run, adapter, _ = folders["writer"]
    shown = transduce("checkpoint", "show", adapter)
    assert b"adapter       LoRA, rank 2, alpha 30 (alpha / rank)" in shown.out
    ended = transduce("generate", "-m", adapter, "one")
    assert ended.code == 3
    assert f"give both, as -m {find_model(run)} --adapter {adapter}".encode() in ended.err
    out = tmp_path / "merged"
    ended = transduce("checkpoint", "convert", run, "--adapter", adapter, "-o", out)
    assert ended.code == 0, ended.err
    assert (out / "model.safetensors").is_file()


def test_an_adapter_and_int8(transduce, folders, tmp_path: Path, monkeypatch) -> None:
    """Merged it is rounded once; on a folder in int8 it is added to the rounded numbers."""
    monkeypatch.setattr(packing, "SMALL", 256)
    run, adapter, _ = folders["translator"]
    merged, eight = tmp_path / "merged", tmp_path / "eight"
    for out, more in ((merged, ("--adapter", adapter)), (eight, ())):
        ended = transduce("checkpoint", "convert", run, *more, "-o", out, "--dtype", "int8")
        assert ended.code == 0, ended.err
    translate = ("translate", "--json", "--device", "cpu")
    wanted = transduce(
        *translate, "-m", run, "--adapter", adapter, "--dtype", "int8", stdin=LINES
    ).out
    assert transduce(*translate, "-m", merged, stdin=LINES).out == wanted
    ended = transduce(*translate, "-m", eight, "--adapter", adapter, stdin=LINES)
    assert ended.code == 0, ended.err
    assert b"eight were rounded to int8: they are used in int8" in ended.err
