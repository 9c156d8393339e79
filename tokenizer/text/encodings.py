"""Encodings other than UTF-8: recognised by byte order marks and zero bytes, decoded, guessed."""

import codecs
import re
from typing import BinaryIO

from .packing import buffered

UTF8_BOM = codecs.BOM_UTF8
_WIDE_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
MARKS = (UTF8_BOM, *_WIDE_BOMS)
_MARK_INVALID = "tokenizer.text.invalid"  # an invalid unit becomes a byte that UTF-8 never has

# The first that decodes the sample into the most of its own letters is the guess: of encodings for
# texts that are mostly ASCII, and of those for other scripts.
_LATIN = {
    "latin-1": r"[À-ÿ«»¡¿°§]",
    "cp1252": r"[À-ÿ«»¡¿°§€‚„…‘’“”•–—Œœ]",
    "cp1250": r"[ĄąĆćĘęŁłŃńŚśŹźŻżČčĎďĚěŇňŘřŠšŤťŮůŽžŐőŰűóáéíýúÁÉÍÓÚÝ]",
}
_OTHER_SCRIPTS = {
    "cp1251": r"[а-яё]",
    "koi8-r": r"[а-яё]",
    "shift_jis": r"[ぁ-んァ-ヶー、。]",
    "euc-jp": r"[ぁ-んァ-ヶー、。]",
    "euc-kr": r"[가-힣]",
    "gb18030": r"[的一是不了在人有我他这中大来上国、。，]",
    "big5": r"[的一是不了在人有我他這中大來上國、。，]",
}


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


codecs.register_error(_MARK_INVALID, _mark)


def find_encoding(head: bytes) -> tuple[str | None, int]:
    """Return the encoding that a text begins in, None for UTF-8, and the size of its mark."""
    if head.startswith(UTF8_BOM):
        return None, len(UTF8_BOM)
    for bom, name in _WIDE_BOMS.items():
        rest = head[len(bom) :]
        if head.startswith(bom) and (b"\0" in rest or not is_utf8(rest)):
            return name, len(bom)
    return _encoding_by_zeros(head), 0


def is_utf8(head: bytes) -> bool:
    """Return True for the beginning of a UTF-8 text, cut anywhere."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _encoding_by_zeros(head: bytes) -> str | None:
    """Return the encoding of a text without a mark, where zeros are every other byte."""
    units = min(len(head), 4096) // 2
    if units < 3:
        return None
    even, odd = (head[first : 2 * units : 2].count(0) / units for first in (0, 1))
    if max(even, odd) < 0.4 or min(even, odd) > 0.02:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def transcoded(stream: BinaryIO, encoding: str) -> BinaryIO:
    """Return a text in another encoding as UTF-8; what is invalid stays so."""
    decoder = codecs.getincrementaldecoder(encoding)(_MARK_INVALID)

    def read(size: int) -> bytes:
        while True:
            raw: bytes = stream.read1(size)  # type: ignore[attr-defined]
            text = decoder.decode(raw, final=not raw)
            if text or not raw:
                return text.encode("utf-8", "surrogateescape")

    return buffered(read)


def guess_encoding(sample: bytes) -> str:
    """Return the likeliest encoding of lines that are not UTF-8.

    >>> guess_encoding("Zwölf Boxkämpfer".encode("latin-1"))
    'latin-1'
    """
    best, most = "latin-1", 0.0
    high = sum(byte > 0x7F for byte in sample)
    for name, letters in (_LATIN if 2 * high < len(sample) else _OTHER_SCRIPTS).items():
        try:
            text = sample.decode(name)
        except UnicodeDecodeError:
            continue
        foreign = re.sub(r"[\x00-\x7f]", "", text)
        share = len(re.findall(letters, foreign)) / max(1, len(foreign))
        if share > most:
            best, most = name, share
    return best
