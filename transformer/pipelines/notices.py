"""Notices: what happened to a line, told in its JSON record and, counted, on stderr.

A notice is an entry of NOTICES. Whoever makes it happen puts its name and a detail into the
notices of the line or of the answer; counts are made of answers and of nothing else.
"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..registry import Registry

Detail = bool | int | str | list[str]
Notices = Mapping[str, Detail]  # by name in NOTICES; only what happened

NO_NOTICES: Notices = MappingProxyType({})
FIELD = "notices"  # of a JSON record; only where something happened
REMEDIED = "remedied"  # counted where the search can do what the remedies of notices say
FAILED = "failed"  # counted for answers with an error, which have it as a field of its own
BROKEN = (FAILED, "incomplete", "terms_unused")  # answers that are not what was promised


class LineNotice(NamedTuple):
    """A thing that can happen to a line, counted once for the line, whatever its answers are."""

    label: str  # before the number of lines, on stderr
    detail: str = "true"  # in JSON, for the documentation
    remedy: str = ""  # named on stderr where REMEDIED is counted
    option: str = ""  # by which the user decides on it; not every command that counts it has it


NOTICES: Registry[LineNotice] = Registry(
    "notice",
    {
        "invalid_utf8": LineNotice("lines with invalid UTF-8, read as U+FFFD"),
        "shortened": LineNotice("lines that were too long and truncated"),
        "blank": LineNotice("lines of invisible characters alone, left empty"),
        "blank_source": LineNotice(
            "pairs with a blank source, which count in the scores; training leaves them out"
        ),
        "blank_reference": LineNotice(
            "pairs with a blank reference, which count in the scores; training leaves them out"
        ),
        "unknown_read": LineNotice(
            "lines with characters that the model does not know", "list of characters"
        ),
        "prefix_changed": LineNotice(
            "lines with an answer that begins otherwise than its prefix, which the model cannot "
            "write as it is",
            "its beginning",
        ),
        "unknown_written": LineNotice(
            "lines with an answer that has unknown characters, which are left out of the text",
            "their number",
        ),
        "fewer_answers": LineNotice(
            "lines with fewer different answers than --n-best: more beams, or a higher "
            "--temperature, may find them",
            "their number",
        ),
        "prompt_shortened": LineNotice("prompts whose beginning was dropped", option="--overflow"),
        "words_left_out": LineNotice(
            "messages of which the model's chat template leaves out words", "list of words"
        ),
        "repaired": LineNotice("lines with an answer that ran into a loop and was written again"),
        "unfinished": LineNotice(
            "lines with an answer cut off at the limit of new tokens", option="--max-tokens"
        ),
        "context_full": LineNotice(
            "lines with an answer cut off where the model's context was full",
            remedy="--overflow slide writes on",
        ),
        "terms_unused": LineNotice(
            "lines whose best answer lacks a term that it must have: there was no place for it",
            "the terms",
        ),
        "incomplete": LineNotice(
            "lines with an answer that ended before it fitted --json-schema, --regex or --choice"
        ),
    },
)


def that_happened(**details: Detail) -> Notices:
    """Return the notices whose details are not false, 0 or empty.

    >>> that_happened(unfinished=True, repaired=False)
    {'unfinished': True}
    """
    return {name: detail for name, detail in details.items() if detail}


def count_notices(noted: Notices, counts: Counter[str]) -> None:
    """Count each notice of a line once. Raises UnknownNameError for one of another name."""
    for name in noted:
        NOTICES.check(name)
        counts[name] += 1


def notice_field(*noted: Notices) -> dict[str, Any]:
    """Return the JSON field with these notices; no field where nothing happened."""
    merged = {name: detail for notices in noted for name, detail in notices.items()}
    return {FIELD: merged} if merged else {}


def split_notices(fields: Mapping[str, Any]) -> tuple[dict[str, Any], Notices]:
    """Split the fields of a record into those of its user and the notices of an earlier command."""
    earlier = fields.get(FIELD)
    if not isinstance(earlier, dict) or not earlier or not earlier.keys() <= NOTICES.keys():
        return dict(fields), NO_NOTICES
    return {name: value for name, value in fields.items() if name != FIELD}, earlier


def count_lines(counts: Counter[str], *, with_options: bool = True) -> list[str]:
    """Return a line for each thing that was counted, with the option that decides on it or without.

    >>> count_lines(Counter(failed=1200, unfinished=3))[-1]
    'lines without an answer: 1,200'
    >>> count_lines(Counter(unfinished=3))
    ['lines with an answer cut off at the limit of new tokens (--max-tokens): 3']
    """
    labels = {name: notice.label for name, notice in NOTICES.items()}
    if with_options:
        labels |= {n: f"{each.label} ({each.option})" for n, each in NOTICES.items() if each.option}
    if counts[REMEDIED]:
        labels |= {n: f"{each.label} ({each.remedy})" for n, each in NOTICES.items() if each.remedy}
    labels[FAILED] = "lines without an answer"
    return [f"{label}: {counts[name]:,}" for name, label in labels.items() if counts[name]]


def draft_notices(counts: Counter[str]) -> list[str]:
    """Return a line about drafts, if there were any."""
    if not (drafted := counts["drafted"]):
        return []
    return [f"of {drafted:,} draft tokens, {counts['accepted']:,} were accepted"]
