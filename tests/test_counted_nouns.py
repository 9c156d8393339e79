"""Messages count nouns by one function, so that nobody reads "1 lines"."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "transformer", "tokenizer", "transduce", "demo")
# What stands behind a number, perhaps after an adjective: " lines", " damaged lines".
NOUN = re.compile(
    r"^ (?:(?!of\b|to\b|in\b|and\b|or\b|the\b)[a-z-]+ )?"
    r"(tokens|lines|characters|pairs|documents|columns|epochs|steps|files|positions|weights"
    r"|parameters|batches|texts|rows|words|bytes|models|terms|heads|layers|answers|tensors|runs"
    r"|checkpoints|sources|validations|seconds|options|items|groups|beams|records)\b"
)
LIMIT = re.compile(r"^_?[A-Z][A-Z_]+\b|limit|most|max_|room|longest|context|vocab|width")
# Values that are never 1 where they are told, or that are no numbers, by file.
NEVER_ONE = {
    "cli/help/render.py": {"count"},  # all options of a command
    "cli/render/progress_lines.py": {"view.units_per_second"},  # a rate
    "transformer/chat/template.py": {"len(text)"},  # more than fit
    "transformer/config.py": {"self.heads"},  # which do not divide a width
    "transformer/decoding/logits/penalties.py": {"logits_RV.size(1)"},
    "transformer/decoding/search/beam.py": {"self.beam", "self.groups", "self.n_best"},
    "transformer/families/family.py": {"expected"},
    "transformer/loading/foreign.py": {"path"},
    "transformer/loading/hub.py": {"hub"},  # a name, and "answers" is a verb
    "transformer/loading/load.py": {"size"},  # of a vocabulary
    "transformer/loading/model_folder.py": {"parameters"},
    "transformer/loading/summary.py": {"config.positions", "config.decoder_layers"},  # with others
    "transformer/pipelines/arguments/search.py": {"self.beam"},
    "transformer/pipelines/embedding.py": {"loaded.folder"},
    "transformer/pipelines/generation.py": {"len(ids)", "len(line.text)"},  # more than fit
    "transformer/pipelines/mbr.py": {"len(texts)"},
    "transformer/pipelines/notices.py": {"drafted"},
    "transformer/pipelines/translation.py": {"len(line.text)"},  # more than fit
    "transformer/pipelines/unknown.py": {"prefix[:60]"},
    "transformer/training/planning/memory.py": {"count_parameters(config)"},
    "transformer/labels/tag_columns.py": {"lines.name"},
    "transformer/training/initial_model.py": {"init.folder"},
    "transformer/training/network_config.py": {"either(objective.shapes)"},
    "transformer/training/recipe_checks.py": {"shapes"},
    "tokenizer/limits.py": {"len(content)", "len(raw)", "len(steps)", "name"},  # more than fit
    "tokenizer/text/delimited.py": {"len(numbers)", "lines.name", "max(wider)"},
    "tokenizer/text/json_beginnings.py": {"path"},
    "tokenizer/text/sources.py": {"self._path"},
    "tokenizer/tokenizer.py": {"max(ids | added.keys()) + 1"},
    "tokenizer/training.py": {"special_tokens"},  # four at least
}


def counted(path: Path) -> Iterator[tuple[str, str]]:
    """Yield values that stand before a noun in the plural, with what follows."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for value, text in pairwise(parts):
            if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                source = ast.unparse(value.value)
                if NOUN.match(str(text.value)) and not LIMIT.search(source):
                    yield source, str(text.value)[:30]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_number_stands_before_a_plural_of_its_own(package: str) -> None:
    wrong = [
        f"{name}: {{{value}}}{text}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in [str(path.relative_to(ROOT))]
        for value, text in counted(path)
        if value not in NEVER_ONE.get(name, ())
    ]
    assert not wrong, "\n".join(["use tokenizer.quantities.format_count:", *wrong])


def test_a_plural_behind_a_number_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('f"{n:,} damaged lines"; f"{MAX_N} lines"; f"{n} of lines"')
    assert [value for value, _ in counted(tmp_path / "a.py")] == ["n"]
