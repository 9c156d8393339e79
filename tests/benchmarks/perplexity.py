"""Perplexity of a language model in each number type, as it is loaded and all matrices rounded.

python -m tests.benchmarks.perplexity MODEL TEXT

`transduce evaluate -m MODEL --text TEXT --dtype int8` has the same, but for the last row: there no
matrix is too small for its kernel.
"""

import argparse
from pathlib import Path
from unittest import mock

from tokenizer import CorpusCounts, TextFile, read_documents
from transformer.evaluation import Likelihood, text_likelihood
from transformer.kernels import PackedLinear, packing
from transformer.loading import LoadedModel, load_for_inference


def measured(model: Path, text: Path, dtype: str, small: int) -> tuple[Likelihood, str]:
    """Return the likelihood of a text, and how many of the weights are in the kernel of a type."""
    with mock.patch.object(packing, "SMALL", small):
        loaded = load_for_inference(model, dtype=dtype, device="cpu")
    documents = read_documents(TextFile(str(text), None, option="--column"), CorpusCounts())
    return text_likelihood(loaded, documents).likelihood, _rounded(loaded)


def _rounded(loaded: LoadedModel) -> str:
    """Return the linear maps, the projection too, by the kernel they are in."""
    names = [
        type(each.kernel).__name__
        for each in loaded.model.modules()
        if isinstance(each, PackedLinear)
    ]
    return ", ".join(f"{names.count(name)} {name}" for name in sorted({*names}))


def main() -> None:
    """Print a line for each number type."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    asked = parser.parse_args()
    base, small = 0.0, packing.SMALL
    for dtype in ("float32", "bfloat16", "float16", "int8"):
        for least in (small, 0) if dtype == "int8" else (small,):
            found, maps = measured(asked.model, asked.text, dtype, least)
            base = base or found.perplexity
            change = 100 * (found.perplexity / base - 1)
            title = f"{dtype}, all matrices" if least < small else dtype
            print(
                f"{title:22} {found.perplexity:9.4f} {change:+8.4f}%  {found.tokens} tokens; {maps}"
            )


if __name__ == "__main__":
    main()
