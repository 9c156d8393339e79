"""The errors of this package: mistakes that are the user's, each with the program's exit code.

ValueError
└── CheckpointError           3   a folder that holds no model, or a damaged one
    └── ForeignFolderError    2   a folder in the way that this program did not write
"""

from typing import ClassVar


class CheckpointError(ValueError):
    """A folder that holds no model, or a damaged one."""

    exit_code: ClassVar[int] = 3


class ForeignFolderError(CheckpointError):
    """A folder that would be replaced and was not written by this program."""

    exit_code: ClassVar[int] = 2
