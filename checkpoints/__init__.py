"""Tensors and JSON in folders. Knows no model."""

from .average import average_weights
from .state import flatten_optimizer, unflatten_optimizer
from .store import (
    WEIGHTS,
    CheckpointError,
    lies_in,
    load_tensors,
    read_json,
    read_json_list,
    refuse_links_out,
    save_tensors,
    sweep,
    to_json,
    verify,
    write_file,
    write_folder,
)
from .weights import WEIGHT_FILES, Tensors, Weights

__all__ = [
    "WEIGHTS",
    "WEIGHT_FILES",
    "CheckpointError",
    "Tensors",
    "Weights",
    "average_weights",
    "flatten_optimizer",
    "lies_in",
    "load_tensors",
    "read_json",
    "read_json_list",
    "refuse_links_out",
    "save_tensors",
    "sweep",
    "to_json",
    "unflatten_optimizer",
    "verify",
    "write_file",
    "write_folder",
]
