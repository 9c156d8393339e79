"""Imports are declared, declared versions pinned, and targets install no more than they need."""

import ast
import fnmatch
import functools
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("cli", "transformer", "tokenizer", "checkpoints")
EXTRAS = ("constrained", "eval", "export")  # of which the four packages know


class Import(NamedTuple):
    """A top-level module that a file imports; eagerly, if loading the file is enough."""

    module: str
    location: str
    eager: bool


def imports(tree: ast.AST, location: str, *, eager: bool = True) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [] if node.level else [str(node.module)]
            for name in names:
                yield Import(name.partition(".")[0], f"{location}:{node.lineno}", eager)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports(ast.Module(node.body, []), location, eager=False)
            yield from imports(ast.Module(node.orelse, []), location, eager=eager)
        else:
            deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports(node, location, eager=eager and not deferred)


def third_party() -> list[Import]:
    ours = {*PACKAGES, *sys.stdlib_module_names}
    return [
        item
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        for item in imports(ast.parse(file.read_bytes()), str(file.relative_to(ROOT)))
        if item.module not in ours
    ]


def canonical(requirement: str) -> str:
    """Return the name in a requirement, normalized by PEP 503."""
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@functools.cache  # which reads all that is installed: 0.1 s
def owners() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def distributions(module: str) -> set[str]:
    return {canonical(owner) for owner in owners().get(module, [module])}


def declared(*extras: str) -> set[str]:
    lists = (PROJECT["optional-dependencies"][extra] for extra in extras)
    return {canonical(requirement) for requirements in lists for requirement in requirements}


DEPENDENCIES = {canonical(requirement) for requirement in PROJECT["dependencies"]}


def test_imports_are_eager_or_deferred() -> None:
    source = """
import a.b
from .own import x
from . import y
if TYPE_CHECKING:
    import c
else:
    import d
try:
    from e.f import g
except ImportError:
    pass
def function():
    import h
class Class:
    import i
    async def method(self):
        from j import k
"""
    eager = {name: eager for name, _, eager in imports(ast.parse(source), "")}
    assert eager == {"a": True, "c": False, "d": True, "e": True, "h": False, "i": True, "j": False}


def test_all_that_is_imported_is_declared() -> None:
    allowed = DEPENDENCIES | declared(*EXTRAS)
    assert [f for f in third_party() if not distributions(f.module) & allowed] == []


def test_all_that_is_declared_is_imported() -> None:
    used = {owner for item in third_party() for owner in distributions(item.module)}
    assert (DEPENDENCIES | declared(*EXTRAS)) - used == set()


def test_extras_are_never_imported_eagerly() -> None:
    eager = [f for f in third_party() if f.eager]
    assert [f for f in eager if not distributions(f.module) & DEPENDENCIES] == []


def test_a_tested_version_is_pinned_of_each() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    pinned = [canonical(line) for line in lines if re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    assert len(pinned) == len(lines) and pinned == sorted(set(pinned))
    wanted = DEPENDENCIES | declared(*PROJECT["optional-dependencies"])
    assert wanted - {*pinned, "transduce"} == set()


def test_the_version_stands_in_one_place() -> None:
    assert importlib.metadata.version("transduce") == PROJECT["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[?([\d.]+)\]? - (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    assert releases[0][0] == PROJECT["version"]
    assert releases == sorted(releases, key=lambda release: release[1], reverse=True)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
@pytest.mark.parametrize(
    ("target", "requirements"),
    [("demo", [".[eval]"]), ("test", [".[eval]", ".[test]"]), ("lint", [".[eval]", ".[lint]"])],
)
def test_a_target_installs_no_more_than_it_needs(
    tmp_path: Path, target: str, requirements: list[str]
) -> None:
    command = ["make", "--dry-run", target, f"VENV={tmp_path}", "TORCH_INDEX="]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if "pip install" in line]
    installed = [line.rpartition(" -c constraints.txt -e ")[2].strip("'") for line in lines]
    assert installed == requirements


def test_files_that_packages_read_travel_in_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    include = settings["setuptools"]["packages"]["find"]["include"]
    patterns = settings["setuptools"]["package-data"]
    roots = {pattern.rstrip("*") for pattern in include}
    tracked = subprocess.run(
        ["git", "ls-files", *sorted(roots)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    data = [Path(name) for name in tracked.stdout.split() if not name.endswith(".py")]
    if not data:
        pytest.skip("no git repository")
    for path in data:
        package = ".".join(path.parent.parts)
        inner = [
            (package, path.name),
            (".".join(path.parent.parts[:-1]), "/".join(path.parts[-2:])),
        ]
        assert any(
            fnmatch.fnmatch(name, pattern)
            for key, listed in patterns.items()
            for pattern in listed
            for owner, name in inner
            if key in ("*", owner)
        ), f"{path}: name it in package-data of pyproject.toml"
    assert Path("transformer/training/recipes/dates.toml") in data
