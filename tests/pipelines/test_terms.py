"""Terms in the texts of tiny models: where they come, what else changes, and what is told."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.models import tiny_model
from tests.pipelines.term_texts import LINES as CORPUS
from tokenizer import TOKENIZERS, TrainingOptions, train_tokenizer
from transformer.decoding import Hypothesis, Request
from transformer.loading import LoadedModel, default_generation_config
from transformer.pipelines import terms as terms_module
from transformer.pipelines.arguments import GenerateArguments, TranslateArguments
from transformer.pipelines.glossary import Term
from transformer.pipelines.phrases import Phrase
from transformer.pipelines.records import Answer, IterableSource, Line, Output
from transformer.pipelines.session import Session
from transformer.pipelines.term_positions import Draft, Position
from transformer.pipelines.terms import TermWriter
from transformer.pipelines.word_tokens import word_tokens

SOURCES = ["the cat sat", "a bat", "", "on the mat, no! a café", "x the cat", "no bat: a mat"]
KINDS = [kind for kind in TOKENIZERS if kind != "wordpiece"]


@cache
def model(kind: str = "bpe", shape: str = "encoder-decoder", **changes: object) -> LoadedModel:
    """A random model, whose texts have no sense, but are the same each time."""
    tokenizer = train_tokenizer(CORPUS, TrainingOptions(kind=kind, vocab_size=300))
    torch.manual_seed(5)
    network = tiny_model(shape, vocab_size=tokenizer.vocab_size, max_positions=60, **changes)
    generation = default_generation_config(tokenizer)
    return LoadedModel(network, tokenizer, generation, Path("tiny"))


def answers(session: Session, lines: Sequence[str | Line], **asked: object) -> list[Answer[Output]]:
    arguments = TranslateArguments(**{"max_tokens": 20, **asked})
    return list(session.translate(IterableSource(lines), arguments, Counter()))


def texts(found: Sequence[Answer[Output]]) -> list[list[str]]:
    return [[output.text for output in answer.outputs] for answer in found]


def has(loaded: LoadedModel, text: str, term: str) -> bool:
    return Phrase(loaded.tokenizer, term).is_in(text)


def glossary(folder: Path, **terms: str) -> Path:
    path = folder / "terms.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in terms.items()))
    return path


@pytest.mark.parametrize("kind", ["bpe", "byte-bpe"])
def test_each_text_has_its_terms_as_whole_words(kind: str, tmp_path: Path) -> None:
    loaded = model(kind)
    asked = {"glossary": glossary(tmp_path, cat="New York", bat="a mat", mat="cat")}
    asked["max_tokens"] = 30
    wanted = [["New York"], ["a mat"], [], ["cat"], ["New York"], ["a mat", "cat"]]
    found = answers(Session([loaded]), SOURCES, **asked)
    for answer, terms in zip(found, wanted, strict=True):
        unused = answer.notices.get("terms_unused", [])
        assert all(has(loaded, answer.outputs[0].text, t) for t in terms if t not in unused)
        assert set(unused) <= set(terms)
        assert not unused or answer.notices["unfinished"]  # a text without an end has no room


def drafted(kind: str, text: str, phrase: str, **fields: object) -> list[str]:
    """The text up to each place for a phrase, with the phrase there."""
    loaded = model(kind)
    tokenizer = loaded.tokenizer
    ids = tokenizer.encode(text)
    request = Request(prompt=[2], **{"source": [5], "max_new_tokens": 60, **fields})
    words = word_tokens(tokenizer, tokenizer.vocab_size, loaded.generation.end_ids)
    draft = Draft(request, Hypothesis(ids, 0.0, [], "end"), len(request.prefix), words, tokenizer)
    places = draft.positions(Phrase(tokenizer, phrase))
    return [tokenizer.decode([*ids[: place.start], *place.ids]) for place in places]


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_before_words_and_before_the_last_punctuation(kind: str) -> None:
    expected = ["A mat", "The a mat", "The cat a mat", "The cat sat a mat"]
    assert drafted(kind, "The cat sat", "a mat") == expected
    assert drafted(kind, "The cat sat!", "a mat") == expected
    assert drafted(kind, "The cat sat...", "New York")[-1] == "The cat sat New York"
    assert drafted(kind, "the cat. The mat.", "a mat")[2] == "the cat. A mat"
    assert drafted(kind, "the cat-flap", "a mat") == ["a mat", "the a mat", "the cat-flap a mat"]


def test_places_in_scripts_without_spaces_are_between_characters() -> None:
    kind = "char"
    assert drafted(kind, "日本語。", "本")[:2] == ["本", "日本"]
    assert drafted(kind, "日本語。", "本")[-1] == "日本語本"
    assert drafted(kind, "日本語。", "cat")[-1] == "日本語cat"
    assert drafted(kind, "a 日本", "本")[0] == "本"


def test_places_leave_room_and_the_prefix_alone() -> None:
    tokens = len(model("char").tokenizer.encode("The cat sat"))
    found = drafted("char", "The cat sat", "New York", max_new_tokens=tokens + 2)
    assert found == ["New York", "The New York"]
    prefix = model("char").tokenizer.encode("The c")
    assert drafted("char", "The cat sat", "a mat", prefix=prefix)[0] == "The cat a mat"


def test_a_text_that_has_its_terms_is_left_and_so_are_other_lines(tmp_path: Path) -> None:
    session = Session([model()])
    plain = answers(session, SOURCES)
    words = [answer.outputs[0].text.split()[0] for answer in plain if answer.outputs]
    terms = glossary(tmp_path, sat=words[0], café=words[2], York="cat", nothing="mat")
    again = answers(session, SOURCES, glossary=terms)
    assert texts(again) == texts(plain)
    ids = [[o.hypothesis.ids for o in a.outputs] for a in plain]
    assert [[o.hypothesis.ids for o in a.outputs] for a in again] == ids
    assert not any("terms_unused" in answer.notices for answer in again)


@pytest.mark.parametrize("asked", [{"n_best": 3}, {"beam_groups": 2, "beam": 4}])
def test_a_line_does_not_depend_on_its_neighbours(asked, tmp_path: Path) -> None:
    session, lines = Session([model()]), [line for line in SOURCES if line]
    asked = {"glossary": glossary(tmp_path, cat="New York", bat="a mat"), "must": ["no"], **asked}
    together = texts(answers(session, lines * 2, **asked))
    assert together == [texts(answers(session, [line], **asked))[0] for line in lines] * 2


def test_the_text_before_a_term_and_its_gap_is_that_of_the_plain_one() -> None:
    session = Session([model()])
    for plain, found in zip(
        answers(session, SOURCES), answers(session, SOURCES, must=["New York"]), strict=True
    ):
        for before, after in zip(texts([plain])[0], texts([found])[0], strict=True):
            kept = after.partition("New York")[0].split()[:-2]
            assert before.split()[: len(kept)] == kept


def written(
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    instead_of: str,
    terms: Sequence[Term],
    log_probs: dict[str, float],
    *,
    free: str = "",
) -> tuple[str, list[str]]:
    """The text that terms are written into instead of a word, and the versions that were tried.

    Each version is as its constraint forces it, and `free` where all may follow. `log_probs` are
    those of texts, -50 for others.
    """
    loaded = model("char")
    tokenizer = loaded.tokenizer
    (end,) = loaded.generation.end_ids

    def rank(_: object, draft: Draft, positions: Sequence[Position], *__: object) -> list[Position]:
        words = draft.instead_of_words(positions)
        return [word for word in words if draft.replaced(word) == instead_of]

    def decode(request: Request) -> Hypothesis:
        ids = [*request.prefix]
        assert request.constraint is not None
        while (allowed := request.constraint(ids)) is not None and end not in allowed.tolist():
            ids.append(int(allowed[0]))
        is_free = not tokenizer.decode(ids).endswith(".")
        ids += tokenizer.encode(f"x{free}")[1:] if is_free else ()
        shown = tokenizer.decode(ids)
        tried.append(shown)
        score = log_probs.get(shown, -50.0)
        return Hypothesis(ids, score, [score] + [0.0] * len(ids), "end", end_id=end)

    monkeypatch.setattr(terms_module, "rank_aligned", rank)
    tried: list[str] = []
    writer = TermWriter(
        loaded,
        [term.text for term in terms],
        decode=lambda _, hypothesis: tokenizer.decode(hypothesis.ids),
        encode_source=tokenizer.encode,
    )
    ids = tokenizer.encode(text)
    request = Request(prompt=[2], source=[5, 6], max_new_tokens=60)
    plain = Hypothesis(ids, 0.0, [0.0] * (len(ids) + 1), "end", end_id=end)
    revision = writer.revise(request, [plain], terms)
    try:
        following = next(revision)
        while True:
            following = revision.send([decode(following)])
    except StopIteration as finished:
        return tokenizer.decode(finished.value[0].ids), tried


def test_a_term_comes_instead_of_a_word_and_the_rest_stays(monkeypatch) -> None:
    term = Term("New York", ablated_source="x")
    text, tried = written(monkeypatch, "the cat sat on a mat.", "cat", [term], {})
    assert text == "the New York sat on a mat." == tried[0]


def test_a_term_comes_in_each_place_that_asks_for_it(monkeypatch) -> None:
    text = "the cat sat, no cat sat, a cat."
    once, twice = (Term("bat", ablated_source="x", num_places=n) for n in (1, 2))
    assert written(monkeypatch, text, "cat", [once], {})[0] == "the bat sat, no cat sat, a cat."
    assert written(monkeypatch, text, "cat", [twice], {})[0] == "the bat sat, no bat sat, a cat."


def test_a_rest_is_free_where_that_of_the_text_gives_none(monkeypatch) -> None:
    monkeypatch.setattr(
        TermWriter, "_write_with_rest", _reject_kept_rests(TermWriter._write_with_rest)
    )
    terms = [Term("bat", ablated_source="x")]
    assert written(monkeypatch, "the York.", "York", terms, {}, free=" sat")[0] == "the bat sat"
    assert (
        written(monkeypatch, "the York.", "York", terms, {}, free=" York")[0] == "the York."
    )  # twice


def _reject_kept_rests(write):
    """Wrap the writing of versions, so that there are none with the rest of the text."""

    def write_with_rest(self, draft, term, position, rest):
        versions = yield from write(self, draft, term, position, rest)
        return [] if rest else versions

    return write_with_rest


def test_what_must_be_written_comes_instead_of_its_other_form(monkeypatch) -> None:
    (found,) = answers(Session([model()]), ["the cat sat"])
    word = max(found.outputs[0].text.split(), key=len).strip(".,!:")
    monkeypatch.setattr(
        terms_module, "rank_unaligned", lambda _, __, positions, ___: [positions[0]]
    )
    (found,) = answers(Session([model()]), ["the cat sat"], must=[word[:-1]])
    assert word not in found.outputs[0].text.split()


def test_what_must_be_written_may_have_no_ending(tmp_path: Path) -> None:
    loaded = model()
    session = Session([loaded])
    (plain,) = answers(session, ["the cat sat"])
    word = max(plain.outputs[0].text.split(), key=len).strip(".,!")
    part = word[:-1]
    assert len(part) >= 4, "another model is needed"
    (of_glossary,) = answers(session, ["the cat sat"], glossary=glossary(tmp_path, cat=part))
    assert texts([of_glossary]) == texts([plain])
    (found,) = answers(session, ["the cat sat"], must=[part])
    assert Phrase(loaded.tokenizer, part).is_in(found.outputs[0].text, inflects=False)


def test_n_best_texts_differ_and_all_have_the_term() -> None:
    loaded = model()
    for answer in answers(Session([loaded]), SOURCES, must=["New York"], n_best=4):
        found = [output.text for output in answer.outputs]
        assert len({tuple(o.hypothesis.ids) for o in answer.outputs}) == len(found)
        assert all(has(loaded, text, "New York") for text in found)


def test_a_prefix_stays_and_may_hold_the_term() -> None:
    session = Session([model()])
    lines = [Line(0, "the cat sat", prefix="a mat"), Line(1, "the cat sat", prefix="a cat")]
    plain = answers(session, lines)
    found = answers(session, lines, must=["cat"])
    assert texts(found)[0][0].startswith("a mat") and " cat" in texts(found)[0][0]
    assert texts(found)[1] == texts(plain)[1]


def test_each_sentence_has_its_own_terms(tmp_path: Path) -> None:
    asked = {"split": True, "glossary": glossary(tmp_path, cat="New York", bat="mat")}
    (answer,) = answers(Session([model()]), ["The cat sat. A bat: no!"], **asked)
    text = answer.outputs[0].text
    assert text.index("New York") < text.rindex("mat")


@pytest.mark.parametrize("term", ["New York", "mat", "cat"])
def test_one_of_a_lines_sentences_has_what_the_line_must_have(term: str) -> None:
    session, lines = Session([model()]), ["The cat sat. A bat: no! On the mat.", "A cat."]
    plain = answers(session, lines, split=True)
    found = answers(session, lines, split=True, must=[term])
    for before, after in zip(plain, found, strict=True):
        text = after.outputs[0].text
        if has(model(), before.outputs[0].text, term):
            assert text == before.outputs[0].text
        else:
            assert len(re.findall(rf"\b{term}\b", text)) == 1
            assert "terms_unused" not in after.notices
    (unused,) = answers(
        session, lines[:1], split=True, must=["the cat sat on the mat"], max_tokens=2
    )
    assert unused.notices["terms_unused"] == ["the cat sat on the mat"]


def test_ensembles_a_constraint_and_a_stop_string_go_with_terms(tmp_path: Path) -> None:
    loaded, other = model(), model(d_ff=32)
    for session in (Session([loaded, other]), Session([loaded])):
        for asked in ({"stop": ["zz"]}, {"n_best": 2}, {"coverage_penalty": 0.3}):
            found = answers(session, ["the cat sat"], must=["New York"], **asked)
            assert has(loaded, texts(found)[0][0], "New York")
    pytest.importorskip("llguidance")
    options = {"choice": ["a cat", "a mat"], "max_tokens": 12}
    (answer,) = answers(Session([loaded]), ["the cat sat"], must=["mat"], **options)
    assert texts([answer]) == [["a mat"]]
    (answer,) = answers(Session([loaded]), ["the cat sat"], must=["bat"], **options)
    assert answer.notices["terms_unused"] == ["bat"]
    assert answer.outputs[0].text in options["choice"]


def test_a_term_without_room_is_told_and_leaves_the_text() -> None:
    session = Session([model()])
    (plain,) = answers(session, ["the cat sat"], max_tokens=2)
    (found,) = answers(session, ["the cat sat"], max_tokens=2, must=["the cat sat on the mat"])
    assert texts([found]) == texts([plain])
    assert found.notices["terms_unused"] == ["the cat sat on the mat"]


@pytest.mark.parametrize("kind", ["bpe", "byte-bpe", "char"])
def test_a_continuation_has_what_it_must(kind: str) -> None:
    loaded = model(kind, "decoder")
    arguments = GenerateArguments(beam=4, must=["New York", "cat"], max_tokens=24)
    prompts = IterableSource(["the cat", "a", "no! a bat:"])
    for answer in Session([loaded]).generate(prompts, arguments, Counter()):
        text = answer.outputs[0].text
        assert all(has(loaded, text, term) for term in ("New York", "cat")), text
