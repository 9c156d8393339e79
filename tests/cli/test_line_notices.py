"""What happened to a line: told in its JSON record, and counted on stderr, from one place."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from checkpoints.atomic_folder import MANIFEST
from transformer.loading import find_model, load_model
from transformer.loading.generation_config import read_generation_config
from transformer.pipelines.notices import NOTICES, REMEDIED, count_lines

pytestmark = pytest.mark.integration

SCHEMA = '{"type": "array", "items": {"type": "integer"}, "minItems": 9}'


def without_summaries(err):
    """What -q leaves of stderr: all that was lost, changed or ignored."""
    return b"".join(line for line in err.splitlines(True) if b"bits per byte" not in line)


@pytest.fixture
def told(transduce, translator, writer):
    """Run a command with --json; the notices of its records, which stderr must count."""

    def run(command, *options, stdin, code=0):
        model = writer if command == "generate" else translator
        model = [] if "-m" in options else ["-m", model]
        options = [*options, "--json", "--device", "cpu", *model]
        ended = transduce(command, *options, stdin=stdin)
        assert ended.code == code, ended.err
        records = [json.loads(line) for line in ended.out.splitlines()]
        counts = Counter(name for record in records for name in record.get("notices", {}))
        assert counts.keys() <= NOTICES.keys()
        counts["failed"] = sum("error" in record for record in records)
        counts[REMEDIED] = command == "generate"
        sentences = [
            line for line in ended.err.decode().splitlines() if re.search(r": [\d,]+$", line)
        ]
        assert sentences == [f"transduce: {sentence}" for sentence in count_lines(counts)]
        quiet = transduce(command, *options, "-q", stdin=stdin)
        assert (quiet.out, quiet.err) == (ended.out, without_summaries(ended.err))
        return [record.get("notices", {}) for record in records]

    return run


def test_invalid_text_and_cut_answers_are_told_of_their_lines_alone(told):
    stdin = b"one two\none \xff two\n\nfour"
    found = told("translate", "--max-tokens", "1", stdin=stdin)
    cut = {"unfinished": True}
    assert found == [cut, {"invalid_utf8": True, **cut}, {}, cut]


def test_a_line_without_an_answer_tells_what_happened_in_reading_it(told):
    stdin = b"one two\n" + b"one \xff " * 40
    assert told("translate", stdin=stdin) == [{}, {"invalid_utf8": True}]


def test_score_repeats_the_notices_of_the_answers_it_reads(transduce, translator, told):
    options = ("--json", "--device", "cpu", "-m", translator)
    answers = transduce("translate", "-n", "1", *options, stdin=b"one two\n\xff\n").out
    found = transduce("score", "--json-input", *options, stdin=answers)
    assert [json.loads(line)["notices"] for line in found.out.splitlines()] == [
        {"unfinished": True},
        {"invalid_utf8": True, "unfinished": True},
    ]
    assert b"cut off" not in found.err and b"UTF-8" not in found.err
    # Another answer, of which nothing of the kind is true.
    assert told("translate", "--json-input", stdin=answers) == [{}, {}]


def test_fields_of_a_user_that_are_called_notices_are_not_taken_for_the_answers(
    transduce, translator
):
    stdin = b'{"text": "one two", "notices": {"by": "me"}}\n'
    ended = transduce("translate", "--json", "--json-input", "-m", translator, stdin=stdin)
    assert "notices" not in json.loads(ended.out)
    assert b"give way to the answer's own of the same name: notices (1)" in ended.err


CUT = b"transduce: lines with an answer cut off at the limit of new tokens (--max-tokens): 1\n"
FULL = CUT.replace(
    b"at the limit of new tokens (--max-tokens)", b"where the model's context was full"
)
FULL = FULL.replace(b"full:", b"full (--overflow slide writes on):")
BROKEN = (
    b"transduce: lines with an answer that ended before it fitted --json-schema, --regex or "
    b"--choice"
)


@pytest.mark.parametrize("options", [(), ("-n", "4")], ids=str)
@pytest.mark.parametrize("door", [("one",), ("one", "--json"), ("--lines",)], ids=str)
def test_json_that_is_cut_off_is_told_in_every_door(transduce, writer, door, options):
    stdin = b"one\n" if door == ("--lines",) else b""
    schema = ("--json-schema", SCHEMA.replace("9", "99"))
    given = ("generate", "-m", writer, "--device", "cpu", *schema, *door, *options)
    ended = transduce(*given, stdin=stdin)
    cut = CUT if options else FULL  # a context of 32 tokens ends before 256 new ones
    assert (ended.code, ended.err) == (0, cut + BROKEN + b": 1\n")
    assert transduce(*given, "--strict", stdin=stdin)[::2] == (4, ended.err)
    assert transduce(*given, "--strict", "-q", stdin=stdin)[::2] == (4, ended.err)


def test_a_remedy_is_offered_to_searches_that_have_it(transduce, writer):
    command = ("generate", "--lines", "-m", writer, "--device", "cpu", "--suppress", "</s>")
    for options, offered in ((), True), (("--beam", "2"), False), (("--n-best", "2"), False):
        ended = transduce(*command, *options, stdin=b"one\n")
        assert b"where the model's context was full" in ended.err
        assert (b"(--overflow slide writes on)" in ended.err) is offered, options


def test_a_text_that_fits_where_it_was_cut_keeps_the_promise(transduce, writer):
    options = ("--regex", "[a-z ]+", "-n", "3", "--strict", "--device", "cpu", "-m", writer)
    ended = transduce("generate", "one", *options)
    assert (ended.code, ended.err) == (0, CUT)


def test_a_continuation_that_ends_at_its_limit_breaks_no_promise(transduce, writer):
    options = ("--device", "cpu", "-m", writer)
    assert transduce("generate", "one", "-n", "3", *options).err == b""


@pytest.mark.parametrize("overflow", ["left", "slide"])
def test_a_prompt_whose_beginning_was_dropped_is_told(told, transduce, writer, overflow):
    options = ("--overflow", overflow, "-n", "9", "-t", "0")
    first, second = told("generate", "--lines", *options, stdin=b"one two\n" + b"three four " * 40)
    assert "prompt_shortened" not in first
    assert second["prompt_shortened"]
    ended = transduce("generate", "three four " * 40, *options, "--device", "cpu", "-m", writer)
    assert b"prompts whose beginning was dropped (--overflow): 1" in ended.err


def test_characters_that_are_not_known_are_told_where_they_were_read(told):
    found = told("translate", stdin="one two\none €two€ §\nthree".encode())
    assert found == [{}, {"unknown_read": ["€", "§"]}, {}]
    found = told("score", stdin="one €\ttwo\none\ttwo §\none\ttwo".encode())
    assert found == [{"unknown_read": ["€"]}, {"unknown_read": ["§"]}, {}]


def test_a_line_of_invisible_characters_alone_is_blank(told):
    lines = ["one", "\u200b", " \ufeff ", "\x00", "\u200bone"]
    found = told("translate", stdin="\n".join(lines).encode())
    assert [notices.get("blank", False) for notices in found] == [False, True, True, True, False]


@pytest.mark.parametrize("command", ["translate", "score", "generate"])
def test_invisible_lines_have_blank_answers(transduce, translator, writer, command):
    model = writer if command == "generate" else translator
    lines = ("--lines",) if command == "generate" else ()
    ended = transduce(command, *lines, "-m", model, stdin="\u200b\n\ufeff\n\x00\n \n".encode())
    assert ended.out == b"\n\n\n\n"
    assert b"lines of invisible characters alone, left empty: 3\n" in ended.err


PREFIX = "the prefix 'one €' has characters that the model cannot write: '€'"


def test_a_prefix_that_cannot_be_written_is_refused(transduce, translator, told):
    ended = transduce("translate", "-m", translator, "--prefix", "one €", stdin=b"one\n")
    assert (ended.code, ended.out) == (2, b"")
    assert ended.err.decode() == f"transduce: --prefix: {PREFIX}\n"
    lines = '{"text": "one", "prefix": "one €"}\n{"text": "one", "prefix": "two"}\n'.encode()
    ended = transduce("translate", "-m", translator, "--json", "--json-input", stdin=lines)
    refused, other = map(json.loads, ended.out.splitlines())
    assert refused["error"] == PREFIX
    assert other["text"].startswith("two")


@pytest.mark.parametrize("option", ["--stop", "--bad-word"])
def test_a_text_that_cannot_come_up_anyway_is_pointed_out(transduce, translator, option):
    ended = transduce("translate", "-m", translator, option, "a€", option, "six", stdin=b"one\n")
    assert ended.code == 0
    assert f"transduce: {option} 'a€' has no effect: the model cannot write".encode() in ended.err
    assert b"'six'" not in ended.err
    quiet = transduce("translate", "-q", "-m", translator, option, "a€", stdin=b"one\n")
    assert quiet.err == ended.err


def test_a_model_that_is_trained_here_never_writes_what_it_does_not_know(translator):
    """Also one whose settings were written before they said so."""
    folder = find_model(translator)
    settings = json.loads((folder / "generation_config.json").read_text())
    loaded = load_model(folder, device="cpu")
    unknown = loaded.tokenizer.unknown_id
    assert settings["suppress_tokens"] == loaded.generation.suppress_tokens == [unknown]
    options = {"model_type": "transduce"}
    old = read_generation_config(Path("nowhere"), options, loaded.tokenizer, unknown + 9)
    assert old.suppress_tokens == [unknown]
    published = read_generation_config(Path("nowhere"), {}, loaded.tokenizer, unknown + 9)
    assert published.suppress_tokens is None


def eager_for(token):
    """Make a model write nothing but a token."""

    def change(folder):
        path = folder / "generation_config.json"
        settings = {**json.loads(path.read_text()), "suppress_tokens": []}
        token_id = load_model(folder, device="cpu").tokenizer.token_id(token)
        settings["sequence_bias"] = [[[token_id], 100.0]]
        path.write_text(json.dumps(settings))
        (folder / MANIFEST).unlink()

    return change


def test_unknown_characters_that_a_published_model_writes_are_counted(told, broken):
    """As its settings allow them; they are left out of the text."""
    options = ("-n", "3", "-m", broken("eager", eager_for("<unk>")))
    (found,) = told("translate", *options, stdin=b"one")
    assert found == {"unknown_written": 3, "unfinished": True}


# A line, with options, to which each notice happens.
HAPPENINGS = {
    "invalid_utf8": ("translate", (), b"one \xff"),
    "shortened": ("translate", (), b"one " * 300_000),
    "blank": ("translate", (), "\u200b".encode()),
    "unknown_read": ("translate", (), "one €".encode()),
    "prefix_changed": ("translate", ("--prefix", "Two One", "-m", "lower_case"), b"one"),
    "unknown_written": ("translate", ("-n", "3", "-m", "<unk>"), b"one"),
    "fewer_answers": ("translate", ("-t", "0.01", "--n-best", "3"), b"one two three"),
    "prompt_shortened": ("generate", ("--lines", "--overflow", "left"), b"one two " * 40),
    "repaired": ("translate", ("-m", "▁one"), b"two three four"),
    "unfinished": ("translate", ("-n", "1"), b"one two"),
    "context_full": ("generate", ("--lines", "-t", "0", "--suppress", "</s>"), b"one two"),
    "terms_unused": ("translate", ("--must", "seven seven seven", "-n", "2"), b"one two"),
    "incomplete": ("translate", ("--regex", "one two", "--stop", "two"), b"one two"),
}


@pytest.mark.parametrize("name", HAPPENINGS)
def test_each_notice_is_in_the_record_of_its_line_and_counted(told, broken, lower_case, name):
    command, options, line = HAPPENINGS[name]
    models = {"lower_case": lower_case}
    models |= {token: broken(f"for {token}", eager_for(token)) for token in ("<unk>", "▁one")}
    code = 4 if name == "shortened" else 0  # the only line, which has no answer
    (found,) = told(command, *(models.get(o, o) for o in options), stdin=line, code=code)
    assert found[name] is True or NOTICES[name].detail != "true"


def test_no_notice_is_left_out(transduce, writer):
    """Answers in a conversation have no records, nor have the pairs that `evaluate` reads."""
    of_conversations, of_pairs = {"words_left_out"}, {"blank_source", "blank_reference"}
    assert NOTICES.keys() - HAPPENINGS.keys() == of_conversations | of_pairs
    ended = transduce("generate", "--chat", "--json", "one", "-m", writer)
    assert ended.code == 2 and b"it takes no" in ended.err


@pytest.mark.parametrize("door", ["argument", "pipe", "file"])
def test_a_prompt_that_is_no_text_is_told(transduce, writer, tmp_path, door):
    prompt, path = b"one \xff two", tmp_path / "prompt"
    path.write_bytes(prompt)
    given = {
        "argument": ([prompt.decode("utf-8", "surrogateescape")], b""),
        "pipe": ([], prompt),
        "file": (["-f", path], b""),
    }
    options, stdin = given[door]
    told = b"transduce: lines with invalid UTF-8, read as U+FFFD: 1\n"
    command = ("generate", "-m", writer, "--device", "cpu", "-n", "3")
    assert transduce(*command, *options, stdin=stdin).err.count(told) == 1
    ended = transduce(*command, "--json", *options, stdin=stdin)
    assert json.loads(ended.out)["notices"]["invalid_utf8"] is True
    assert ended.err.count(told) == 1
    assert (
        told not in transduce(*command, *options, stdin=stdin.replace(b"\xff", b"")).err
        or stdin == b""
    )


def test_no_prompt_leaves_it_out_of_records_too(transduce, writer):
    for options, stdin in ((("one",), b""), (("--lines",), b"one\n")):
        given = ("generate", *options, "--json", "-m", writer)
        assert json.loads(transduce(*given, stdin=stdin).out)["prompt"] == "one"
        assert "prompt" not in json.loads(transduce(*given, "--no-prompt", stdin=stdin).out)


def test_several_answers_are_different_texts(transduce, translator, told):
    """Two steps of pieces spell a short text in few ways: beams repeat it with other pieces."""
    stdin = "one two three\nfour\nseven größer 日本 one\n".encode()
    for beams in ("10", "60"):
        found = transduce(
            "translate", "--beam", beams, "--n-best", "10", "-m", translator, stdin=stdin
        )
        lines = found.out.decode().split("\n")[:-1]
        for answers in (lines[:10], lines[10:20], lines[20:]):
            texts = [text for text in answers if text]
            assert len({*texts}) == len(texts)
    found = told("translate", "--n-best", "10", "-n", "1", "--beam", "10", stdin=b"one")
    assert found[0].get("fewer_answers", 10) <= 10
