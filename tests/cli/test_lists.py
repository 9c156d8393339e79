"""`runs list`, `checkpoint list` and `checkpoint show`: what there is, and what it can do."""

import json
import re
import shutil
from pathlib import Path

import pytest

from cli.render.listing import cut_notice, table
from tests.cli.conftest import SCHEDULE, SIZE, train
from tests.models import tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transformer.export import save_model
from transformer.folder_search import FolderSearch
from transformer.loading import find_model
from transformer.training.recipe_resolution import resolve_recipe
from transformer.training.run import Run
from transformer.training.run_lock import RunLock

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def runs(tmp_path_factory, pairs):
    """A folder with a run of a translator that validates, and one that started from it."""
    folder = tmp_path_factory.mktemp("listed")
    recipe = {
        "data": {"pairs": [str(pairs)], "valid_fraction": 0.01, "max_tokens": 64},
        "tokenizer": {"vocab_size": 100},
        "model": {"preset": "translate-tiny", "encoder_layers": 1, **SIZE},
        "training": {"steps": 4, **SCHEDULE},
        "validation": {"every": 2, "metric": "chrf", "max_lines": 5},
    }
    first = train(folder / "runs" / "first", **recipe)
    again = {**recipe, "data": {**recipe["data"], "valid_fraction": 0.0}, "model": {}}
    second = Run(
        resolve_recipe(None, {**again, "tokenizer": {}}, []),
        folder / "runs" / "deep" / "second",
        device="cpu",
        init=Path(first),
    )
    list(second.events())
    options = TrainingOptions(kind="char", vocab_size=30)
    tokenizer = train_tokenizer(["one two"] * 9, options)
    model = tiny_model("decoder", vocab_size=tokenizer.vocab_size)
    (folder / "exported").mkdir()
    save_model(folder / "exported", model.config, model.state_dict(), tokenizer, card={})
    return folder


def scores_of(run):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {each["step"]: each for each in lines if each["event"] == "validation"}


def records(ended):
    assert (ended.code, ended.err) == (0, b"")
    return [json.loads(line) for line in ended.out.splitlines()]


def test_runs_are_listed_with_their_steps_and_best_scores(transduce, runs):
    second, first = records(transduce("runs", "list", runs, "--json"))
    assert [first["folder"], second["folder"]] == [
        str(runs / "runs" / "first"),
        str(runs / "runs" / "deep" / "second"),
    ]
    log = scores_of(runs / "runs" / "first")
    best = log[first["best_step"]]
    assert first["scores"]["chrf"] == best["scores"]["chrf"]["value"]
    assert first["scores"]["loss"] == best["loss"]
    assert first["decided_by"] == best["decided_by"]
    assert (first["step"], first["steps"], first["is_training"]) == (4, 4, False)
    files = [p for p in (runs / "runs" / "first").rglob("*") if p.is_file()]
    assert first["num_bytes"] == sum(p.stat().st_size for p in files)
    assert "best_step" not in second
    assert second["init"] == str(runs / "runs" / "first")
    heads, *rows = transduce("runs", "list", runs).out.decode().splitlines()
    assert heads.split() == ["RUN", "MODEL", "STEP", "BEST", "SIZE", "CHANGED"]
    assert rows[0].split()[1:4] == ["from", "first", "4/4"]  # whatever presets say
    assert rows[1].split()[:3] == [first["folder"], "translate-tiny", "4/4"]
    assert f" {first['decided_by']} " in rows[1]


def test_the_score_that_decided_is_the_one_that_is_listed(transduce, runs, tmp_path):
    run = shutil.copytree(runs / "runs" / "first", tmp_path / "run")
    log = (run / "metrics.jsonl").read_text()
    for name, digits in (("chrf", 2), ("loss", 4)):
        changed = re.sub(r'"decided_by": "\w+"', f'"decided_by": "{name}"', log)
        (run / "metrics.jsonl").write_text(changed)
        (record,) = records(transduce("runs", "list", tmp_path, "--json"))
        assert record["decided_by"] == name
        best = f"  {name} {record['scores'][name]:.{digits}f}  "
        assert best in transduce("runs", "list", tmp_path).out.decode()
        listed = transduce("checkpoint", "list", tmp_path).out.decode()
        assert f"  best, last, {best.strip()}\n" in listed or f"  best, {best.strip()}\n" in listed


def test_a_run_in_training_and_a_damaged_one_are_told(transduce, runs, tmp_path):
    run = shutil.copytree(runs / "runs" / "first", tmp_path / "run")
    with RunLock(run):
        with (run / "metrics.jsonl").open("a") as log:
            log.write('{"event": "step", "step": 77}\n{"event": "st')
        (record,) = records(transduce("runs", "list", tmp_path, "--json"))
        assert (record["is_training"], record["step"]) == (True, 77)
        assert b"training now" in transduce("runs", "list", tmp_path).out
    with RunLock(run):  # which listing does not keep
        pass
    (run / "run.json").unlink()
    ended = transduce("runs", "list", tmp_path)
    assert (ended.code, b"run.json is missing" in ended.out) == (0, True)
    assert b"has lost its run.json" in ended.err
    empty = transduce("runs", "list", runs / "exported")
    assert (empty.code, empty.out) == (0, b"")
    assert b"no training runs in" in empty.err
    assert transduce("runs", "list", "-q", runs / "exported").err == b""
    assert transduce("runs", "list", tmp_path / "nowhere").code == 3


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def _unnamed(run):
    (run / "run.json").write_text('{"best": 5}')


DAMAGES = {
    "run.json is missing": lambda run: (run / "run.json").unlink(),
    "run.json is damaged": _unnamed,
    "checkpoints/step-00000004 is missing": lambda run: shutil.rmtree(
        run / "checkpoints" / "step-00000004"
    ),
    "checkpoints/step-00000004 is damaged": lambda run: _truncate(
        run / "checkpoints" / "step-00000004" / "model.safetensors"
    ),
    "checkpoints/step-00000002 is damaged": lambda run: _truncate(
        run / "checkpoints" / "step-00000002" / "model.safetensors"
    ),
    "training/step-00000004 is damaged": lambda run: (
        run / "training" / "step-00000004" / "state.json"
    ).unlink(),
}


@pytest.mark.parametrize("state", DAMAGES)
def test_the_state_of_a_run_says_what_is_wrong_with_it(state, transduce, runs, tmp_path):
    run = shutil.copytree(runs / "runs" / "first", tmp_path / "run")
    DAMAGES[state](run)
    ended = transduce("runs", "list", tmp_path)
    heads, row = ended.out.decode().splitlines()
    assert heads.split()[-1] == "STATE"
    assert row.endswith(f"  {state}")
    assert ended.err.count(b"\n") == 1
    assert (ended.code, str(run).encode() in ended.err) == (0, True)
    record = json.loads(transduce("runs", "list", tmp_path, "--json").out)
    assert (record["state"], bool(record["problem"])) == (state, True)


def test_a_recipe_that_no_file_has_is_told(transduce, runs, tmp_path):
    run = shutil.copytree(runs / "runs" / "first", tmp_path / "run")
    for path in run.rglob("recipe.toml"):
        path.unlink()
    assert b"recipe.toml is missing, training/step-" in transduce("runs", "list", tmp_path).out
    (run / "recipe.toml").write_text("[")
    assert b"recipe.toml is damaged" in transduce("runs", "list", tmp_path).out


def test_a_run_without_a_save_is_no_healthy_one(transduce, runs, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.lock").touch()
    assert transduce("runs", "list", tmp_path).out.endswith(b"  nothing saved yet\n")
    told = f"transduce: {tmp_path / 'run'} is a run that has saved nothing yet: "
    commands = (["checkpoint", "show"], ["evaluate", "-m"], ["score", "-m"])
    for way in ("what began it begins it again", "go on with transduce train --resume -o "):
        for command in commands:
            assert transduce(*command, tmp_path / "run").err.decode().startswith(told + way)
        (tmp_path / "run" / "recipe.toml").touch()
        (tmp_path / "run" / "tokenizer.json").touch()


def test_models_that_are_not_whole_are_marked(transduce, runs, monkeypatch, tmp_path):
    monkeypatch.setattr("transformer.training.model_list.cached_models", list)
    run = shutil.copytree(runs / "runs" / "first", tmp_path / "run")
    assert b"damaged" not in transduce("checkpoint", "list", tmp_path).out
    _truncate(run / "checkpoints" / "step-00000004" / "tokenizer.json")
    out = transduce("checkpoint", "list", tmp_path).out.decode().splitlines()
    assert ["damaged" in line for line in out] == ["step-00000004" in line for line in out]


def test_a_list_that_is_cut_says_so(transduce, runs, monkeypatch):
    monkeypatch.setattr("transformer.training.model_list.cached_models", list)
    monkeypatch.setattr(
        "transformer.folder_search.FolderSearch.__init__.__kwdefaults__",
        {"entries": 1, "seconds": 9},
    )
    for command in ("runs", "checkpoint"):
        ended = transduce(command, "list", "-q", runs)
        assert ended.err.decode() == (
            f"transduce: {runs} holds too many folders to look into all: name one further down\n"
        )


def test_files_and_deep_folders_hide_no_run(tmp_path):
    from transformer.training.run_summary import folders_below

    for number in range(30):
        (tmp_path / f"{number:02}.txt").touch()
        (tmp_path / "a" / "deep" / f"{number:02}").mkdir(parents=True)
    (tmp_path / "z").mkdir()
    search = FolderSearch(entries=20)
    assert tmp_path / "z" in folders_below(tmp_path, search)
    assert search.cut == "folders"


def test_a_list_that_took_too_long_says_so(tmp_path):
    late = FolderSearch(seconds=-1)
    assert late.subfolders(tmp_path) == []
    assert "takes too long" in cut_notice(tmp_path, late.cut)


def test_models_are_listed_by_the_names_that_m_takes(transduce, runs, monkeypatch, tmp_path):
    monkeypatch.setattr("transformer.training.model_list.cached_models", list)
    listed = records(transduce("checkpoint", "list", runs, "--json"))
    by_name = {record["name"]: record for record in listed}
    log = scores_of(runs / "runs" / "first")
    (best,) = [r for r in listed if "best" in r["marks"]]
    assert best["name"] == str(find_model(runs / "runs" / "first"))
    assert best["scores"]["loss"] == log[int(best["name"][-8:])]["loss"]
    exported = by_name[str(runs / "exported")]
    assert (exported["kind"], exported["place"], exported["marks"]) == ("decoder", "folder", [])
    folders = [*runs.glob("runs/**/checkpoints/step-*"), runs / "exported"]
    assert by_name.keys() == {*map(str, folders)}
    for record in listed:
        assert transduce("checkpoint", "show", record["name"]).code == 0
    assert b"best, " in transduce("checkpoint", "list", runs).out
    nothing = transduce("checkpoint", "list", tmp_path)
    assert b"no models in" in nothing.err


def test_models_of_the_hubs_cache_are_listed(forked, monkeypatch, tmp_path):
    """With their names, once, and none of what is no model."""
    cache = tmp_path / "hub"
    for name, file in (("models--owner--name", "config.json"), ("models--owner--other", "x.txt")):
        snapshot = cache / name / "snapshots" / "c0ffee"
        snapshot.mkdir(parents=True)
        (cache / name / "refs").mkdir()
        (cache / name / "refs" / "main").write_text("c0ffee")
        (snapshot / file).write_text(json.dumps({"model_type": "marian"}))
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    out, err = forked("checkpoint", "list", tmp_path, "--json").communicate()
    (record,) = map(json.loads, out.splitlines())
    assert (record["name"], record["kind"], record["place"]) == ("owner/name", "marian", "hub")
    assert err == b""


def test_a_table_leaves_out_what_can_be_missed_on_a_narrow_terminal():
    row = {
        "MODEL": "runs/first",
        "KIND": "decoder",
        "SIZE": "1 MB",
        "CHANGED": "2026-11-27",
        "": "x",
    }
    whole = [*table([row])]
    assert whole == [*table([row], limit=len(whole[1]))]
    heads, _ = table([row], limit=len(whole[1]) - 1)
    assert heads.split() == ["MODEL", "SIZE", "CHANGED"]
    assert [*table([row], limit=3)] == ["MODEL", "runs/first  x"]
    run = {"RUN": "a", "MODEL": "write-tiny", "STEP": "1/2", "SIZE": "1 MB", "STATE": ""}
    assert [*table([run], limit=9)] == ["RUN  STEP", "a     1/2"]


def test_a_model_shows_what_it_can_do_and_where_it_came_from(transduce, runs, monkeypatch):
    def show(path):
        ended = transduce("checkpoint", "show", path)
        assert ended.code == 0, ended.err
        return {line[:13].strip(): line[14:] for line in ended.out.decode().splitlines()}

    first, second = runs / "runs" / "first", runs / "runs" / "deep" / "second"
    facts = show(first)
    assert facts["commands"] == "translate, score, embed, evaluate --pairs FILE"
    assert facts["pooling"] == "mean; scaled to length 1"
    assert facts["context"] == "64 tokens"
    assert facts["run"].startswith(f"{first}, step ")
    assert facts["run"].endswith("of 4, the best")
    assert "chrf " in facts["validation"] and "loss " in facts["validation"]
    monkeypatch.chdir(find_model(first))
    assert show(".")["run"] == facts["run"]
    assert show(second)["started from"] == str(first)
    assert facts["trained on"] == "pairs.tsv"
    assert facts["objective"] == f"translation, measured by evaluate -m {first}"
    assert "| started from |" in (find_model(second) / "README.md").read_text()
    decoder = show(runs / "exported")
    assert decoder["commands"] == "generate, score, evaluate --text FILE"
    assert not {"run", "pooling", "languages"} & decoder.keys()
    (runs / "exported" / "chat_template.jinja").write_text("{{ messages }}")
    assert "generate --chat" in show(runs / "exported")["commands"]
    (runs / "exported" / "chat_template.jinja").unlink()


def test_links_are_followed_once_and_families_that_cannot_be_loaded_are_marked(tmp_path):
    from transformer.training.model_list import NOT_SUPPORTED, list_models

    for place, kind in (("elsewhere/a", "whisper"), ("here/b", "gpt2")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "config.json").write_text(json.dumps({"model_type": kind}))
    for name, target in ("c", "../elsewhere"), ("d", "../elsewhere/a"), ("e", "b"), ("f", ".."):
        (tmp_path / "here" / name).symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to("../here")
    here = tmp_path / "here"
    listed = [each for each in list_models(here, FolderSearch()) if each.place == "folder"]
    assert [(each.name, each.marks) for each in listed] == [
        (str(here / "b"), ()),
        (str(here / "c" / "a"), (NOT_SUPPORTED,)),
    ]
