"""Numbers with their nouns and units, as messages show them."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def format_count(number: float | str, noun: str, plural: str = "") -> str:
    """Return a number with its noun; the plural is that with an s unless it is given.

    A number may be text already, such as one that is rounded.

    >>> format_count(1, "pair"), format_count(2000, "pair"), format_count("1.5", "epoch")
    ('1 pair', '2,000 pairs', '1.5 epochs')
    >>> format_count(0, "batch", "batches")
    '0 batches'
    """
    shown = number if isinstance(number, str) else f"{number:,}"
    return f"{shown} {noun if shown == '1' else plural or f'{noun}s'}"


def format_large(number: int) -> str:
    """Return a number with two or three digits and a unit from a million on.

    >>> format_large(999_999), format_large(5_271_000), format_large(175_000_000_000)
    ('999,999', '5.3 M', '175 B')
    >>> format_large(99_960_000), format_large(999_999_999)
    ('100 M', '1.0 B')
    """
    if number < 10**6:
        return f"{number:,}"
    unit, name = (10**9, "B") if number >= 999.5 * 10**6 else (10**6, "M")
    return f"{number / unit:.{1 if number < 99.95 * unit else 0}f} {name}"


def format_bytes(size: float) -> str:
    """Return a number of bytes with a unit.

    >>> format_bytes(999), format_bytes(12_345), format_bytes(1_234_567_890)
    ('999 B', '12 kB', '1.2 GB')
    """
    number, unit = float(size), 0
    while number >= 999.5 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    digits = 1 if unit and number < 9.95 else 0
    return f"{number:,.{digits}f} {_UNITS[unit]}"
