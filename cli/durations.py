"""Durations as text."""


def format_duration(seconds: float | None) -> str:
    """Format seconds as [hours:]minutes:seconds.

    >>> format_duration(3725)
    '1:02:05'
    """
    if seconds is None:
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
