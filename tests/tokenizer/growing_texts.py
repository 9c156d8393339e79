"""Texts of an old language and of one in a script that tokenizers of the old one lack."""

import random

_OLD = "the quick brown fox jumps over lazy dog banana bananas ananas 1234 don't Zwölf café"
_NEW = "ένας σκύλος τρέχει γρήγορα πάνω από μία ψηλή γέφυρα και ένας άντρας γελά 1821"
OLD, NEW = _OLD.split(), _NEW.split()


def lines(words, *, count=100, seed=0):
    """Lines of words in a random order, the first ones more often."""
    chance = random.Random(seed)
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return [" ".join(chance.choices(words, weights, k=6)) for _ in range(count)]


def expanded(growth, row):
    """A row of ids with the former spelling in place of each further token."""
    return [old for token_id in row for old in growth.spellings.get(token_id, (token_id,))]
