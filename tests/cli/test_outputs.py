"""What translate, generate and score give besides plain text, and what can be asked of them."""

import json
import math

import pytest

pytestmark = pytest.mark.integration

LINES = b"one two three\nfour\n\nfive six"
LONG = b"one " * 99


@pytest.fixture
def run(transduce, translator, writer):
    """A command on the model that it needs; its lines."""

    def go(command, *options, stdin=LINES, code=0, model=None):
        model = model or (writer if command == "generate" else translator)
        ended = transduce(command, "-m", model, "--device", "cpu", *options, stdin=stdin)
        assert ended.code == code, ended.err
        return ended.out.decode().split("\n")[:-1]

    return go


def records(lines):
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("search", [(), ("--beam", "1"), ("-t", "1")], ids=str)
def test_score_gives_the_scores_that_translate_reported(run, search):
    reported = run("translate", "--json", *search)
    scored = records(run("score", "--json", "--json-input", stdin="\n".join(reported).encode()))
    for one, other in zip(records(reported), scored, strict=True):
        if not one["source"]:
            assert one["text"] == other["text"] == ""
            continue
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
        assert one["token_scores"] == pytest.approx(other["token_scores"], abs=1e-5)
        assert one["score"] == pytest.approx(sum(one["token_scores"]) / len(one["tokens"]))
        assert one["tokens"] == other["tokens"]


def test_score_gives_the_scores_that_generate_reported(run, writer):
    reported = run("generate", "--lines", "--json", "-t", "1", "-n", "9")
    fed = "\n".join(reported).encode()
    scored = records(run("score", "--json", "--json-input", stdin=fed, model=writer))
    for one, other in zip(records(reported), scored, strict=True):
        assert one["token_scores"] == pytest.approx(other["token_scores"], abs=1e-5)


def test_a_terminal_is_told_what_the_numbers_are(transduce, translator, monkeypatch):
    told = b"transduce: score, perplexity and bits per byte of each line:\n"
    command = ("score", "-m", translator)
    assert told not in transduce(*command, stdin=b"one\tsix\n").err
    monkeypatch.setattr("cli.commands.score.output_is_terminal", lambda out: out is None)
    assert transduce(*command, stdin=b"one\tsix\n").err.startswith(told)
    for option in ("-q", "--json"):
        assert told not in transduce(*command, option, stdin=b"one\tsix\n").err


@pytest.mark.parametrize(
    "command",
    ["translate", "translate --n-best 2", "translate --alignments", "generate --lines", "score"],
)
def test_the_record_of_a_blank_line_has_the_fields_of_the_others(run, command):
    stdin = b"one two\tsix\n\n\xe2\x80\x8b\n"
    first, *blank = records(run(*command.split(), "--json", stdin=stdin))
    for record in blank:
        assert record.keys() - {"notices"} == first.keys() - {"notices"}
        assert (record["text"], record["score"], record["tokens"]) == ("", None, [])
        assert record.get("n_best", []) == []


def test_an_answer_to_a_blank_line_is_scored_as_a_blank_line(run, writer):
    reported = run("generate", "--lines", "--json", stdin=b"\n\n")
    scored = run("score", "--json-input", stdin="\n".join(reported).encode(), model=writer)
    assert scored == ["", ""]


def test_score_reads_pairs_with_a_tab_and_adds_up(transduce, translator):
    ended = transduce("score", "-m", translator, stdin=b"one two\ttwo one\n\nno tab\n")
    first, empty, failed = ended.out.decode().split("\n")[:-1]
    score, perplexity, bits = map(float, first.split("\t"))
    assert (empty, failed) == ("", "")
    assert perplexity == pytest.approx(math.exp(-score), abs=1e-3)
    assert bits > 0
    assert b"line 3: the line has no tab" in ended.err
    assert f"perplexity {perplexity:.4f}".encode() in ended.err
    ended = transduce("score", "-m", translator, stdin=b"one\ttwo\t0.9\n")
    assert b"line 1: the line has 3 columns" in ended.err


def test_fields_of_json_lines_come_through_and_a_bad_line_fails_alone(run):
    stdin = (
        b'{"id": 1, "text": "one two three", "tags": ["a"]}\nno json\n{"id": 3}\n{"text": "six"}'
    )
    found = records(run("translate", "--json", "--json-input", stdin=stdin))
    assert [sorted(record)[:1] for record in found] == [
        ["finish_reason"],
        ["error"],
        ["error"],
        ["finish_reason"],
    ]
    assert (found[0]["id"], found[0]["tags"], found[0]["source"]) == (1, ["a"], "one two three")
    assert found[0]["text"] == "three two one"
    assert "not JSON" in found[1]["error"]
    assert "'text'" in found[2]["error"]


def test_a_line_that_fails_is_an_empty_line_and_a_code_only_if_strict(run, transduce, translator):
    stdin = b"one two\n" + LONG + b"\nsix"
    for options, code in (((), 0), (("--strict",), 4)):
        lines = run("translate", *options, stdin=stdin, code=code)
        assert [bool(line) for line in lines] == [True, False, True]
    ended = transduce("translate", "-m", translator, stdin=stdin)
    assert b"line 2: the line has" in ended.err
    assert b"lines without an answer: 1" in ended.err
    (_, failed, _) = records(run("translate", "--json", stdin=stdin))
    assert "--split" in failed["error"]


def test_split_translates_what_is_too_long_and_keeps_what_is_between(run):
    stdin = b"  One two three.   Four five six.\n" + b"One two three. " * 40
    one, other = run("translate", "--split", stdin=stdin)
    first, second = one.strip().split("   ")
    alone = run("translate", stdin=b"One two three.\nFour five six.")
    assert [first, second] == alone
    assert one.startswith("  ")
    assert other == " ".join([first] * 40) + " "


@pytest.mark.parametrize("options", [(), ("--beam", "1"), ("-t", "1")], ids=str)
def test_a_prefix_begins_every_answer(run, options):
    lines = run("translate", "--prefix", "seven", *options)
    assert [line[:5] for line in lines] == ["seven", "seven", "", "seven"]
    (found,) = records(
        run(
            "translate",
            "--json",
            "--json-input",
            *options,
            stdin=b'{"text": "one", "prefix": "six"}',
        )
    )
    assert found["text"].startswith("six")


def test_samples_of_a_line_differ_and_come_best_first(run):
    found = records(
        run("translate", "-t", "1.5", "--n-best", "4", "--json", stdin=b"one two three")
    )
    scores = [output["score"] for output in found[0]["n_best"]]
    assert scores == sorted(scores, reverse=True)
    assert len({output["text"] for output in found[0]["n_best"]}) > 1


def test_the_sample_most_like_the_others_is_taken(run):
    assert run("translate", "--mbr", "8", stdin=b"one two three") == ["three two one"]


def test_the_sample_of_a_continuation_most_like_the_others_is_one_of_them(run):
    samples = run("generate", "--lines", "-t", "1", "--n-best", "6", "-n", "8", stdin=b"one two")
    (chosen,) = run("generate", "--lines", "-t", "1", "--mbr", "6", "-n", "8", stdin=b"one two")
    assert chosen in samples


def test_words_that_must_be_there_are(run):
    assert all("seven" in line for line in run("translate", "--must", "seven") if line)
    text = run("generate", "one two", "--beam", "4", "--must", "seven", stdin=b"")
    assert "seven" in "\n".join(text)


def test_alignments_are_pairs_of_words(run):
    (line,) = run("translate", "--alignments", stdin=b"one two three")
    text, pairs = line.split("\t")
    numbers = [tuple(map(int, pair.split("-"))) for pair in pairs.split()]
    assert all(0 <= i < 3 and 0 <= j < len(text.split()) for i, j in numbers)
    assert {j for _, j in numbers} == {0, 1, 2}


@pytest.mark.parametrize(
    "options",
    [
        ("--coverage-penalty", "0.3"),
        ("--beam-groups", "2", "--beam", "4"),
        ("--length-penalty-kind", "gnmt", "--length-penalty", "0.6"),
        ("--early-stopping", "never"),
        ("--contrastive", "0.4"),
        ("-t", "0.7", "--typical", "0.9"),
        ("-t", "0.7", "--top-n-sigma", "1"),
        ("--lookup", "--beam", "1"),
    ],
    ids=str,
)
def test_each_search_keeps_the_lines(run, options):
    lines = run("translate", *options)
    assert [bool(line) for line in lines] == [True, True, False, True]


def test_a_glossary_puts_its_words_in(run, tmp_path):
    (tmp_path / "words.tsv").write_text("two\tseven\n")
    lines = run("translate", "--glossary", tmp_path / "words.tsv")
    assert ["seven" in line for line in lines] == [True, False, False, False]


def test_a_term_without_room_is_told_in_the_record_and_counted(run, tmp_path):
    (tmp_path / "words.tsv").write_text("two\tseven seven seven\n")
    asked = ("--glossary", tmp_path / "words.tsv", "-n", "2", "--json")
    stdin = b"one two three\nfour"
    lacking, other = records(run("translate", *asked, stdin=stdin))
    assert lacking["notices"] == {"terms_unused": ["seven seven seven"], "unfinished": True}
    plain = records(run("translate", "-n", "2", "--json", stdin=stdin))
    assert [record["text"] for record in plain] == [lacking["text"], other["text"]]
    assert "terms_unused" not in other.get("notices", {})
    run("translate", *asked, "--strict", stdin=stdin, code=4)


def test_a_glossary_that_the_model_cannot_write_is_an_error_before_any_work(run, tmp_path):
    (tmp_path / "words.tsv").write_text("seven\t☃☃\n")
    assert run("translate", "--glossary", tmp_path / "words.tsv", code=2) == []


@pytest.mark.parametrize("field", ["prefix", "text"])
@pytest.mark.parametrize("value", ["null", "5", '["one"]'])
def test_fields_of_another_type_fail_alone(run, field, value):
    stdin = f'{{"text": "one", "{field}": {value}, "id": 7}}\n{{"text": "six"}}'.encode()
    failed, found = records(run("translate", "--json", "--json-input", stdin=stdin))
    assert f"no text in '{field}'" in failed["error"]
    assert failed["id"] == 7
    assert found["text"]


@pytest.mark.parametrize(
    "fields", ['"tokens": 7', '"tokens": []', '"tokens": [1]', '"source": null']
)
def test_what_cannot_be_scored_fails_alone(run, fields):
    stdin = f'{{"source": "one", "text": "one", {fields}}}\n{{"source": "a", "text": "six"}}'
    failed, found = records(run("score", "--json", "--json-input", stdin=stdin.encode()))
    assert "the field" in failed["error"]
    assert found["score"] < 0


def test_a_stop_string_ends_a_translation_before_it(run):
    assert run("translate", "--stop", " two", stdin=b"one two three") == ["three"]


def test_a_choice_that_looks_like_a_loop_is_no_loop(run):
    choice = " ".join(["one"] * 22)
    assert run("translate", "--choice", choice, "-n", "60", stdin=b"one two three") == [choice]


def test_a_grammar_goes_on_when_the_context_is_full(run):
    options = ("one", "--no-prompt", "--overflow", "slide", "-n", "100", "-t", "0")
    (text,) = run("generate", *options, "--regex", "( one){40} seven", stdin=b"")
    assert text == " one" * 40 + " seven"


def test_what_cannot_go_on_is_an_error_after_what_was_written(transduce, writer):
    ended = transduce(
        "generate", "one", "-m", writer, "--regex", "x", "--min-tokens", "9", "--no-prompt"
    )
    assert ended.code == 4
    assert b"no token is allowed" in ended.err


def test_choices_and_patterns_are_obeyed(run):
    lines = run("translate", "--choice", "six", "--choice", "five one")
    assert set(lines) - {""} <= {"six", "five one"}
    (text,) = run("generate", "one", "--no-prompt", "--regex", " (two|six){3}", stdin=b"")
    assert text in {
        " " + "".join(w) for w in __import__("itertools").product(("two", "six"), repeat=3)
    }


def test_a_stop_string_ends_the_text_and_is_not_shown(run):
    whole = run("generate", "one two", "-t", "0", "-n", "20", "--no-prompt", stdin=b"")
    text = "\n".join(whole)
    stop = text[3:6]
    cut = "\n".join(
        run("generate", "one two", "-t", "0", "-n", "20", "--no-prompt", "--stop", stop, stdin=b"")
    )
    assert cut == text[: text.index(stop)]
    (record,) = records(
        run("generate", "one two", "-t", "0", "-n", "20", "--json", "--stop", stop, stdin=b"")
    )
    assert (record["text"], record["finish_reason"]) == (cut, "stop")


def test_lines_are_prompts(run):
    greedy = ("-t", "0", "-n", "5", "--no-prompt")
    lines = run("generate", "--lines", *greedy)
    assert [bool(line) for line in lines] == [True, True, False, True]
    for prompt, line in zip(LINES.decode().split("\n"), lines, strict=True):
        alone = run("generate", prompt, *greedy, stdin=b"") if prompt else [""]
        assert line == " ".join(alone)


def test_a_prompt_that_does_not_fit_is_shortened_only_where_asked(run):
    run("generate", LONG.decode(), "-n", "4", stdin=b"", code=4)
    for overflow in ("left", "slide"):
        assert run("generate", LONG.decode(), "-n", "4", "--overflow", overflow, stdin=b"")


def test_slide_writes_on_when_the_context_is_full(run):
    options = ("one", "-t", "0", "-n", "80", "--json", "--suppress", "</s>")
    (short,) = records(run("generate", *options, stdin=b""))
    (long,) = records(run("generate", *options, "--overflow", "slide", stdin=b""))
    assert len(short["tokens"]) < 32
    assert len(long["tokens"]) == 80
    assert long["tokens"][: len(short["tokens"])] == short["tokens"]


def test_two_models_of_one_vocabulary_decide_together(run, translator):
    alone = run("translate")
    assert run("translate", "-m", translator) == alone


def test_generated_lines_have_one_line_each(run):
    """A newline that the model writes does not make two lines of one."""
    lines = run("generate", "--lines", "-t", "1.5", "-n", "30", stdin=b"one\n" * 8)
    assert len(lines) == 8
