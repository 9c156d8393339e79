"""The package `transduce`: its version, `python -m`, and modules that stand in its way."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import transduce

ROOT = Path(transduce.__file__).parents[1]
OURS = ("checkpoints", "cli", "tokenizer", "transformer")


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python in a folder, to which the project is installed rather than current."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert transduce.__version__ == project["version"]


def test_no_other_name_is_there() -> None:
    assert all(hasattr(transduce, name) for name in transduce.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        transduce.lod  # noqa: B018


@pytest.mark.integration
def test_python_m_is_the_command_line(tmp_path: Path) -> None:
    ended = python("-m", "transduce", "--version", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"transduce {transduce.__version__}\n")


@pytest.mark.integration
@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("is_package", [False, True])
def test_a_module_in_the_way_is_named_in_one_line(tmp_path, name: str, is_package: bool) -> None:
    path = tmp_path / name / "__init__.py" if is_package else tmp_path / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise SystemExit('it was run')")
    ended = python("-c", "import transduce", folder=tmp_path)
    last = ended.stderr.splitlines()[-1]
    assert ended.returncode == 1
    assert last.startswith(f"ImportError: transduce needs its own package {name!r}")
    assert str(path) in last
    ended = python("-m", "transduce", "--version", folder=tmp_path)
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1 and str(path) in line


@pytest.mark.integration
def test_importing_it_does_not_wait_for_torch(tmp_path: Path) -> None:
    code = "import sys, transduce; transduce.__version__; assert 'torch' not in sys.modules"
    assert python("-c", code, folder=tmp_path).returncode == 0
