"""What training makes of a pair is what decoding reads and writes, in every published family.

The reference is `transformers`: its tokenizers' ids, its labels, and what its models' own
`prepare_decoder_input_ids_from_labels` shifts them to.
"""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from pytest import approx
from torch import Tensor
from transformers.models.m2m_100.modeling_m2m_100 import shift_tokens_right as m2m100_shift

from tests.families.parity import required_language
from tests.families.published import edit
from tests.families.random_folders import DECODERS, draw, reference, write_folder
from tests.families.random_tokenizers import TOKENIZERS
from tokenizer import TextChunk
from transformer.batch_loss import batch_loss
from transformer.data import Batch, PairData, TokenStore
from transformer.loading import LoadedModel, load_model
from transformer.pipelines.arguments import ScoreArguments, TranslateArguments
from transformer.pipelines.framing import pair_framing
from transformer.pipelines.languages import with_languages
from transformer.pipelines.records import IterableSource, Line
from transformer.pipelines.session import Session
from transformer.pipelines.translation import TranslationTask
from transformer.training.corpora import PairGroup, TextGroup
from transformer.training.encoding import SIDES, TEXT, PairEncoder, PairLimits, TextEncoder

TRANSLATORS = ("bart", "mbart", "pegasus", "marian", "m2m_100", "t5")
# mBART and mBART-50, Marian with one vocabulary and with two, NLLB and M2M-100.
VARIANTS = [
    *(("bart", 1), ("mbart", 1), ("mbart", 2), ("pegasus", 1), ("t5", 1)),
    *(("marian", 1), ("marian", 2), ("m2m_100", 1), ("m2m_100", 4)),
]
PAIRS = [
    ("The quick brown fox", "jumps over 1234 lazy dogs"),
    ("Zwölf Boxkämpfer jagen", "bananas"),
    ("jumps over", "The quick brown fox"),
]
pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")


class Prepared(NamedTuple):
    """A model, the languages that it translates between, and its pairs, each as one batch."""

    loaded: LoadedModel
    language: str | None
    batches: list[Batch]
    theirs: Any
    pieces: Any


def prepared(family: str, seed: int, folder: Path, *, plain: bool = False) -> Prepared:
    """A `plain` model forces no token at random, and mBART's starts with the language alone."""
    drawn = draw(family, seed)
    if plain:
        drawn.settings.pop("forced_bos_token_id", None)
    write_folder(drawn, folder / "model")
    if plain and drawn.tokenizer.get("tokenizer_class") == "MBartTokenizer":
        for name in {"config.json", drawn.settings_file}:
            edit(folder / "model" / name, decoder_start_token_id=None)
    loaded = load_model(folder / "model", device="cpu")
    language = required_language(loaded)
    texts = with_languages(loaded.texts, None, language)
    encoder = PairEncoder(texts, PairLimits(99, 99))
    report = encoder.write([PairGroup("pairs", iter(PAIRS))], folder)
    assert report.kept == len(PAIRS)
    stores = (TokenStore(folder / side) for side in SIDES)
    data = PairData(*stores, framing=pair_framing(texts), max_tokens=1, seed=0)
    batches = sorted(data.in_order(), key=lambda batch: int(batch.rows[0]))
    pieces = TOKENIZERS[family].reference(folder / "model")
    return Prepared(loaded, language, batches, reference(drawn, folder / "model"), pieces)


def check_losses(case: Prepared) -> None:
    """The loss of a pair is what `score` says of it, and decoding starts as training does."""
    loaded, language, batches, *_ = case
    session = Session([loaded])
    lines = ["\t".join(pair) for pair in PAIRS]
    asked = ScoreArguments(target_language=language)
    answers = list(session.score(IterableSource(lines), asked, Counter()))
    into = TranslateArguments(target_language=language)
    task = TranslationTask(loaded, into, session.translation_parameters(into))
    for pair, batch, answer in zip(PAIRS, batches, answers, strict=True):
        hypothesis = answer.outputs[0].hypothesis
        loss = float(batch_loss(loaded.model, batch)[1])
        assert loss == approx(-sum(hypothesis.log_probabilities), abs=1e-5, rel=1e-5)
        assert batch.targets.tolist() == [hypothesis.tokens]
        ((request,),) = task.to_requests([Line(0, pair[0])])
        begun = [*request.prompt, *filter(None, [request.forced_first])]
        assert batch.inputs.ids_BT[0, : len(begun)].tolist() == begun
        assert batch.inputs.source.ids_BT.tolist() == [request.source]


def their_labels(case: Prepared, family: str, text: str) -> list[int]:
    """The labels that transformers' tokenizer makes of a target."""
    if family in ("mbart", "m2m_100"):
        case.pieces.tgt_lang = case.language
    return list(case.pieces(text_target=text)["input_ids"])


def their_shift(case: Prepared, labels_BT: Tensor) -> Tensor:
    """The ids that transformers' decoder reads for labels."""
    model = case.theirs
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        return model.prepare_decoder_input_ids_from_labels(labels_BT)
    config = model.config
    return m2m100_shift(labels_BT, config.pad_token_id, config.decoder_start_token_id)


def check_labels(case: Prepared, family: str) -> None:
    for (source, target), batch in zip(PAIRS, case.batches, strict=True):
        assert batch.inputs.source.ids_BT.tolist() == [case.pieces(source)["input_ids"]]
        labels = their_labels(case, family, target)
        shifted = their_shift(case, torch.tensor([labels]))
        read, predicted = batch.inputs.ids_BT[0].tolist(), batch.targets[0].tolist()
        if case.pieces.__class__.__name__.startswith("MBartTokenizer"):
            # They predict the language once more after the end token, where decoding has stopped.
            labels, shifted = labels[:-1], shifted[:, :-1]
        assert (read, predicted) == (shifted[0].tolist(), labels)


@pytest.mark.parametrize(("family", "seed"), VARIANTS)
def test_a_pair_is_trained_as_it_is_decoded(family: str, seed: int, tmp_path: Path) -> None:
    check_losses(prepared(family, seed, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("family", TRANSLATORS)
def test_many_pairs_are(family: str, seed: int, tmp_path: Path) -> None:
    check_losses(prepared(family, seed, tmp_path))


@pytest.mark.parametrize(("family", "seed"), VARIANTS)
def test_a_pair_has_the_labels_of_transformers(family: str, seed: int, tmp_path: Path) -> None:
    check_labels(prepared(family, seed, tmp_path, plain=True), family)


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_document_begins_as_a_prompt_does(family: str, seed: int, tmp_path: Path) -> None:
    """As transformers' tokenizer encodes it, and the end token after it."""
    drawn = draw(family, seed)
    write_folder(drawn, tmp_path / "model")
    loaded = load_model(tmp_path / "model", device="cpu")
    documents = [source for source, _ in PAIRS]
    chunks = (TextChunk(text, ends_document=True, is_record=True) for text in documents)
    TextEncoder(loaded.texts).write([TextGroup("text", chunks)], tmp_path)
    pieces = TOKENIZERS[family].reference(tmp_path / "model")
    end, expected = [loaded.generation.end_id], []
    before = loaded.tokenizer.special_affixes()[0]
    for text in documents:
        expected += [*pieces(text)["input_ids"], *end]
    written = TokenStore(tmp_path / TEXT).ids.tolist()
    assert written == (expected if before else [*end, *expected])
