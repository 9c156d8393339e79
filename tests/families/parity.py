"""Comparison of a published folder, as this program runs it, with transformers' own answers."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.families.published import first_is_global
from tests.families.random_folders import (
    ENCODERS,
    Draw,
    reference,
    wrap_weights,
    write_folder,
)
from tests.families.random_tokenizers import TOKENIZERS
from tests.models import model_inputs
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.loading import LoadedModel, load_model
from transformer.pipelines.arguments import GenerateArguments, TranslateArguments
from transformer.pipelines.languages import translation_prompt
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session
from transformer.pipelines.text_framing import TextFraming

# Without what transformers' own converters of tokenizers treat otherwise than SentencePiece does.
TEXTS = ["The quick brown fox", "jumps over 1234 lazy dogs, e.g. bananas", "Zwölf Boxkämpfer jagen"]
NEW_TOKENS = 10
TOLERANCE = 2e-4
# transformers 5 does not know M2M-100's languages and its unknown token to be special.
_SHOWN = re.compile(r"__[a-z]{2,3}__|<unk>|\s")


@dataclass
class Sides:
    """A folder as this program reads it, and as transformers does."""

    ours: LoadedModel
    theirs: Any
    pieces: Any  # transformers' tokenizer


def differences(drawn: Draw, folder: Path) -> Iterator[str]:
    """Yield what differs for a drawn model: as it is, as ours, and published again."""
    family = drawn.family
    write_folder(drawn, folder / "published")
    theirs = reference(drawn, folder / "published")
    pieces = TOKENIZERS[family].reference(folder / "published")
    wrap_weights(drawn, folder / "published")
    sides = Sides(load_model(folder / "published", device="cpu"), theirs, pieces)
    yield from _compare(drawn, sides)
    convert_model(folder / "published", folder / "ours", to="transduce")
    yield from _compare_loaded(sides.ours, load_model(folder / "ours", device="cpu"))
    convert_model(folder / "ours", folder / "again", to=family)
    again = reference(drawn, folder / "again")
    yield from (f"again: {text}" for text in _compare_models(theirs, again))
    sides = Sides(sides.ours, again, TOKENIZERS[family].reference(folder / "again"))
    yield from (f"again: {text}" for text in _compare(drawn, sides))


def _compare(drawn: Draw, sides: Sides) -> Iterator[str]:
    rows = []
    before, after = sides.ours.tokenizer.special_affixes()
    if drawn.classifier:
        before, after = sides.ours.special_affixes
    for text in TEXTS:
        ids = [*before, *sides.ours.tokenizer.encode(text), *after]
        expected = sides.pieces(text)["input_ids"]
        if ids != expected:
            yield f"ids of {text!r}: {ids}, not {expected}"
        rows.append(ids)
    if drawn.classifier:
        yield from _compare_pairs(sides)
    yield from _compare_logits(sides, rows)
    if drawn.family not in ENCODERS and not drawn.classifier:
        for beams in (1, sides.ours.generation.num_beams or 3):
            yield from _compare_texts(sides, rows, beams)


def _compare_pairs(sides: Sides) -> Iterator[str]:
    """Yield what differs in how two texts are read, as of a cross-encoder."""
    pair = [sides.ours.tokenizer.encode(text) for text in TEXTS[:2]]
    found = TextFraming.of(sides.ours, 1000).frame(pair)
    expected = sides.pieces(*TEXTS[:2])
    if found.ids != expected["input_ids"]:
        yield f"ids of a pair: {found.ids}, not {expected['input_ids']}"
    types = expected.get("token_type_ids") if sides.ours.config.token_types > 1 else None
    if types is not None and types != [int(n >= found.second) for n in range(len(types))]:
        yield f"types of a pair: {types}, not from {found.second} on"


def _compare_logits(sides: Sides, rows: list[list[int]]) -> Iterator[str]:
    for row in rows:
        difference = float((_our_logits(sides, row) - _their_logits(sides, row)).abs().max())
        if not difference <= TOLERANCE:
            yield f"logits of {len(row)} tokens differ by {difference:.2g}"


@torch.inference_mode()
def _our_logits(sides: Sides, row: list[int]) -> Tensor:
    model, ids_BT = sides.ours.model, torch.tensor([row])
    if model.config.shape == "encoder" and model.config.head == "none":
        return model.encode(model_inputs(ids_BT, torch.arange(len(row))[None]))
    if model.config.shape != "encoder-decoder":
        return model(model_inputs(ids_BT))
    return model(model_inputs(ids_BT.clamp(max=model.config.vocab_size - 1), source_BS=ids_BT))


@torch.inference_mode()
def _their_logits(sides: Sides, row: list[int]) -> Tensor:
    model, ids_BT = sides.theirs, torch.tensor([row])
    more = first_is_global(model, ids_BT)
    if not model.config.is_encoder_decoder:
        found = model(input_ids=ids_BT, **more)
        return found.logits if "logits" in found else found.last_hidden_state
    target_BT = ids_BT.clamp(max=sides.ours.config.vocab_size - 1)
    return model(input_ids=ids_BT, decoder_input_ids=target_BT, **more).logits


def _compare_texts(sides: Sides, rows: list[list[int]], beams: int) -> Iterator[str]:
    answers = _our_texts(sides, beams)
    for row, (ids, text) in zip(rows, answers, strict=True):
        expected, expected_text = _their_text(sides, row, beams)
        if ids != expected:
            yield f"{beams} beams: {ids}, not {expected}"
        elif _letters(text) != _letters(expected_text):
            yield f"{beams} beams: {text!r}, not {expected_text!r}"


def _letters(text: str) -> str:
    return _SHOWN.sub("", text)


def _our_texts(sides: Sides, beams: int) -> list[tuple[list[int], str]]:
    session, counts, source = Session([sides.ours]), Counter[str](), IterableSource(TEXTS)
    if sides.ours.config.has_encoder:
        limit = None if _has_limit(sides.theirs) else NEW_TOKENS
        language = required_language(sides.ours)
        asked = TranslateArguments(
            beam=beams, no_guard=True, max_tokens=limit, target_language=language
        )
        answers = list(session.translate(source, asked, counts))
    else:
        greedy = {"temperature": 0.0} if beams == 1 else {"beam": beams}
        asked = GenerateArguments(**greedy, max_tokens=NEW_TOKENS)
        answers = list(session.generate(source, asked, counts))
    outputs = [answer.outputs[0] for answer in answers]
    return [(list(output.hypothesis.ids), output.text) for output in outputs]


def required_language(loaded: LoadedModel) -> str | None:
    """Return a language to name where a model asks for one, or None."""
    try:
        translation_prompt(loaded, None, None)
    except ConfigError as error:
        return str(error).rpartition(" ")[2]  # the last that it lists
    return None


def _has_limit(model: Any) -> bool:
    settings = model.generation_config
    return settings.max_length is not None or settings.max_new_tokens is not None


@torch.inference_mode()
def _their_text(sides: Sides, row: list[int], beams: int) -> tuple[list[int], str]:
    model, two = sides.theirs, sides.theirs.config.is_encoder_decoder
    limit = {} if two and _has_limit(model) else {"max_new_tokens": NEW_TOKENS}
    if two and (language := required_language(sides.ours)):
        start = translation_prompt(sides.ours, None, language)
        limit["forced_bos_token_id"] = start.forced_first or 0
    prompt = row if two or sides.ours.tokenizer.special_affixes()[1] == [] else row[:-1]
    found = model.generate(
        input_ids=torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        num_beams=beams,
        do_sample=False,
        tokenizer=sides.pieces,
        use_cache=model.config.model_type != "t5",  # which needs as many layers on both sides
        **first_is_global(model, torch.tensor([prompt])),
        **limit,
    )[0].tolist()
    written = found[1:] if two else found[len(prompt) :]
    ends = {*sides.ours.generation.end_ids}
    ids = written[: next((n for n, i in enumerate(written) if i in ends), len(written))]
    before, known = [] if two else prompt, sides.ours.target_tokenizer.vocab_size

    def decode(row: list[int]) -> str:  # rows of the embedding may have no token
        row = [token_id for token_id in row if token_id < known]
        return sides.pieces.decode(row, skip_special_tokens=True)

    return ids, decode([*before, *ids])[len(decode(before)) :]


def _compare_loaded(published: LoadedModel, ours: LoadedModel) -> Iterator[str]:
    """Yield what differs between a published folder and what it became as ours."""
    for name in ("config", "generation", "special_affixes", "decoder_start_id", "labels"):
        value, expected = getattr(ours, name), getattr(published, name)
        if value != expected:
            yield f"ours: {name} {value}, not {expected}"
    for side in ("tokenizer", "target_tokenizer"):
        one, other = getattr(ours, side), getattr(published, side)
        if any(one.encode(text) != other.encode(text) for text in TEXTS):
            yield f"ours: other ids of the {side}"
    weights, expected_weights = ours.model.state_dict(), published.model.state_dict()
    for name, tensor in expected_weights.items():
        if name not in weights or not torch.equal(tensor, weights[name]):
            yield f"ours: other weights {name}"


def _compare_models(published: Any, again: Any) -> Iterator[str]:
    """Yield what differs between two models of transformers: settings of decoding, and ids."""
    for name in ("id2label", "label2id"):
        if getattr(again.config, name) != getattr(published.config, name):
            yield f"{name} {getattr(again.config, name)}"
    if not hasattr(published, "generation_config") or published.generation_config is None:
        return
    settings, expected = (_settings(model) for model in (again, published))
    for name in sorted(settings.keys() | expected.keys()):
        if settings.get(name) != expected.get(name):
            yield f"{name} {settings.get(name)}, not {expected.get(name)}"
    rows = len((again.get_output_embeddings() or again.get_input_embeddings()).weight)
    for name, value in {**settings, **again.config.to_dict()}.items():
        for token_id in _numbers(value) if name.endswith(_ID_NAMES) else ():
            if token_id >= rows:
                yield f"{name} {token_id} is beyond the {rows} rows"


_ID_NAMES = ("_token_id", "_tokens", "_ids")
_OF_VERSIONS = ("transformers_version", "_from_model_config", "_original_object_hash")


def _settings(model: Any) -> dict[str, Any]:
    fields = model.generation_config.to_dict()
    return {n: v for n, v in fields.items() if n not in _OF_VERSIONS and v is not None}


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int) and not isinstance(value, bool) and not math.isnan(value):
        yield value
