"""A cache that is damaged, hostile, full, or nowhere is no error and changes no answer."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from checkpoints import CheckpointError, checksum_cache, verify_checksums
from checkpoints.checksum_cache import MAX_ENTRIES, cache_file
from tests.checkpoints.damage import LARGE, flip_a_bit, make, rot, wait_for_the_clock

CHANGED = "contents are not what was written"


@pytest.mark.parametrize("lie", ["mode", "owner"])
def test_a_cache_that_others_may_have_written_is_not_believed(known, cache, monkeypatch, lie):
    rot(known / LARGE, monkeypatch)
    if lie == "mode":
        cache.chmod(0o620)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    with pytest.raises(CheckpointError, match=CHANGED):
        verify_checksums(known, trust_cache=True)


def of_bytes(content):
    return lambda path: path.write_bytes(content)


def terabyte(path):
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("plant", "replaced"),
    [
        (Path.touch, True),
        (of_bytes(b"\xff" * 64 + b"\n\0\n" + b"0" * 64), True),
        (of_bytes(json.dumps({"sums": [True, 1.0, None]}).encode()), True),
        (terabyte, True),
        (lambda path: path.symlink_to("/dev/zero"), True),
        (lambda path: path.symlink_to(path), True),
        (os.mkfifo, True),
        (Path.mkdir, False),
    ],
    ids=["empty", "bytes", "json", "terabyte", "zeros", "circle", "pipe", "folder"],
)
@pytest.mark.usefixtures("later")
def test_a_damaged_cache_changes_no_answer(model, cache, summed, plant, replaced):
    cache.parent.mkdir(parents=True)
    plant(cache)
    for _ in range(2):
        verify_checksums(model, trust_cache=True)
    assert summed.count(LARGE) == (1 if replaced else 2)
    if replaced:
        assert cache.lstat().st_size <= MAX_ENTRIES * 65
    wait_for_the_clock(model / LARGE)
    flip_a_bit(model / LARGE)
    with pytest.raises(CheckpointError, match=CHANGED):
        verify_checksums(model, trust_cache=True)


@pytest.mark.usefixtures("later")
def test_a_pipe_that_says_nothing_is_not_waited_for(model, cache, summed):
    cache.parent.mkdir(parents=True)
    os.mkfifo(cache)
    writer = os.open(cache, os.O_RDWR)
    verify_checksums(model, trust_cache=True)
    os.close(writer)
    assert LARGE in summed


def test_a_line_cut_short_takes_no_other_with_it(known, tmp_path, cache, summed):
    other = make(tmp_path / "other", b"b")
    verify_checksums(other, trust_cache=True)
    cache.write_bytes(cache.read_bytes()[:-2])
    summed.clear()
    verify_checksums(known, trust_cache=True)
    verify_checksums(other, trust_cache=True)
    assert summed.count(LARGE) == 1


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("call", [(Path, "mkdir"), (Path, "replace"), (os, "fdopen")])
@pytest.mark.usefixtures("later")
def test_a_cache_that_cannot_be_written_is_no_error(model, cache, summed, call, error):
    def refuse(*_, **__):
        raise OSError(error, os.strerror(error))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*call, refuse)
        for _ in range(2):
            verify_checksums(model, trust_cache=True)
    assert summed.count(LARGE) == 2
    assert not cache.parent.exists() or [*cache.parent.iterdir()] == []


@pytest.mark.parametrize("place", ["home", "home/cache", "home/cache/transduce"])
def test_a_cache_folder_that_cannot_be_made_is_no_error(model, later, tmp_path, summed, place):
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_text("a file")
    for _ in range(2):
        verify_checksums(model, trust_cache=True)
    assert summed.count(LARGE) == 2
    assert (tmp_path / place).read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_locked_cache_folder_is_no_error(model, later, cache, summed, mode):
    cache.parent.mkdir(parents=True)
    cache.parent.chmod(mode)
    for _ in range(2):
        verify_checksums(model, trust_cache=True)
    cache.parent.chmod(0o700)
    assert summed.count(LARGE) == 2


@pytest.mark.parametrize("given", [None, "", "relative/cache"])
def test_without_an_absolute_cache_folder_it_is_the_homes(tmp_path, monkeypatch, given):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    if given is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache_file() == tmp_path / ".cache" / "transduce" / checksum_cache.CACHE_NAME


@pytest.mark.usefixtures("later")
def test_without_a_home_everything_is_summed(model, summed, tmp_path, monkeypatch):
    """HOME is unset and the system knows no such user, as in some containers."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}["no such user"])
    monkeypatch.chdir(tmp_path)
    before = {*tmp_path.rglob("*")}
    for _ in range(2):
        verify_checksums(model, trust_cache=True)
    assert summed.count(LARGE) == 2
    assert {*tmp_path.rglob("*")} == before


@pytest.mark.usefixtures("later")
def test_the_oldest_entries_are_forgotten(tmp_path, summed, cache, monkeypatch):
    monkeypatch.setattr(checksum_cache, "MAX_ENTRIES", 3)
    folders = [make(tmp_path / str(number)) for number in range(5)]
    for each in folders:
        verify_checksums(each, trust_cache=True)
    assert cache.stat().st_size == 3 * 65
    for each in reversed(folders):
        summed.clear()
        verify_checksums(each, trust_cache=True)
        assert (LARGE in summed) == (each in folders[:2])


@pytest.mark.usefixtures("known")
def test_the_cache_is_the_users_alone(cache):
    assert cache.stat().st_mode & 0o777 == 0o600
    assert cache.parent.stat().st_mode & 0o777 == 0o700
    assert [*cache.parent.iterdir()] == [cache]


def test_writers_at_once_leave_whole_lines_and_no_litter(tmp_path, later, cache):
    """Some entries may be lost, when two add theirs to the same list."""
    folders = [make(tmp_path / str(number)) for number in range(8)]

    def work(folder):
        for _ in range(20):
            verify_checksums(folder)
            seen = cache.read_bytes()
            assert seen
            assert len(seen) % 65 == 0
            assert set(seen) <= set(b"0123456789abcdef\n")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, folder) for folder in folders]:
            done.result()
    assert [*cache.parent.iterdir()] == [cache]


def test_the_tests_leave_the_users_own_cache_alone(tmp_path_factory):
    assert cache_file().is_relative_to(tmp_path_factory.getbasetemp())
