"""Small published tokenizers, made on the fly."""

import functools
import io
import json
import random
import re
import string

import sentencepiece
import transformers

_WORDS = """
    the quick brown fox jumps over lazy dog don't (x) e.g. banana bananas ananas 1234 408
    Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich café Портрет не правда ли
    日本語 の テキスト 한국 😀
"""
WORDS = tuple(re.split(r"\s+", _WORDS.strip()))
SENTENCE = "The quick brown fox jumps over the lazy dog."
TEXTS = [
    SENTENCE,
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich!",
    "Портрет: 12 × 34 = 408, не правда ли?",
    "日本語 の テキスト、日本語。",
    "  two  blanks,\ta tab\nand a second line ",
    " leading",
    "trailing   ",
    "",
    " ",
    " \n\t ",
    "cafe\u0301 ü u\u0308 Đế đe\u0302\u0301 e\u0301\u0302",
    "😀 👩‍👩‍👧 🦀🦀x🦀",
    "Ｆｕｌｌ ｗｉｄｔｈ ｶﾞ ﬁne x² ½ …",
    "unseen: ξψω ሰላም x\u00a0y\u3000z\u200bw",
    "tags <a> <b/> a<b>c {[(",
    "a\u2028b\x85d\ufeff\ufffde\r\nf",
    "banana bananas ananasananas",
    "unassigned: a\ufff0b \ufff0\ufff0 c\ufff1 \ufff0\ufff1 \u0378",
]


def sentences(words=WORDS, *, seed=0):
    """Lines of words in a random order."""
    chance = random.Random(seed)
    return [" ".join(chance.choice(words) for _ in range(8)) for _ in range(200)]


@functools.cache
def sentencepiece_model(kind, vocab_size=400, *, words=WORDS, **options):
    """The file of a SentencePiece model that is trained on some words."""
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(words)),
        model_writer=stream,
        model_type=kind,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        num_threads=1,
        **options,
    )
    return stream.getvalue()


_COMMON = [*string.punctuation, *string.digits, *string.ascii_lowercase, *"äößПортед本語"]
_WHOLE = """
    the The quick fox jumps uber zwolf Zwölf cafe café портрет movie is ##ana ##ing ##oys
"""
# Ids of a BERT-like tokenizer: some words as they are and as folding makes them; much is unknown.
BERT_VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *(*_COMMON, *"BSéの日"),
    *(f"##{character}" for character in _COMMON),
    *re.split(r"\s+", _WHOLE.strip()),
)


def write_bert(folder):
    """Fill a folder with a BERT-like tokenizer's two forms, `vocab.txt` and `tokenizer.json`."""
    write(folder, {"vocab.txt": "".join(f"{token}\n" for token in BERT_VOCABULARY)})
    transformers.BertTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder


LLAMA = {
    "byte_fallback": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "allow_whitespace_only_pieces": True,
    "split_digits": True,
}


def write(folder, files):
    """Fill a folder: bytes and texts as they are, all else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def framed(tokenizer, text):
    """All ids of a text, its frame included."""
    before, after = tokenizer.special_affixes()
    return [*before, *tokenizer.encode(text), *after]


_LETTERS = (*"abceiknosuzAEIOZßàéöйиαωΑ", *"بتسمكل", *"שבלםכ", *"कखगन", *"กขค", *"かはウ", *"한글")
_ATTACHED = (
    *"\u0301\u0302\u0323\u0308\u0327\u0345\u064b\u064e\u0651\u0650\u05b0\u05bc\u05c1\u05b7\u093c",
    *"\u094d\u0e31\u0e48\u3099\u309a\u20dd\ufe0f\U000e0100\u0f71\u0f72\u200c\u200d\u1161\u11ab",
    *"\uff9e\U0001f3fd",
)
_BLANKS = (" ", " ", " ", "  ", "\t", "\n", "\r\n", "\xa0", "\u3000", "\u2028", "\x85", "\x0b")
_ODD = (
    *"\0\x01\x07\x7f\x9f\u200b\u2060\ufeff\xad\u202e\ufff0\ufff1\ufff2\ufff4\ufffd\ufdd0\uffff\ue000",
    *"\u0378하ﾊ▁…½²㎏ﷺ①ℌﬄ¨🅰ſẛΐK😀𝟂",
    "👩\u200d👧",
    "🇩🇪",
)
_WHOLE = (*"-.<>", "--", "the", " qu", "<sep>", "<a>", "ab", "abc", "cd", "▁▁▁", "</s>", "<0x41>")


def random_texts(count, *, seed):
    """Texts in which letters, marks, joiners, blanks and odd characters meet."""
    chance = random.Random(seed)
    kinds = (_LETTERS, _ATTACHED, _ATTACHED, _BLANKS, _ODD, _WHOLE)
    return [
        "".join(chance.choice(chance.choice(kinds)) for _ in range(chance.randint(1, 16)))
        for _ in range(count)
    ]
