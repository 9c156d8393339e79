"""Answers keep what their options promise, whatever ended them, or a notice says so."""

import json
import random
import re

import pytest

import transduce as door

pytestmark = pytest.mark.integration

BROKEN_GRAMMAR = (
    "transduce: lines with an answer that ended before it fitted --json-schema, --regex or "
    "--choice: 1"
)
# Grammars that "three two one", or what a writer goes on with, could fit; and what ends it before.
EARLY = [
    {"regex": "three two one", "stop": ["two"]},
    {"regex": "three two one", "max_tokens": 2},
    {"choice": ["three two one", "one two three"], "stop": ["two"]},
    {"json_schema": '{"type": "array", "minItems": 3}', "stop": [","]},
    {"json_schema": '{"const": "three two one"}', "max_tokens": 3},
]


def flags(**values: object) -> list[str]:
    words = []
    for name, value in values.items():
        for item in value if isinstance(value, list) else [value]:
            words += [f"--{name.replace('_', '-')}", str(item)]
    return words


@pytest.mark.parametrize(
    ("command", "options"),
    [("translate", options) for options in EARLY[:3]] + [("generate", o) for o in EARLY],
    ids=str,
)
def test_an_answer_that_ended_before_it_fits_is_told_in_every_door(
    transduce, translator, writer, command, options
) -> None:
    model = translator if command == "translate" else writer
    given = [command, "-m", model, "--device", "cpu", *flags(**options)]
    doors = [[], ["--json"]] if command == "translate" else [["--lines"], ["--lines", "--json"]]
    for shown in doors:
        ended = transduce(*given, *shown, stdin=b"one two three\n")
        assert ended.code == 0
        assert BROKEN_GRAMMAR in ended.err.decode().splitlines()
        if "--json" in shown:
            assert json.loads(ended.out)["notices"]["incomplete"] is True
    assert transduce(*given, *doors[0], "--strict", stdin=b"one two three\n").code == 4
    if command == "generate":  # one prompt: streamed, or at once
        for shown in ([], ["--json"]):
            ended = transduce(*given, *shown, "one two three")
            assert BROKEN_GRAMMAR in ended.err.decode().splitlines()
            assert transduce(*given, *shown, "one two three", "--strict").code == 4
    text = getattr(door.load(model, device="cpu"), command)("one two three", **options)
    assert text.notices["incomplete"] is True


def test_a_text_that_fits_where_a_stop_string_ended_it_keeps_the_promise(transduce, translator):
    options = ("--regex", "three( two one)?", "--stop", " two", "--strict", "--device", "cpu")
    ended = transduce("translate", *options, "-m", translator, stdin=b"one two three\n")
    assert (ended.code, ended.out, ended.err) == (0, b"three\n", b"")


@pytest.mark.parametrize("prefix", ["seven one", "one", "seven one two"])
def test_a_stop_string_does_not_cut_into_a_prefix(transduce, translator, writer, prefix) -> None:
    """Nor does one that begins in it: what is looked through is what the model writes."""
    stops = flags(stop=["seven", "one", "n o", "e"])
    given = ("-m", translator, "--prefix", prefix, "--device", "cpu", *stops)
    lines = transduce("translate", *given, stdin=b"one two three\none\n").out.decode().splitlines()
    assert len(lines) == 2 and all(line.startswith(prefix) for line in lines)
    assert all("e" not in line[len(prefix) :] for line in lines)
    record = json.dumps({"text": "two two", "prefix": prefix})
    given = ("--lines", "--json-input", "--json", "-m", writer, "-t", "0", *stops)
    answer = json.loads(transduce("generate", *given, stdin=record.encode()).out)["text"]
    assert prefix in answer and "e" not in answer.partition(prefix)[2]


def test_a_stop_string_ends_a_split_line(transduce, translator) -> None:
    given = ("translate", "--split", "--beam", "1", "-m", translator, "--device", "cpu")
    line = b"one two three. four five six. seven one two.\n"
    whole = transduce(*given, stdin=line).out.decode().strip()
    for start in (3, len(whole) // 2, len(whole) - 5):  # in one sentence, or across two
        stop = whole[start : start + 3]
        ended = transduce(*given, "--json", "--stop", stop, stdin=line)
        answer = json.loads(ended.out)
        assert (answer["text"], answer["finish_reason"]) == (whole.partition(stop)[0], "stop")


def test_equal_samples_are_drawn_again_and_missing_ones_told(transduce, translator) -> None:
    given = ("translate", "-m", translator, "--device", "cpu", "--n-best", "6")
    lines = "\n".join(["one two three", "four", "six six"]).encode()
    fewer = 0
    for temperature in ("0.01", "0.8", "1.5"):
        ended = transduce(*given, "-t", temperature, "--json", stdin=lines)
        told, texts_again = 0, transduce(*given, "-t", temperature, stdin=lines).out.decode()
        for record in map(json.loads, ended.out.splitlines()):
            texts = [answer["text"] for answer in record["n_best"]]
            assert len({*texts}) == len(texts)
            assert "\n".join(texts) in texts_again
            scores = [answer["score"] for answer in record["n_best"]]
            assert scores == sorted(scores, reverse=True)
            missing = record.get("notices", {}).get("fewer_answers")
            assert missing == (len(texts) if len(texts) < 6 else None)
            told += missing is not None
        assert (b"fewer different answers" in ended.err) == bool(told)
        fewer += told
    assert 3 <= fewer < 9  # all of the first temperature's


def test_other_draws_differ(translator) -> None:
    """So that a line whose first samples are equal has more texts in the end."""
    model = door.load(translator, device="cpu")
    options = {"temperature": 0.7, "n_best": 5, "max_tokens": 8}
    first = [model.translate("one two", **{**options, "n_best": 1}, seed=s) for s in range(9)]
    found = [model.translate("one two", **options, seed=seed) for seed in range(9)]
    assert all(text in map(str, best.candidates) for text, best in zip(first, found, strict=True))
    assert sum(len(best.candidates) == 5 for best in found) >= 5


WORDS = ["one", "two", "three", "four", "größer", "日本"]
GRAMMARS = [
    {},
    {"regex": "(one|two|three| )*"},
    {"regex": ".*"},
    {"choice": ["three two one", "one", "one two"]},
    {"json_schema": '{"type": "array", "items": {"enum": ["one", "two"]}}'},
]
SEARCHES = [
    {"beam": 1},
    {"beam": 4},
    {"beam": 5, "n_best": 4},
    {"temperature": 1.2, "n_best": 3},
    {"temperature": 0.6, "top_p": 0.9},
    {"contrastive": 0.5},
]


def test_random_options_together_keep_their_promises(translator, writer) -> None:
    chance = random.Random(5)
    doors = [
        (door.load(translator, device="cpu"), "translate"),
        (door.load(writer, device="cpu"), "generate"),
    ]
    for turn in range(70):
        model, command = doors[turn % 2]
        grammars = GRAMMARS if command == "generate" else GRAMMARS[:-1]  # it has no brackets
        options = {**chance.choice(grammars), **chance.choice(SEARCHES)}
        if chance.random() < 0.5:
            options["stop"] = chance.sample(["two", "e", " t", "one", '"', "日"], 2)
        if chance.random() < 0.5:
            options["bad_word"] = chance.sample(["one", "two", "größer"], 1)
        if chance.random() < 0.7:
            options["max_tokens"] = chance.choice([1, 3, 6, 12])
        if command == "translate" and chance.random() < 0.4:
            options["prefix"] = chance.choice(["one", "three two"])
        if command == "translate" and chance.random() < 0.3 and not {*options} & {*GRAMMAR_NAMES}:
            options["split"] = True
        line = " ".join(chance.choices(WORDS, k=chance.randrange(1, 5)))
        (found,) = getattr(model, command)([line], **options)
        check_promises(found, options)


GRAMMAR_NAMES = ("regex", "choice", "json_schema")


def check_promises(found, options) -> None:
    if found.error is not None:
        return
    prefix, wanted = options.get("prefix", ""), options.get("n_best", 1)
    shown = found.candidates[:wanted]
    for text in shown:
        assert text.startswith(prefix), options
        for stop in options.get("stop", ()):
            assert stop not in text[len(prefix) :], options
        for word in options.get("bad_word", ()):
            assert not re.search(rf"(?<!\w){word}(?!\w)", text[len(prefix) :]), (text, options)
    if wanted > 1:
        assert len({*shown}) == len(shown)
        assert found.notices.get("fewer_answers") == (len(shown) if len(shown) < wanted else None)
    fitting = [fits(text, options) for text in shown]
    assert ("incomplete" in found.notices) == (not all(fitting)), (found, options)


def fits(text: str, options) -> bool:
    """Compared with Python's own idea of the grammar."""
    if "regex" in options:
        return re.fullmatch(options["regex"], text) is not None
    if "choice" in options:
        return text in options["choice"]
    if "json_schema" in options:
        try:
            value = json.loads(text)
        except ValueError:
            return False
        return isinstance(value, list) and all(item in ("one", "two") for item in value)
    return True


UNWRITABLE = [("--choice", "狗"), ("--regex", "(狗|犬)"), ("--regex", "one( 狗)+")]


@pytest.mark.parametrize("option", UNWRITABLE, ids=str)
def test_an_answer_that_the_model_cannot_write_is_no_choice(transduce, translator, option) -> None:
    choices = ("--choice", "one") if option[0] == "--choice" else ()
    ended = transduce("translate", "-m", translator, *option, *choices, stdin=b"one two\n")
    assert (ended.code, ended.out) == (2, b"")
    assert "the model cannot write '狗'" in ended.err.decode().replace(" 狗'", "狗'")


def test_what_a_model_that_knows_no_capitals_cannot_write(transduce, lower_case) -> None:
    """It reads them, so that they are no unknown characters."""
    given = ("translate", "-m", lower_case, "--device", "cpu")
    ended = transduce(*given, "--choice", "One", "--choice", "two", stdin=b"one\n")
    assert (ended.code, ended.out) == (2, b"") and b"cannot write 'One'" in ended.err
    ended = transduce(*given, "--stop", "T", "--bad-word", "Three", stdin=b"one\n")
    assert b"transduce: --stop 'T' has no effect: the model cannot write 'T'\n" in ended.err
    assert b"--bad-word" not in ended.err
    assert b"three" not in transduce(*given, "--bad-word", "Three", stdin=b"three\n").out
    ended = transduce(*given, "--regex", "[a-zT ]+", stdin=b"one\n")
    assert b"the regular expression '[a-zT ]+': 'T' has no effect: the model" in ended.err
    ended = transduce(*given, "--prefix", "Two One", "--json", stdin=b"one\n")
    assert json.loads(ended.out)["notices"]["prefix_changed"] == "two one"
    assert b"lines with an answer that begins otherwise than its prefix, which" in ended.err


def test_a_seed_without_effect_is_told_once(transduce, writer, translator) -> None:
    told = b"transduce: --seed 7 has no effect: greedy search draws nothing\n"
    given = ("--seed", "7", "-n", "3", "--device", "cpu")
    for search in (("-t", "0"), ("--beam", "1")):
        ended = transduce("generate", "one", "-m", writer, *given, *search)
        assert (ended.code, ended.err) == (0, told)
        ended = transduce("translate", "-m", translator, *given, *search, stdin=b"one\ntwo\n")
        assert ended.err.count(told) == 1
    assert told not in transduce("generate", "one", "-m", writer, *given).err


def test_more_answers_than_beams_are_refused(transduce, translator) -> None:
    given = ("translate", "-m", translator, "--beam", "2", "--n-best", "3")
    ended = transduce(*given, stdin=b"one\n")
    assert (ended.code, ended.out) == (2, b"")
    assert b"--beam 2 has 2 answers at most; --n-best 3 needs --beam 3 or more" in ended.err
