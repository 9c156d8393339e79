"""A hostile folder is one line and an exit code: at once, in little memory, and nothing of it is
ever run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loading.damage import CANARY, CONFIG, TOKENIZER, WEIGHTS
from tests.loading.forks import Ended, Forks
from tests.loading.hostile import CORPUS, HARMLESS, KINDS, bases, command
from tests.loading.mutated import mutated
from tests.sampling import one_in
from tokenizer import Tokenizer

pytestmark = pytest.mark.integration

USER, SECONDS, MEBIBYTES, CHARACTERS = {2, 3, 4}, 2.0, 300.0, 420


NOTICES = {
    f"transduce: lines with {notice}: 1"
    for notice in (
        "characters that the model does not know",
        "an answer that has unknown characters, which are left out of the text",
        "an answer cut off at the limit of new tokens (--max-tokens)",
    )
}


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    place = tmp_path_factory.mktemp("good")
    bases(place, tokenizer)
    return place


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    started = Forks()
    yield started
    started.close()


def check(ended: Ended, folder: Path) -> None:
    """One line that a user can read, soon."""
    line = ended.err.replace(str(folder), "FOLDER")
    assert ended.code in USER, (ended.code, line[:2000], ended.out)
    assert ended.out == ""
    assert line.startswith("transduce: ")
    assert line.endswith("\n")
    assert line[:-1].isprintable(), line
    assert len(line) <= CHARACTERS, (len(line), line[:2000])
    assert ended.seconds < SECONDS
    assert ended.mebibytes < MEBIBYTES
    assert not Path(CANARY).exists()


def assert_runs(ended: Ended) -> None:
    """It runs, and tells at most what the text of a random model is like."""
    assert ended.code == 0, ended.err
    assert set(ended.err.splitlines()) <= NOTICES, ended.err


@pytest.mark.parametrize("name", one_in(4, CORPUS, of_each=lambda name: name.partition(":")[0]))
def test_a_hostile_folder_is_one_line(good: Path, forks: Forks, tmp_path: Path, name: str) -> None:
    hostile = CORPUS[name]
    folder = tmp_path / "model"
    shutil.copytree(good / hostile.base, folder)
    hostile.damage(folder)
    ended = forks.run(*command(hostile.base, folder))
    shutil.rmtree(tmp_path)
    if name in HARMLESS:
        assert_runs(ended)
        return
    check(ended, folder)
    assert [word for word in hostile.words if word not in ended.err] == [], ended.err


MUTABLE = ("gpt2", "llama", "t5", "bart", "ours", *KINDS)


def run_mutated(good: Path, forks: Forks, folder: Path, seed: int) -> Ended:
    """What a folder does of which one file is not what it was."""
    base = MUTABLE[seed % len(MUTABLE)]
    name = (CONFIG, TOKENIZER)[seed // len(MUTABLE) % 2]
    if not folder.exists():
        shutil.copytree(good / base, folder)
    (folder / name).write_bytes(mutated((good / base / name).read_bytes(), seed))
    ended = forks.run(*command(base, folder))
    shutil.copyfile(good / base / name, folder / name)
    return ended


def check_mutated(good: Path, forks: Forks, place: Path, seeds: range) -> None:
    """Each loads, or is one line."""
    for seed in seeds:
        folder = place / MUTABLE[seed % len(MUTABLE)]
        ended = run_mutated(good, forks, folder, seed)
        try:
            if ended.code:
                check(ended, folder)
            assert all(line.startswith("transduce: ") for line in ended.err.splitlines())
            assert ended.seconds < SECONDS
            assert ended.mebibytes < MEBIBYTES
        except AssertionError as error:
            raise AssertionError(f"mutation {seed}: {ended}") from error


def test_some_mutated_files_load_or_are_one_line(good: Path, forks: Forks, tmp_path: Path) -> None:
    check_mutated(good, forks, tmp_path, range(0, 6000, 389))


@pytest.mark.slow
def test_all_mutated_files_load_or_are_one_line(good: Path, forks: Forks, tmp_path: Path) -> None:
    check_mutated(good, forks, tmp_path, range(6000))


@pytest.mark.parametrize(
    "base",
    [
        "gpt2",
        "llama",
        "mistral",
        "t5",
        "bart",
        "ours",
        *KINDS,
        "sharded",
        "pickled",
        "pickled, old",
    ],
)
def test_the_good_folders_run(good: Path, forks: Forks, base: str) -> None:
    ended = forks.run(*command(base, good / base))
    assert_runs(ended)
    assert ended.mebibytes < MEBIBYTES


def test_a_hub_cache_and_a_link_to_a_folder_run(good: Path, forks: Forks, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, path in enumerate((good / "gpt2").iterdir()):
        shutil.copyfile(path, blobs / f"{number:064}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number:064}")
    (tmp_path / "linked").symlink_to(snapshot)
    assert (snapshot / WEIGHTS).is_symlink()
    for folder in (snapshot, tmp_path / "linked"):
        ended = forks.run(*command("gpt2", folder))
        assert_runs(ended)
