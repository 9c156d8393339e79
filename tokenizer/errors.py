"""The errors of this package: mistakes that are the user's, each with the program's exit code.

ValueError
├── CorpusError               4   text that cannot be used
│   └── RepeatedStreamError   2   two names of one stream, which gives its text only once
└── TokenizerError            3   a tokenizer that cannot be used
    └── TokenizerOptionError  2   options that no tokenizer can have
"""

from typing import ClassVar


class CorpusError(ValueError):
    """Text that cannot be used: a missing column, or sides of different lengths."""

    exit_code: ClassVar[int] = 4


class RepeatedStreamError(CorpusError):
    """Two names of one stream, such as stdin, which gives its text only once."""

    exit_code: ClassVar[int] = 2


class TokenizerError(ValueError):
    """A tokenizer that cannot be used: a damaged file, or a missing token."""

    exit_code: ClassVar[int] = 3


class TokenizerOptionError(TokenizerError):
    """Options that no tokenizer can have."""

    exit_code: ClassVar[int] = 2
