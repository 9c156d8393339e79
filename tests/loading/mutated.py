"""A JSON file with something changed at random."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 7, 255, 1 << 31, 1 << 63, -(1 << 64), 10**30, 0.5, -0.0),
    *(1e308, float("nan"), float("inf"), "", "a", "</s>", "x" * 5000, "\0", "\u2028", "(a+)+$"),
    *([], [[]], [None], {}, {"a": 1}, {"type": "Sequence"}, [1, "a"], "\U0001f600", "Regex"),
)


def flipped(raw: bytes, chance: random.Random) -> bytes:
    """Some bytes are others."""
    changed = bytearray(raw)
    for _ in range(chance.randrange(1, 9)):
        changed[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(changed)


def cut(raw: bytes, chance: random.Random) -> bytes:
    """A part is missing."""
    start = chance.randrange(len(raw))
    length = chance.choice([1, 2, 10, 100, len(raw)])
    return raw[:start] + raw[start + length :]


def repeated(raw: bytes, chance: random.Random) -> bytes:
    """A part stands there many times."""
    start = chance.randrange(len(raw))
    part = raw[start : start + chance.randrange(1, 200)]
    return raw[:start] + part * chance.choice([2, 3, 50]) + raw[start:]


def digits(raw: bytes, chance: random.Random) -> bytes:
    """A number has more of them."""
    places = [i for i, byte in enumerate(raw) if 48 <= byte < 58]
    at = chance.choice(places)
    return (
        raw[:at] + chance.choice([b"9" * 5, b"9" * 20, b"9" * 400, b"-", b"1e9", b"."]) + raw[at:]
    )


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """All places in a value: what holds each, and its key there."""
    found: list[tuple[Any, Any]] = []
    left = [value]
    while left:
        holder = left.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                left.append(holder[key])
    return found


def structured(change: Callable[[Any, Any, Any], None]) -> Callable[[bytes, random.Random], bytes]:
    """A change of the values, most often of those that are not in the vocabulary."""

    def mutate(raw: bytes, chance: random.Random) -> bytes:
        value = json.loads(raw)
        for _ in range(chance.randrange(1, 4)):
            places = nodes(value)
            few = [place for place in places if len(place[0]) < 30] or places
            change(chance.choice(few if chance.random() < 0.8 else places), places, chance)
        return json.dumps(value).encode()

    return mutate


def _retyped(place: Any, _: Any, chance: random.Random) -> None:
    place[0][place[1]] = copy.deepcopy(chance.choice(ODD))  # which must not change itself


def _swapped(place: Any, places: Any, chance: random.Random) -> None:
    other = chance.choice(places)
    text = json.dumps(other[0][other[1]]), json.dumps(place[0][place[1]])
    place[0][place[1]], other[0][other[1]] = map(json.loads, text)


def _removed(place: Any, _: Any, chance: random.Random) -> None:
    del place[0][place[1]]


def _renamed(place: Any, places: Any, chance: random.Random) -> None:
    if isinstance(place[0], dict):
        key = chance.choice([str(key) for _, key in places] + ["", "x", "auto_map"])
        place[0][key] = place[0].pop(place[1])


MUTATIONS = (
    *(flipped, cut, repeated, digits),
    *map(structured, (_retyped, _retyped, _swapped, _removed, _renamed)),
)


def mutated(raw: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    return chance.choice(MUTATIONS)(raw, chance)
