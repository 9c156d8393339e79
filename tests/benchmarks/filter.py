"""Translating a file: lines a second of the whole filter, beside fixed batches and peers.

python -m tests.benchmarks.filter MODEL FILE [--beam 4] [--lines 2000]

MODEL is a translator of one's own, FILE text in its source language. The same weights go to
transformers and CTranslate2; all take the tokens of the same lines, on the same cores.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

import torch

from tests.benchmarks.measuring import rates, show
from tokenizer import TextFile, read_lines
from transformer.decoding import ModelStepper, Request, decode_all
from transformer.decoding.search import BeamParameters
from transformer.export import convert_model
from transformer.loading import LoadedModel, find_model, load_for_inference, load_model
from transformer.memory import keep_freed_memory, limit_kernel_caches
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

FIXED = (16, 32, 64)  # rows of fixed batches, in the order of the file


def ours(loaded: LoadedModel, lines: list[str], beam: int) -> Callable[[], int]:
    """The filter, batch chosen by the tool."""
    session = Session([loaded], processes=True)
    asked = TranslateArguments(beam=beam, no_guard=True)

    def run() -> int:
        return sum(1 for _ in session.translate(IterableSource(lines), asked, Counter()))

    return run


def fixed(loaded: LoadedModel, lines: list[str], beam: int, rows: int) -> Callable[[], int]:
    """Our own decoder, a fixed number of lines at a time, as they come."""
    parameters = BeamParameters(end_ids=frozenset(loaded.generation.end_ids), beam=beam)

    @torch.inference_mode()
    def run() -> int:
        done = 0
        for start in range(0, len(lines), rows):
            sources = framed(loaded, lines[start : start + rows])
            tasks = [
                Request(
                    prompt=[loaded.decoder_start_id or 0], source=ids, max_new_tokens=limit(ids)
                )
                for ids in sources
            ]
            found = decode_all(ModelStepper(loaded.model), parameters.build(), tasks)
            done += len(loaded.target_tokenizer.decode_batch([best[0].ids for best in found]))
        return done

    return run


def framed(loaded: LoadedModel, lines: list[str]) -> list[list[int]]:
    before, after = loaded.special_affixes
    return [[*before, *ids, *after] for ids in loaded.tokenizer.encode_batch(lines)]


def limit(source: list[int]) -> int:
    return 2 * len(source) + 10


def transformers_peer(folder: Path, loaded: LoadedModel, lines: list[str], beam: int):
    """transformers' generate over batches of 32 lines sorted by length."""
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()

    @torch.inference_mode()
    def run() -> int:
        sources = sorted(framed(loaded, lines), key=len, reverse=True)
        done = 0
        for start in range(0, len(sources), 32):
            batch = sources[start : start + 32]
            size = max(map(len, batch))
            ids = torch.tensor([[*row, *[0] * (size - len(row))] for row in batch])
            mask = torch.tensor([[1] * len(row) + [0] * (size - len(row)) for row in batch])
            found = model.generate(
                input_ids=ids,
                attention_mask=mask,
                num_beams=beam,
                do_sample=False,
                max_new_tokens=limit(batch[0]),
            )
            done += len(loaded.target_tokenizer.decode_batch(found.tolist()))
        return done

    return run


def ctranslate2_peer(
    folder: Path, loaded: LoadedModel, lines: list[str], beam: int, *, kind: str, workers: int
):
    """CTranslate2's translate_batch, which sorts and batches by itself."""
    import ctranslate2

    threads = torch.get_num_threads() // workers
    longest = min(130, loaded.config.max_positions - 2)
    translator = ctranslate2.Translator(
        str(folder), compute_type=kind, inter_threads=workers, intra_threads=threads
    )

    def run() -> int:
        names = [[loaded.tokenizer.token(i) for i in row] for row in framed(loaded, lines)]
        found = translator.translate_batch(
            names,
            beam_size=beam,
            max_batch_size=4096,
            batch_type="tokens",
            max_decoding_length=longest,
        )
        ids = [[loaded.target_tokenizer.token_id(t) for t in best.hypotheses[0]] for best in found]
        return len(loaded.target_tokenizer.decode_batch(ids))

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("file")
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[""], help="parts of names to measure")
    asked = parser.parse_args()
    keep_freed_memory()  # as the program does
    limit_kernel_caches()
    torch.set_num_threads(2)
    lines = list(islice(read_lines(TextFile(asked.file, plain=True)), asked.lines))
    loaded = load_model(asked.model, device="cpu")
    with tempfile.TemporaryDirectory() as place:
        work: dict[str, Callable[[], int]] = {}
        for dtype in ("float32", "float16", "int8"):
            own = load_for_inference(asked.model, device="cpu", dtype=dtype)
            work[f"transduce {dtype}"] = ours(own, lines, asked.beam)
        for rows in FIXED:
            work[f"fixed batches of {rows}"] = fixed(loaded, lines, asked.beam, rows)
        for to in ("huggingface", "ctranslate2"):
            convert_model(find_model(asked.model), Path(place) / to, to=to)
        work["transformers"] = transformers_peer(
            Path(place) / "huggingface", loaded, lines, asked.beam
        )
        for kind, workers in product(("float32", "int8"), (1, 2)):
            work[f"CTranslate2 {kind}, {workers} workers"] = ctranslate2_peer(
                Path(place) / "ctranslate2", loaded, lines, asked.beam, kind=kind, workers=workers
            )
        started = time.perf_counter()
        wanted = {n: run for n, run in work.items() if any(part in n for part in asked.only)}
        found = rates(wanted, rounds=asked.rounds)
    title = (
        f"{len(lines):,} lines, beam {asked.beam}, lines/s ({time.perf_counter() - started:.0f} s)"
    )
    show(title, {"lines/s": found}, peer="fixed batches of 32")


if __name__ == "__main__":
    main()
