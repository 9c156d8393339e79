"""Shared by all tests: few threads, fixed seeds, a cache folder of their own, and --quick."""

import functools
import gc
import logging
import signal
from collections.abc import Iterator

import pytest
import torch
import typer.main

from tests.forking import ForkServer

torch.set_num_threads(1)  # tiny models run fastest on one thread
gc.disable()  # until all tests are found: they stay, and looking through them takes a third longer
# Under nohup and behind & they are ignored, which the programs of tests would inherit.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="the first and the last case of each test, without those marked `integration`",
    )


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)  # after -k and -m, so that what they leave counts
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--quick"):
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("integration") is None:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    chosen = {item for same in cases.values() for item in (same[0], same[-1])}
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def _no_seeds_for_absent_devices() -> Iterator[None]:
    """Each would keep its caller's stack as text until its device is there: half a millisecond."""
    with pytest.MonkeyPatch.context() as patch:
        for device in (torch.cuda, torch.xpu, torch.mtia):
            if not device.is_available():
                patch.setattr(device, "manual_seed_all", lambda seed: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _files_are_not_synced() -> Iterator[None]:
    """Nothing that tests write outlives a power cut; waiting for disks is a tenth of training's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _commands_built_once() -> Iterator[None]:
    """Building them takes longer than most command lines take that are run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_number_type_is_measured() -> Iterator[None]:
    """Of the types that are as good as float32, none is faster: tests compute alike anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformer.loading.inference.kernel_speeds", lambda base: {base: 1.0})
        yield


@pytest.fixture(autouse=True, scope="session")
def _fixed_seeds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transformer.pipelines.arguments.generate.fresh_seed", lambda: 0)
        yield


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The messages that a program would see, warnings unless it asks for more, oldest first."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger("transduce")
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Starts the program in processes that have all imports behind them."""
    server = ForkServer()
    yield server
    server.close()
