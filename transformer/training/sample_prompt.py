"""Prompts of the samples that a language model continues, from text that it is not trained on."""

from tokenizer import Tokenizer

from ..data import Ids

_WINDOW = 400  # tokens in which the beginning of a document or a line is looked for


def sample_prompt(ids: Ids, tokenizer: Tokenizer, length: int, *, end_id: int) -> str:
    """Return the first tokens of a document, a line or a word near the middle of a text.

    `end_id` stands between documents.
    """
    middle = len(ids) // 2
    window = ids[middle : middle + _WINDOW].tolist()
    if end_id in window[:-1]:
        text = tokenizer.decode(window[window.index(end_id) + 1 :])
    else:
        text = _from_a_start(tokenizer.decode(window))
    return tokenizer.decode(tokenizer.encode(text)[:length])


def _from_a_start(text: str) -> str:
    """Return a text from its second line on, or its second word where it has but one line."""
    for mark in ("\n", " "):
        rest = text.partition(mark)[2].lstrip()
        if rest:
            return rest
    return text
