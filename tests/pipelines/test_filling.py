"""Fills of masks: those of transformers' pipeline, whatever lines stand beside, one for each."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.families.random_folders import ENCODERS, draw, reference, write_folder
from tests.families.random_tokenizers import TOKENIZERS
from tests.masked_models import CONTEXT, load_masked
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.loading import LoadedModel, load_model
from transformer.pipelines import filling
from transformer.pipelines.arguments import FillArguments
from transformer.pipelines.filling import MaskFills
from transformer.pipelines.records import Answer, IterableSource
from transformer.pipelines.session import Session

MASKED = [
    "The quick {} fox",
    "{} and {}.",
    "Zwölf {} jagen, e.g. bana{}s",
    "jumps over{}",
    "  {}  {} ",
]


def filled(loaded: LoadedModel, texts: list[str], **asked: Any) -> list[Answer[MaskFills]]:
    return list(Session([loaded]).fill(IterableSource(texts), FillArguments(**asked), Counter()))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_masked(tmp_path_factory.mktemp("masked"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", ENCODERS)
def test_fills_are_those_of_transformers_pipeline(family: str, seed: int, tmp_path: Path) -> None:
    drawn = draw(family, seed)._replace(headed=True, wrapper="")
    write_folder(drawn, tmp_path)
    pieces = TOKENIZERS[family].reference(tmp_path)
    pipeline = transformers.pipeline(
        "fill-mask", model=reference(drawn, tmp_path), tokenizer=pieces, device="cpu"
    )
    loaded = load_model(tmp_path, device="cpu")
    texts = [text.replace("{}", pieces.mask_token) for text in MASKED]
    # their pipeline makes no token global
    asked = {"global_tokens": 0} if family == "longformer" else {}
    for text, answer in zip(texts, filled(loaded, texts, top_k=7, **asked), strict=True):
        (output,) = answer.outputs
        theirs = pipeline(text, top_k=7 + max(0, drawn.spare_rows))
        theirs = theirs if isinstance(theirs[0], list) else [theirs]
        assert len(output.fills) == len(theirs) == text.count(pieces.mask_token)
        for ours, wanted in zip(output.fills, theirs, strict=True):
            named = [each for each in wanted if loaded.tokenizer.token(each["token"])][:7]
            assert [loaded.tokenizer.token_id(fill.token) for fill in ours] == [
                each["token"] for each in named
            ]
            assert [fill.text for fill in ours] == [each["token_str"] for each in named]
            scores = [each["score"] for each in named]
            assert [fill.probability for fill in ours] == pytest.approx(scores, abs=1e-4, rel=1e-3)
            if len(theirs) == 1:
                assert "".join(output.filled.split()) == "".join(named[0]["sequence"].split())


@pytest.mark.parametrize(("positions", "family"), [("rotary", "roformer"), ("learned", "bert")])
def test_a_model_of_ours_fills_the_same_once_it_is_published(
    positions: str, family: str, tmp_path: Path
) -> None:
    loaded = load_masked(tmp_path / "ours", positions=positions)
    assert convert_model(tmp_path / "ours", tmp_path / "published", to="huggingface") == family
    pipeline = transformers.pipeline("fill-mask", model=str(tmp_path / "published"), device="cpu")
    for answer in filled(loaded, ["one <mask> größer", "<mask> two"]):
        wanted = pipeline(answer.line.text)
        (ours,) = answer.outputs[0].fills
        assert [fill.text for fill in ours] == [each["token_str"] for each in wanted]
        scores = [each["score"] for each in wanted]
        assert [fill.probability for fill in ours] == pytest.approx(scores, abs=1e-4, rel=1e-3)


def test_a_lines_fills_do_not_depend_on_its_neighbours(model: LoadedModel) -> None:
    long = "<mask> 日本 <mask> four five one two größer <mask>"
    texts = ["one <mask> three", "<mask>", "", "two", long] * 3
    alone = [filled(model, [text])[0] for text in texts]
    for budget in (1, 20, 4096):
        together = filled(model, texts, batch_tokens=budget)
        for one, other in zip(alone, together, strict=True):
            assert one.error == other.error
            for mine, beside in zip(one.outputs, other.outputs, strict=True):
                assert mine.filled == beside.filled
                for mask, same in zip(mine.fills, beside.fills, strict=True):
                    assert [fill.token for fill in mask] == [fill.token for fill in same]
                    wanted = [fill.probability for fill in mask]
                    assert [fill.probability for fill in same] == pytest.approx(wanted, abs=1e-6)


def test_a_chunk_of_masks_changes_nothing(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["<mask> one <mask><mask>", "<mask>"]
    whole = [answer.outputs for answer in filled(model, texts)]
    monkeypatch.setattr(filling, "_CHUNK_LOGITS", 1)
    for found, wanted in zip(filled(model, texts), whole, strict=True):
        assert found.outputs[0].filled == wanted[0].filled
        for mask, same in zip(found.outputs[0].fills, wanted[0].fills, strict=True):
            assert [fill.token for fill in mask] == [fill.token for fill in same]


def test_probabilities_are_shares_of_the_whole_vocabulary(tmp_path: Path) -> None:
    """Rows of the embedding without a token take their part, and are not given."""
    loaded = load_masked(tmp_path, spare_rows=40)
    size = loaded.tokenizer.vocab_size
    (answer,) = filled(loaded, ["one <mask>"], top_k=size)
    (mask,) = answer.outputs[0].fills
    assert sorted(loaded.tokenizer.token_id(fill.token) for fill in mask) == [*range(size)]
    before, after = loaded.special_affixes
    ids = [*before, *loaded.tokenizer.encode_with_specials("one <mask>"), *after]
    logits = loaded.model(filling.pad_rows([ids], loaded.device))[0]
    (probabilities,) = logits[[i == loaded.tokenizer.role("mask") for i in ids]].softmax(dim=-1)
    for fill in mask:
        share = float(probabilities[loaded.tokenizer.token_id(fill.token)])
        assert fill.probability == pytest.approx(share, abs=1e-6)
    assert sum(fill.probability for fill in mask) < 0.99
    with pytest.raises(ConfigError, match=rf"--top-k is {size + 1}; the model has {size} tokens"):
        filled(loaded, ["one <mask>"], top_k=size + 1)


def test_what_a_line_gets_that_cannot_be_filled(model: LoadedModel) -> None:
    fits = "<mask>" * (CONTEXT - 2)
    texts = ["one", "", "\u200b", f"{fits}<mask>", fits, "<MASK> [MASK]", "<mask>" + "a" * 100_000]
    counts: Counter[str] = Counter()
    answers = list(Session([model]).fill(IterableSource(texts), FillArguments(), counts))
    assert [len(answer.outputs) for answer in answers] == [0, 0, 0, 0, 1, 0, 0]
    errors = [answer.error or "" for answer in answers]
    no_mask = "the line has no mask, which is written <mask>"
    assert [errors[0], errors[1], errors[2], errors[5]] == [no_mask, "", "", no_mask]
    assert errors[3] == f"the line has {CONTEXT + 1} tokens; the model's context is {CONTEXT}"
    assert errors[6] == "the line has 100,006 characters; at most 100,000 are read"
    assert len(answers[4].outputs[0].fills) == CONTEXT - 2
    assert counts == {"failed": 4, "blank": 1}


def test_other_special_tokens_in_a_line_are_ordinary_text(model: LoadedModel) -> None:
    (answer,) = filled(model, ["</s> one <mask></s><mask> <pad>"])
    (output,) = answer.outputs
    assert len(output.fills) == 2
    first, second = (fills[0].text for fills in output.fills)
    assert output.filled == f"</s> one{first}</s>{second} <pad>"


def test_unknown_characters_are_those_around_the_masks(tmp_path: Path) -> None:
    """The mask's own brackets may be unknown as ordinary text."""
    write_folder(draw("xlm-roberta", 0)._replace(headed=True, wrapper=""), tmp_path)
    loaded = load_model(tmp_path, device="cpu")
    assert loaded.tokenizer.unknown_characters(["<mask>"]) == ["<>"]
    known, unknown = filled(loaded, ["the <mask> fox", "☃ <mask> the"])
    assert (known.notices, unknown.notices) == ({}, {"unknown_read": ["☃"]})


@pytest.mark.parametrize("head", ["none", "linear"])
def test_an_encoder_without_the_head_is_refused(head: str, tmp_path: Path) -> None:
    loaded = load_masked(tmp_path, head=head, output_bias=False)
    with pytest.raises(ConfigError) as refused:
        filled(loaded, ["one <mask>"])
    assert "cannot fill in masks, which needs a masked language model" in str(refused.value)
    assert f"it can do this: transduce embed -m {tmp_path}" in str(refused.value)


def test_damaged_weights_are_told(model: LoadedModel) -> None:
    from checkpoints import CheckpointError

    with torch.no_grad():
        weight = model.model.head.dense.weight
        kept = weight.clone()
        weight.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="NaN or ∞"):
        filled(replace(model), ["one <mask>"])
    weight.data.copy_(kept)
