"""Texts of every family's models are those that transformers writes, token for token."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.decoding.tables import build
from tests.families.published import FAMILIES, first_is_global, make, padded
from tests.models import model_inputs
from transformer.decoding.engine import decode_all
from transformer.decoding.request import Request
from transformer.decoding.steppers.model import ModelStepper
from transformer.loading import GenerationConfig, build_model, inspect_folder
from transformer.model import Transformer
from transformer.pipelines.search_settings import model_processors

LENGTH = 14  # tokens, the start token among them
END, START = 2, 3
ASKED: dict[str, dict[str, Any]] = {
    "greedy": dict(num_beams=1),
    "beam": dict(num_beams=4),
    "beam, long": dict(num_beams=4, length_penalty=2.0, early_stopping=True, min_length=5),
    "beam, short": dict(num_beams=4, length_penalty=0.3, early_stopping="never"),
    "greedy, blocked": dict(num_beams=1, no_repeat_ngram_size=2, repetition_penalty=1.5),
    "beam, blocked": dict(
        num_beams=4,
        no_repeat_ngram_size=2,
        suppress_tokens=[7, 8],
        begin_suppress_tokens=[9],
        bad_words_ids=[[10], [11, 12]],
    ),
    "beam, renormalized": dict(
        num_beams=4,
        renormalize_logits=True,
        no_repeat_ngram_size=1,
        suppress_tokens=[0, 1, *range(9, 30)],
    ),
}
OF_SOURCE = dict(
    encoder_repetition_penalty=1.5,
    encoder_no_repeat_ngram_size=2,
    exponential_decay_length_penalty=(4, 1.3),
    sequence_bias=[[[12], -3.0], [[13, 14], 2.0], [[15], 2.0]],
)
FORCED = dict(num_beams=4, forced_bos_token_id=5, forced_eos_token_id=END)
WRITERS = [
    pytest.param(name, number, marks=pytest.mark.slow if number else ())
    for name, family in FAMILIES.items()
    if "MaskedLM" not in family.model
    for number in range(len(family.variants))
]


class Uncached:
    """A stepper that runs the whole text again for each token."""

    def __init__(self, model: Transformer) -> None:
        self.model = model
        self.written: list[list[int]] = []
        self.sources: list[list[int] | None] = []

    def admit(self, requests: Sequence[Request], rows_per_entry: int = 1) -> None:
        for request in requests:
            self.written += [list(request.prompt[:-1])] * rows_per_entry
            self.sources += [list(request.source) or None] * rows_per_entry

    def step(self, ids_R: Tensor) -> Tensor:
        self.written = [[*w, i] for w, i in zip(self.written, ids_R.tolist(), strict=True)]
        rows = zip(self.written, self.sources, strict=True)
        return torch.stack([self._last(written, source) for written, source in rows])

    def _last(self, written: list[int], source: list[int] | None) -> Tensor:
        source_BS = None if source is None else torch.tensor([source])
        return self.model(model_inputs(torch.tensor([written]), source_BS=source_BS))[0, -1]

    def reorder(self, rows: Sequence[int], rows_per_entry: int = 1) -> None:
        self.written = [self.written[row] for row in rows]
        self.sources = [self.sources[row] for row in rows]


def ours(
    model: Transformer, texts: list[list[int]], asked: dict[str, Any], *, cached: bool = True
) -> list[list[int]]:
    """What our searches write, the end token included."""
    settings = GenerationConfig(eos_token_id=END, **asked)
    fields: dict[str, Any] = {
        "end_ids": frozenset({END}),
        "length_penalty": 1.0 if settings.length_penalty is None else settings.length_penalty,
        "processors": model_processors(settings),
    }
    name, beams = "greedy", settings.num_beams or 1
    if beams > 1:
        name = "beam"
        fields |= {"beam": beams, "early_stopping": settings.early_stopping or False}
    tasks = [
        Request(prompt=text, max_new_tokens=LENGTH - 1)
        if model.encoder is None
        else Request(prompt=[START], source=text, max_new_tokens=LENGTH - 1)
        for text in texts
    ]
    stepper = ModelStepper(model) if cached else Uncached(model)
    found = decode_all(stepper, build(name, **fields), tasks)
    return [[*best.ids, END] if best.finished else best.ids for best, *_ in found]


def theirs(
    reference: Any, ids_BT: Tensor, mask_BT: Tensor, asked: dict[str, Any], *, cached: bool = True
) -> list[list[int]]:
    """What transformers writes, up to and with the end token."""
    two = reference.config.is_encoder_decoder
    ids_BT = reference.generate(
        input_ids=ids_BT,
        attention_mask=mask_BT,
        decoder_start_token_id=START if two else None,
        max_length=(1 if two else ids_BT.size(1)) + LENGTH - 1,
        eos_token_id=END,
        pad_token_id=reference.config.pad_token_id or 0,
        do_sample=False,
        use_cache=cached,
        **first_is_global(reference, ids_BT),
        **asked,
    )[:, 1 if two else ids_BT.size(1) :]
    rows = ids_BT.tolist()
    return [row[: row.index(END) + 1] if END in row else row for row in rows]


@pytest.mark.parametrize(("name", "number"), WRITERS)
@torch.inference_mode()
def test_texts_are_those_of_transformers(name: str, number: int, tmp_path: Path) -> None:
    reference = make(name, number, tmp_path)
    reference.generation_config.max_length = None
    reference.generation_config.forced_eos_token_id = None
    model = build_model(inspect_folder(tmp_path))
    pad = reference.config.pad_token_id
    ids_BT, lengths_B = padded(3, 8, avoid=pad)
    if model.encoder is None:
        ids_BT, lengths_B = padded(1, 8, avoid=pad)
    mask_BT = (torch.arange(8) < lengths_B[:, None]).long()
    texts = [row[:length] for row, length in zip(ids_BT.tolist(), lengths_B, strict=True)]
    every = {**ASKED, **({"forced": FORCED} if model.encoder is not None else {})}
    # There, the padding of a source belongs to it: it is not to be written here either.
    unpadded = {**OF_SOURCE, "suppress_tokens": [pad or 0]}
    every |= {f"{kind}, of the source": {**ASKED[kind], **unpadded} for kind in ("greedy", "beam")}
    for asked in every.values():
        wanted = theirs(reference, ids_BT, mask_BT, asked)
        assert ours(model, texts, asked) == wanted
    uncached = ours(model, texts, ASKED["beam"], cached=False)
    assert uncached == theirs(reference, ids_BT, mask_BT, ASKED["beam"], cached=False)
    assert uncached == ours(model, texts, ASKED["beam"])
