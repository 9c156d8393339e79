"""Marks between documents: where they end one, and that they are told where they do not."""

from pathlib import Path

import pytest

from tokenizer import CorpusCounts, TextChunk
from transformer.errors import ConfigError
from transformer.training.corpora import RunningCorpus
from transformer.training.data_recipe import DataRecipe
from transformer.training.separators import count_end_marks, split_documents

END = "<|endoftext|>"


def documents(pieces: list[str], *separators: str) -> list[str]:
    """The documents of a file that comes in these pieces."""
    chunks = [TextChunk(text, n == len(pieces) - 1) for n, text in enumerate(pieces)]
    texts, current = [], ""
    for chunk in split_documents(chunks, separators):
        current += chunk.text
        if chunk.ends_document:
            texts.append(current)
            current = ""
    assert not current
    return texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\n", ["one\ntwo\n"]),
        (f"one{END}two", ["one", "two"]),
        (f"one\n{END}\ntwo\n{END}\n", ["one\n", "two\n"]),
        (f"{END}one{END}{END}\n\n{END}two", ["one", "two"]),
        (f"one{END} \n \n", ["one"]),
        ("<|endoftex|>one", ["<|endoftex|>one"]),
        (" ", [" "]),  # a blank document, which is counted later
    ],
)
def test_a_text_has_the_same_documents_however_it_comes(text: str, expected: list[str]) -> None:
    for size in (1, 2, 3, 5, 7, 100):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        assert documents(pieces, END) == expected, size


def test_several_marks_and_the_longest_first() -> None:
    text = "<s>one<e>\n<s>two<e>!\n"
    assert documents([text], "<e>", "<s>", "<e>!") == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (f"One.{END}\nTwo.{END}", {END: 2}),
        (
            "a</s> b<|end_of_text|> c<|eot_id|> [EOS]",
            ["</s>", "<|end_of_text|>", "<|eot_id|>", "[EOS]"],
        ),
        ("<|startoftext|> <b>bold</b> the </strong> end of text <|weekend", {}),
    ],
)
def test_marks_of_other_tools_are_counted(text: str, marks: dict[str, int] | list[str]) -> None:
    counted = count_end_marks(text)
    assert dict(counted) == (marks if isinstance(marks, dict) else dict.fromkeys(marks, 1))


def test_a_recipe_names_them(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(f"one{END}\ntwo{END}\n")

    def read(**fields: object) -> list[TextChunk]:
        corpus = RunningCorpus(DataRecipe(text=[str(path)], **fields), CorpusCounts())
        corpus.check()
        return [chunk for group in corpus.training() for chunk in group.chunks]

    assert [chunk.text for chunk in read()] == [f"one{END}\ntwo{END}\n"]
    assert [chunk[:2] for chunk in read(document_separators=[END])] == [
        ("one", True),
        ("two", True),
    ]
    with pytest.raises(ConfigError, match="document_separators has an empty text"):
        read(document_separators=[""])
