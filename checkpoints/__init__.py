"""Tensors and JSON in folders; independent of any model."""

from .atomic_folder import (
    MANIFEST,
    errors_of_writing,
    remove_leftovers,
    verify_checksums,
    verify_sizes,
    write_file,
    write_folder,
)
from .average import average_weights
from .checksum_cache import MIN_AGE_NS, cache_file
from .errors import CheckpointError, ForeignFolderError
from .json_io import read_json, read_json_list, to_json
from .links import is_inside, refuse_external_links
from .optimizer_state import flatten_optimizer, unflatten_optimizer
from .safetensors_io import WEIGHTS, load_tensors, save_tensors
from .weight_sums import changed_weights, weight_sums
from .weights import SCALE, WEIGHT_FILES, Tensors, Weights, quantized_tensor

__all__ = [
    "MANIFEST",
    "MIN_AGE_NS",
    "SCALE",
    "WEIGHTS",
    "WEIGHT_FILES",
    "CheckpointError",
    "ForeignFolderError",
    "Tensors",
    "Weights",
    "average_weights",
    "cache_file",
    "changed_weights",
    "errors_of_writing",
    "flatten_optimizer",
    "is_inside",
    "load_tensors",
    "quantized_tensor",
    "read_json",
    "read_json_list",
    "refuse_external_links",
    "remove_leftovers",
    "save_tensors",
    "to_json",
    "unflatten_optimizer",
    "verify_checksums",
    "verify_sizes",
    "weight_sums",
    "write_file",
    "write_folder",
]
