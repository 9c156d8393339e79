"""Ways to damage a good folder; each gives a function that does it to a folder."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

Damage = Callable[[Path], None]
WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
GENERATION, TOKENIZER_CONFIG = "generation_config.json", "tokenizer_config.json"
PICKLE, INDEX, MANIFEST = "pytorch_model.bin", f"{WEIGHTS}.index.json", "manifest.json"
CANARY = "/tmp/transduce-canary"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


class Case(NamedTuple):
    """What is done to which good folder, and words that the one line must have."""

    damage: Damage
    words: tuple[str, ...]
    base: str = "gpt2"


def case(damage: Damage, *words: str, base: str = "gpt2") -> Case:
    return Case(damage, words, base)


def free(path: Path) -> Path:
    """The path with nothing at it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


def put(name: str, content: Any) -> Damage:
    """A file of that content, or of what it gives when called; what is neither bytes nor text
    becomes JSON."""

    def damage(folder: Path) -> None:
        made = content() if callable(content) else content
        text = made if isinstance(made, (str, bytes)) else json.dumps(made)
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        free(folder / name).write_bytes(raw)

    return damage


def change(name: str, how: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(how((folder / name).read_bytes()))

    return damage


def edit(name: str, how: Callable[[Any], Any]) -> Damage:
    """Change a JSON file's contents, in place or by what `how` returns."""

    def damage(folder: Path) -> None:
        path = folder / name
        fields = json.loads(path.read_text()) if path.is_file() else {}
        changed = how(fields)
        path.write_text(json.dumps(fields if changed is None else changed))

    return damage


def options(name: str = CONFIG, **changes: Any) -> Damage:
    return edit(name, lambda fields: fields.update(changes))


def remove(*names: str) -> Damage:
    def damage(folder: Path) -> None:
        for name in names:
            free(folder / name)

    return damage


def folder_at(name: str) -> Damage:
    return lambda folder: free(folder / name).mkdir()


def fifo(name: str) -> Damage:
    return lambda folder: os.mkfifo(free(folder / name))


def link(name: str, target: str) -> Damage:
    return lambda folder: free(folder / name).symlink_to(target)


def link_out(name: str) -> Damage:
    """The good file itself, behind a link that leaves the folder."""

    def damage(folder: Path) -> None:
        outside = folder.parent / f"{folder.name}-{name}"
        shutil.copyfile(folder / name, outside)
        free(folder / name).symlink_to(outside)

    return damage


def sparse(name: str, size: int, start: bytes = b"") -> Damage:
    """A file of zeros that takes no room."""

    def damage(folder: Path) -> None:
        with free(folder / name).open("wb") as stream:
            stream.write(start)
            stream.truncate(size)

    return damage


# Damages that leave no readable file of a name, each with words that the one line must have.
NO_FILES: dict[str, tuple[Callable[[str], Damage], tuple[str, ...]]] = {
    "a folder": (folder_at, ()),
    "a pipe": (fifo, ()),
    "a sparse terabyte": (lambda name: sparse(name, 1 << 40), ()),
    "a link in a circle": (lambda name: link(name, name), ()),
    "a link to /etc/passwd": (lambda name: link(name, "/etc/passwd"), ("leads out",)),
    "a link to /proc/kmsg": (lambda name: link(name, "/proc/kmsg"), ()),
    "a link to /dev/zero": (lambda name: link(name, "/dev/zero"), ()),
    "a link out": (link_out, ("leads out",)),
}


def unreadable(label: str, name: str, *words: str, base: str = "gpt2") -> dict[str, Case]:
    """The cases in which there is no file of that name to read; all lines have `words`."""
    return {
        f"{label}: {what}": case(damage(name), *words, *more, base=base)
        for what, (damage, more) in NO_FILES.items()
    }


def both(*damages: Damage) -> Damage:
    def damage(folder: Path) -> None:
        for one in damages:
            one(folder)

    return damage


def tensors(how: Callable[[dict[str, torch.Tensor]], Any], name: str = WEIGHTS) -> Damage:
    """Change the weights and write them anew, in place or as what `how` returns."""

    def damage(folder: Path) -> None:
        state = {key: value.clone() for key, value in load_file(folder / name).items()}
        changed = how(state)
        save_file(changed if isinstance(changed, dict) else state, folder / name)

    return damage


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of that header, whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def header(how: Callable[[dict[str, Any]], Any]) -> Damage:
    """Change what the header says, and leave the data as they are."""

    def changed(raw: bytes) -> bytes:
        size = struct.unpack("<Q", raw[:8])[0]
        fields = json.loads(raw[8 : 8 + size])
        return safetensors(how(fields) or fields, raw[8 + size :])

    return change(WEIGHTS, changed)


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    """A tensor as a header describes it."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
