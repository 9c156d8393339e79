"""What processors say of values that they cannot work with."""


def check(name: str, good: bool, value: float, allowed: str) -> None:
    """Raise a ValueError that says what is allowed, unless the value is good."""
    if not good:
        raise ValueError(f"{name} is {value:g}; it must be {allowed}")


def check_size(name: str, value: float) -> None:
    """Raise a ValueError for what is no number of things."""
    check(name, value >= 1 and value % 1 == 0, value, "a whole number of at least 1")
