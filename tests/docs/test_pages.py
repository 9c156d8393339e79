"""Every block of README.md and docs/ runs, with small models; every path in them exists."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import transduce
from cli.help.pages import PAGES as HELP_PAGES
from tests.docs.blocks import CHANGES, PAGES, ROOT, Block, blocks, prose
from tests.docs.shell import run_script
from tests.docs.workplace import SMALL_RECIPE, rewrite

# A block that is not run is marked in the page's source: <!-- not run: one of these -->
REASONS = {
    "downloads a model",
    "installs software",
    "is for a clone of the project",
}
MADE = {"build", "runs"}  # folders that git ignores: `make demo` leaves models in runs/
WITHOUT_BLOCKS = {"commands.md"}
# Pages whose models are so small here that they write other texts than those shown.
SMALLER = {
    "README.md",
    "classify-texts.md",
    "tag-words.md",
    "guide.md",
    "pre-train.md",
    "python.md",
    "train-a-language-model.md",
    "train-a-translator.md",
    "translate-files.md",
    "use-a-published-model.md",
}
RUN = [page for page in PAGES if page not in CHANGES]


def run_blocks(page: Path, found: list[Block]) -> None:
    """Run blocks of a page in order, those of Python in one namespace."""
    names: dict[str, object] = {"SMALL_RECIPE": SMALL_RECIPE}
    written = ""
    for block in found:
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if block.is_output and page.name not in SMALLER:
            assert written == block.text, where
        elif block.language != "text":
            try:
                written = run_block(block, names)
            except Exception as error:
                raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error


def run_block(block: Block, names: dict[str, object]) -> str:
    """Run a block; return what it writes to stdout."""
    if block.language == "sh":
        return run_script(block.text, rewrite)
    code = block.text.replace("transduce.train(recipe,", "transduce.train(recipe | SMALL_RECIPE,")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, f"line {block.line}", "exec"), names)
    return out.getvalue()


@pytest.mark.integration
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_a_page_runs(page: Path, workplace) -> None:
    found = [b for b in blocks(page.read_text(encoding="utf-8")) if b.not_run is None]
    run_blocks(page, found)
    assert found or page.name in WITHOUT_BLOCKS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_have_a_language_and_reasons_are_known(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = blocks(text)
    allowed = {"sh", "python", "text", *(["diff"] if page in CHANGES else [])}
    assert {block.language for block in found} <= allowed
    reasons = [block.not_run for block in found if block.not_run is not None]
    assert {*reasons} <= REASONS
    assert text.count("<!-- not run") == len(reasons), "a mark that stands before no block"


def named_paths(text: str) -> set[str]:
    """Return the project's files and folders that a page names, and its links."""
    folders = [p.name for p in ROOT.iterdir() if p.is_dir() and p.name[0] != "."]
    tops = "|".join(re.escape(name) for name in folders if name not in MADE)
    found = set(re.findall(rf"`((?:{tops})/[\w./-]+)`", text))
    found |= set(re.findall(r"`([A-Z][A-Z_]+\.md)`", text))
    return found | set(re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    new = set(re.findall(r"^New file `(.+)`", text, re.MULTILINE))
    missing = [
        name
        for name in sorted(named_paths(prose(text)) - new)
        if not (ROOT / name).exists() and not (page.parent / name).exists()
    ]
    assert missing == []


def test_names_in_the_concepts_are_those_of_the_code() -> None:
    text = prose((ROOT / "docs" / "concepts.md").read_text(encoding="utf-8"))
    packages = ("cli", "transformer", "tokenizer", "checkpoints", "transduce")
    code = "".join(
        f.read_text(encoding="utf-8") for p in packages for f in (ROOT / p).rglob("*.py")
    )
    known = {*re.findall(r"\w+", code)}
    named = {word for span in re.findall(r"`([\w.]+)`", text) for word in span.split(".")}
    files = {name for name in named if (ROOT / f"{name}.md").exists()}
    assert sorted(named - known - files - {"md"}) == []


def test_blocks_are_found_with_what_stands_before_them() -> None:
    page = "a\n\n```sh\nls\n```\n\n<!-- not run: b -->\n```python\n1\n\n2\n```\n```\n```\n"
    first, second, third = blocks(page)
    assert first == ("sh", "ls\n", 4, "a") and first.not_run is None
    assert second[:3] == ("python", "1\n\n2\n", 9) and second.not_run == "b"
    assert (third.language, third.not_run) == ("", None)
    with pytest.raises(ValueError, match="line 2 does not end"):
        blocks("```sh\nls\n")
    assert named_paths(prose("`cli/x.py` [a](b.md#c)\n```sh\n`cli/y.py`\n```\n")) == {
        "cli/x.py",
        "b.md",
    }


def test_a_command_that_fails_is_named(workplace) -> None:
    assert run_script("echo 'a  b' | cat > x\ncat < x | head -n 1") == "a  b\n"
    with pytest.raises(AssertionError, match=r"score -m nowhere .*exit code \[3\]: .* no folder"):
        run_script("transduce score -m nowhere < in.txt")
    with pytest.raises(AssertionError, match="no program 'rm'"):
        run_script("rm x")
    assert transduce.__version__ in run_script("transduce --version")


EXAMPLES = [
    pytest.param(example, id=f"{path or 'transduce'} {number}")
    for path, page in HELP_PAGES.items()
    for number, example in enumerate(page.examples, 1)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_a_help_page_runs(example, workplace):
    run_script("transduce tokenizer train -q book.txt --kind char -o tokenizer.json")
    run_script(example, rewrite)
