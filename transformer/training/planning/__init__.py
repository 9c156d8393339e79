"""Choices for a run from its text, its time and its machine, before anything is trained."""
