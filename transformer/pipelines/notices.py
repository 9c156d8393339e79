"""Notices about what a pipeline altered, shortened or could not answer."""

from collections import Counter

_LABELS = {
    "shortened": "lines that were too long and truncated",
    "failed": "lines without an answer",
    "repeating": "answers that ran into a loop and were generated again",
    "unfinished": "answers cut off at the limit of new tokens (--max-tokens)",
}


def notices(counts: Counter[str]) -> list[str]:
    """Return a line for each thing that was counted.

    >>> notices(Counter(failed=1200))
    ['lines without an answer: 1,200']
    """
    return [f"{label}: {counts[name]:,}" for name, label in _LABELS.items() if counts[name]]


def draft_notices(counts: Counter[str]) -> list[str]:
    """Return a line about drafts, if there were any."""
    if not (drafted := counts["drafted"]):
        return []
    return [f"of {drafted:,} draft tokens, {counts['accepted']:,} were accepted"]
