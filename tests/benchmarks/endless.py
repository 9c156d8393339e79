"""Memory over an endless input: short lines through a tiny model, resident memory as it goes.

python -m tests.benchmarks.endless [--lines 1000000]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.models import tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transformer.export import save_model

WORDS = ["one", "two", "three", "four", "five", "six", "seven"]
MARKS = (0.01, 0.1, 0.25, 0.5, 0.75, 1.0)


def tiny_folder(folder: Path) -> Path:
    """A translator of random weights."""
    options = TrainingOptions(kind="byte-bpe", vocab_size=280, min_frequency=1)
    tokenizer = train_tokenizer([" ".join(WORDS)] * 9, options)
    model = tiny_model("encoder-decoder", vocab_size=tokenizer.vocab_size)
    save_model(folder, model.config, model.state_dict(), tokenizer, card={})
    return folder


def resident(process: int) -> float:
    """MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def main() -> None:
    """Print resident memory by lines that came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "cli.app", "translate", "--device", "cpu", "--beam", "1"]
        command += ["-q", "-n", "3", "-m", str(tiny_folder(Path(place)))]
        program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert program.stdin is not None and program.stdout is not None

        def feed() -> None:
            for n in range(asked.lines):
                program.stdin.write(f"{WORDS[n % 7]} {WORDS[n // 7 % 7]}\n".encode())
            program.stdin.close()

        threading.Thread(target=feed, daemon=True).start()
        marks, started, found = [int(mark * asked.lines) for mark in MARKS], time.time(), []
        for number, _ in enumerate(program.stdout, 1):
            if number in marks:
                found.append((number, resident(program.pid), time.time() - started))
        assert program.wait() == 0
    table = Table("lines", "MiB resident", "seconds", title=f"{os.cpu_count()} cores")
    for number, memory, seconds in found:
        table.add_row(f"{number:,}", f"{memory:.1f}", f"{seconds:.1f}")
    Console().print(table)
    assert number == asked.lines


if __name__ == "__main__":
    main()
