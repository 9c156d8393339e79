"""The names that arguments take, whose registries import torch; a test compares them."""

POOLING_NAMES = ("mean", "first", "last", "max", "mean-sqrt", "weighted-mean")
LENGTH_PENALTY_NAMES = ("power", "gnmt")
EARLY_STOPPING_NAMES = ("yes", "no", "never")
OVERFLOW_NAMES = ("error", "left", "slide")
