"""Marks between documents in running text, such as the <|endoftext|> of GPT-2's tools."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tokenizer import TextChunk

_END_MARKS = re.compile(
    r"<\|[a-z_]*(?:end|eo[tsd])[a-z_]*\|>|</s>|<eos>|\[EOS\]", flags=re.IGNORECASE
)


def split_documents(chunks: Iterable[TextChunk], separators: Sequence[str]) -> Iterator[TextChunk]:
    """End documents where the text has a separator, which is no part of them, nor its line end.

    Between two separators there must be something to make a document.

    >>> [part.text for part in split_documents([TextChunk("a<|e|>\\n<|e|>b", True)], ["<|e|>"])]
    ['a', 'b']
    """
    marks = [f"{mark}{end}" for mark in separators for end in ("\n", "")]
    pattern = re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))
    carry = ""  # the end of a chunk that may begin a mark
    inside = any_document = False  # a document has begun; the file or record has had one
    for chunk in chunks:
        text = carry + chunk.text
        carry = "" if chunk.ends_document else _begun_mark(text, marks)
        *documents, rest = pattern.split(text[: len(text) - len(carry)])
        for document in documents:
            if inside or document.strip():
                yield chunk._replace(text=document, ends_document=True)
                any_document = True
            inside = False
        ends = chunk.ends_document and (inside or not any_document)
        if rest.strip() or (inside and rest) or ends:
            yield chunk._replace(text=rest)
            inside = any_document = True
        if chunk.ends_document:
            inside = any_document = False


def _begun_mark(text: str, marks: Sequence[str]) -> str:
    """Return the longest end of a text with which a longer mark begins, or ""."""
    longest = max(map(len, marks))
    for size in range(min(longest - 1, len(text)), 0, -1):
        end = text[-size:]
        if any(len(mark) > size and mark.startswith(end) for mark in marks):
            return end
    return ""


def count_end_marks(text: str) -> Counter[str]:
    """Count what other tools write for the end of a document, and what is plain text here.

    >>> count_end_marks("One.<|endoftext|>\\nTwo.<|endoftext|>")
    Counter({'<|endoftext|>': 2})
    """
    return Counter(_END_MARKS.findall(text))
