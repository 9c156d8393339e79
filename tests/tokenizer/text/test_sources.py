"""Bytes say what a text is, under any name, in files, pipes and stdin alike."""

import bz2
import codecs
import gzip
import io
import lzma
import pickle
import sys
import tarfile
import zipfile

import pytest

from tokenizer import (
    CorpusCounts,
    CorpusError,
    Spool,
    TextFile,
    content_hash,
    is_rereadable,
    read_columns,
    read_lines,
    read_pairs,
    read_text,
)
from tokenizer.text import signatures
from tokenizer.text.lines import MAX_LINE_BYTES

LINES = ["größer", "日本", "a\tb", "", "last 🦀"]
PLAIN = "".join(f"{line}\n" for line in LINES).encode()
LEGACY_XZ = {"format": lzma.FORMAT_ALONE}


def zstd(raw: bytes) -> bytes:
    module = pytest.importorskip(
        "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    )
    return module.compress(raw)


SAME = {
    "plain": lambda raw: raw,
    "UTF-8 BOM": lambda raw: codecs.BOM_UTF8 + raw,
    "UTF-16 LE": lambda raw: codecs.BOM_UTF16_LE + raw.decode().encode("utf-16-le"),
    "UTF-16 BE": lambda raw: codecs.BOM_UTF16_BE + raw.decode().encode("utf-16-be"),
    "UTF-32 LE": lambda raw: codecs.BOM_UTF32_LE + raw.decode().encode("utf-32-le"),
    "UTF-32 BE": lambda raw: codecs.BOM_UTF32_BE + raw.decode().encode("utf-32-be"),
    "gzip": gzip.compress,
    "gzip members": lambda raw: gzip.compress(raw[:20]) + gzip.compress(raw[20:]) + b"\0" * 99,
    "gzip twice": lambda raw: gzip.compress(gzip.compress(raw)),
    "gzip of UTF-16": lambda raw: gzip.compress(SAME["UTF-16 LE"](raw)),
    "bzip2": bz2.compress,
    "bzip2 streams": lambda raw: bz2.compress(raw[:20]) + bz2.compress(raw[20:]),
    "xz": lzma.compress,
    "lzma": lambda raw: lzma.compress(raw, **LEGACY_XZ),
    "zstd": zstd,
}
NAMES = ["text.txt", "text.gz", "text.xz", "text"]


def lines_of(path, *, plain):
    counts = CorpusCounts()
    return [*read_lines(TextFile(str(path), plain=plain), counts)], counts.replaced


@pytest.mark.parametrize("plain", [True, False], ids=["filter", "corpus"])
@pytest.mark.parametrize("kind", SAME)
def test_a_text_is_read_under_any_name(tmp_path, monkeypatch, kind, plain):
    raw = SAME[kind](PLAIN)
    for name in NAMES:
        (tmp_path / name).write_bytes(raw)
        assert lines_of(tmp_path / name, plain=plain) == (LINES, 0), name
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert lines_of("-", plain=plain) == (LINES, 0)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["hi\n", "a plain text\nof words\n"])
@pytest.mark.parametrize("plain", [True, False], ids=["filter", "corpus"])
def test_utf16_without_a_mark_is_seen_by_its_zeros(tmp_path, encoding, text, plain):
    (tmp_path / "t").write_bytes(text.encode(encoding))
    assert lines_of(tmp_path / "t", plain=plain) == (text.splitlines(), 0)


def test_damaged_utf16_is_counted(tmp_path):
    (tmp_path / "t").write_bytes("one\ntwo\n".encode("utf-16") + b"\x00\xd8x\0\n\0y")
    assert lines_of(tmp_path / "t", plain=True) == (["one", "two", "\ufffdx", "\ufffd"], 2)


@pytest.mark.parametrize(
    "raw",
    [
        b"nul \x00 inside\nplain\n",
        b"\x00\n\x00\x00\n",
        b"\x00\x00\x00\n\x00\x00\x00\x00\n",
        b"\xff\xfe one\n",
        b"\xfe\xff\n",
        b"\xff\xfe",
        b"PK \n",
        b"BZh9 is a word\n",
        b"\x1f\x8b\n",
        b"%PDF\n",
        b"GIF89a is a format\n",
        b"RIFF\n",
        b"one\rtwo\n",
    ],
)
def test_a_filters_line_may_hold_any_bytes(tmp_path, raw):
    (tmp_path / "t").write_bytes(raw)
    wanted = raw.removesuffix(b"\n").decode("utf-8", "replace").split("\n")
    assert lines_of(tmp_path / "t", plain=True)[0] == wanted


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "one\n")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO(b""))
    return buffer.getvalue()


BINARY = {
    "a zip archive": zipped("a.txt"),
    "an Office document": zipped("[Content_Types].xml", "word/document.xml"),
    "an EPUB book": b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/epub+zip",
    "a PyTorch file": zipped("archive/data.pkl"),
    "a tar archive": tarred(),
    "a 7z archive": b"7z\xbc\xaf\x27\x1c\0\4",
    "a RAR archive": b"Rar!\x1a\x07\x01\x00",
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "an RTF document": rb"{\rtf1\ansi one}",
    "a parquet file": b"PAR1\x15\x04\x15",
    "an Arrow file": b"ARROW1\0\0",
    "a pickle": pickle.dumps(["one"] * 9, protocol=4),
    "a safetensors file": (64).to_bytes(8, "little") + b'{"weight": {}}',
    "a NumPy array": b"\x93NUMPY\x01\x00",
    "an SQLite database": b"SQLite format 3\0",
    "an image": b"\x89PNG\r\n\x1a\n",
    "a cabinet archive": b"MSCF" + bytes(8),
    "a package": b"!<arch>\ndebian-binary   ",
    "an lzip file": b"LZIP\x01\x0c",
    "an lz4 file": b"\x04\x22\x4d\x18\x64",
    "a GGUF file": b"GGUF\x03\x00\x00\x00",
    "an Avro file": b"Obj\x01\x04\x16avro.schema",
    "an HDF5 file": b"\x89HDF\r\n\x1a\n\0",
    "a MATLAB file": b"MATLAB 5.0 MAT-file, Platform: GLNXA64",
    "a SentencePiece model": b"\n\x0e\n\x05<unk>\x15\0\0\0\0",
    "a fastText model": b"\xba\x16\x4f\x2f\x0c\0\0\0",
    "a KenLM model": b"mmap lm http://kheafield.com/code format version 5\n\0",
    "a sound or a film": b"OggS\x00\x02" + bytes(8),
    "a film": b"\x1aE\xdf\xa3\x01\0\0\0",
    "a program": b"\x7fELF\x02\x01\x01",
}


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize("plain", [True, False], ids=["filter", "corpus"])
def test_binary_files_are_refused_by_name_with_a_remedy(tmp_path, monkeypatch, kind, plain):
    remedy = next(each.remedy for each in signatures.BINARIES if each.name == kind)
    for raw in (BINARY[kind], gzip.compress(BINARY[kind])):
        (tmp_path / "text.txt").write_bytes(raw)
        with pytest.raises(CorpusError, match=f"text.txt is {kind}, not text: {remedy}"):
            lines_of(tmp_path / "text.txt", plain=plain)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
        with pytest.raises(CorpusError, match=f"stdin is {kind}"):
            lines_of("-", plain=plain)


def test_other_binary_files_are_no_corpus(tmp_path):
    (tmp_path / "t").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(CorpusError, match="is a binary file"):
        lines_of(tmp_path / "t", plain=False)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "zstd"])
@pytest.mark.parametrize("plain", [True, False], ids=["filter", "corpus"])
def test_a_packed_file_that_breaks_off_is_damaged(tmp_path, kind, plain):
    (tmp_path / "t").write_bytes(SAME[kind](PLAIN * 99)[:-9])
    with pytest.raises(CorpusError, match=rf"t is a damaged {kind} file: "):
        lines_of(tmp_path / "t", plain=plain)


def test_zstd_without_its_package_names_it(tmp_path, monkeypatch):
    (tmp_path / "t").write_bytes(b"\x28\xb5\x2f\xfd\x00")
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CorpusError, match=r"t: zstd needs .* backports\.zstd"):
        lines_of(tmp_path / "t", plain=True)


@pytest.mark.parametrize(
    ("encoding", "text", "guess"),
    [
        ("latin-1", "Zwölf Boxkämpfer", "latin-1"),
        ("cp1252", "“Zwölf” – Œuvre…", "cp1252"),
        ("cp1251", "Съешь же ещё этих мягких булок", "cp1251"),
        ("koi8-r", "Съешь же ещё этих мягких булок", "koi8-r"),
        ("shift_jis", "いろはにほへと、ちりぬるを", "shift_jis"),
        ("euc-kr", "모든 인간은 자유롭고 평등하다", "euc-kr"),
        ("gb18030", "我是中国人，他在这里。", "gb18030"),
    ],
)
def test_another_encoding_is_guessed(tmp_path, encoding, text, guess):
    (tmp_path / "t").write_bytes(f"{text}\nplain\n".encode(encoding) * 9)
    with pytest.raises(CorpusError, match=rf"9 of 18 lines .* it may be {guess} .*iconv"):
        lines_of(tmp_path / "t", plain=False)
    assert lines_of(tmp_path / "t", plain=True)[1] == 9


@pytest.mark.parametrize(("good", "bad", "refused"), [(99, 1, False), (98, 2, True), (0, 1, True)])
def test_one_line_in_a_hundred_may_be_invalid(tmp_path, good, bad, refused):
    (tmp_path / "t").write_bytes(b"a good line\n" * good + b"a b\xffd one\n" * bad)
    if refused:
        with pytest.raises(CorpusError, match=f"{bad} of {good + bad} line"):
            lines_of(tmp_path / "t", plain=False)
    else:
        assert lines_of(tmp_path / "t", plain=False)[1] == bad


def test_a_stray_byte_in_a_book_on_one_line_is_counted(tmp_path):
    (tmp_path / "t").write_bytes(b"word " * 9000 + b"\xff")
    assert lines_of(tmp_path / "t", plain=False)[1] == 1


@pytest.mark.parametrize("ending", ["\r", ""])
def test_a_corpus_may_end_its_lines_in_cr_alone(tmp_path, ending):
    (tmp_path / "t").write_text("one\rtwo\r\rthree" + ending, newline="")
    assert lines_of(tmp_path / "t", plain=False) == (["one", "two", "", "three"], 0)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("size", "tail"), [(0, 5), (40_000, 40_000), (70_000, 1), (65_535, 0)])
def test_a_cr_within_a_line_ends_none_where_lines_end_in_crlf(tmp_path, size, tail, packed):
    raw = b"x" * size + b"\r" + b"y" * tail + b"\r\none\r\ntwo\r\n"
    (tmp_path / "t").write_bytes(gzip.compress(raw) if packed else raw)
    first = "x" * size + "\r" + "y" * tail
    assert lines_of(tmp_path / "t", plain=False) == ([first, "one", "two"], 0)


@pytest.mark.parametrize("size", [0, *range((1 << 16) - 6, 1 << 16), 200_000])
def test_crlf_is_one_line_end_also_where_others_are_cr_alone(tmp_path, monkeypatch, size):
    """Wherever the bytes of a chunk end."""
    monkeypatch.setattr("tokenizer.text.sources._MAX_FIRST_LINE", 1 << 16)
    raw = b"a\rb\r" + b"x" * ((1 << 17) - 5) + b"\r" + b"y" * size + b"\r\nz\r\n\r\n"
    (tmp_path / "t").write_bytes(raw)
    counts = CorpusCounts()
    found = [*read_lines(TextFile(str(tmp_path / "t")), counts)]
    assert found == ["a", "b", "x" * ((1 << 17) - 5), "y" * size, "z", ""]
    assert counts.notices == [
        f"{tmp_path / 't'} ends its lines with CR alone, as on old Macs: they are read so"
    ]


def test_lines_by_cr_and_lines_by_lf_are_not_one_text(tmp_path, monkeypatch):
    monkeypatch.setattr("tokenizer.text.sources._MAX_FIRST_LINE", 1 << 16)
    (tmp_path / "t").write_bytes(b"a\r" * (1 << 16) + b"b\nc\n")
    with pytest.raises(CorpusError, match=r"CR alone, and others in LF alone: convert it"):
        lines_of(tmp_path / "t", plain=False)


@pytest.mark.parametrize("plain", [True, False], ids=["filter", "corpus"])
def test_a_file_that_is_packed_too_often_is_no_text(tmp_path, plain):
    raw = PLAIN
    for times in range(1, 6):
        raw = gzip.compress(raw)
        (tmp_path / "t").write_bytes(raw)
        if times <= 3:
            assert lines_of(tmp_path / "t", plain=plain) == (LINES, 0)
        else:
            with pytest.raises(CorpusError, match="packed more than 3 times: unpack it"):
                lines_of(tmp_path / "t", plain=plain)


def test_what_kinds_of_files_begin_with_is_true_of_their_patterns():
    """A pipe that gives a part of a beginning is waited for, so it must lead to its pattern."""
    kinds = [*signatures.PACKINGS.values(), *signatures.BINARIES]
    for kind in kinds:
        for beginning in kind.beginnings:
            ways = [beginning + rest for rest in TAILS]
            assert any(kind.pattern.match(way) for way in ways), beginning
            assert signatures.is_undecided(beginning[:1])
    samples = {name: raw for name, raw in BINARY.items() if not raw.startswith(b"PK")}
    for name, raw in samples.items():
        kind = next(kind for kind in signatures.BINARIES if kind.pattern.match(raw))
        assert kind.name == name
        assert not kind.beginnings or any(map(raw.startswith, kind.beginnings)), name


TAILS = [
    b"",
    b"&SY",
    b"8P\x90",
    bytes(64),
    b"\x08" + bytes(64),
    b"\x80" + bytes(64),
    b"\xff" * 64,
    b"3",
    b"\xa1\xb1\x1a\xe1",
    b"abcdDJV",
    b".com/code",
    bytes(40) + b"word/",
]


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("unit", ["word ", "é", "日本 "])
def test_a_line_longer_than_a_chunk_is_read_whole(tmp_path, unit, end):
    text = unit * (3 * MAX_LINE_BYTES // len(unit.encode()) + 7)
    (tmp_path / "t").write_text(f"before\n{text}{end}")
    assert lines_of(tmp_path / "t", plain=False) == (["before", text], 0)


def test_a_text_that_is_no_file_is_spooled_once(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\tb\nc\td\n")))
    with Spool(tmp_path) as spool:
        (name,), (again,) = spool.paths(["-"]), spool.paths(["-"])
        assert (name, again, is_rereadable(name)) == ("-", "-", True)
        for _ in range(2):
            assert [*read_columns(name, ["1", "2"])] == [("a", "b"), ("c", "d")]
            assert [*read_pairs([TextFile(name)], [TextFile(name)])] == [
                ("a\tb",) * 2,
                ("c\td",) * 2,
            ]
        (tmp_path / "same").write_bytes(b"a\tb\nc\td\n")
        assert content_hash(name) == content_hash(str(tmp_path / "same"))
        assert spool.paths([str(tmp_path / "same")]) == [str(tmp_path / "same")]
    assert [path.name for path in tmp_path.iterdir()] == ["same"]


def test_a_whole_text_is_read_by_its_bytes_too(tmp_path):
    for kind in ("UTF-8 BOM", "UTF-16 LE", "gzip"):
        (tmp_path / "t").write_bytes(SAME[kind](PLAIN))
        assert read_text(str(tmp_path / "t")) == PLAIN.decode()
