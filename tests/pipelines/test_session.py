"""Sessions: translations, continuations, streams, scores and vectors; alone, drafted, together."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

from tests.models import tiny_model
from tests.pipelines.test_models import tiny_translator, tiny_writer
from transformer.decoding import ModelStepper, Request, decode_all
from transformer.decoding.search import BeamParameters
from transformer.errors import ConfigError, PromptError
from transformer.export import save_model
from transformer.initialization import initialize
from transformer.loading import LoadedModel, PoolingConfig, load_model
from transformer.pipelines.arguments import (
    EmbedArguments,
    GenerateArguments,
    ScoreArguments,
    SpeculationArguments,
    TranslateArguments,
)
from transformer.pipelines.embedding import embed_lines
from transformer.pipelines.records import Answer, IterableSource, Line, LineSource, Output
from transformer.pipelines.session import Session

LINES = ["one two", "größer", "", "three four five 日本", "one", "five four three two one"]
PROMPTS = ["the cat", "on the mat 🙂", "", "sat", "the the the the"]
BEAM = TranslateArguments(beam=3, n_best=2, max_tokens=9)
GREEDY = GenerateArguments(beam=1, max_tokens=12)
SAMPLING = GenerateArguments(temperature=0.9, seed=5, max_tokens=12)


class Records(LineSource):
    """Lines with the fields of JSON objects."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    def take(self, limit: int, *, wait: bool) -> list[Line] | None:
        del wait
        taken, self.lines = self.lines[:limit], self.lines[limit:]
        return taken or None


@pytest.fixture(scope="module")
def translator() -> LoadedModel:
    return tiny_translator()


@pytest.fixture(scope="module")
def writer() -> LoadedModel:
    return tiny_writer()


def texts(answers) -> list[list[str]]:
    return [[output.text for output in answer.outputs] for answer in answers]


def translated(session: Session, arguments: TranslateArguments, lines=LINES) -> list[list[str]]:
    return texts(session.translate(IterableSource(lines), arguments, Counter()))


def generated(session: Session, arguments: GenerateArguments, prompts=PROMPTS) -> list[list[str]]:
    return texts(session.generate(IterableSource(prompts), arguments, Counter()))


def streamed(session: Session, arguments: GenerateArguments, prompt: str = "the cat") -> str:
    return "".join(session.stream(prompt, arguments, Counter()))


def best(answer: Answer[Output]) -> Output:
    return answer.outputs[0]


@torch.inference_mode()
def test_translations_are_those_of_the_search_in_order(translator: LoadedModel) -> None:
    generation, tokenizer = translator.generation, translator.tokenizer
    before, after = translator.special_affixes
    sources = [[*before, *tokenizer.encode(line), *after] for line in LINES if line]
    start = translator.decoder_start_id
    requests = [Request(prompt=[start], source=ids, max_new_tokens=9) for ids in sources]
    search = BeamParameters(end_ids=frozenset(generation.end_ids), beam=3, n_best=2).build()
    wanted = [
        [tokenizer.decode(h.ids) for h in hypotheses]
        for hypotheses in decode_all(ModelStepper(translator.model), search, requests)
    ]
    wanted.insert(LINES.index(""), [])
    asked = TranslateArguments(beam=3, n_best=2, max_tokens=9, no_guard=True)
    assert translated(Session([translator]), asked) == wanted
    assert len({*map(tuple, wanted)}) == len(LINES)


def test_continuations_are_of_their_prompts(writer: LoadedModel) -> None:
    session = Session([writer])
    together = generated(session, GREEDY)
    assert together == [t for p in PROMPTS for t in generated(session, GREEDY, [p])]
    assert [bool(some) for some in together] == [bool(prompt) for prompt in PROMPTS]
    assert len(generated(session, GenerateArguments(n_best=3, max_tokens=5), ["sat"])[0]) == 3


def test_an_empty_prompt_is_continued_where_it_may_be(writer: LoadedModel) -> None:
    session = Session([writer])
    source = IterableSource([""])
    (answer,) = session.generate(source, GREEDY, Counter(), allow_empty=True)
    assert best(answer).hypothesis.tokens
    assert streamed(session, GREEDY, "") == best(answer).text


@pytest.mark.parametrize("asked", [GREEDY, SAMPLING], ids=["greedy", "sample"])
def test_a_stream_is_the_whole_text_in_pieces(writer: LoadedModel, asked) -> None:
    session = Session([writer])
    assert asked.can_stream
    (answer,) = session.generate(IterableSource(["the cat"]), asked, Counter())
    pieces = list(session.stream("the cat", asked, Counter()))
    assert "".join(pieces) == best(answer).text
    assert len(pieces) > 1
    ids = writer.tokenizer.encode("the cat")
    assert "".join(session.stream_ids(ids, "the cat", asked, Counter())) == best(answer).text


@pytest.mark.parametrize("asked", [{"beam": 2}, {"n_best": 2}, {"mbr": 2}], ids=str)
def test_what_is_known_at_its_end_is_not_streamed(writer: LoadedModel, asked) -> None:
    session, arguments = Session([writer]), GenerateArguments(**asked)
    assert not arguments.can_stream
    with pytest.raises(ConfigError, match="cannot be streamed"):
        session.stream("the cat", arguments, Counter())


def test_scores_are_those_that_decoding_reported(translator, writer) -> None:
    session = Session([translator])
    answers = [*session.translate(IterableSource(LINES), BEAM, Counter())]
    lines = [
        Line(
            n, output.text, fields={"source": answer.line.text, "tokens": names(translator, output)}
        )
        for n, (answer, output) in enumerate((a, o) for a in answers for o in a.outputs)
    ]
    assert_scored(session, lines, [o for answer in answers for o in answer.outputs])
    session = Session([writer])
    answers = [a for a in session.generate(IterableSource(PROMPTS), GREEDY, Counter()) if a.outputs]
    lines = [
        Line(n, a.outputs[0].text, fields={"prompt": a.line.text, "tokens": names(writer, best(a))})
        for n, a in enumerate(answers)
    ]
    assert_scored(session, lines, [best(answer) for answer in answers])


def names(loaded: LoadedModel, output: Output) -> list[str]:
    return [loaded.target_tokenizer.token(token) for token in output.hypothesis.tokens]


def assert_scored(session: Session, lines: list[Line], outputs: list[Output]) -> None:
    found = list(session.score(Records(lines), ScoreArguments(), Counter()))
    scores = [best(answer).hypothesis.score for answer in found]
    assert scores == pytest.approx([output.hypothesis.score for output in outputs], abs=1e-5)
    halved = ScoreArguments(length_penalty=0.0)
    sums = [
        best(answer).hypothesis.score for answer in session.score(Records(lines), halved, Counter())
    ]
    reported = [sum(output.hypothesis.log_probabilities) for output in outputs]
    assert sums == pytest.approx(reported, abs=1e-4)


def test_vectors_are_pooled_as_asked(translator: LoadedModel) -> None:
    def vectors(answers) -> torch.Tensor:
        return torch.stack([answer.outputs[0].vector for answer in answers])

    for asked, pooling in (
        (EmbedArguments(), PoolingConfig("mean", normalize=True)),
        (EmbedArguments(pooling="max"), PoolingConfig("max", normalize=True)),
        (EmbedArguments(pooling="first", normalize=False), PoolingConfig("first", normalize=False)),
    ):
        wanted = vectors(embed_lines(translator, IterableSource(LINES), pooling))
        found = Session([translator]).embed(IterableSource(LINES), asked, Counter())
        assert torch.equal(vectors(found), wanted)


def test_a_draft_changes_no_text_and_is_counted(writer: LoadedModel, tmp_path: Path) -> None:
    model, folder = writer.model, tmp_path
    save_model(folder, model.config, model.state_dict(), writer.tokenizer, card={})
    loaded = load_model(folder, device="cpu")
    for asked in (GREEDY, SAMPLING):
        plain = streamed(Session([loaded]), asked)
        for speculation in (
            SpeculationArguments(lookup=True, draft_tokens=3),
            SpeculationArguments(draft=folder),
        ):
            counts: Counter[str] = Counter()
            session = Session([loaded], speculation)
            assert "".join(session.stream("the cat", asked, counts)) == plain
            (answer,) = session.generate(IterableSource(["the cat"]), asked, Counter())
            assert best(answer).text == plain
            assert 0 <= counts["accepted"] <= counts["drafted"]
            if speculation.draft:
                assert counts["accepted"] == counts["drafted"] > 0


def test_models_decode_together(translator: LoadedModel) -> None:
    model = tiny_model("encoder-decoder", vocab_size=translator.config.vocab_size)
    initialize(model, seed=9)
    other = replace(translator, model=model, folder=Path("shorter"))
    settings = msgspec.structs.replace(translator.generation, num_beams=7)
    lead = Session([replace(translator, generation=settings), other]).lead
    assert lead.model is other.model and lead.generation is settings  # the first one's
    assert translated(Session([translator] * 2), BEAM) == translated(Session([translator]), BEAM)

    def scores(*models: LoadedModel) -> list[float]:
        answers = Session(models).translate(IterableSource(LINES), BEAM, Counter())
        return [best(answer).hypothesis.score for answer in answers if answer.outputs]

    together, alone, beside = scores(translator, other), scores(translator), scores(other)
    assert all(len({*three}) == 3 for three in zip(together, alone, beside, strict=True))


def test_what_a_model_cannot_do_is_said_before_a_line_is_read(translator, writer) -> None:
    source, counts = IterableSource(["one"]), Counter[str]()
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: Session([writer]).translate(source, BEAM, counts), "cannot translate"),
        (lambda: Session([writer]).embed(source, EmbedArguments(), counts), "encoder"),
        (lambda: Session([translator]).generate(source, GREEDY, counts), "cannot generate"),
        (lambda: Session([translator]).stream("one", GREEDY, counts), "cannot generate"),
        (lambda: Session([translator, writer]), "shape"),
        (lambda: Session([writer] * 2, SpeculationArguments(lookup=True)), "one model"),
        (
            lambda: Session([translator], SpeculationArguments(lookup=True)).translate(
                source, BEAM, counts
            ),
            "the search that the options ask for is 'beam'",
        ),
        (
            lambda: Session([writer]).generate(
                source, GenerateArguments(beam=2, overflow="slide"), counts
            ),
            "--overflow slide",
        ),
    ]
    for call, message in cases:
        with pytest.raises(ConfigError, match=message):
            call()
    assert [line.text for line in source.take(9, wait=False)] == ["one"]


def test_a_prompt_without_room_is_refused(writer: LoadedModel) -> None:
    counts: Counter[str] = Counter()
    session = Session([writer])
    with pytest.raises(PromptError, match="context is 64"):
        list(session.stream("the cat " * 99, GREEDY, counts))
    (answer,) = session.generate(IterableSource(["the cat " * 99]), GREEDY, counts)
    assert "context is 64" in answer.error
    assert counts["failed"] == 1
