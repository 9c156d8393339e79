"""Constraints on a text: grammars, phrases that it must hold, strings that end it."""
