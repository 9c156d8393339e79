"""Deliberate faults of one line, each of which the tests of its room must notice."""
