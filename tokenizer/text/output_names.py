"""Names of files that text is written to: their endings say how, or that it is no text."""

from pathlib import PurePath

from .signatures import PACKINGS

# Endings of files that are no text, or packed in a way that nothing here writes, by kind. Endings
# that are codes of languages, too, as texts of translations have, are not here: .pt, .br, .bin.
BINARY_SUFFIXES: dict[str, str] = {
    suffix: kind
    for kind, suffixes in {
        "an archive": ".zip .7z .rar .tar .tgz .tbz .tbz2 .txz .tzst .jar .cpio",
        "a packed file": ".z .lz .lz4 .lzo .snappy .zpaq",
        "a document": ".pdf .doc .docx .odt .rtf .epub .xls .xlsx .ods .ppt .pptx",
        "a table in binary": ".parquet .arrow .feather .avro .orc .h5 .hdf5 .sqlite .lmdb",
        "an array": ".npy .npz .pkl .pickle",
        "weights": ".safetensors .pth .ckpt .gguf .onnx .tflite .msgpack",
        "an image": ".png .jpg .jpeg .gif .webp",
        "a sound file": ".wav .mp3 .flac .ogg",
    }.items()
    for suffix in suffixes.split()
}
PACKED_ENDINGS = ", ".join(packing.suffixes[0] for packing in PACKINGS.values())


def find_output_packing(name: str) -> str | None:
    """Return the name of the compression that a file's ending asks for, in capitals or not."""
    suffix = PurePath(name).suffix.lower()
    return next((packing for packing, kind in PACKINGS.items() if suffix in kind.suffixes), None)


def binary_kind(name: str) -> str | None:
    """Return the kind of a file that its name says is no text, packed or not.

    >>> binary_kind("x.zip"), binary_kind("X.NPY.gz"), binary_kind("x.jsonl.gz")
    ('an archive', 'an array', None)
    """
    if find_output_packing(name) is not None:
        name = PurePath(name).stem
    return BINARY_SUFFIXES.get(PurePath(name).suffix.lower())
