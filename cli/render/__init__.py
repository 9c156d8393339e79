"""Rendering of answers and training runs."""
