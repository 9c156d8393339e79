"""ARCHITECTURE.md against the code, as far as it lists what is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("cli", "transformer", "tokenizer", "checkpoints", "transduce")
PLAIN = {"TOKENIZERS", "FAMILIES"}  # dictionaries


def test_all_registries_are_listed():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    listed = text.partition("**Registries, not flags.**")[2].partition("A missing key")[0]
    code = "".join(
        path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    )
    registries = {*re.findall(r"^([A-Z][A-Z_0-9]+)(?:: [^=\n]+)? = Registry\(", code, re.M)}
    assert {*re.findall(r"`(\w+)`", listed)} == registries | PLAIN


def test_modules_that_are_listed_are_there():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for row in re.findall(r"^\| (`[^|]+) \|", text.partition("## Modules")[2], re.M):
        folder = ROOT
        for path in re.findall(r"`([\w/]+(?:/|\.py))`", row):
            at_root = (ROOT / path).exists()
            assert at_root or (folder / path).exists(), path
            folder = (ROOT / path).parent if at_root else folder


def test_a_kind_of_model_has_one_name():
    """In users' texts: translator, language model, encoder; of architectures: the three shapes."""
    other = re.compile(
        r"decoder[- ]only|encoder[- ]only|seq2seq|sequence[- ]to[- ]sequence|causal (?:LM|language)"
        r"|translation model|text model",
        re.I,
    )
    paths = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    paths += [path for name in ("cli", "transduce") for path in (ROOT / name).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)): names
        for path in paths
        if (names := other.findall(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_no_module_is_too_long_to_be_read_at_once():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 300} == {}
