"""Characters that a tokenizer does not know: named in order, for every kind of model."""

import pytest
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from tests.tokenizer.pretrained.folders import sentencepiece_model, write
from tokenizer import TOKENIZERS, Tokenizer, TrainingOptions, read_tokenizers, train_tokenizer

TEXTS = ["the cat", "", "ξ the ψω", "日the", "a the\x00 cat\x07", "ξξ", "<unk> ξ", " "]


def train(kind, **options):
    size = 300 if kind == "byte-bpe" else 60
    lines = ["the cat sat on a mat , <unk>"] * 9
    return train_tokenizer(lines, TrainingOptions(kind=kind, vocab_size=size, **options))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_unknown_characters_are_named_in_order(kind):
    trained = train(kind)
    wanted = ["", "", "ξψω", "日", "\x00\x07", "ξξ", "ξ", ""]
    if kind == "byte-bpe":
        wanted = [""] * len(TEXTS)
    rows = trained.encode_batch(TEXTS)
    found = trained.unknown_characters(TEXTS)
    if kind != "wordpiece":  # in which an unknown character may cost more than itself
        assert found == wanted
    assert [bool(text) for text in found] == [trained.unknown_id in row for row in rows]
    assert found == trained.unknown_characters(TEXTS, rows)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_text_is_encoded_again_only_where_its_row_has_the_unknown_token(kind, monkeypatch):
    trained = train(kind)
    monkeypatch.setattr(Tokenizer, "encode_batch", None)
    texts = ["ξ"] * 3
    assert trained.unknown_characters(texts, [[5], [5], []]) == ["", "", ""]
    told = trained.unknown_characters(texts, [[5], [trained.role("unknown")], []])
    assert told == ["", "" if kind == "byte-bpe" else "ξ", ""]


def test_bytes_leave_nothing_unknown():
    assert train("byte-bpe").unknown_id is None
    state = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"<unk>": 256, "a": 257}
    model = models.BPE(state, [], unk_token="<unk>", byte_fallback=True)
    assert Tokenizer(tokenizers.Tokenizer(model)).unknown_id is None
    del state["<0xCE>"]
    model = models.BPE(state, [], unk_token="<unk>", byte_fallback=True)
    some = Tokenizer(tokenizers.Tokenizer(model))
    assert some.unknown_id == 256
    assert some.unknown_characters(["aξa日"]) == ["ξ"]  # U+03BE is CE BE


def test_a_unigram_model_with_bytes_knows_all():
    entries = [("<unk>", 0.0), ("a", -1.0), *((f"<0x{byte:02X}>", -9.0) for byte in range(256))]
    for fallback, unknown in ((True, None), (False, 0)):
        backend = tokenizers.Tokenizer(models.Unigram(entries, 0, fallback))
        assert Tokenizer(backend).unknown_id == unknown


@pytest.mark.parametrize("spaced", [False, True])
def test_characters_that_a_model_without_an_unknown_token_drops_are_unknown(spaced):
    """Such a BPE model passes over them without a token, even without an offset."""
    backend = tokenizers.Tokenizer(models.BPE({"▁": 0, "a": 1, "b": 2}, []))
    if spaced:
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
    ours = Tokenizer(backend)
    assert ours.unknown_id is None
    assert ours.unknown_characters(["aξb", "ab", "日"]) == ["ξ", "", "日"]


def test_bytes_that_a_byte_level_model_lacks_are_unknown():
    alphabet = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {"Î"})  # 0xCE, of ξ
    for normalizer in (None, normalizers.NFC()):
        backend = tokenizers.Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        if normalizer is not None:
            backend.normalizer = normalizer
        assert Tokenizer(backend).unknown_characters(["aξ日\ufffd", "é"]) == ["ξ", ""]


def test_what_a_model_has_no_id_for_is_unknown(tmp_path):
    """Marian's and M2M100's SentencePiece models know pieces that their vocabulary lacks."""
    data = sentencepiece_model("unigram")
    ids = {"</s>": 0, "<unk>": 1, "▁the": 2, "▁": 3, "<pad>": 4, ">>de<<": 5}
    folder = write(
        tmp_path,
        {"source.spm": data, "target.spm": data, "vocab.json": ids, "tokenizer_config.json": {}},
    )
    marian = read_tokenizers(folder).source
    assert marian.unknown_id == 1
    assert marian.unknown_characters(["the", "the quick the", "ξ the"]) == ["", "quick", "ξ"]
    known, unknown = marian.unknown_characters([">>de<< the", ">>fr<< the"])
    assert unknown and not known
