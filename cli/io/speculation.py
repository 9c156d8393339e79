"""Notices about speculative decoding."""

from collections.abc import Sequence

from transformer.decoding import Engine

from ..console import print_notice


def report_speculation(engines: Sequence[Engine], *, quiet: bool) -> None:
    """Report how many draft tokens were accepted."""
    proposed = sum(getattr(engine.search, "proposed", 0) for engine in engines)
    accepted = sum(getattr(engine.search, "accepted", 0) for engine in engines)
    if proposed and not quiet:
        print_notice(f"of {proposed:,} draft tokens, {accepted:,} were accepted")
