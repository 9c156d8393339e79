"""SentencePiece's table of characters: is it sound, and how to apply it as SentencePiece does."""

import struct

from tokenizers import Regex, normalizers

from ..errors import TokenizerError

_LONGEST = 1024  # bytes that one character becomes; the longest in use has 33

# The library looks up whole grapheme clusters and drops what follows a match inside of one:
# a character that nothing maps, of a class that ends clusters, keeps their parts apart.
_APART = "\ufff0"
_INSIDE = Regex(
    "(?<=[\\s\\S])(?=[\\p{M}\u200c\u200d\uff9e\uff9f])"  # not at the start: the library panics
    "|(?<=\\r)(?=\\n)"
)


def charsmap_steps(charsmap: bytes, *, name: str) -> list[normalizers.Normalizer]:
    """Normalizers that apply a table as SentencePiece does. Raises TokenizerError.

    SentencePiece replaces the longest match, so that e + ◌̂ + ◌́ becomes ế. The library's Precompiled
    takes the shortest and would lose the ◌́: so what can be composed is composed around it.
    """
    if not charsmap:
        return []
    check_charsmap(charsmap, name=name)
    try:
        table = normalizers.Precompiled(charsmap)
    except Exception as error:
        raise TokenizerError(f"{name} has a damaged normalizer: {error}") from None
    if table.normalize_str("e\u0301") != "é":  # one that composes nothing
        return [table]
    nfc, cut = normalizers.NFC(), normalizers.Replace(_INSIDE, _APART)
    return [nfc, cut, table, normalizers.Replace(_APART, ""), normalizers.NFC()]


def check_charsmap(charsmap: bytes, *, name: str) -> None:
    """Refuse a table that would make the library read outside of it, or texts grow without bound.

    It is a double array (darts-clone) of 32-bit units behind its size, then the replacements,
    each with a zero byte at its end.
    """
    size = int.from_bytes(charsmap[:4], "little")
    if len(charsmap) < 4 or size % 1024 or not 0 < size <= len(charsmap) - 4:
        raise TokenizerError(f"{name} has a damaged normalizer: its table ends too early")
    replacements = charsmap[4 + size :]
    if max(map(len, replacements.split(b"\0"))) > _LONGEST or not replacements.endswith(b"\0"):
        raise TokenizerError(f"{name} has a damaged normalizer: a replacement has no end")
    starts = {0, *(i + 1 for i, byte in enumerate(replacements) if not byte)}
    blocks = size // 1024  # of 256 units: the next byte of a text chooses inside of one
    for at, unit in enumerate(struct.unpack_from(f"<{size // 4}I", charsmap, 4)):
        if unit >> 31:
            sound = unit & 0x7FFFFFFF in starts
        else:
            offset = (unit >> 10) << ((unit & 0x200) >> 6)
            sound = (at ^ offset) >> 8 < blocks
        if not sound:
            raise TokenizerError(f"{name} has a damaged normalizer: its table points nowhere")
