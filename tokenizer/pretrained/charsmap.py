"""SentencePiece's precompiled table of characters: its validation and application."""

import struct

from tokenizers import Regex, normalizers

from ..errors import TokenizerError

_MAX_REPLACEMENT_BYTES = 1024  # of one character; the longest in use has 33

# The library looks up whole grapheme clusters and drops what follows a match inside of one.
# Characters that no table maps, and whose class ends clusters, separate their parts: unassigned
# ones. Where a text has the first of them, it is escaped.
_SEPARATOR, _ESCAPED = "\ufff0\ufff0", ("\ufff0", "\ufff0\ufff1")
_CLUSTER_BOUNDARY = Regex(
    "(?<=[\\s\\S])(?=[\\p{M}\u200c\u200d\uff9e\uff9f])"  # not at the start: it would panic
    "|(?<=\\r)(?=\\n)"
)


def charsmap_steps(charsmap: bytes, *, name: str) -> list[normalizers.Normalizer]:
    """Return normalizers that apply a table as SentencePiece does. Raises TokenizerError.

    SentencePiece replaces the longest match, so that e + ◌̂ + ◌́ becomes ế. The library's Precompiled
    takes the shortest and would lose the ◌́, so characters are composed before and after it.
    """
    if not charsmap:
        return []
    check_charsmap(charsmap, name=name)
    try:
        table = normalizers.Precompiled(charsmap)
    except Exception as error:
        raise TokenizerError(f"{name} has a damaged normalizer: {error}") from None
    if table.normalize_str("e\u0301") != "é":  # a table that composes nothing
        return [table]
    nfc, separate = normalizers.NFC(), normalizers.Replace(_CLUSTER_BOUNDARY, _SEPARATOR)
    escape, unescape = (normalizers.Replace(*pair) for pair in (_ESCAPED, _ESCAPED[::-1]))
    return [nfc, escape, separate, table, normalizers.Replace(_SEPARATOR, ""), unescape, nfc]


def check_charsmap(charsmap: bytes, *, name: str) -> None:
    """Raise TokenizerError for a table that could be read out of bounds or make texts endless.

    It is a double array (darts-clone) of 32-bit units after its size, then the replacements, each
    with a zero byte at its end.
    """
    size = int.from_bytes(charsmap[:4], "little")
    if len(charsmap) < 4 or size % 1024 or not 0 < size <= len(charsmap) - 4:
        raise TokenizerError(f"{name} has a damaged normalizer: its table ends too early")
    replacements = charsmap[4 + size :]
    if max(
        map(len, replacements.split(b"\0"))
    ) > _MAX_REPLACEMENT_BYTES or not replacements.endswith(b"\0"):
        raise TokenizerError(f"{name} has a damaged normalizer: a replacement has no end")
    starts = {0, *(i + 1 for i, byte in enumerate(replacements) if not byte)}
    blocks = size // 1024  # of 256 units; the next byte of a text selects one of a block
    for index, unit in enumerate(struct.unpack_from(f"<{size // 4}I", charsmap, 4)):
        if unit >> 31:
            valid = unit & 0x7FFFFFFF in starts
        else:
            offset = (unit >> 10) << ((unit & 0x200) >> 6)
            valid = (index ^ offset) >> 8 < blocks
        if not valid:
            raise TokenizerError(f"{name} has a damaged normalizer: its table points nowhere")
