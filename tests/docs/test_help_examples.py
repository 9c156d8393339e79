"""The examples of help pages run."""

import pytest

from cli.help.pages import PAGES
from tests.docs.shell import run_script
from tests.docs.workplace import rewrite

EXAMPLES = [
    pytest.param(example, id=f"{path or 'transduce'} {number}")
    for path, page in PAGES.items()
    for number, example in enumerate(page.examples, 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_runs(example, workplace):
    run_script("transduce tokenizer train -q book.txt --kind char -o tokenizer.json")
    run_script(example, rewrite)
