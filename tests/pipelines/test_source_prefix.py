"""A prefix before sources has the ids that it has in the text itself."""

from pathlib import Path

import pytest

from tests.families.random_tokenizers import TOKENIZERS
from tokenizer import read_tokenizers
from transformer.pipelines.source_prefix import source_prefix_ids


@pytest.mark.parametrize(
    ("family", "choices"), [("bart", {"add_prefix_space": True}), ("t5", {"extra_ids": 0})]
)
def test_a_prefix_does_not_take_the_space_of_its_text(
    family: str, choices: dict[str, object], tmp_path: Path
) -> None:
    TOKENIZERS[family].write(choices, tmp_path)
    tokenizer = read_tokenizers(tmp_path).source
    before = source_prefix_ids(tokenizer, "the dogs: ")
    assert [*before, *tokenizer.encode("fox")] == tokenizer.encode("the dogs: fox")


def test_where_words_do_not_begin_with_spaces_the_prefix_ends_with_its_own(tmp_path: Path) -> None:
    TOKENIZERS["bart"].write({"add_prefix_space": False}, tmp_path)
    tokenizer = read_tokenizers(tmp_path).source
    assert source_prefix_ids(tokenizer, "the: ") == tokenizer.encode("the: ")
