"""Answers and runs, as they are shown."""
