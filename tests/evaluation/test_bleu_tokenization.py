"""The tokenization for BLEU follows the script of the references."""

import importlib.util

import pytest

from transformer.evaluation import translation_scores
from transformer.evaluation.bleu_tokenization import tokenization_of

TEXTS = {
    "13a": ["Ein Hund läuft.", "Собака бежит", "الكلب يجري", "कुत्ता दौड़ता है", "", "12 + 3"],
    "zh": ["他在河边走。", "我用 Python 和 TensorFlow 写程序，在 Windows 上运行", "漢字"],
    "char": [
        "犬が走る。", "東京都庁前の公園", "カタカナ", "개가 달린다", "สุนัขวิ่ง", "ໝາແລ່ນ",
        "ឆ្កែរត់", "ခွေးပြေး", "ཁྱི་རྒྱུག",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(k, t) for k, texts in TEXTS.items() for t in texts])
def test_the_script_decides(monkeypatch, name: str, text: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # no MeCab
    assert tokenization_of([text]) == name


def test_mecab_is_taken_where_it_is_installed(monkeypatch) -> None:
    installed = {"MeCab", "ipadic", "mecab_ko"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name in installed else None
    )
    assert tokenization_of(["犬が走る。"]) == "ja-mecab"
    assert tokenization_of(["개가 달린다"]) == "char"  # its dictionary is missing


def test_most_of_the_text_decides_and_the_signature_says_it() -> None:
    chinese = ["他在河边走。", "狗在跑。", "The end"]
    score = translation_scores(chinese, chinese)["bleu"]
    assert "tok:zh|" in score.signature
    assert "tok:13a|" in translation_scores(["a dog"], ["a dog 狗"])["bleu"].signature
