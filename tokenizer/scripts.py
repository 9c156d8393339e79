"""Properties of scripts: which put no spaces between words, and which marks end sentences."""

import unicodedata
from functools import lru_cache

# Scripts without spaces between words, by how the Unicode names of their characters begin: those
# whose lines break anywhere, at syllables or by a dictionary (UAX #14: ID, CJ, SA, AK), Tibetan,
# and none that is written with spaces today, such as Sundanese.
UNSPACED_SCRIPTS = {
    **dict.fromkeys(["CJK ", "IDEOGRAPHIC "], "han"),
    **dict.fromkeys(["HIRAGANA ", "KATAKANA", "HALFWIDTH KATAKANA"], "kana"),
    **dict.fromkeys(["THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN "], "dictionary"),
    **dict.fromkeys(["TAI ", "NEW TAI LUE "], "dictionary"),
    **dict.fromkeys(["BOPOMOFO ", "YI ", "NUSHU "], "syllables"),
    **dict.fromkeys(["JAVANESE ", "BALINESE ", "CHAM ", "BUGINESE "], "syllables"),
}
# Marks that end a sentence whatever follows (of Unicode's Sentence_Terminal; those that are also
# commas, such as U+104A, are not): East Asia, India to Cambodia, Ethiopia, Mongolia, others.
FINAL_MARKS = "。！？｡।॥။។៕᱾᱿꣎꣏꯫።፧፨᠃᠉᭟꧉꩞꩟᙮꓿꘎꘏꛳꛷"
FINAL_MARKS_BEFORE_SPACE = "؟۔։܀܁܂߹"  # Arabic and Urdu, Armenian, Syriac, N'Ko
# They end sentences in scripts with capitals, and have other uses.
COMMON_MARKS = ".!?…‥‼⁇⁈⁉．"
SENTENCE_ENDS = COMMON_MARKS + FINAL_MARKS + FINAL_MARKS_BEFORE_SPACE


_ATTACHED = {"Mn", "Mc", "Me", "Cf"}
# Vowels and final consonants of Hangul, halfwidth sound marks, skin tones.
_ATTACHED_RANGES = ((0x1160, 0x11FF), (0xD7B0, 0xD7FF), (0xFF9E, 0xFF9F), (0x1F3FB, 0x1F3FF))


@lru_cache(maxsize=1 << 14)
def is_attached(character: str) -> bool:
    """Return True for a character that belongs to the one before it: marks, joiners and the like.

    >>> [is_attached(c) for c in "e\u0301\u200d\u1161\uff9e"]
    [False, True, True, True, True]
    """
    code = ord(character)
    return unicodedata.category(character) in _ATTACHED or any(
        first <= code <= last for first, last in _ATTACHED_RANGES
    )


@lru_cache(maxsize=1 << 14)
def unspaced_script(character: str) -> str | None:
    """Return the kind of a character's script if it puts no spaces between words.

    None for marks and symbols of such a script, which are in no word.

    >>> [unspaced_script(c) for c in "木木ーไꆈbд。"]
    ['han', 'han', 'kana', 'dictionary', 'syllables', None, None, None]
    """
    if unicodedata.category(character)[0] not in "LMN":
        return None
    name = unicodedata.name(character, "")
    return next((kind for start, kind in UNSPACED_SCRIPTS.items() if name.startswith(start)), None)


def is_unspaced(character: str) -> bool:
    """Return True for a character of a script that puts no spaces between words."""
    return unspaced_script(character) is not None
