"""Decoding speed: tokens a second, greedy and beam 4, batch 1 and 32, every text of equal length.

python -m tests.benchmarks.decoding
"""

from collections.abc import Callable

import torch

from tests.benchmarks.measuring import rates, show
from tests.benchmarks.peers import marian
from transformer import TransformerConfig, preset_config
from transformer.decoding import ModelStepper, Request, SearchParameters, decode_all
from transformer.decoding.search import BeamParameters, GreedyParameters
from transformer.initialization import initialize
from transformer.kernels import LINEAR_KERNELS, pack_model
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


def ours(model: Transformer, rows: int, beam: int) -> Callable[[], int]:
    """This project's search."""
    source_BS = sources(rows, model.config.vocab_size)
    parameters = beams(beam)

    @torch.inference_mode()
    def decode() -> int:
        tasks = [
            Request(prompt=[2], source=row, max_new_tokens=WRITTEN) for row in source_BS.tolist()
        ]
        found = decode_all(ModelStepper(model), parameters.build(), tasks)
        return sum(len(best[0].ids) for best in found)

    return decode


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


def in_float16(config: TransformerConfig) -> Transformer:
    """The weights of linear maps in float16, sums in float32."""
    model = built(config)
    pack_model(model, LINEAR_KERNELS["float16"])
    return model


def main() -> None:
    """Print a table for each size."""
    for preset, vocab_size in PRESETS.items():
        config = preset_config(preset, vocab_size=vocab_size, norm_placement="post")
        model, half, packed = built(config), built(config).bfloat16(), in_float16(config)
        peer = marian(config).eval()
        columns = {}
        for rows in (1, 32):
            for beam in (1, 4):
                title = f"{'greedy' if beam == 1 else f'beam {beam}'}, batch {rows}"
                columns[title] = rates(
                    {
                        "transduce float32": ours(model, rows, beam),
                        "transduce float16": ours(packed, rows, beam),
                        "transduce bfloat16": ours(half, rows, beam),
                        "transformers float32": theirs(peer, rows, beam, vocab_size),
                    },
                    rounds=3,
                )
        show(f"decoding, {preset}, tokens/s", columns, peer="transformers float32")


if __name__ == "__main__":
    main()
