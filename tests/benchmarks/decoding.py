"""Decoding speed: tokens a second, greedy and beam 4, batch 1 and 32, every text of equal length.

python -m tests.benchmarks.decoding
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from tests.benchmarks.ctranslate2_peer import CTranslate2Peer, write_for_ctranslate2
from tests.benchmarks.measuring import rates_apart, show
from tests.benchmarks.ours import compute_as_loaded, counted, decoding
from tests.benchmarks.peers import marian
from transformer import TransformerConfig, preset_config
from transformer.decoding import Request, SearchParameters
from transformer.decoding.search import BeamParameters, GreedyParameters
from transformer.initialization import initialize
from transformer.kernels import LINEAR_KERNELS, bind_calls, pack_model
from transformer.model import Transformer

SOURCE, WRITTEN = 24, 32
PRESETS = {"base": 32_000, "translate-small": 8000}


def sources(rows: int, vocab_size: int) -> torch.Tensor:
    """Random ids, the same each time."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(4, vocab_size, (rows, SOURCE), generator=generator)


def beams(beam: int) -> SearchParameters:
    """Beam search, or greedy search for one beam; no token ends a text."""
    if beam == 1:
        return GreedyParameters(end_ids=frozenset())
    return BeamParameters(end_ids=frozenset(), beam=beam)


def ours(model: Transformer, rows: int, beam: int, engines: int = 1) -> Callable[[], int]:
    """This project's search; several engines have a core and a part of the rows each."""
    source_BS = sources(rows, model.config.vocab_size)

    def requests() -> list[Request]:
        return [
            Request(prompt=[2], source=row, max_new_tokens=WRITTEN) for row in source_BS.tolist()
        ]

    budget = rows * beam * SOURCE
    return counted(decoding(model, beams(beam), requests, engines=engines, budget=budget))


def theirs(model: torch.nn.Module, rows: int, beam: int, vocab_size: int) -> Callable[[], int]:
    """transformers' generate, held to the same length."""
    source_BS = sources(rows, vocab_size)

    @torch.inference_mode()
    def decode() -> int:
        found = model.generate(  # type: ignore[operator]
            input_ids=source_BS,
            num_beams=beam,
            do_sample=False,
            min_new_tokens=WRITTEN,
            max_new_tokens=WRITTEN,
        )
        assert found.shape == (rows, WRITTEN + 1)
        return rows * WRITTEN

    return decode


def built(config: TransformerConfig) -> Transformer:
    """Random weights; what is written is nonsense, the work is the same."""
    model = Transformer(config)
    initialize(model, seed=1)
    return model.eval().requires_grad_(False)


def in_kernel(config: TransformerConfig, name: str) -> Transformer:
    """Matrices laid out for a kernel, modules called as functions: as models are loaded."""
    model = built(config)
    pack_model(model, LINEAR_KERNELS[name])
    bind_calls(model)
    return model


def contestant(
    config: TransformerConfig, name: str, place: str, rows: int, beam: int, *, engines: int
) -> Callable[[], int]:
    """The run of one by its name, in a process of its own."""
    compute_as_loaded(os.cpu_count() or 1)
    if name.startswith("CTranslate2"):
        peer = CTranslate2Peer(Path(place), name.split()[1], workers=engines)
        return peer.translating(sources(rows, config.vocab_size), beam, WRITTEN)
    if name == "transformers":
        return theirs(marian(config).eval(), rows, beam, config.vocab_size)
    model = built(config) if name == "plain" else in_kernel(config, name)
    return ours(model, rows, beam, engines)


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="*", default=[*PRESETS], choices=PRESETS)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    for preset in asked.presets:
        config = preset_config(
            preset, vocab_size=PRESETS[preset], norm_placement="post", final_norm=False
        )
        with tempfile.TemporaryDirectory() as place:
            columns = measured(config, place, asked.rounds)
        show(f"decoding, {preset}, tokens/s", columns, peer="CTranslate2 float32")


def measured(config: TransformerConfig, place: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return the tokens a second of all, for each number of rows and each search."""
    write_for_ctranslate2(built(config), Path(place))
    names = ["plain", *LINEAR_KERNELS, "transformers", "CTranslate2 float32", "CTranslate2 int8"]
    cores, columns = os.cpu_count() or 1, {}
    for rows, beam in ((1, 1), (1, 4), (32, 1), (32, 4)):
        work = {}
        for engines in sorted({1, cores if rows > 1 else 1}):
            for name in names if engines == 1 else names[1:4] + names[5:]:
                title = name if engines == 1 else f"{name}, {engines} engines"
                work[title] = partial(contestant, config, name, place, rows, beam, engines=engines)
        title = f"{'greedy' if beam == 1 else f'beam {beam}'}, batch {rows}"
        columns[title] = rates_apart(work, rounds=rounds)
    return columns


if __name__ == "__main__":
    main()
