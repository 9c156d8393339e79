"""Grammars: what is written obeys them, with tokenizers of all kinds, and bad ones are refused."""

import json
import random
import re
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch
from tokenizers import Regex, decoders

from tests.decoding.tables import parameters
from tests.models import tiny_model
from tests.tokenizer.pretrained.folders import LLAMA, sentencepiece_model, write
from tokenizer import TOKENIZERS, TrainingOptions, read_tokenizers, train_tokenizer
from tokenizer.errors import TokenizerOptionError
from transformer.decoding import SEARCHES, Request
from transformer.decoding import decode_all as write_texts
from transformer.decoding.constraints.grammar import (
    GRAMMARS,
    choices,
    json_schema,
    regular_expression,
)
from transformer.errors import ConfigError, MissingExtraError
from transformer.loading import LoadedModel, default_generation_config
from transformer.pipelines.engines import plain_engine
from transformer.pipelines.search_settings import grammar_constraint

LINES = [
    "the cat sat on the mat, a bat: no!",
    'é 日本 {"name": "cat", "age": 12} [true, false]',
] * 9
EXTRA = 7  # ids of the model that its tokenizer does not have


def loaded(tokenizer):
    model = tiny_model("decoder", vocab_size=tokenizer.largest_id + 1 + EXTRA, max_positions=300)
    return LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path("nowhere"))


def trained(kind, size=300):
    return loaded(train_tokenizer(LINES, TrainingOptions(kind=kind, vocab_size=size)))


@pytest.fixture(scope="module")
def letters():
    """Tokens that are bytes, so that all texts can be written."""
    return trained("byte-bpe", 260)


def walk(model, constraint, chance, *, most=200, hurry=0.4):
    """A text by chance, of what the constraint lets through; None where it does not end."""
    ends, written = set(model.generation.end_ids), []
    closing = set('"}],0123456789')
    while len(written) < most:
        allowed = constraint(written).tolist()
        assert len(set(allowed)) == len(allowed)
        assert all(0 <= token < model.config.vocab_size for token in allowed)
        others = [token for token in allowed if token not in ends]
        if len(others) < len(allowed) and (not others or chance.random() < hurry):
            return model.target_tokenizer.decode(written)
        if not others:
            return None
        near = [token for token in others if model.target_tokenizer.decode([token]) in closing]
        written.append(chance.choice(near if near and chance.random() < hurry else others))
    return None


def walks(model, grammar, count=20, **options):
    chance, constraint = random.Random(1), grammar_constraint(grammar, model)
    found = [walk(model, constraint, chance, **options) for _ in range(count)]
    texts = [text for text in found if text is not None]
    assert len(texts) > count // 3
    return texts


# --- every tokenizer: the decoded text is what obeys ---


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_decoded_texts_match_whatever_the_tokenizer(kind: str) -> None:
    for pattern in ("(the|cat|mat)( (the|cat|mat)){1,5}", "[a-t]+, a[a-z ]*"):
        for text in walks(trained(kind), regular_expression(pattern)):
            assert re.fullmatch(pattern, text), (kind, text)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_one_of_the_choices_is_written_and_all_can_be(kind: str) -> None:
    texts = ["cat", "the cat", "mat", "the mat", "on"]
    assert set(walks(trained(kind), choices(texts), 60)) == set(texts)


@pytest.mark.parametrize(
    ("kind", "options"), [("unigram", {}), ("bpe", LLAMA), ("unigram", {"byte_fallback": True})]
)
def test_published_sentencepiece_models(tmp_path: Path, kind: str, options: dict) -> None:
    stored = {"spiece.model": sentencepiece_model(kind, **options)}
    folder = write(tmp_path / "m", {**stored, "tokenizer_config.json": {}})
    (folder / "spiece.model").rename(folder / "tokenizer.model")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    tokenizer, _ = read_tokenizers(folder, vocabulary=1000)
    model = loaded(tokenizer)
    for pattern in ("(the|fox|dog)( (the|quick|dog)){1,4}", "[a-zé日]{3,9}"):
        for text in walks(model, regular_expression(pattern)):
            assert re.fullmatch(pattern, text), text


def test_text_that_follows_a_prompt_keeps_its_first_space() -> None:
    model = trained("bpe")
    grammar = regular_expression(" ?(the|cat) mat")
    prompt = model.target_tokenizer.encode("the")
    chance, constraint = random.Random(2), grammar_constraint(grammar, model, continuing=True)
    seen = set()
    for _ in range(40):
        written: list[int] = []
        while model.generation.end_id not in (allowed := constraint(written).tolist()):
            written.append(chance.choice(allowed))
        seen.add(model.target_tokenizer.decode([*prompt, *written]))
    assert seen == {"the the mat", "thethe mat", "the cat mat", "thecat mat"}


def test_a_space_that_decoding_leaves_out_at_the_end_ends_no_text() -> None:
    model = trained("bpe")
    steps = [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    model.target_tokenizer.backend.decoder = decoders.Sequence(
        [*steps, decoders.Replace(Regex(r"(?<! ) +\z"), "")]
    )
    texts = walks(model, regular_expression("the |the cat|mat"), 40)
    assert set(texts) == {"the cat", "mat"}
    with pytest.raises(ConfigError, match="the model cannot write 'the '"):
        grammar_constraint(choices(["the ", "the cat"]), model)


def test_a_tokenizer_whose_tokens_change_each_other_is_refused() -> None:
    model = trained("bpe")
    model.target_tokenizer.backend.decoder = decoders.CTC()
    with pytest.raises(
        TokenizerOptionError, match="a grammar cannot be enforced with this tokenizer"
    ):
        grammar_constraint(regular_expression("a"), model)


def test_no_token_of_the_model_begins_it() -> None:
    with pytest.raises(ConfigError, match="no token of the model begins such a text"):
        grammar_constraint(regular_expression("[ξ-π]+"), trained("bpe"))


# --- the constraint: a pure function of what was written ---


def test_the_end_is_allowed_exactly_where_the_text_may_end(letters: LoadedModel) -> None:
    constraint, end = grammar_constraint(choices(["a", "abc"]), letters), letters.generation.end_id
    a, b, c = (letters.target_tokenizer.encode(letter)[0] for letter in "abc")
    assert constraint([]).tolist() == [a]
    assert sorted(constraint([a]).tolist()) == sorted([b, end])
    assert constraint([a, b]).tolist() == [c]
    assert constraint([a, b, c]).tolist() == [end]
    assert constraint([b]).tolist() == []  # what no grammar lets come
    assert constraint([b, a]).tolist() == []


def test_all_spellings_of_a_text_are_allowed() -> None:
    model = trained("byte-bpe", 320)
    constraint = grammar_constraint(choices(["the cat"]), model)
    tokenizer = model.target_tokenizer
    begun = {tokenizer.decode([token]) for token in constraint([]).tolist()}
    assert {"t", "th", "the"} <= begun | {"th"}
    assert begun <= {"the cat"[:n] for n in range(1, 8)}
    assert len(begun) > 1


def test_the_order_of_questions_and_a_full_cache_change_nothing(
    letters: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    grammar = regular_expression("[ab]{3,9}(c|de)*")
    texts = ["", "a", "ab", "aba", "abac", "bbbde", "bbbd", "aaaaaaaaa", "abacx", "bbbdec"]
    questions = [letters.target_tokenizer.encode(text) for text in texts]
    answers = [grammar_constraint(grammar, letters)(question).tolist() for question in questions]
    monkeypatch.setattr("transformer.decoding.constraints.grammar._MAX_STATES", 2)
    constraint = grammar_constraint(grammar, letters)
    for _ in range(3):
        for place in random.Random(3).sample(range(len(texts)), len(texts)):
            assert constraint(questions[place]).tolist() == answers[place]


def test_special_tokens_in_what_was_written_are_no_text(letters: LoadedModel) -> None:
    constraint = grammar_constraint(choices(["ab"]), letters)
    begin = letters.target_tokenizer.require_role("begin")
    a, b = letters.target_tokenizer.encode("ab")
    assert constraint([begin]).tolist() == [a]
    assert constraint([begin, a]).tolist() == [b]


def test_a_first_token_that_the_model_forces_stands_before_the_text(letters: LoadedModel) -> None:
    forced = letters.target_tokenizer.require_role("begin")
    generation = msgspec.structs.replace(letters.generation, forced_bos_token_id=forced)
    constraint = grammar_constraint(choices(["ab"]), replace(letters, generation=generation))
    assert constraint([]).tolist() == [forced]
    assert constraint([forced]).tolist() == letters.target_tokenizer.encode("a")


@pytest.mark.parametrize("name", SEARCHES)
@torch.inference_mode()
def test_a_text_that_cannot_go_on_is_no_hypothesis(name: str) -> None:
    """No token has a ξ: that is found out only where it must come."""
    model = trained("bpe")
    constraint = grammar_constraint(regular_expression("cat[ξ-π]"), model)
    task = Request(prompt=[2], max_new_tokens=20, constraint=constraint)
    engine = plain_engine(model, parameters(name, end_ids=frozenset({3})))
    assert write_texts(*engine, [task]) == [[]]


def test_several_ends_and_none(letters: LoadedModel) -> None:
    (a,) = letters.target_tokenizer.encode("a")
    assert sorted(grammar_constraint(choices(["a"]), letters, end_ids={2, 3})([a]).tolist()) == [
        2,
        3,
    ]
    assert grammar_constraint(choices(["a"]), letters, end_ids=())([a]).tolist() == []


def test_masks_are_fast() -> None:
    """A vocabulary of 32,000: the median of a few hundred questions stays under a millisecond."""
    from time import perf_counter

    from transformer.decoding.constraints.grammar import _GrammarConstraint
    from transformer.decoding.constraints.vocabulary import Vocabulary

    model = trained("byte-bpe", 300)
    words = Vocabulary(model.target_tokenizer, 300)
    words.initial = words.inner = words.inner.repeat(107)
    words.initial_space = words.inner == -1
    following = _GrammarConstraint(
        words,
        regular_expression(".*").matcher(words.library),
        end_ids=[3],
        has_text=False,
        forced=None,
    )
    token, times = int(following([])[0]), []
    for length in range(200):
        before = perf_counter()
        allowed = following([token] * length)
        times.append(perf_counter() - before)
    assert len(allowed) > 20_000
    assert sorted(times)[100] < 1e-3


# --- searches ---


@pytest.mark.parametrize("name", SEARCHES)
@torch.inference_mode()
def test_searches_through_a_random_model_write_the_schema(name: str) -> None:
    model = trained("byte-bpe")
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 3},
            "age": {"type": "integer", "minimum": 0, "maximum": 99},
            "tags": {"type": "array", "items": {"enum": ["cat", "mat"]}, "maxItems": 2},
        },
        "required": ["name", "age", "tags"],
        "additionalProperties": False,
    }
    constraint = grammar_constraint(json_schema(schema), model, end_ids={3})
    fields = {"beam": 3} if name == "beam" else {}
    tasks = [
        Request(prompt=[token], max_new_tokens=280, constraint=constraint, seed=1)
        for token in (4, 9, 30)
    ]
    engine, read = plain_engine(model, parameters(name, end_ids=frozenset({3}), **fields)), 0
    for hypotheses in write_texts(*engine, tasks):
        for hypothesis in hypotheses:
            if hypothesis.finish_reason == "end":
                value = json.loads(model.target_tokenizer.decode(hypothesis.ids))
                assert list(value) == ["name", "age", "tags"]
                assert len(value["name"]) <= 3
                assert 0 <= value["age"] <= 99
                assert set(value["tags"]) <= {"cat", "mat"}
                read += 1
    assert read


# --- makers ---


def test_choices_are_texts_not_patterns(letters: LoadedModel) -> None:
    texts = [
        "a.b",
        "(x|y)*",
        'say "no"',
        "a/b\\c",
        "tab\tline\n",
        "é日本😀",
        " ^$ ",
        "#&-~",
        "\x00",
    ]
    assert set(walks(letters, choices(texts), 150)) == set(texts)


@pytest.mark.parametrize("texts", [[], ["a", ""]])
def test_no_choices_and_empty_ones_are_refused(texts: list[str]) -> None:
    with pytest.raises(ConfigError, match="at least one text, and none may be empty"):
        choices(texts)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a", "unclosed group"),
        ("(?=a)b", "look-around"),
        (r"(a)\1", "backreferences are not supported"),
        (r"\ba", "lookarounds not supported"),
        (r"a[^\s\S]", "no text satisfies it"),
    ],
)
def test_bad_expressions_are_told_in_one_line(pattern: str, reason: str, capfd) -> None:
    with pytest.raises(ConfigError, match=f"^the regular expression .*: .*{reason}") as caught:
        regular_expression(pattern)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pattern", [r"^\d{2}/[^/]+$", "(?i)cat|DOG", "a{3}|b*", r"[A-Z]\w?\n"])
def test_expressions_mean_what_they_mean_elsewhere(letters: LoadedModel, pattern: str) -> None:
    for text in walks(letters, regular_expression(pattern), most=90):
        assert re.fullmatch(pattern, text), text


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    for name, value in (("regular-expression", "a"), ("choices", ["a"]), ("json-schema", {})):
        with pytest.raises(MissingExtraError, match=r"llguidance; pip install 'transduce\[constr"):
            GRAMMARS[name](value)
