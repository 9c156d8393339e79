"""Constraints on a text: grammars, phrases at one point of a text, stop strings."""
