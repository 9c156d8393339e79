"""Constraints on a text: grammars, phrases that must occur, stop strings."""
