"""The split of a text into a prefix and the rest of it, for a prefix LM.

arXiv 1910.10683 §3.2.3 and `random_prefix_noise_mask` of T5's code: the prefix is read from both
sides, what follows is written.
"""

import numpy as np


def draw_prefix_length(length: int, rng: np.random.Generator) -> int:
    """Return the number of tokens in the prefix of a text of so many: 1 to all but one of them.

    All are equally likely. A text of one token, or none, has no prefix.
    """
    return int(rng.integers(1, length)) if length > 1 else 0
