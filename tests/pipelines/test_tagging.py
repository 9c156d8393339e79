"""Spans of lines, whatever their neighbours and their length, equal to transformers' own."""

from collections import Counter

import pytest
import torch
import transformers

from tests.label_models import TAGS, write_classifier, write_tagger
from tests.tokenizer.pretrained.folders import BERT_VOCABULARY, write_bert
from transformer.errors import ConfigError, UnknownNameError
from transformer.inputs import ModelInputs
from transformer.loading import load_model
from transformer.pipelines.arguments import TagArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

TEXTS = ["one", "two, three", "größer " * 9, "four five one " * 12, "日本 x", "three"]


def spans_of(folder, lines, counts=None, **arguments):
    session = Session([load_model(folder, device="cpu")])
    counts = Counter() if counts is None else counts
    answers = session.tag(IterableSource(lines), TagArguments(**arguments), counts)
    return [answer.outputs[0] if answer.outputs else None for answer in answers]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tagger(tmp_path_factory.mktemp("tagger"))


def test_a_line_does_not_depend_on_its_neighbours(folder) -> None:
    together = spans_of(folder, TEXTS * 2, batch_tokens=64)
    for text, spans in zip(TEXTS * 2, together, strict=True):
        (alone,) = spans_of(folder, [text])
        assert [each[:4] for each in alone] == [each[:4] for each in spans]
        scores = [each.score for each in spans]
        assert [each.score for each in alone] == pytest.approx(scores, abs=1e-5)
        assert spans, "nothing is compared"


def test_spans_are_parts_of_the_line_as_it_stands(folder) -> None:
    """Whatever the tokenizer makes of composed letters and of white space."""
    text = "  gro\u0308\u00dfer \t one,two "
    (spans,) = spans_of(folder, [text])
    assert all(each.text == text[each.start : each.end] for each in spans)
    found = "".join(each.text for each in spans)
    assert "".join(found.split()) == "".join(text.split())
    starts = [each.start for each in spans]
    assert starts == sorted(starts)


def test_long_lines_are_read_in_windows_that_lose_no_word(tmp_path) -> None:
    """Each word has the answer of the window in which it is farthest from an edge."""
    folder = write_tagger(tmp_path, ("NOUN", "VERB", "ADJ"))
    loaded = load_model(folder, device="cpu")
    text = " ".join(["one", "two", "three", "four"] * 25)
    (spans,) = spans_of(folder, [text])
    assert [each.text for each in spans] == text.split()
    encoding = loaded.tokenizer.encode_with_offsets(text)
    begin, end = loaded.special_affixes
    room = loaded.config.max_positions - len(begin) - len(end)
    step = room - room // 4
    starts = [min(n * step, len(encoding.ids) - room) for n in range(len(encoding.ids) // step + 1)]
    for span in spans:
        token = next(n for n, (start, _) in enumerate(encoding.offsets) if start == span.start)
        inside = [start for start in dict.fromkeys(starts) if start <= token < start + room]
        best = max(
            inside,
            key=lambda start: min(
                token - start if start else room,
                start + room - 1 - token if start + room < len(encoding.ids) else room,
            ),
        )
        ids = torch.tensor([[*begin, *encoding.ids[best : best + room], *end]])
        probs = loaded.model(ModelInputs(ids))[0, len(begin) + token - best].softmax(-1)
        assert span.label == loaded.labels[int(probs.argmax())]
        assert span.score == pytest.approx(float(probs.max()), abs=1e-5)


def test_words_may_be_what_stands_between_spaces(tmp_path) -> None:
    folder = write_tagger(tmp_path, ("NOUN", "VERB"))
    text = "it's one, two"
    (spans,) = spans_of(folder, [text])
    assert [each.text for each in spans] == ["it", "'", "s", "one", ",", "two"]
    (spans,) = spans_of(folder, [text], words="spaces")
    assert [each.text for each in spans] == ["it's", "one,", "two"]
    with pytest.raises(UnknownNameError, match="lines"):
        spans_of(folder, [text], words="lines")


def test_unlikely_spans_are_left_out(folder) -> None:
    (every,) = spans_of(folder, [TEXTS[3]])
    bound = sorted(each.score for each in every)[len(every) // 2]
    (some,) = spans_of(folder, [TEXTS[3]], threshold=bound - 1e-6)
    assert some == [each for each in every if each.score >= bound - 1e-6]
    assert 0 < len(some) < len(every)


def test_blank_lines_have_no_spans_and_unknown_characters_are_told(tmp_path) -> None:
    counts: Counter[str] = Counter()
    folder = tmp_path / "bert"
    random_bert(folder, ("O", "B-X"))
    assert spans_of(folder, ["", "the cat", " "], counts)[0::2] == [None, None]
    assert not counts["unknown_read"]
    spans_of(folder, ["the Ж"], counts)
    assert counts["unknown_read"] == 1


def test_other_models_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot tag, which needs a tagger"):
        spans_of(write_classifier(tmp_path), ["one"])


def random_bert(folder, names, seed=1):
    folder.mkdir(exist_ok=True)
    write_bert(folder)
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
    config = transformers.BertConfig(
        **sizes,
        vocab_size=len(BERT_VOCABULARY),
        initializer_range=0.5,
        max_position_embeddings=20,
        id2label=dict(enumerate(names)),
    )
    torch.manual_seed(seed)
    model = transformers.BertForTokenClassification(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize("names", [("O", *TAGS), ("O", "city", "person")])
def test_spans_are_those_of_transformers(tmp_path, names) -> None:
    """Of its pipeline with the strategy `first`; also where labels stand without a scheme."""
    model = random_bert(tmp_path / "m", names)
    pieces = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    pipe = transformers.pipeline(
        "token-classification", model, tokenizer=pieces, aggregation_strategy="first", device="cpu"
    )
    lines = ["the cat sat on the mat", "cat, the mat. the cat", "sat on mat on the", "The  Cat"]
    compared = 0
    for line, spans in zip(lines, spans_of(tmp_path / "m", lines), strict=True):
        expected = pipe(line)
        assert [(s.label, s.start, s.end) for s in spans] == [
            (each["entity_group"], each["start"], each["end"]) for each in expected
        ]
        scores = [float(each["score"]) for each in expected]
        assert [each.score for each in spans] == pytest.approx(scores, abs=1e-5)
        compared += len(spans)
    assert compared >= 3, "too little is compared"
