"""Folders of a file that is large enough for the cache and one that is not, and damage to them."""

import os

from checkpoints import checksum_cache, write_folder

LARGE, TINY = "model.safetensors", "config.json"


def make(folder, byte=b"a"):
    def fill(place):
        (place / LARGE).write_bytes(byte * checksum_cache.MIN_CACHED_BYTES)
        (place / TINY).write_text("{}")

    write_folder(folder, fill)
    return folder


def wait_for_the_clock(path):
    """Until a change would have another time than the last: file systems' clocks tick."""
    scratch = path.parent.parent / "clock"
    while True:
        scratch.touch()
        if scratch.stat().st_ctime_ns > path.stat().st_ctime_ns:
            return


def flip_a_bit(path):
    with path.open("r+b") as stream:
        stream.seek(-4, os.SEEK_END)
        byte = stream.read(1)[0]
        stream.seek(-4, os.SEEK_END)
        stream.write(bytes([byte ^ 1]))


def append(path):
    with path.open("ab") as stream:
        stream.write(b"a")


def cut(path):
    os.truncate(path, 1000)


def replace_by_rename(path):
    other = path.with_name("other")
    other.write_bytes(b"b" * path.stat().st_size)
    other.replace(path)


def restoring_times(damage):
    def restored(path):
        before = path.stat()
        damage(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return restored


def rot(path, monkeypatch):
    """Damage that leaves no trace in a file's state, as when a disk loses a bit."""
    before = path.stat()
    flip_a_bit(path)
    state = checksum_cache._state_of
    monkeypatch.setattr(
        checksum_cache,
        "_state_of",
        lambda stream: state(stream)._replace(
            mtime_ns=before.st_mtime_ns, ctime_ns=before.st_ctime_ns
        ),
    )
