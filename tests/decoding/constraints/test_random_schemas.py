"""Random JSON schemas: what a grammar lets come is valid to the library jsonschema, and what it
refuses it refuses in one line."""

import json
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from llguidance import LLMatcher, LLTokenizer

from transformer.decoding.constraints.grammar import json_schema
from transformer.errors import ConfigError

jsonschema = pytest.importorskip("jsonschema")

NAMES = ["a", "b", "ab", "x1", "a/b~", ""]
PATTERNS = [
    "^a",
    "b$",
    "^x[0-9]$",
    "^[ab]{1,2}$",
    "^(a|b)$",
    '^[^"]{2}',
    "^[^\\\\]*$",
    "[0-9]|^.{2}$",
]
NUMBERS = [0, 1, 2, 3, -1, 7, -40, 0.5, 1.5, -0.25, 0.1, 1e-3, 2.0, 1e10, 12.34, 2**53]
VALUES = [None, True, False, "", "a", 'é\n"\\', "b1", [], {}, [1, "a"], {"a": None, "b": [0.5]}]
KINDS = ["null", "boolean", "integer", "number", "string", "array", "object", "array", "object"]


class Schemas:
    """A maker of schemas of a small vocabulary, so that keywords meet."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names = self.chance.sample(["d", "e/f"], self.chance.choice([0, 0, 1, 2]))

    def whole(self) -> Any:
        schema = self.part(0)
        definitions = {name: self.part(1) for name in self.names}
        return {**schema, "$defs": definitions} if isinstance(schema, dict) else schema

    def part(self, depth: int) -> Any:
        if depth > 3 or self.chance.random() < 0.06:
            return self.chance.choice([True, True, {}, False])
        kind = self.chance.choice(KINDS)
        schema = {"type": self.chance.choice([kind, kind, [kind, "null"]])}
        for rate, keywords in ((0.3, self.typed(kind, depth + 1)), (0.06, self.general(depth + 1))):
            schema |= {name: value for name, value in keywords if self.chance.random() < rate}
        return dict(self.chance.sample(list(schema.items()), len(schema)))

    def typed(self, kind: str, depth: int) -> Iterator[tuple[str, Any]]:
        chance = self.chance
        if kind in ("integer", "number"):
            for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
                yield keyword, chance.choice(NUMBERS)
            yield "multipleOf", chance.choice([1, 2, 3, 0.5, 0.1, 0.01, 7, 1.5])
        elif kind == "string":
            yield from (("minLength", chance.randrange(4)), ("maxLength", chance.randrange(1, 7)))
            yield "pattern", chance.choice(PATTERNS)
            yield "format", chance.choice(["date", "ipv4", "email", "uuid"])
        elif kind == "array":
            yield from (("items", self.part(depth)), ("prefixItems", [self.part(depth)]))
            yield from (("minItems", chance.randrange(4)), ("maxItems", chance.randrange(5)))
        elif kind == "object":
            for keyword, names in (("properties", NAMES), ("patternProperties", PATTERNS)):
                yield keyword, {name: self.part(depth) for name in chance.sample(names, 2)}
            yield "additionalProperties", chance.choice([False, self.part(depth)])
            yield "required", chance.sample(NAMES, 2)
            yield "minProperties", chance.randrange(3)
            yield "maxProperties", chance.randrange(4)

    def general(self, depth: int) -> Iterator[tuple[str, Any]]:
        yield "enum", self.chance.sample([*VALUES, *NUMBERS], 3)
        yield "const", self.chance.choice(VALUES)
        for keyword in ("anyOf", "allOf", "oneOf"):
            yield keyword, [self.part(depth), self.part(depth)]
        for name in self.names:
            yield "$ref", "#/$defs/" + name.replace("/", "~1")


def number(text: str) -> Any:
    """A number that is not rounded; an exponent of many digits as 300."""
    coefficient, _, exponent = text.lower().partition("e")
    value = Decimal(coefficient).scaleb(max(-300, min(300, int(exponent or 0))))
    return int(value) if value == value.to_integral_value() else value


def exact(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=number)


def write(matcher: LLMatcher, chance: random.Random) -> str | None:
    """A text by chance; None where it does not end."""
    matcher, text = matcher.deep_copy(), bytearray()
    while len(text) < 200:
        bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.flatnonzero(np.unpackbits(bits, bitorder="little")[:256]).tolist()
        if matcher.is_accepting() and (not allowed or chance.random() < 0.5):
            return text.decode()
        near = [byte for byte in allowed if byte in b'"}],:0123456789']
        usual = [byte for byte in allowed if 32 < byte < 127]
        letter = chance.choice(near if near and chance.random() < 0.6 else usual or allowed)
        assert matcher.consume_token(letter)
        text.append(letter)
    return None


@pytest.mark.parametrize("start", range(0, 400, 100))
def test_what_is_written_is_valid_to_another_library(start: int) -> None:
    tokens, written, refused = LLTokenizer("byte"), 0, 0
    for seed in range(start, start + 100):
        schema = Schemas(seed).whole()
        try:
            matcher = json_schema(schema).matcher(tokens)
        except ConfigError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        validator = jsonschema.Draft202012Validator(
            exact(schema), format_checker=jsonschema.FormatChecker()
        )
        for n in range(6):
            text = write(matcher, random.Random(n))
            if text is not None:
                problem = next(validator.iter_errors(json.loads(text, parse_float=number)), None)
                assert problem is None, (schema, text, problem.message)
                written += 1
    assert written > 100
    assert refused < 90
