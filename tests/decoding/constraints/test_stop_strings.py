"""Stop strings: found across tokens as soon as they are there, and never shown."""

import random
from pathlib import Path

import pytest
import torch

from tests.decoding.tables import STEPPERS, TableStepper, build
from tests.tokenizer.pretrained.folders import LLAMA, sentencepiece_model, write
from tokenizer import TOKENIZERS, TrainingOptions, read_tokenizers, train_tokenizer
from transformer.decoding import SEARCHES, Request
from transformer.decoding import decode_all as write_texts
from transformer.decoding.constraints.stop_strings import (
    StopStringBuffer,
    stop_condition,
    truncate_at_stop,
)
from transformer.decoding.request import PreviousContext, SequenceState
from transformer.errors import ConfigError

LINES = ["the cat sat on the mat, a bat: no!", "é 日本 🙂 stop it. END\n\nQ: x"] * 9


def byte_model(folder: Path):
    """A published tokenizer that spells what it does not know in bytes."""
    files = {"tokenizer.model": sentencepiece_model("bpe", **LLAMA), "tokenizer_config.json": {}}
    return read_tokenizers(
        write(folder / "m", {**files, "config.json": {"model_type": "llama"}}), vocabulary=1000
    )[0]


@pytest.fixture(scope="module", params=[*TOKENIZERS, "bytes"])
def tokenizer(request, tmp_path_factory):
    if request.param == "bytes":
        return byte_model(tmp_path_factory.mktemp("bytes"))
    size = 262 if request.param == "byte-bpe" else 120
    return train_tokenizer(LINES, TrainingOptions(kind=request.param, vocab_size=size))


STRINGS = ["END", "cat s", "t, a", "🙂", "\n\n", "a b", " no", "本 🙂", "stop it. E", "ξ", "!t"]


@pytest.mark.parametrize("continuing", [False, True])
def test_a_string_is_found_with_the_token_that_completes_it(tokenizer, continuing: bool) -> None:
    """Compared with a look at the whole text after each token."""
    chance, found = random.Random(1), 0
    words = [*LINES[0].split(), *LINES[1].split(), "🙂", "日本", "ξψ", "!the", "\n\n"]
    for _ in range(60):
        strings = chance.sample(STRINGS, 2)
        stops = stop_condition(strings, tokenizer, continuing=continuing)
        text = " ".join(chance.choice(words) for _ in range(30))
        prompt, ids = tokenizer.encode("the cat sat on the mat 🙂"), tokenizer.encode(text)
        if chance.random() < 0.3:
            ids = [chance.choice(ids) for _ in ids]
        for length in range(1, len(ids) + 1):
            row = SequenceState(Request(prompt=prompt, max_new_tokens=99), ids[:length])
            shown = tokenizer.decode(ids[:length])
            if continuing:
                shown = tokenizer.decode(row.all_ids())[len(tokenizer.decode(prompt)) :]
            there = any(string in shown for string in strings)
            assert stops(row) is there, (strings, shown)
            if there:
                found += 1
                break
    assert found > 10


@pytest.mark.parametrize("forgotten", [0, 3, 9])
def test_a_string_may_begin_before_a_full_context_was_cut(tokenizer, forgotten: int) -> None:
    """The end of the text so far is the prompt of what follows, and no longer the user's."""
    ids = tokenizer.encode("the cat sat on the mat, a bat: no! the cat sat on the mat")
    found = 0
    for place in range(forgotten + 1, len(ids)):
        before = PreviousContext([4], ids[:place], [0.0] * place)
        for length in range(1, min(8, len(ids) - place)):
            task = Request(prompt=ids[forgotten:place], max_new_tokens=99, previous_context=before)
            row = SequenceState(task, ids[place : place + length])
            new = tokenizer.decode(row.all_ids())
            old = tokenizer.decode(row.all_ids()[:-1])
            for string in ("at s", "sat on", "no!"):
                if string in new and string not in old:
                    assert stop_condition([string], tokenizer)(row), (string, old, new)
                    found += 1
                elif string not in new:
                    assert not stop_condition([string], tokenizer)(row)
    assert found > 0


def test_strings_among_halves_of_characters(tokenizer) -> None:
    """Tokens in any order, many of them parts of characters; a look at the whole text decides."""
    chance, signs = random.Random(3), sorted({*tokenizer.encode("🙂 日本 é ab 🙂b")})
    for _ in range(60):
        strings = chance.sample(["b", "🙂", "éa", "日", "ab ab a", "本 🙂 é", "\ufffdb"], 2)
        stops, ids = stop_condition(strings, tokenizer), chance.choices(signs, k=40)
        for length in range(1, len(ids) + 1):
            text = tokenizer.decode(ids[:length])
            there = any(string in text for string in strings)
            assert (
                stops(SequenceState(Request(prompt=[4], max_new_tokens=99), ids[:length])) is there
            ), (strings, text)
            if there:
                break


@pytest.mark.parametrize("length", [3, 15, 16])
@pytest.mark.parametrize("lead", ["", "the cat ", "the cats "])
def test_a_string_may_be_many_times_as_many_tokens(tokenizer, lead: str, length: int) -> None:
    """Letters that no tokenizer has learnt are two tokens each where they are bytes."""
    string = ("ξψ" * length)[:length]
    stops, ids = stop_condition([string], tokenizer), tokenizer.encode(f"{lead}{'ψξ' * 20}")
    for count in range(1, len(ids) + 1):
        there = string in tokenizer.decode(ids[:count])
        assert stops(SequenceState(Request(prompt=[4], max_new_tokens=99), ids[:count])) is there
        if there:
            break


@pytest.mark.parametrize("name", SEARCHES)
@torch.inference_mode()
def test_a_search_ends_with_the_reason_stop(name: str) -> None:
    tokenizer = train_tokenizer(LINES, TrainingOptions(kind="byte-bpe", vocab_size=300))
    ids = tokenizer.encode("the cat sat on the mat")
    table = lambda tokens: {ids[len(tokens)] if len(tokens) < len(ids) else 3: 1.0}  # noqa: E731
    stop = stop_condition(["t sa", "mat"], tokenizer)
    task = Request(prompt=[0], max_new_tokens=30, stop=stop)
    stepper = STEPPERS.get(name, TableStepper)(table, size=tokenizer.vocab_size)
    (((found),),) = write_texts(stepper, build(name, end_ids=frozenset({3})), [task])
    text = tokenizer.decode(found.ids)
    assert (found.finish_reason, found.finished) == ("stop", True)
    assert "t sa" in text
    assert "t sa" not in tokenizer.decode(found.ids[:-1])
    assert truncate_at_stop(text, ["t sa", "mat"]) == "the ca"


def test_only_the_end_of_a_long_text_is_decoded() -> None:
    tokenizer = train_tokenizer(LINES, TrainingOptions(kind="byte-bpe", vocab_size=300))
    ids = tokenizer.encode("the cat sat on the mat, " * 400)
    lengths: list[int] = []
    decode = tokenizer.decode
    tokenizer.decode = lambda ids: lengths.append(len(ids)) or decode(ids)  # type: ignore
    assert not stop_condition(["END"], tokenizer)(
        SequenceState(Request(prompt=[2], max_new_tokens=1), ids)
    )
    assert max(lengths) < 40


@pytest.mark.parametrize(
    ("text", "strings", "left"),
    [
        ("one. two", ["."], "one"),
        ("one. two", ["two", "."], "one"),
        ("stop", ["stop"], ""),
        ("nothing", ["x"], "nothing"),
        ("abcd", ["bc", "abcd"], ""),
        ("xabx", ["ab", "abx", "b"], "x"),
        ("aab", ["ab"], "a"),
    ],
)
def test_texts_are_cut_where_the_first_string_begins(text, strings, left) -> None:
    assert truncate_at_stop(text, strings) == left


@pytest.mark.parametrize(
    ("strings", "pieces", "shown"),
    [
        (["END"], ["tex", "t E", "N", "D more"], ["tex", "t ", "", ""]),
        (["END"], ["E", "N", "N"], ["", "", "ENN"]),
        (["stop"], ["stop", "x"], ["", ""]),
        (["aab"], ["a", "a", "a", "b"], ["", "", "a", ""]),
        (["abcd", "bx"], ["ab", "x"], ["", "a"]),
        (["abcd", "bc"], ["ab", "c", "d"], ["", "a", ""]),
        (["abcd", "bc"], ["a", "bcd"], ["", ""]),
        (["\n\n"], ["a\n", "b", "\n", "\nc"], ["a", "\nb", "", ""]),
        (["é!"], ["café", "?", "é!"], ["caf", "é?", ""]),
    ],
)
def test_what_may_begin_a_string_is_held_back(strings, pieces, shown) -> None:
    holdback = StopStringBuffer(strings)
    assert [holdback.feed(piece) for piece in pieces] == shown


def test_what_was_held_back_comes_at_the_end() -> None:
    holdback = StopStringBuffer(["END", "NDX"])
    assert (holdback.feed("the EN"), holdback.flush(), holdback.flush()) == ("the ", "EN", "")
    assert not holdback.stopped


@pytest.mark.parametrize("seed", range(200))
def test_shown_is_what_cutting_leaves_and_nothing_is_lost(seed: int) -> None:
    """Random texts over two letters, where strings overlap, repeat and contain each other."""
    chance = random.Random(seed)

    def some(most):
        return "".join(chance.choice("ab") for _ in range(chance.randint(1, most)))

    strings = [some(5) for _ in range(chance.randint(1, 3))]
    holdback, shown, text = StopStringBuffer(strings), "", ""
    for _ in range(12):
        piece = some(3)
        text += "" if holdback.stopped else piece
        shown += holdback.feed(piece)
        assert truncate_at_stop(text, strings).startswith(shown)
        endings = [text[n:] for n in range(len(shown), len(text))]
        assert holdback.stopped or text == shown + (endings[0] if endings else "")
        if not holdback.stopped and endings:  # held back only while it must be
            assert any(string.startswith(endings[0]) for string in strings)
        assert holdback.stopped is any(string in text for string in strings)
    assert shown + holdback.flush() == truncate_at_stop(text, strings)


@pytest.mark.parametrize("strings", [[], [""], ["a", ""]])
def test_no_strings_and_empty_ones_are_refused(strings, tokenizer) -> None:
    for make in (
        StopStringBuffer,
        lambda some: truncate_at_stop("a", some),
        lambda some: stop_condition(some, tokenizer),
    ):
        with pytest.raises(ConfigError, match="give at least one, and no empty one"):
            make(strings)


def test_a_string_does_not_begin_in_the_prefix(tokenizer) -> None:
    """Compared with a look at what follows the prefix, after each token and in later contexts."""
    ids = tokenizer.encode("the cat sat on the mat, a bat: no!")
    for strings in (["the"], ["cat s"], ["sat"], ["at"], ["mat", "no"]):
        for size in range(1, len(ids)):
            stops = stop_condition(strings, tokenizer, prefix_tokens=size)
            start = len(tokenizer.decode(ids[:size]))
            for length in range(1, len(ids) + 1):
                new = tokenizer.decode(ids[:length])[start:]
                row = SequenceState(Request(prompt=[4], max_new_tokens=99), ids[:length])
                wanted = length > size and any(string in new for string in strings)
                if not stops(row):
                    assert not wanted
                    continue
                assert wanted
                break
