"""The Python door: one text, many, streams, several threads, and what is told of failures."""

import dataclasses
import json
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import transduce
from tests.label_models import write_classifier, write_tagger
from tests.masked_models import write_masked
from tests.models import tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transduce import keywords
from transformer.errors import ConfigError, LineError
from transformer.export import save_model
from transformer.pipelines import arguments

WORDS = "one two three four five six"


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A folder of a tiny model of each shape."""
    made = {}
    for shape in ("encoder", "decoder", "encoder-decoder"):
        options = TrainingOptions(kind="byte-bpe", vocab_size=270, normalization="none")
        tokenizer = train_tokenizer([WORDS] * 9, options)
        model = tiny_model(shape, vocab_size=tokenizer.vocab_size, max_positions=64)
        made[shape] = tmp_path_factory.mktemp(shape)
        save_model(made[shape], model.config, model.state_dict(), tokenizer, card={})
    return made


@pytest.fixture(scope="module")
def translator(folders) -> transduce.Model:
    return transduce.load(folders["encoder-decoder"], device="cpu")


@pytest.fixture(scope="module")
def writer(folders) -> transduce.Model:
    return transduce.load(str(folders["decoder"]), device="cpu")


def test_one_text_gives_one_and_many_give_many(translator) -> None:
    one = translator.translate("one two", max_tokens=6)
    assert isinstance(one, str) and one.finish_reason in {"end", "length"}
    assert len(one.token_scores) == len(one.tokens)
    assert one.score == pytest.approx(sum(one.token_scores) / len(one.tokens), abs=1e-5)
    texts = ["one two", "", "three"]
    many = list(translator.translate(texts, max_tokens=6))
    assert many[0] == one and many[1] == "" and many[1].score is None
    assert many == list(translator.translate(iter(texts), max_tokens=6))
    assert list(translator.translate([], max_tokens=6)) == []
    assert list(translator.translate(("one two", "three"), max_tokens=6)) == [many[0], many[2]]


def test_hypotheses_are_its_candidates(translator) -> None:
    best = translator.translate("one two", beam=3, n_best=3, max_tokens=5)
    assert len(best.candidates) == 3 and best.candidates[0] is best
    reference = weakref.ref(best)
    del best
    assert reference() is None  # at once: it is in no circle
    best = translator.translate("one two", beam=3, n_best=3, max_tokens=5)
    scores = [text.score for text in best.candidates]
    assert scores == sorted(scores, reverse=True)


def test_an_iterable_is_answered_while_it_is_read(translator) -> None:
    """Each text is given only once the answer to the one before is there."""
    answered = threading.Semaphore(1)

    def typed() -> Iterator[str]:
        for text in ("one", "two", "three"):
            assert answered.acquire(timeout=20), "no answer came before the next was asked for"
            yield text

    count = 0
    for _ in translator.translate(typed(), max_tokens=3):
        count += 1
        answered.release()
    assert count == 3


def test_an_error_of_the_iterable_comes_after_what_it_gave(translator) -> None:
    def broken() -> Iterator[str]:
        yield "one"
        raise OSError("the disk is gone")

    found = translator.translate(broken(), max_tokens=3)
    next(found)
    with pytest.raises(OSError, match="gone"):
        next(found)


def test_a_text_without_an_answer_is_an_error_or_is_logged(translator, logged) -> None:
    long = "one two " * 200
    with pytest.raises(LineError, match="the model reads"):
        translator.translate(long)
    good, bad = translator.translate(["one", long], max_tokens=3)
    assert good.error is None and bad == "" and "the model reads" in bad.error
    first, *others = logged
    assert first.startswith("text 2: the line has")
    assert "lines without an answer: 1" in others


def test_pieces_make_the_text(writer) -> None:
    asked = {"max_tokens": 9, "seed": 4}
    assert "".join(writer.stream("one two", **asked)) == writer.generate("one two", **asked)
    assert list(writer.generate(["one two"], **asked)) == [writer.generate("one two", **asked)]
    greedy = writer.generate("", temperature=0, max_tokens=4)
    assert "".join(writer.stream("", temperature=0, max_tokens=4)) == greedy


def test_a_closed_stream_leaves_no_thread(writer) -> None:
    before = set(threading.enumerate())
    pieces = writer.stream("one", max_tokens=50, min_tokens=50)
    next(pieces)
    assert len(set(threading.enumerate()) - before) == 1
    pieces.close()
    many = writer.generate((text for text in ["one"] * 500), max_tokens=9)
    next(many)
    many.close()
    deadline = time.monotonic() + 10  # the reader is not waited for: its source may block
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not set(threading.enumerate()) - before


def test_scores_are_those_that_decoding_reports(translator, writer) -> None:
    made = writer.generate("one two", temperature=0, max_tokens=5)
    scored = writer.score(("one two", str(made)))
    if scored.tokens == made.tokens:  # else the text is encoded another way
        assert scored.score == pytest.approx(made.score, abs=1e-5)
    assert scored.text == made
    one, other = translator.score([("one", "two three"), ("one", "two")])
    assert one.tokens[-1] == other.tokens[-1] and one.perplexity > 1
    assert translator.score(("one", "two")).score == pytest.approx(other.score, abs=1e-5)
    assert writer.score("two").score != writer.score(("one ", "two")).score
    assert list(writer.score(["two", ""]))[1] is None


def test_vectors_are_an_array(folders) -> None:
    with transduce.load(folders["encoder"], device="cpu") as model:
        matrix, vector = model.embed(["one", "two three"]), model.embed("one")
        assert matrix.shape == (2, 16) and matrix.dtype == np.float32
        np.testing.assert_allclose(matrix[0], vector, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)
        assert model.embed([]).shape == (0, 16)
        assert model.embed("one", normalize=False, pooling="max").shape == (16,)
    assert repr(model) == "<transduce.Model, closed>"
    with pytest.raises(ValueError, match="closed"):
        model.embed("one")


def test_fills_are_of_each_mask(tmp_path, logged) -> None:
    model = transduce.load(write_masked(tmp_path), device="cpu")
    one = model.fill("one <mask> <mask>", top_k=2)
    assert [len(mask) for mask in one.fills] == [2, 2]
    assert one.filled == f"one{one.fills[0][0].text}{one.fills[1][0].text}"
    many = list(model.fill(["one <mask> <mask>", "", "two"], top_k=2))
    assert many == [one, None, None]
    assert logged[0] == "text 3: the line has no mask, which is written <mask>"
    with pytest.raises(LineError, match="no mask"):
        model.fill("two")


def test_spans_of_texts(tmp_path) -> None:
    model = transduce.load(write_tagger(tmp_path), device="cpu")
    text = "one two, three"
    one = model.tag(text)
    assert one.text == text and one.spans
    assert all(span.text == text[span.start : span.end] for span in one.spans)
    first, empty, last = model.tag([text, "", "four"])
    assert empty is None
    assert [s[:4] for s in first.spans] == [s[:4] for s in one.spans]
    assert len(model.tag(text, threshold=1.0).spans) == 0 < len(last.spans)


def test_labels_of_texts_and_pairs(tmp_path) -> None:
    model = transduce.load(write_classifier(tmp_path), device="cpu")
    one = model.classify("one two", top_k=3)
    assert {label.label for label in one.labels} == {"city", "person", "thing"}
    assert (one.label, one.score) == one.labels[0]
    pair = model.classify(("one", "two"), top_k=3)
    assert pair.labels != one.labels
    many = [*model.classify(["one two", "", ("one", "two")], top_k=3)]
    assert many[1] is None
    for found, alone in ((many[0], one), (many[2], pair)):
        assert found.label == alone.label
        assert found.score == pytest.approx(alone.score, abs=1e-6)


def test_threads_get_what_each_gets_alone(translator, writer) -> None:
    texts = ["one two", "three", "four five six", "two"] * 3

    def work(n: int) -> list[str]:
        translated = list(translator.translate(texts[n:], beam=1 + n % 3, max_tokens=6))
        return [*translated, "".join(writer.stream(texts[n], seed=n, max_tokens=8))]

    alone = [work(n) for n in range(6)]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(6))) == alone


def test_models_are_averaged(folders, translator) -> None:
    """Two that differ: the log-probability of a text is that of the mean of probabilities."""
    other = folders["encoder-decoder"].parent / "other"
    shutil.copytree(folders["encoder-decoder"], other)
    weights = load_file(other / "model.safetensors")
    save_file({name: weight * 1.5 for name, weight in weights.items()}, other / "model.safetensors")
    paths = [folders["encoder-decoder"], other]
    both = transduce.load(*paths, device="cpu").translate("one two", beam=1, max_tokens=1)
    alone = [
        transduce.load(path, device="cpu").translate("one two", choice=[str(both)], max_tokens=1)
        for path in paths
    ]
    if all(text.tokens == both.tokens for text in alone):
        mean = np.mean([np.exp(text.token_scores[0]) for text in alone])
        assert both.token_scores[0] == pytest.approx(np.log(mean), abs=1e-5)
    assert both.token_scores != translator.translate("one two", beam=1, max_tokens=1).token_scores


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"bem": 2}, TypeError, "did you mean beam"),
        ({"beam": 0}, ConfigError, "--beam is 0"),
        ({"beam": 4, "top_k": 3}, ConfigError, "--top-k"),
        ({"max_ratio": 2000.0}, ConfigError, "--max-ratio is 2000"),
        ({"suppress": "never-there"}, ConfigError, "never-there"),
        ({"beam": "4"}, TypeError, "beam is '4'; it must be int"),
        ({"beam": True}, TypeError, "beam is True"),
        ({"max_tokens": 2.5}, TypeError, "max_tokens is 2.5"),
        ({"split": "no"}, TypeError, "split is 'no'; it must be bool"),
        ({"early_stopping": True}, TypeError, "early_stopping is True; it must be str"),
        ({"stop": [3]}, TypeError, r"stop is \[3\]"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_read(translator, wrong, error, words) -> None:
    def untouched() -> Iterator[str]:
        raise AssertionError("it was read")
        yield ""

    with pytest.raises(error, match=words):
        translator.translate(untouched(), **wrong)


def test_a_model_says_what_it_cannot_do(translator, writer) -> None:
    with pytest.raises(ConfigError, match="cannot translate"):
        writer.translate("one")
    with pytest.raises(ConfigError, match="cannot generate"):
        translator.stream("one")
    with pytest.raises(ConfigError, match="cannot embed"):
        writer.embed(["one"])


@pytest.mark.parametrize(
    "name", ["Translate", "Generate", "Score", "Embed", "Fill", "Classify", "Tag"]
)
def test_keywords_are_the_arguments_with_their_types(name: str) -> None:
    """Editors see what the dataclass has; a few take more in Python than on the command line."""
    kind = getattr(arguments, f"{name}Arguments")
    wanted = {field.name: field.type for field in dataclasses.fields(kind)}
    found = get_type_hints(getattr(keywords, f"{name}Keywords"))
    assert found.keys() == wanted.keys()
    for field, type_ in wanted.items():
        assert {*get_args(type_)} <= {*get_args(found[field])}, field
        assert get_args(type_) or found[field] is type_, field


def test_what_is_no_text_fails_alone(translator, writer) -> None:
    found = list(
        translator.translate(["one", None, "\ud800", ("one", "two"), b"one"], max_tokens=3)
    )
    assert [text.error for text in found] == [
        None,
        "it is NoneType, not str",
        "it has half of a surrogate pair, which no encoding has",
        "it is tuple, not str",
        "it is bytes, not str",
    ]
    with pytest.raises(LineError, match="surrogate"):
        translator.translate("\udfff")
    for wrong, words in ((b"one", "is bytes"), (None, "not iterable")):
        with pytest.raises(TypeError, match=words):
            translator.translate(wrong)
    with pytest.raises(TypeError, match="the prompt is list, not str"):
        writer.stream(["one"])


def test_numbers_may_be_whole_and_a_list_may_be_one_text_or_a_tuple(translator) -> None:
    one = translator.translate("one two", temperature=1, seed=2, stop="x", max_tokens=4)
    assert one == translator.translate(
        "one two", temperature=1.0, seed=2, stop=("x",), max_tokens=4
    )


def test_a_single_text_that_is_cut_is_logged_too(translator, logged) -> None:
    assert translator.translate("one two", max_tokens=1).finish_reason == "length"
    assert logged == ["lines with an answer cut off at the limit of new tokens (--max-tokens): 1"]


@pytest.mark.integration
@pytest.mark.parametrize(
    "call",
    ["stream('one')", pytest.param("generate(t for t in ['one'] * 99)", marks=pytest.mark.slow)],
)
def test_a_script_may_end_before_an_iterator(folders, call: str) -> None:
    code = f"import transduce; found = transduce.load({str(folders['decoder'])!r}, device='cpu')"
    code += f".{call}; next(found)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_models_own_sampling_that_does_not_count_is_told(folders, tmp_path, logged) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folders["decoder"], folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 0.6}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    model, told = transduce.load(folder, device="cpu"), "do_sample True, temperature 0.6"
    for options, count in (({}, 1), ({"temperature": 0.6}, 0), ({"beam": 2}, 0)):
        logged.clear()
        model.generate("one", max_tokens=2, **options)
        assert sum(told in message for message in logged) == count
    logged.clear()
    list(model.stream("one", max_tokens=2))
    assert any(told in message for message in logged)
