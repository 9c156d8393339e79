"""A model folder, a cache of its own, and a note of what is summed."""

import time
from pathlib import Path

import pytest

from checkpoints import checksum_cache, verify_checksums
from checkpoints.checksum_cache import cache_file
from tests.checkpoints.damage import LARGE, make


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache file, in a folder that is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    return cache_file()


@pytest.fixture
def later(monkeypatch):
    """An hour passes, so that no file is young."""
    monkeypatch.setattr(checksum_cache, "time_ns", lambda: time.time_ns() + 3_600 * 10**9)


@pytest.fixture
def summed(monkeypatch):
    """Names of the files that are summed, as they are."""
    names, digest = [], checksum_cache.sha256_hex

    def noted(stream):
        names.append(Path(stream.name).name)
        return digest(stream)

    monkeypatch.setattr(checksum_cache, "sha256_hex", noted)
    return names


@pytest.fixture
def model(tmp_path, cache):
    return make(tmp_path / "model")


@pytest.fixture
def known(model, later, summed):
    """A folder whose large file is remembered."""
    verify_checksums(model, trust_cache=True)
    assert LARGE in summed
    summed.clear()
    return model
