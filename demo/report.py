"""The end of `make demo`: what its models read and wrote, side by side, and what to type next.

python demo/report.py FOLDER PROGRAM DATES_SECONDS NAMES_SECONDS

FOLDER has what demo/run.sh writes: two runs, `dates` and `names`, and beside them `text`, with what
they learnt from, and `written`, with what they wrote.
"""

import io
import json
import math
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tokenizer.quantities import format_count

SHOWN = 8  # dates, the first of the test; names that were not learnt


class DateAnswers(NamedTuple):
    """The dates of the test, what the model made of them, and what is right."""

    phrases: list[str]
    answers: list[str]
    dates: list[str]
    learnt: set[str]  # all dates of the training text

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Phrase, answer and date of each line."""
        return [*zip(self.phrases, self.answers, self.dates, strict=True)]

    @property
    def right(self) -> int:
        """The number of answers that are exactly right."""
        return sum(answer == date for _, answer, date in self.rows)

    @property
    def new(self) -> int:
        """The number of dates that are not in the training text."""
        return sum(date not in self.learnt for date in self.dates)


class Names(NamedTuple):
    """The names that a model learnt from, and those that it never saw."""

    learnt: set[str]
    held_out: set[str]

    def describe(self, name: str) -> str:
        """Return what a name that was written is: learnt, true though never shown, or invented."""
        if name in self.learnt:
            return f"learnt {sign(name)}"
        if name in self.held_out:
            return f"true, never shown {sign(name)}"
        return "invented"


def sign(name: str) -> str:
    """Return the character of a name, on a dotted circle if it needs something below it.

    >>> sign("DIGIT ONE")
    '1'
    """
    character = unicodedata.lookup(name)
    category = unicodedata.category(character)
    if category.startswith("M"):
        return f"\N{DOTTED CIRCLE}{character}"
    return "" if category[0] in "CZ" else character


def read_lines(file: Path) -> list[str]:
    """Return the lines of a file."""
    return file.read_text(encoding="utf-8").splitlines()


def read_json(file: Path) -> Any:
    """Return what a file of JSON holds."""
    return json.loads(file.read_text(encoding="utf-8"))


def read_answers(record: dict[str, Any]) -> Iterator[str]:
    """Yield the answers of a line of `generate --json`, each with its prompt."""
    for answer in record["n_best"]:
        yield record["prompt"] + answer["text"]


def count_weights(run: Path) -> int:
    """Return the number of weights in a run's best model, from the header of its file."""
    best = read_json(run / "run.json")["best"]
    with (run / best / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    shapes = (tensor["shape"] for name, tensor in header.items() if name != "__metadata__")
    return sum(math.prod(shape) for shape in shapes)


def read_dates(folder: Path) -> DateAnswers:
    """Return what became of the dates of the test."""
    text = folder / "text" / "dates"
    return DateAnswers(
        phrases=read_lines(text / "test.en"),
        answers=read_lines(folder / "written" / "dates.txt"),
        dates=read_lines(text / "test.iso"),
        learnt={*read_lines(text / "train.iso")},
    )


def read_names(folder: Path) -> Names:
    """Return the names that the model learnt from, and those that it did not."""
    text = folder / "text" / "names"
    return Names({*read_lines(text / "train.txt")}, {*read_lines(text / "valid.txt")})


def new_table(*titles: str) -> Table:
    """Return a table without lines, whose cells are folded where the terminal is narrow."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold", min_width=len("MATHEMATICAL"))
    return table


def table_of_dates(dates: DateAnswers) -> Table:
    """Return the first dates of the test beside what was made of them."""
    table = new_table("input", "output")
    for phrase, answer, date in dates.rows[:SHOWN]:
        table.add_row(phrase, answer if answer == date else f"{answer}, which is wrong: {date}")
    return table


def table_of_names(records: list[dict[str, Any]], names: Names) -> Table:
    """Return beginnings beside how the model goes on with them, each in several ways."""
    table = new_table("input", "output", "real?")
    for record in records:
        for number, answer in enumerate(record["n_best"]):
            kind = names.describe(record["prompt"] + answer["text"])
            table.add_row(
                "" if number else record["prompt"], answer["text"].strip() or "(the end)", kind
            )
    return table


def table_of_new_names(names: Names, drawn: list[str]) -> Table:
    """Return names that the model wrote without having seen them, and their characters."""
    table = new_table("output", "character")
    for name in [name for name in drawn if name in names.held_out][:SHOWN]:
        table.add_row(name, sign(name))
    return table


def share(part: int, total: int) -> str:
    """Return a part of a total in percent.

    >>> share(486, 500)
    '97.2%'
    """
    return f"{part / total:.1%}"


def summary(
    folder: Path, seconds: dict[str, int], dates: DateAnswers, names: Names, drawn: list[str]
) -> Table:
    """Return what was trained for how long, and how good it is."""
    evaluation = read_json(folder / "written" / "evaluation.json")
    size = {name: format_count(count_weights(folder / name), "weight") for name in seconds}
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(
        "dates",
        f"a translator of {size['dates']}, trained in {seconds['dates']} s. Of "
        f"{format_count(len(dates.dates), 'line')}, {dates.right} come out right to the letter "
        f"({share(dates.right, len(dates.dates))}); {dates.new} have dates that are not in its "
        "training text.",
    )
    learnt, unseen = (sum(n in part for n in drawn) for part in (names.learnt, names.held_out))
    invented = len(drawn) - learnt - unseen
    table.add_row(
        "names",
        f"a language model of {size['names']}, trained in {seconds['names']} s: "
        f"{evaluation['bits_per_byte']:.2f} bits a byte on {len(names.held_out):,} names that "
        f"were kept apart. Of {len(drawn)} names that it wrote without a beginning, {learnt} are "
        f"learnt, {unseen} are true but were never shown to it, and {invented} are invented.",
    )
    return table


def print_report(folder: Path, program: str, seconds: dict[str, int]) -> None:
    """Print it all on stdout."""
    console = Console(highlight=False)
    dates, names = read_dates(folder), read_names(folder)
    records = [json.loads(line) for line in read_lines(folder / "written" / "names.jsonl")]
    drawn = [*read_answers(read_json(folder / "written" / "drawn.json"))]
    parts = {
        f"Dates that were kept apart, {SHOWN} of {len(dates.dates)}": table_of_dates(dates),
        "Names of characters, from their beginnings": table_of_names(records, names),
        "True names that it was never shown": table_of_new_names(names, drawn),
        "What this was": summary(folder, seconds, dates, names, drawn),
    }
    for title, table in parts.items():
        if table.row_count:
            console.print(Text(f"\n{title}\n", style="bold"))
            console.print(Padding(table, (0, 0, 0, 2)))
    console.print(Text("\nWhat to type next\n", style="bold"))
    for command in (
        f"echo 'the 3rd of May, 2021' | {program} translate -m {folder}/dates",
        f"{program} generate 'LATIN SMALL LETTER' -m {folder}/names --n-best 5",
        f"{program} train --pairs YOUR.tsv -o runs/mine",
    ):
        console.print(Text(f"  {command}"), soft_wrap=True)
    console.print(
        Text(
            f"\nThe models stay in {folder}, which git ignores; rm -r {folder} takes them away. "
            "YOUR.tsv has a text and its translation on each line. README.md goes on from here."
        )
    )


def main() -> None:
    """Print the report of a folder."""
    folder, program, dates_seconds, names_seconds = sys.argv[1:]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # characters that the terminal's encoding lacks
    print_report(Path(folder), program, {"dates": int(dates_seconds), "names": int(names_seconds)})


if __name__ == "__main__":
    main()
