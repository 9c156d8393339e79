"""Searches through real, tiny models: the cache, batches and streams change no text."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.models import VOCABULARY, model_inputs, tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transformer.attention import ATTENTION
from transformer.decoding import SEARCHES, ModelStepper, Request, decode_all
from transformer.errors import PromptError
from transformer.loading import LoadedModel, default_generation_config
from transformer.pipelines.arguments import GenerateArguments
from transformer.pipelines.records import IterableSource, Output
from transformer.pipelines.session import Session

END = frozenset({3})
SOURCES = [[5, 6, 7, 3], [8, 3], [9, 10, 11, 12, 13, 3]]
LIMITS = [12, 9, 15]
SAMPLING = {"temperature": 0.9, "top_p": 0.9}


def translate(model, sources, limits, name, *, seed=0, **parameters):
    tasks = [
        Request(prompt=[2], source=source, max_new_tokens=limit, seed=seed)
        for source, limit in zip(sources, limits, strict=True)
    ]
    search = SEARCHES[name](end_ids=END, **parameters).build()
    return decode_all(ModelStepper(model), search, tasks)


@pytest.mark.parametrize("positions", ["sinusoidal", "relative", "rotary"])
@torch.inference_mode()
def test_greedy_and_beam_1_agree_and_batches_change_nothing(positions: str) -> None:
    model = tiny_model("encoder-decoder", positions=positions)
    greedy = translate(model, SOURCES, LIMITS, "greedy")
    beam = translate(model, SOURCES, LIMITS, "beam", beam=1)
    assert [h.ids for (h,) in greedy] == [h.ids for (h,) in beam]
    for name, options in (("greedy", {}), ("beam", {"beam": 4, "n_best": 2})):
        together = translate(model, SOURCES, LIMITS, name, **options)
        for row, (source, limit) in enumerate(zip(SOURCES, LIMITS, strict=True)):
            (alone,) = translate(model, [source], [limit], name, **options)
            assert [h.ids for h in alone] == [h.ids for h in together[row]]
            for one, other in zip(alone, together[row], strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-5)


@torch.inference_mode()
def test_reported_log_probabilities_are_those_of_a_full_pass() -> None:
    model = tiny_model("encoder-decoder")
    for name, options in (("greedy", {}), ("beam", {"beam": 3}), ("sample", {"seed": 4})):
        for source, (found,) in zip(
            SOURCES, translate(model, SOURCES, LIMITS, name, **options), strict=True
        ):
            written = [*found.ids, 3] if found.finished else found.ids
            ids_BT = torch.tensor([[2, *written]])
            logits_BTV = model(model_inputs(ids_BT[:, :-1], source_BS=torch.tensor([source])))
            wanted = logits_BTV.log_softmax(-1)[0].gather(1, ids_BT[0, 1:, None])[:, 0]
            assert found.log_probabilities == pytest.approx(wanted.tolist(), abs=1e-5)


@pytest.mark.parametrize("attention", [name for name in ATTENTION if name != "longformer"])
@torch.inference_mode()
def test_prompts_of_different_lengths_go_on_side_by_side(attention: str) -> None:
    model = tiny_model("decoder", positions="rotary", attention=attention, window=4)
    prompts = [[5], [6, 7, 8, 9, 10, 11], [12, 13]]
    parameters = SEARCHES["greedy"](end_ids=END)

    def go_on(some):
        tasks = [Request(prompt=prompt, max_new_tokens=10) for prompt in some]
        found = decode_all(ModelStepper(model), parameters.build(), tasks)
        return [h.ids for (h,) in found]

    assert go_on(prompts) == [go_on([prompt])[0] for prompt in prompts]


def tiny_translator() -> LoadedModel:
    """An encoder-decoder of random weights with a tokenizer that every text goes through."""
    options = TrainingOptions(kind="byte-bpe", vocab_size=280, normalization="none")
    tokenizer = train_tokenizer(["one two größer 日本 three four five"] * 9, options)
    model = tiny_model("encoder-decoder", vocab_size=tokenizer.vocab_size, max_positions=64)
    return LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path("nowhere"))


def tiny_writer() -> LoadedModel:
    """A decoder of random weights with a tokenizer that every text goes through."""
    options = TrainingOptions(kind="byte-bpe", vocab_size=270, normalization="none")
    tokenizer = train_tokenizer(["the cat sat on the mat 🙂"] * 9, options)
    model = tiny_model("decoder", vocab_size=tokenizer.vocab_size, max_positions=64)
    return LoadedModel(model, tokenizer, default_generation_config(tokenizer), Path("nowhere"))


@pytest.fixture(scope="module")
def writer() -> LoadedModel:
    return tiny_writer()


def continued(writer: LoadedModel, prompt: str, arguments: GenerateArguments) -> Output:
    (answer,) = Session([writer]).generate(IterableSource([prompt]), arguments, Counter())
    return answer.outputs[0]


@pytest.mark.parametrize("asked", [{"beam": 1}, SAMPLING], ids=["greedy", "sample"])
def test_streamed_pieces_make_the_finished_text(writer: LoadedModel, asked: dict[str, Any]) -> None:
    for seed in range(5):
        arguments = GenerateArguments(max_tokens=40, seed=seed, **asked)
        whole = continued(writer, "the cat 🙂", arguments)
        pieces = Session([writer]).stream("the cat 🙂", arguments, Counter())
        assert "".join(pieces) == whole.text


def test_the_context_is_filled_and_never_left(writer: LoadedModel) -> None:
    end = writer.tokenizer.token(writer.generation.end_id)
    arguments = GenerateArguments(beam=1, max_tokens=10_000, suppress=[end])
    found = continued(writer, "the", arguments)
    assert len(writer.tokenizer.encode("the")) + len(found.hypothesis.ids) == 64
    with pytest.raises(PromptError, match=r"the prompt has \d+ tokens; the model's context is 64"):
        next(Session([writer]).stream("the cat " * 99, arguments, Counter()))


def test_vocabulary_of_the_tiny_models_is_what_these_tests_assume() -> None:
    assert max(max(source) for source in SOURCES) < VOCABULARY
