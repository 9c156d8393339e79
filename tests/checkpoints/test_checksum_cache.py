"""A file whose state is known is not summed again, and whatever damages it is noticed."""

import json
import time
from pathlib import Path

import pytest

from checkpoints import CheckpointError, checksum_cache, verify_checksums
from checkpoints.atomic_folder import MANIFEST
from checkpoints.checksum_cache import FileState
from tests.checkpoints.damage import (
    LARGE,
    TINY,
    append,
    cut,
    flip_a_bit,
    replace_by_rename,
    restoring_times,
    rot,
    wait_for_the_clock,
)

CHANGED = "contents are not what was written"


def test_a_large_file_is_summed_once_and_a_small_one_always(known, summed):
    for _ in range(2):
        verify_checksums(known, trust_cache=True)
    assert summed == [TINY, TINY]


def test_without_trust_everything_is_summed_and_nothing_noted_twice(known, cache, summed):
    before = cache.read_bytes()
    verify_checksums(known)
    assert sorted(summed) == [TINY, LARGE]
    assert cache.read_bytes() == before


def test_what_was_summed_without_trust_is_remembered(model, later, summed):
    verify_checksums(model)
    summed.clear()
    verify_checksums(model, trust_cache=True)
    assert summed == [TINY]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "it has 1,000 bytes, 1,048,576 were written"),
        (append, "it has 1,048,577 bytes, 1,048,576 were written"),
        (flip_a_bit, CHANGED),
        (restoring_times(flip_a_bit), CHANGED),
        (replace_by_rename, CHANGED),
        (restoring_times(replace_by_rename), CHANGED),
        (Path.unlink, f"incomplete: {LARGE} is missing"),
    ],
    ids=["cut", "longer", "bit", "bit, time restored", "replaced", "replaced, restored", "missing"],
)
def test_damage_to_a_known_file_is_found(known, damage, words):
    wait_for_the_clock(known / LARGE)
    damage(known / LARGE)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=words):
            verify_checksums(known, trust_cache=True)


@pytest.mark.parametrize("field", FileState._fields)
def test_each_part_of_a_state_counts(known, summed, monkeypatch, field):
    """Some file systems keep no change times or invent inodes: the other parts stand in."""
    state = checksum_cache._state_of

    def changed(stream):
        found = state(stream)
        return found._replace(**{field: getattr(found, field) + 1})

    monkeypatch.setattr(checksum_cache, "_state_of", changed)
    verify_checksums(known, trust_cache=True)
    assert LARGE in summed


def test_a_state_holds_what_the_file_system_says(model):
    with (model / LARGE).open("rb") as stream:
        found = checksum_cache._state_of(stream)
    there = (model / LARGE).stat()
    assert found == (
        there.st_size,
        there.st_mtime_ns,
        there.st_ctime_ns,
        there.st_dev,
        there.st_ino,
    )


def test_a_folder_that_was_moved_is_summed_again(known, tmp_path, summed):
    known.rename(tmp_path / "elsewhere")
    verify_checksums(tmp_path / "elsewhere", trust_cache=True)
    assert LARGE in summed


@pytest.mark.parametrize("sha256", ["0" * 64, "", "\udcff"])
def test_a_manifest_that_expects_another_sum_is_obeyed(known, sha256):
    entries = json.loads((known / MANIFEST).read_text())
    entries[LARGE]["sha256"] = sha256
    (known / MANIFEST).write_text(json.dumps(entries))
    with pytest.raises(CheckpointError, match=CHANGED):
        verify_checksums(known, trust_cache=True)


def test_a_young_file_is_not_remembered(model, summed, cache):
    for _ in range(2):
        verify_checksums(model, trust_cache=True)
    assert summed.count(LARGE) == 2
    assert not cache.exists()


@pytest.mark.parametrize("ages", [(2, 9), (9, 2), (-9, 9), (9, 9)], ids=str)
def test_both_times_of_a_file_must_be_old(model, summed, monkeypatch, ages):
    """In seconds, since its contents and its state changed; a time to come is no old one."""
    state, now = checksum_cache._state_of, time.time_ns()
    mtime_ns, ctime_ns = (now - age * 10**9 for age in ages)
    monkeypatch.setattr(checksum_cache, "time_ns", lambda: now)
    monkeypatch.setattr(
        checksum_cache,
        "_state_of",
        lambda stream: state(stream)._replace(mtime_ns=mtime_ns, ctime_ns=ctime_ns),
    )
    for _ in range(2):
        verify_checksums(model, trust_cache=True)
    assert summed.count(LARGE) == (1 if ages == (9, 9) else 2)


def test_a_file_that_changes_while_it_is_summed_is_not_remembered(known, cache, monkeypatch):
    cache.unlink()
    digest = checksum_cache.sha256_hex

    def changing(stream):
        found = digest(stream)
        if Path(stream.name).name == LARGE:
            wait_for_the_clock(known / LARGE)
            flip_a_bit(known / LARGE)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(checksum_cache, "sha256_hex", changing)
        verify_checksums(known, trust_cache=True)
    assert not cache.exists()
    with pytest.raises(CheckpointError, match=CHANGED):
        verify_checksums(known, trust_cache=True)


def test_a_sum_that_is_found_to_be_wrong_is_forgotten(known, monkeypatch):
    rot(known / LARGE, monkeypatch)
    verify_checksums(known, trust_cache=True)
    for trust in (False, True):
        with pytest.raises(CheckpointError, match=CHANGED):
            verify_checksums(known, trust_cache=trust)
