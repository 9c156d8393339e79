"""Weights in a pickle that runs code, claims too much, or is none."""

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from tests.loading.damage import CANARY, LFS, PICKLE, WEIGHTS, Case, both, case, change, put, remove

WTE = "transformer.wte.weight"


class Runs:
    """An object whose pickle calls a function when it is read."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], tuple(self.call[1:])


def pickled(content: Any, **saving: Any) -> Any:
    stream = io.BytesIO()
    torch.save(content, stream, **saving)
    return put(PICKLE, stream.getvalue())


def plain(content: Any) -> Any:
    return put(PICKLE, pickle.dumps(content, protocol=2))


def zipped(files: dict[str, Any], kind: int = zipfile.ZIP_STORED) -> Any:
    def made() -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", kind) as archive:
            for name, content in files.items():
                archive.writestr(f"archive/{name}", bytes(content))
        return stream.getvalue()

    return put(PICKLE, made)


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return stream.getvalue()


def claim(**changes: Any) -> Any:
    """A pickle in the old format, whose storage is said to have 10^12 numbers."""

    def damage(folder: Path) -> None:
        stream = io.BytesIO()
        torch.save({WTE: torch.ones(777)}, stream, _use_new_zipfile_serialization=False)
        claimed = b"\x8a\x05" + (10**12).to_bytes(5, "little")  # LONG1
        raw = stream.getvalue().replace(b"M\x09\x03", claimed)
        (folder / PICKLE).write_bytes(raw)

    return damage


SPREAD = torch.ones(1).expand(10**12)
NESTED: Any = ()
for _ in range(50):
    NESTED = (NESTED, NESTED)
PICKLES = {
    "pickle: runs a command": case(pickled({"a": Runs(os.system, f"touch {CANARY}")}), PICKLE),
    "pickle: runs a command, old": case(
        pickled({"a": Runs(os.system, f"touch {CANARY}")}, _use_new_zipfile_serialization=False),
        PICKLE,
    ),
    "pickle: runs a command, plain": case(plain(Runs(os.system, f"touch {CANARY}")), PICKLE),
    "pickle: evaluates": case(pickled({"a": Runs(eval, f"open({CANARY!r}, 'w')")}), PICKLE),
    "pickle: opens a file": case(pickled({"a": Runs(open, CANARY, "w")}), PICKLE),
    "pickle: loads another": case(pickled({"a": Runs(torch.load, "/etc/passwd")}), PICKLE),
    "pickle: an object": case(pickled({"a": Path("x")}), PICKLE),
    "pickle: a list": case(pickled([torch.ones(2)]), PICKLE, "no dictionary"),
    "pickle: a tensor": case(pickled(torch.ones(2)), PICKLE, "no dictionary"),
    "pickle: a checkpoint": case(pickled({"model": {"a": torch.ones(2)}}), PICKLE),
    "pickle: numbered": case(pickled({1: torch.ones(2)}), PICKLE, "no dictionary"),
    "pickle: empty": case(put(PICKLE, b""), PICKLE),
    "pickle: text": case(put(PICKLE, "hello\n" * 99), PICKLE),
    "pickle: a pointer": case(put(PICKLE, LFS), PICKLE, "git lfs pull"),
    "pickle: a tar": case(put(PICKLE, tar()), PICKLE),
    "pickle: cut short": case(
        both(pickled({"a": torch.ones(99)}), change(PICKLE, lambda raw: raw[:-99])), PICKLE
    ),
    "pickle: a zip of nothing": case(zipped({}), PICKLE),
    "pickle: a zip of other things": case(zipped({"a.txt": b"hello"}), PICKLE),
    "pickle: an archive of 100,000 files": case(
        zipped({f"data/{i}": b"" for i in range(100_000)}), PICKLE
    ),
    "pickle: four megabytes of dictionaries": case(
        zipped({"data.pkl": b"\x80\x02" + b"}" * ((4 << 20) - 2)}), PICKLE
    ),
    "pickle: a number of a megabyte": case(
        zipped({"data.pkl": b"\x80\x02\x8b\0\0\x10\0" + b"\xff" * (1 << 20) + b"."}), PICKLE
    ),
    "pickle: a bomb": case(
        zipped({"data.pkl": 400 << 20, "version": b"3"}, zipfile.ZIP_DEFLATED), PICKLE
    ),
    "pickle: a bomb of tensors": case(
        zipped(
            {"data.pkl": pickle.dumps({}), "data/0": 400 << 20, "version": b"3"},
            zipfile.ZIP_DEFLATED,
        ),
        PICKLE,
    ),
    "pickle: one number spread to 10^12": case(pickled({WTE: SPREAD}), PICKLE),
    "pickle: claims 10^12 numbers": case(claim(), PICKLE),
    "pickle: doubles fifty times": case(plain(NESTED), PICKLE),
    "pickle: deep": case(put(PICKLE, b"\x80\x02" + b"(" * 1_000_000), PICKLE),
    "pickle: sparse": case(pickled({WTE: torch.eye(3).to_sparse()}), PICKLE),
    "pickle: without values": case(pickled({WTE: torch.ones(37, 16, device="meta")}), PICKLE),
    "pickle: int8": case(pickled({WTE: torch.ones(37, 16, dtype=torch.int8)}), "asks for"),
    "pickle: an index that climbs": case(
        put(f"{PICKLE}.index.json", json.dumps({"weight_map": {"a": "../../x.bin"}})),
        "'../../x.bin'",
    ),
}
CASES = {
    name: Case(both(remove(WEIGHTS), made.damage), made.words) for name, made in PICKLES.items()
}
