"""Objectives by which an encoder-decoder writes noisy text again, from text to fine-tuning."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from tests.training.preparing import prepare
from tests.training.test_run import assert_equal_runs, changed
from tests.training.toys import WORDS, toy_recipe, train
from tokenizer import Tokenizer
from tokenizer.special import sentinel
from transformer.data.noise.denoising import count_share
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.folder_layout import DATA
from transformer.loading import ModelTexts, default_generation_config, load_model
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.framing import pair_framing
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.pipelines.special_text import show_special
from transformer.training.noise_vocabulary import sentinel_ids
from transformer.training.objectives import OBJECTIVES, TRAIN, VALID
from transformer.training.objectives.reconstruction import Reconstruction
from transformer.training.recipe_resolution import resolve_recipe, tokenizer_options
from transformer.training.run import Run

NAMES = [name for name, each in OBJECTIVES.items() if isinstance(each, Reconstruction)]
SPANS = OBJECTIVES["span-corruption"]


@pytest.fixture(scope="module", params=NAMES)
def run(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    recipe = changed(toy_recipe(folder, request.param, steps=3), validation={"every": 3})
    train(recipe, folder / "run")
    return folder / "run"


def test_a_resumed_run_is_bit_equal(run: Path) -> None:
    recipe = resolve_recipe(None, {}, [], resumed=run)
    cut = Run(recipe, run.parent / "cut", device="cpu")
    cut.stop = lambda: cut.progress.step == 1
    assert list(cut.events())[-1].interrupted
    train(recipe, run.parent / "cut", resume=True)
    assert_equal_runs(run, run.parent / "cut")


def test_samples_show_the_noisy_text_the_target_and_the_output(run: Path, monkeypatch) -> None:
    recipe = resolve_recipe(None, {}, [], resumed=run)
    objective, loaded = OBJECTIVES[recipe.objective], load_model(run)
    decode, decoded = Session.decode, []

    def spy(session: Session, requests, parameters):
        found = decode(session, requests, parameters)
        decoded.append((requests[0].source, found[0][0].ids))
        return found

    monkeypatch.setattr(Session, "decode", spy)
    samples = objective.samples(loaded, recipe, run / DATA, lambda: False, limit=2)
    assert len(samples) == 2
    for sample, (source, output) in zip(samples, decoded, strict=True):
        assert [label for label, _ in sample] == ["input", "target", "output"]
        noisy, target, written = (text for _, text in sample)
        assert target and target != noisy
        assert show_special(loaded.tokenizer, source) == f"{noisy} </s>"
        assert show_special(loaded.tokenizer, output) == written
    assert objective.samples(loaded, recipe, run / DATA, lambda: True, limit=2) == []


@torch.no_grad()
def test_the_model_is_that_of_its_family_and_comes_back(run: Path) -> None:
    loaded = load_model(run, device="cpu")
    family = convert_model(run, run.parent / "theirs", to="huggingface")
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(run.parent / "theirs").eval()
    assert theirs.config.model_type == family
    back = load_model(run.parent / "theirs", device="cpu")
    recipe = resolve_recipe(None, {}, [], resumed=run)
    data = OBJECTIVES[recipe.objective].open(recipe, back.texts, run / DATA, VALID)
    batch = next(data.in_order())
    source = batch.inputs.source
    mask_BS = torch.ones_like(source.ids_BT)
    if source.positions_BT is not None:
        mask_BS = (source.positions_BT >= 0).long()
    given = {"attention_mask": mask_BS, "decoder_input_ids": batch.inputs.ids_BT}
    wanted = theirs(input_ids=source.ids_BT, **given).logits
    for model in (loaded.model, back.model):
        torch.testing.assert_close(model(batch.inputs), wanted, atol=1e-5, rtol=0)


def test_it_is_fine_tuned_to_translate(run: Path) -> None:
    folder = run.parent
    lines = [f"{a} then {b}.\t{b} then {a}.\n" for a in WORDS for b in WORDS]
    (folder / "pairs.tsv").write_text("".join(lines))
    fields = {"data": {"pairs": [str(folder / "pairs.tsv")], "valid_fraction": 0.1}}
    fields["data"]["max_tokens"] = 32
    fields["training"] = {"steps": 2, "batch_tokens": 256, "learning_rate": 1e-9, "warmup": 1}
    fields["validation"] = {"every": 2}
    train(resolve_recipe(None, fields, []), folder / "tuned", init=run)
    before, tuned = load_model(run), load_model(folder / "tuned")
    assert tuned.tokenizer.to_json() == before.tokenizer.to_json()
    assert tuned.config == before.config
    weights = before.model.state_dict()
    for name, tensor in tuned.model.state_dict().items():
        torch.testing.assert_close(tensor, weights[name], atol=1e-6, rtol=0)
    source = IterableSource(["one then two."])
    (answer,) = Session([tuned]).translate(source, TranslateArguments(beam=1), Counter())
    assert answer.outputs


def texts_of(run: Path) -> ModelTexts:
    tokenizer = Tokenizer.load(run / "tokenizer.json")
    return ModelTexts(tokenizer, default_generation_config(tokenizer), run)


def test_a_new_tokenizer_has_the_sentinels_of_t5(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "span-corruption")
    reserved = tokenizer_options(recipe).reserved
    assert [*reserved] == [sentinel(n) for n in reversed(range(100))]  # ids fall, as T5's do
    many = changed(recipe, spans={"density": 0.5, "mean_span": 1.0}, training={"context": 512})
    assert len(tokenizer_options(many).reserved) > 100


@pytest.fixture(scope="module")
def spans_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spans")
    train(toy_recipe(folder, "span-corruption", steps=1), folder / "run")
    return folder / "run"


def test_spans_and_what_is_left_are_the_text(spans_run: Path) -> None:
    """Each batch, whole, is windows of the text; sides are within the context, and end."""
    recipe = resolve_recipe(None, {}, [], resumed=spans_run)
    texts = texts_of(spans_run)
    framing, marks = pair_framing(texts), {*sentinel_ids(texts.tokenizer)}
    data = SPANS.open(recipe, texts, spans_run / DATA, TRAIN)
    text = "".join(Path(recipe.data.text[0]).read_text().split())
    end = texts.tokenizer.require_role("end")
    for number in range(data.batches_per_epoch):
        batch = data.batch(number)
        assert batch.inputs.source.ids_BT.size(1) == recipe.training.context
        for source, target in zip(batch.inputs.source.ids_BT, batch.targets, strict=True):
            ids, written = source.tolist(), [n for n in target.tolist() if n >= 0]
            assert ids[-1] == written[-1] == end
            assert written[-2] in marks and written[0] in marks
            spans: dict[int, list[int]] = {}
            for token in written[:-1]:
                if token in marks:
                    spans[token] = last = []
                else:
                    last.append(token)
            whole = [n for token in ids[:-1] for n in spans.get(token, [token])]
            assert "".join(texts.tokenizer.decode(whole).split()) in text
    assert framing.source([]) == [end]


@pytest.mark.parametrize("options", [{}, {"density": 0.9}, {"density": 0.5, "mean_span": 1.0}])
def test_no_side_is_longer_than_the_context(spans_run: Path, options: dict) -> None:
    recipe = changed(
        resolve_recipe(None, {}, [], resumed=spans_run),
        spans=options,
        training={"context": 12, "batch_tokens": 1000},
    )
    data = SPANS.open(recipe, texts_of(spans_run), spans_run / DATA, TRAIN)
    batch = data.batch(0)
    longest = max(batch.inputs.source.ids_BT.size(1), batch.targets.size(1))
    assert longest == 12


def test_what_cannot_be_corrupted_is_one_line(spans_run: Path, tmp_path: Path) -> None:
    recipe = resolve_recipe(None, {}, [], resumed=spans_run)
    narrow = changed(recipe, training={"context": 2})
    with pytest.raises(ConfigError, match=r"training.context is 2: .* is longer; raise it"):
        SPANS.batches(narrow, texts_of(spans_run), np.arange(9))
    toy = toy_recipe(tmp_path, "language-model", steps=1)
    train(toy, tmp_path / "other")
    with pytest.raises(ConfigError, match=r"no sentinels, <extra_id_0>, .* such as T5"):
        SPANS.batches(recipe, texts_of(tmp_path / "other"), np.arange(9))


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> Path:
    """Two documents, of which one is cut."""
    folder = tmp_path_factory.mktemp("documents")
    lines = [" ".join(WORDS) + ".", " ".join(WORDS * 5) + ". " + " ".join(WORDS) + "."]
    (folder / "text.tsv").write_text("".join(f"{line}\n" for line in lines * 9))
    fields = {
        "objective": "denoising",
        "data": {"text": [str(folder / "text.tsv")], "columns": ["1"]},
        "tokenizer": {"vocab_size": 50},
        "training": {"context": 30},
    }
    prepare(resolve_recipe(None, fields, []), folder / "run")
    return folder / "run"


@pytest.mark.parametrize(
    "options",
    [{}, {"share": 0.9, "mean_span": 1.0}, {"noises": ["token_deletion"], "share": 0.5}],
)
def test_documents_are_written_from_noise_that_fits(documents: Path, options: dict) -> None:
    recipe = changed(resolve_recipe(None, {}, [], resumed=documents), denoising=options)
    texts = texts_of(documents)
    data = OBJECTIVES["denoising"].open(recipe, texts, documents / DATA, TRAIN)
    assert texts.tokenizer.role("mask") is not None
    end, written = texts.tokenizer.require_role("end"), set()
    taken, special = recipe.denoising.share, {*texts.tokenizer.special_tokens().values()}
    for number in range(data.batches_per_epoch):
        batch = data.batch(number)
        assert batch.inputs.source.ids_BT.size(1) <= 30
        for source, row in zip(batch.inputs.source.ids_BT.tolist(), batch.targets, strict=True):
            text = row[row >= 0].tolist()
            assert text.index(end) == len(text) - 1
            left = sum(n not in special for n in source)
            assert left == len(text) - 1 - count_share(len(text) - 1, taken)
            written.add(texts.tokenizer.decode(text))
    whole, *_ = sorted(written, key=len)[::-1]
    assert " ".join(WORDS) + "." in written  # the shorter document is one piece
    assert len(whole.split()) < 50  # the longer one is cut


def test_a_prefix_and_the_rest_of_a_document_are_apart(documents: Path) -> None:
    fields = {"objective": "prefix-lm", "training": {"context": 100}}
    recipe = resolve_recipe(None, fields, [])
    texts = texts_of(documents)
    data = OBJECTIVES["prefix-lm"].open(recipe, texts, documents / DATA, TRAIN)
    sides = []
    for batch in data.in_order():
        for source, target in zip(batch.inputs.source.ids_BT, batch.targets, strict=True):
            rows = source.tolist(), [n for n in target.tolist() if n >= 0]
            sides.append(tuple(texts.tokenizer.decode(row) for row in rows))
    joined = {"".join("".join(pair).split()) for pair in sides}
    assert joined >= {"".join([*WORDS, "."])}  # the shorter document, cut somewhere


def test_masks_are_for_noises_that_write_them(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "denoising")
    assert tokenizer_options(recipe).reserved == ("<mask>",)
    deletion = changed(recipe, denoising={"noises": ["token_deletion", "document_rotation"]})
    assert tokenizer_options(deletion).reserved == ()
    train(toy_recipe(tmp_path, "language-model", steps=1), tmp_path / "run")
    with pytest.raises(ConfigError, match="the tokenizer has no mask token"):
        OBJECTIVES["denoising"].batches(recipe, texts_of(tmp_path / "run"), np.arange(9))
    narrow = changed(recipe, training={"context": 1})
    with pytest.raises(ConfigError, match=r"training.context is 1, of which .* leave none"):
        OBJECTIVES["denoising"].batches(narrow, texts_of(tmp_path / "run"), np.arange(9))
