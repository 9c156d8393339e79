"""`generate`: a fresh seed at each call, answers told apart, and what a short context offers."""

import json
from collections import Counter

import pytest

from transduce import load
from transformer.loading import load_model
from transformer.pipelines.arguments import GenerateArguments
from transformer.pipelines.arguments.generate import fresh_seed
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

pytestmark = pytest.mark.integration


@pytest.fixture
def run(transduce, writer, monkeypatch):
    """The command, which draws seeds as it does for a user; its output, and what it says."""
    monkeypatch.setattr("transformer.pipelines.arguments.generate.fresh_seed", fresh_seed)

    def go(*options, stdin=b""):
        given = ("generate", *options, "-m", writer, "--device", "cpu")
        ended = transduce(*given, stdin=stdin)
        assert ended.code == 0, ended.err
        return ended.out.decode(), ended.err.decode()

    return go


def test_each_call_draws_another_seed_which_json_writes(run):
    records = [json.loads(run("one", "--json", "-n", "20")[0]) for _ in range(3)]
    seeds = [record["seed"] for record in records]
    assert len({*seeds}) == 3
    assert len({record["text"] for record in records}) > 1
    again, told = run("one", "--json", "-n", "20", "--seed", seeds[0])
    assert json.loads(again) == records[0]
    assert str(seeds[0]) not in told
    plain, told = run("one", "-n", "20", "--seed", seeds[0])
    assert plain == f"one{records[0]['text']}\n"
    assert told == ""


def test_lines_have_one_seed_with_which_each_comes_again(run):
    lines = [
        json.loads(line)
        for line in run("--lines", "--json", stdin=b"one\none\n")[0].split("\n")[:-1]
    ]
    assert lines[0]["seed"] == lines[1]["seed"]
    again = run("--lines", "--json", "--seed", lines[0]["seed"], stdin=b"one\none\n")[0]
    assert [json.loads(line) for line in again.split("\n")[:-1]] == lines


def test_a_prompt_that_is_typed_has_the_text_of_that_line(writer):
    """Its number tells random samples apart, not a seed of its own, which another call may have."""
    session = Session([load_model(writer, device="cpu")])
    arguments = GenerateArguments(seed=5, temperature=1.5, max_tokens=20)
    answers = session.generate(IterableSource(["one"] * 3), arguments, Counter())
    texts = [answer.outputs[0].text for answer in answers]
    streamed = [session.stream("one", arguments, Counter(), number=n) for n in range(3)]
    assert ["".join(pieces) for pieces in streamed] == texts
    assert len({*texts}) == 3


def test_a_seed_is_drawn_once_and_where_it_is_needed(monkeypatch):
    seeds = iter([3, 4])
    monkeypatch.setattr("transformer.pipelines.arguments.generate.fresh_seed", lambda: next(seeds))
    first, second = GenerateArguments(), GenerateArguments()
    assert first == second
    assert [each.drawn_seed for each in (first, second, first)] == [3, 4, 3]
    assert GenerateArguments(seed=9).drawn_seed == 9
    assert GenerateArguments(beam=2).drawn_seed is None


@pytest.mark.parametrize(
    "search", [("-t", "0"), ("--beam", "2"), ("--contrastive", "0.5")], ids=str
)
def test_what_is_not_drawn_has_no_seed(run, search):
    records = [json.loads(run("one", "--json", "-n", "9", *search)[0]) for _ in range(2)]
    assert records[0] == records[1]
    assert "seed" not in records[0]


def test_python_draws_seeds_too_and_says_them(writer, monkeypatch):
    monkeypatch.setattr("transformer.pipelines.arguments.generate.fresh_seed", fresh_seed)
    model = load(writer, device="cpu")
    texts = [model.generate("one", max_tokens=20) for _ in range(3)]
    assert len({text.seed for text in texts}) == 3
    assert model.generate("one", max_tokens=20, seed=texts[0].seed) == texts[0]
    assert model.generate("one", max_tokens=2, temperature=0).seed is None
    (first, _) = model.generate(["one", "one"], max_tokens=20, seed=texts[0].seed)
    assert (first, first.seed) == (texts[0], texts[0].seed)


def test_several_answers_stand_below_headings(run):
    """Each may have several lines; the prompt is repeated, and scores stand before it."""
    out, _ = run("one", "--n-best", "3", "-t", "1.5", "-n", "30", "--seed", "1")
    records = json.loads(
        run("one", "--n-best", "3", "-t", "1.5", "-n", "30", "--seed", "1", "--json")[0]
    )
    texts = [each["text"] for each in records["n_best"]]
    wanted = [f"--- {n} of 3 ---\none{text}\n" for n, text in enumerate(texts, 1)]
    assert out == "".join(wanted)
    scored, _ = run("one", "--n-best", "2", "-t", "1", "--seed", "1", "--scores", "--no-prompt")
    head, score = scored.split("\n")[:2]
    assert head == "--- 1 of 2 ---"
    assert float(score.split("\t")[0]) < 0
    lines, _ = run("--lines", "--n-best", "3", "-t", "1", "-n", "9", stdin=b"one\ntwo\n")
    assert (lines.count("\n"), "---" in lines) == (6, False)  # three lines for each
    alone, _ = run("one", "--n-best", "3", "--beam", "3", "--choice", " two")
    assert alone == "--- 1 of 1 ---\none two\n"


@pytest.mark.parametrize("command", ["generate", "translate"])
def test_a_terminal_shows_several_answers_to_a_line_apart(
    transduce, writer, translator, monkeypatch, command
):
    """An empty line after each group, which a pipe does not get."""
    model = ("--lines", "-t", "1", "-m", writer) if command == "generate" else ("-m", translator)
    given = (command, *model, "--n-best", "2", "-n", "5", "--device", "cpu")
    piped = transduce(*given, stdin=b"one two\nsix\n").out.split(b"\n")
    monkeypatch.setattr(f"cli.commands.{command}.output_is_terminal", lambda out: out is None)
    seen = transduce(*given, stdin=b"one two\nsix\n").out.split(b"\n")
    assert seen == [*piped[:2], b"", *piped[2:4], b"", b""]
    monkeypatch.setattr(f"cli.commands.{command}.output_is_terminal", lambda _: False)
    assert transduce(*given, stdin=b"one two\nsix\n").out.split(b"\n") == piped


def test_slide_is_offered_where_the_context_is_short(run):
    _, told = run("one", "-n", "80")
    assert "tokens of the 80 asked for: --overflow slide writes on beyond it" in told
    _, told = run("one", "-n", "80", "--beam", "2")
    assert "asked for\n" in told
    given = ("--lines", "-t", "0", "--suppress", "</s>")
    _, told = run(*given, "-n", "80", stdin=b"one\n")
    assert told == (
        "transduce: lines with an answer cut off where the model's context was full (--overflow "
        "slide writes on): 1\n"
    )
    _, told = run(*given, "-n", "80", "--overflow", "slide", stdin=b"one\n")
    assert told == (
        "transduce: lines with an answer cut off at the limit of new tokens (--max-tokens): 1\n"
    )
    _, told = run(*given, "-n", "5", stdin=b"one\n")
    assert "(--max-tokens): 1" in told
