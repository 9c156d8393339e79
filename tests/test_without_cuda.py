"""The tests for CUDA, where there is none: one line, and no mistake in them."""

import os
import subprocess
import sys

import pytest
import torch

pytestmark = pytest.mark.integration


def run_gpu_tests(**environment: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "tests.gpu"]
    changed = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment}
    return subprocess.run(program, check=False, capture_output=True, text=True, env=changed)


def test_without_cuda_one_line_says_that_nothing_was_tested() -> None:
    done = run_gpu_tests()
    assert (done.returncode, done.stderr) == (0, "")
    wanted = f"tests/gpu: no CUDA here (torch {torch.__version__}), so nothing was tested\n"
    assert done.stdout == wanted


@pytest.mark.slow
def test_the_tests_for_cuda_pass_where_both_devices_are_the_cpu() -> None:
    done = run_gpu_tests(TRANSDUCE_GPU_TESTS_ON="cpu")
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout
