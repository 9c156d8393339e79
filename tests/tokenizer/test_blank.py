"""Blank texts: nothing but white space and characters that show nothing."""

import sys
import unicodedata

import pytest

from tokenizer import is_blank

SPACES = [c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace()]
INVISIBLE = "\0\x07\x7f\x9f\xad\u034f\u061c\u200b\u200c\u200d\u200e\u2060\u2064\u3164\ufe0f\ufeff"


@pytest.mark.parametrize("character", [*SPACES, *INVISIBLE, "\u2800", "\U000e0041", "\U000e0100"])
def test_a_line_of_it_alone_is_blank_and_with_a_letter_is_not(character: str) -> None:
    assert is_blank(character)
    assert is_blank(f" {character}\u200b{character}\ufeff")
    assert not is_blank(f"{character}x{character}")
    assert not is_blank(f"{character}.")


def test_nothing_is_blank() -> None:
    assert is_blank("")


def test_no_other_character_is_blank_than_spaces_controls_and_formats() -> None:
    """Marks, fillers and selectors that show nothing are listed by hand; all else is visible."""
    listed = {*"\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if not is_blank(character) or character in listed or 0xE0000 <= code < 0xE1000:
            continue
        kind = unicodedata.category(character)
        selector = "VARIATION SELECTOR" in unicodedata.name(character, "")
        assert kind in {"Cc", "Cf", "Zs", "Zl", "Zp"} or selector or kind == "Cn", hex(code)


@pytest.mark.parametrize("sign", "\u0600\u06dd\u070f\u08e2\ufffd\ue000")
def test_format_characters_that_show_a_sign_are_visible(sign: str) -> None:
    assert not is_blank(sign)
