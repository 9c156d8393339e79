"""Conversations as the text and the ids that a model was trained on.

Nothing is imported here: the child process that renders templates imports only `sandbox`.
"""
