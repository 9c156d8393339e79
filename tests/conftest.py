"""What all tests share: few threads, fixed seeds, a cache folder that is not the user's."""

from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)  # tiny models run fastest on one thread


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
