"""The demo's report: it counts what is right, learnt and invented as it is, at any width."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from demo import report
from demo.report import DateAnswers, Names

ANSWERS = DateAnswers(
    phrases=["3 May 2021", "4 May 2021", "5 May 2021"],
    answers=["2021-05-03", "2021-05-44", "2021-05-05"],
    dates=["2021-05-03", "2021-05-04", "2021-05-05"],
    learnt={"2021-05-05"},
)


def test_dates_are_right_to_the_letter_and_new_unless_learnt() -> None:
    assert (ANSWERS.right, ANSWERS.new) == (2, 2)


def test_a_name_is_learnt_or_true_or_invented() -> None:
    names = Names({"DIGIT ONE"}, {"COMBINING ACUTE ACCENT", "SPACE"})
    assert names.describe("DIGIT ONE") == "learnt 1"
    assert names.describe("COMBINING ACUTE ACCENT") == "true, never shown \u25cc\u0301"
    assert names.describe("SPACE") == "true, never shown "  # nothing to be seen
    assert names.describe("DIGIT TENTH") == "invented"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the demo leaves, with models of a few numbers."""
    for name in ("dates", "names"):
        best = tmp_path / name / "best"
        best.mkdir(parents=True)
        save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4)}, best / "model.safetensors")
        (tmp_path / name / "run.json").write_text('{"best": "best"}')
    answers = {"prompt": "DIGIT", "n_best": [{"text": " ONE"}, {"text": ""}]}
    texts = {
        "text/dates/test.en": ANSWERS.phrases,
        "text/dates/test.iso": ANSWERS.dates,
        "text/dates/train.iso": [*ANSWERS.learnt],
        "text/names/train.txt": ["DIGIT ONE"],
        "text/names/valid.txt": ["DIGIT TWO"],
        "written/dates.txt": ANSWERS.answers,
        "written/names.jsonl": [json.dumps(answers)],
        "written/drawn.json": [
            json.dumps({"prompt": "", "n_best": [{"text": f"DIGIT {n}"} for n in ("TWO", "ONE")]})
        ],
        "written/evaluation.json": ['{"bits_per_byte": 1.234}'],
    }
    for name, lines in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("width", [40, 80])
def test_input_and_output_stand_side_by_side_and_commands_in_one_piece(
    folder: Path, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    report.print_report(folder, ".venv/bin/transduce", {"dates": 50, "names": 40})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith("  3 May 2021")] == [
        ["3", "May", "2021", "2021-05-03"]
    ]
    command = f"  .venv/bin/transduce generate 'LATIN SMALL LETTER' -m {folder}/names --n-best 5"
    assert command in lines
    assert all(len(line) <= width for line in lines if " -m " not in line and "train" not in line)
    text = " ".join(" ".join(lines).split())
    assert "2021-05-44, which is wrong: 2021-05-04" in text
    assert "10 weights, trained in 50 s. Of 3 lines, 2 come out right to the letter (66.7%)" in text
    assert "40 s: 1.23 bits a byte on 1 names" in text
    assert "2 names that it wrote without a beginning, 1 are learnt, 1 are true" in text
