"""Run this folder's tests where there is CUDA, with the Python at hand; nothing is installed.

python -m tests.gpu [options of pytest]
"""

import importlib.util
import os
import sys

NEEDED = ("torch", "numpy", "msgspec", "rich", "safetensors", "tokenizers", "typer", "pytest")


def main() -> int:
    """Return pytest's exit code; 0 where there is no CUDA, 1 where a package is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"tests/gpu: {sys.executable} has no {', '.join(missing)}; install, or set PYTHON=…")
        return 1
    import pytest
    import torch

    if not (torch.cuda.is_available() or os.environ.get("TRANSDUCE_GPU_TESTS_ON")):
        print(f"tests/gpu: no CUDA here (torch {torch.__version__}), so nothing was tested")
        return 0
    # Warnings are shown, not errors as elsewhere: drivers and builds of torch have their own.
    options = ["-m", "gpu", "-W", "default", "tests/gpu", *sys.argv[1:]]
    return int(pytest.main(options))


if __name__ == "__main__":
    raise SystemExit(main())
