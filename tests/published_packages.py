"""Files of published models, as two packages of `make test-published` carry them; neither is run.

Tests take their files from a fixture with two cases: small ones made on the spot, in every run of
the suite, and the published ones, in tests marked `published`.
"""

import importlib.util
from pathlib import Path

import pytest

MADE_OR_PUBLISHED = ("made", pytest.param("published", marks=pytest.mark.published))


def package_folder(package: str) -> Path:
    """Return the folder of an installed package, or fail with the target that installs it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.fail(f"{package} is not installed: make test-published", pytrace=False)
    return Path(spec.origin).parent
