"""CTranslate2 with the same weights, by each of its number formats and ways to use the cores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import torch

from tokenizer import Tokenizer
from transformer.export.ctranslate2 import export_ctranslate2
from transformer.loading import LoadedModel
from transformer.loading.generation_config import GenerationConfig
from transformer.model import Transformer


def write_for_ctranslate2(model: Transformer, folder: Path) -> Path:
    """Write a folder that CTranslate2 loads; its words are w0, w1 …, and a few roles."""
    roles = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3}
    words = {f"w{n}": n for n in range(len(roles), model.config.vocab_size)}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({**roles, **words}, "<unk>"))
    backend.add_special_tokens([*roles])
    loaded = LoadedModel(
        model, Tokenizer(backend), GenerationConfig(bos_token_id=2, eos_token_id=3), folder
    )
    export_ctranslate2(loaded, folder)
    return folder


class CTranslate2Peer:
    """A translator or a generator of equally long texts, in one number format."""

    def __init__(self, folder: Path, compute_type: str, *, workers: int = 1) -> None:
        """Use all of torch's threads: by one worker, or by as many workers."""
        import ctranslate2

        threads = torch.get_num_threads() if workers == 1 else 1
        self._kind, self._workers = ctranslate2, workers
        self._folder, self._settings = (
            str(folder),
            {
                "compute_type": compute_type,
                "intra_threads": threads,
                "inter_threads": workers,
            },
        )

    def translating(self, source_BS: torch.Tensor, beam: int, written: int) -> Callable[[], int]:
        """Return a run that translates rows of ids, `written` tokens each."""
        translator = self._kind.Translator(self._folder, **self._settings)
        rows = _words(source_BS)

        def run() -> int:
            found = translator.translate_batch(
                rows, beam_size=beam, **_lengths(written, "decoding"), **self._batches(rows)
            )
            return sum(len(each.hypotheses[0]) for each in found)

        return run

    def generating(self, prompt_BT: torch.Tensor, written: int) -> Callable[[], list[list[int]]]:
        """Return a run that continues rows of ids greedily by `written` tokens each."""
        generator = self._kind.Generator(self._folder, **self._settings)
        rows = _words(prompt_BT)

        def run() -> list[list[int]]:
            found = generator.generate_batch(
                rows,
                sampling_topk=1,
                include_prompt_in_result=False,
                min_length=written,
                max_length=written,
                **self._batches(rows),
            )
            return [each.sequences_ids[0] for each in found]

        return run

    def _batches(self, rows: list[list[str]]) -> dict[str, Any]:
        return {"max_batch_size": -(-len(rows) // self._workers)}


def _lengths(written: int, what: str) -> dict[str, int]:
    return {f"min_{what}_length": written, f"max_{what}_length": written}


def _words(ids_BT: torch.Tensor) -> list[list[str]]:
    return [[f"w{token}" for token in row] for row in ids_BT.tolist()]
