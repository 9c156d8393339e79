"""A published model's tokenizer gives the ids and the text of the library that it was made with."""

import json

import pytest
import sentencepiece
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tokenizer.pretrained.folders import (
    LLAMA,
    TEXTS,
    framed,
    random_texts,
    sentencepiece_model,
    sentences,
    write,
)
from tokenizer import TOKENIZER_FILES, Tokenizer, TrainingOptions, read_tokenizers, train_tokenizer

FEW = settings(derandomize=True, database=None, deadline=None, max_examples=60)
SPECIAL = ("<s>", "</s>", "<pad>", "<unk>", "<mask>", "[SEP]", "<extra_id_0>", "en_XX", "<0x41>")

# Family: its file, how its model is trained, its settings, what frames a text, and the texts of
# which transformers 5 does not make what SentencePiece makes (and transformers 4 made):
COMPOSED = {TEXTS[10]}  # marks that the library's Precompiled loses, one by one
WHITE = {TEXTS[4], TEXTS[6], TEXTS[8], TEXTS[9]}
LEADING = {TEXTS[4], TEXTS[5], TEXTS[8], TEXTS[9]}  # its Llama puts no space before a space
NEL = {TEXTS[15]}  # its WhitespaceSplit cuts at U+0085
NO_NORMALIZER = {TEXTS[12], TEXTS[13]}  # its MBart has none
UNIGRAM = ("unigram", 300, {})
T5 = ("unigram", 300, {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1})
BYTES = ("bpe", 700, LLAMA)
FAMILIES = {
    "T5Tokenizer": ("spiece.model", T5, {}, ([], ["</s>"]), COMPOSED | NEL),
    "LlamaTokenizer": (
        "tokenizer.model",
        BYTES,
        {"add_bos_token": True, "add_eos_token": True},
        (["<s>"], ["</s>"]),
        LEADING,
    ),
    "XLMRobertaTokenizer": (
        "sentencepiece.bpe.model",
        UNIGRAM,
        {},
        (["<s>"], ["</s>"]),
        COMPOSED | NEL,
    ),
    "MBartTokenizer": (
        "sentencepiece.bpe.model",
        UNIGRAM,
        {"src_lang": "ro_RO"},
        ([], ["</s>", "ro_RO"]),
        COMPOSED | NEL | NO_NORMALIZER,
    ),
    "MBart50Tokenizer": (
        "sentencepiece.bpe.model",
        UNIGRAM,
        {"src_lang": "sl_SI"},
        (["sl_SI"], ["</s>"]),
        COMPOSED | WHITE,
    ),
    "NllbTokenizer": (
        "sentencepiece.bpe.model",
        ("bpe", 500, {}),
        {"src_lang": "fra_Latn"},
        (["fra_Latn"], ["</s>"]),
        None,  # without a tokenizer.json it has no languages there
    ),
}


class Case:
    """A folder of a family, its tokenizer, SentencePiece's own, and transformers'."""

    def __init__(self, family, folder):
        self.file, (kind, size, options), self.settings, self.frame, self.departs = FAMILIES[family]
        data = sentencepiece_model(kind, size, **options)
        config = {"tokenizer_class": family, **self.settings}
        self.folder = write(folder, {self.file: data, "tokenizer_config.json": config})
        self.ours = read_tokenizers(self.folder).source
        self.pieces = sentencepiece.SentencePieceProcessor(model_proto=data)
        if self.departs is not None:
            self.reference = getattr(transformers, family).from_pretrained(self.folder)

    def expected(self, text):
        """SentencePiece's pieces, with the ids that they have in the family."""
        unknown = self.ours.require_role("unknown")
        return [
            unknown if self.pieces.is_unknown(i) else self.ours.token_id(self.pieces.id_to_piece(i))
            for i in self.pieces.encode(text)
        ]


@pytest.fixture(scope="module", params=FAMILIES)
def case(request, tmp_path_factory):
    return Case(request.param, tmp_path_factory.mktemp("family"))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_cut_as_sentencepiece_cuts_it(case, text):
    ids = case.ours.encode(text)
    assert ids == case.expected(text)
    known = [i for i in case.pieces.encode(text) if not case.pieces.is_unknown(i)]
    unknown = case.ours.require_role("unknown")
    assert case.ours.decode([i for i in ids if i != unknown]) == case.pieces.decode(known)


def test_so_are_marks_and_joiners_in_any_order(case):
    texts = random_texts(100, seed=case.file)
    for text, ids in zip(texts, case.ours.encode_batch(texts), strict=True):
        assert ids == case.expected(text), ascii(text)


@FEW
@given(st.text(max_size=30))
def test_so_is_any_text(case, text):
    assert case.ours.encode(text) == case.expected(text)


def test_ids_and_text_are_those_of_transformers(case):
    if case.departs is None:
        return
    departs = {t for t in TEXTS if case.reference(t)["input_ids"] != framed(case.ours, t)}
    assert departs == case.departs
    assert len(case.reference) == case.ours.vocab_size
    for ids in map(case.ours.encode, TEXTS):
        decoded = case.reference.decode(ids, skip_special_tokens=True)
        assert case.ours.decode(ids).strip() == decoded.strip()


def test_the_frame_is_the_familys(case):
    before, after = case.frame
    names = [case.ours.token_id(name) for name in before], [*map(case.ours.token_id, after)]
    assert case.ours.special_affixes() == names


@pytest.mark.parametrize("name", SPECIAL)
def test_a_special_token_in_a_text_is_text(case, name):
    for text in (name, f"the {name} fox", f"x{name}{name}"):
        assert case.ours.encode(text) == case.expected(text)
        if name != "<unk>":  # which stands for unknown characters
            assert case.ours.token_id(name) not in case.ours.encode(text)


@pytest.mark.parametrize("text", TEXTS)
def test_streamed_pieces_joined_are_the_decoded_text(case, text):
    before, after = case.ours.encode("the fox"), case.ours.encode(text)
    stream = case.ours.stream(before)
    pieces = [stream.feed(token_id) for token_id in after]
    joined = "".join([case.ours.decode(before), *pieces, stream.flush()])
    assert joined == case.ours.decode([*before, *after])


def test_it_survives_being_saved(case):
    again = Tokenizer.from_json(case.ours.to_json())
    assert again.encode_batch(TEXTS) == case.ours.encode_batch(TEXTS)
    assert again.special_affixes() == case.ours.special_affixes()
    assert again.vocab_size == case.ours.vocab_size
    saved = write(case.folder / "saved", {"tokenizer.json": case.ours.to_json()})
    assert read_tokenizers(saved).source.to_json() == again.to_json()


def test_nllb_has_its_languages_and_then_its_mask_after_the_pieces(tmp_path):
    case = Case("NllbTokenizer", tmp_path)
    size = case.pieces.get_piece_size()
    tokens = ("<s>", "<pad>", "</s>", "<unk>", "ace_Arab", "eng_Latn", "zul_Latn", "<mask>")
    ids = [0, 1, 2, 3, size + 1, size + 47, size + 202, size + 203]  # 256047 of 256000 is English
    assert [*map(case.ours.token_id, tokens)] == ids
    legacy = {"tokenizer_class": "NllbTokenizer", "legacy_behaviour": True}
    folder = write(case.folder, {"tokenizer_config.json": legacy})
    assert read_tokenizers(folder).source.special_affixes() == ([], [2, size + 47])


def test_t5_counts_its_extra_ids_down(tmp_path):
    ours = Case("T5Tokenizer", tmp_path).ours
    assert ours.token_id("<extra_id_0>") == ours.vocab_size - 1
    assert ours.token_id("<extra_id_99>") == ours.vocab_size - 100


def test_a_saved_tokenizer_takes_its_language_from_the_settings(tmp_path):
    case = Case("MBart50Tokenizer", tmp_path)
    config = {"tokenizer_class": "MBart50TokenizerFast", "src_lang": "de_DE"}
    files = {"tokenizer.json": case.ours.to_json(), "tokenizer_config.json": config}
    ours = read_tokenizers(write(tmp_path, files)).source
    assert ours.special_affixes() == ([ours.token_id("de_DE")], [2])


def test_our_own_folder_may_have_a_tokenizer_for_what_is_written(tmp_path):
    def trained(size):
        options = TrainingOptions(kind="char", vocab_size=size)
        return train_tokenizer(sentences(), options)

    files = {
        "tokenizer.json": trained(20).to_json(),
        "target_tokenizer.json": trained(30).to_json(),
    }
    found = read_tokenizers(write(tmp_path, files))
    assert (found.source.vocab_size, found.target.vocab_size) == (20, 30)
    assert found.source.special_affixes() == ([], [])
    (tmp_path / "target_tokenizer.json").unlink()
    found = read_tokenizers(tmp_path)
    assert found.source is found.target


def test_a_unigram_json_does_not_take_names_in_a_text_for_special_tokens(tmp_path):
    case = Case("MBartTokenizer", tmp_path)
    saved = json.loads(case.ours.to_json()) | {"pre_tokenizer": None}
    ours = read_tokenizers(write(tmp_path, {"tokenizer.json": saved})).source
    assert not {2, ours.token_id("en_XX")} & {*ours.encode("the </s> fox en_XX")}
    assert ours.encode_batch(TEXTS) == case.ours.encode_batch(TEXTS)


def test_the_files_that_may_be_read_are_listed():
    read = {"tokenizer.json", "vocab.txt", "merges.txt", "source.spm", "target_vocab.json"}
    assert {*read, *(file for file, *_ in FAMILIES.values())} <= {*TOKENIZER_FILES}
    assert len(TOKENIZER_FILES) == len({*TOKENIZER_FILES})
