"""Encoding and decoding text with a trained tokenizer, stored in one tokenizer.json."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers.processors import TemplateProcessing

from .backend_errors import backend_errors, discard_stderr, stderr_lock
from .bpe_dropout import switch_off_dropout, with_dropout
from .detokenizer import IncrementalDetokenizer
from .errors import TokenizerError
from .limits import has_nested_quantifiers, parse_json
from .offsets import OffsetEncoding, token_ranges
from .special import OUT_OF_VOCABULARY, ROLES
from .special_encoding import SpecialTokenEncoder
from .unknown import UnknownCharacters, unknown_token_id

SpecialAffixes = tuple[list[int], list[int]]  # ids before and after a text


class Tokenizer:
    """Encoder and decoder of text.

    Special tokens spelled out in a text are encoded as ordinary text, so that no input can end a
    sentence or fill it with padding; language tags and other added tokens are recognized.

    BPE dropout (arXiv 1910.13267), which a tokenizer.json may ask for, is off: it leaves out merges
    at random, as noise for training, so that the same text would have other ids each time it is
    translated, scored or prepared for a run. `to_json` keeps the setting for who reads it next.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True
        self.backend.no_padding()
        self.backend.no_truncation()
        self._dropout = switch_off_dropout(backend)
        self._may_panic = has_nested_quantifiers(self.backend)
        # The number of ids that the model has learnt, where the tokenizer has others.
        self._known_ids = self.backend.token_to_id(OUT_OF_VOCABULARY)
        self._unusable: dict[int, str] = {}  # added tokens that the model has no embedding of

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read a tokenizer.json. Raises OSError, and TokenizerError if it is damaged."""
        text = path.read_text(encoding="utf-8", errors="replace")
        return cls.from_json(text, name=str(path))

    @classmethod
    def from_json(cls, text: str, *, name: str = "tokenizer.json") -> "Tokenizer":
        """Return the tokenizer of a tokenizer.json's contents; `name` is for messages."""
        return cls(parse_json(text, name=name))

    def to_json(self, *, special_affixes: SpecialAffixes | None = None) -> str:
        """Return the contents of a tokenizer.json, optionally with other special affixes."""
        copy = with_dropout(self.backend, self._dropout)
        if special_affixes is None or special_affixes == self.special_affixes():
            return copy.to_str(pretty=True)
        copy = tokenizers.Tokenizer.from_str(copy.to_str())
        before, after = ([str(self.token(i)) for i in ids] for ids in special_affixes)
        names = {name: copy.token_to_id(name) for name in [*before, *after]}
        copy.post_processor = TemplateProcessing(
            single=[*before, "$A", *after],
            pair=[*before, "$A", *after, "$B:1", *(f"{name}:1" for name in after)],
            special_tokens=list(names.items()),
        )
        return copy.to_str(pretty=True)

    def save(self, path: Path) -> None:
        """Write a tokenizer.json."""
        path.write_text(self.to_json(), encoding="utf-8")

    @property
    def vocab_size(self) -> int:
        """The number of ids, added tokens included."""
        if self._known_ids is not None:
            return self._known_ids
        return self.backend.get_vocab_size(with_added_tokens=True)

    @property
    def largest_id(self) -> int:
        """The largest id that encoding can return: ids may have gaps."""
        if self._known_ids is not None:
            return self._known_ids - 1
        affix_ids = (token_id for ids in self.special_affixes() for token_id in ids)
        ids = self.backend.get_vocab(with_added_tokens=True).values()
        return max((*ids, *affix_ids), default=0)

    def limit_ids(self, size: int) -> None:
        """Put added tokens out of use that a model of `size` tokens has no embedding of.

        In ordinary text their names are ordinary text. Raises TokenizerError where ordinary text
        or the ids around it need others.
        """
        added = self.backend.get_added_tokens_decoder()
        ids = set(self.backend.get_vocab(with_added_tokens=True).values()) - added.keys()
        if max(ids | set(chain(*self.special_affixes())), default=0) >= size:
            raise TokenizerError(
                f"the tokenizer has {max(ids | added.keys()) + 1:,} tokens, the model's "
                f"vocabulary {size:,}; they do not belong together"
            )
        self._unusable = {i: token.content for i, token in added.items() if i >= size}
        self.backend.add_special_tokens(list(self._unusable.values()))

    def role(self, name: str) -> int | None:
        """Return the id of a special token by its role (a key of ROLES), or None."""
        ids = map(self.token_id, ROLES[name])
        return next((token_id for token_id in ids if token_id is not None), None)

    def require_role(self, name: str) -> int:
        """Return the id of a special token by its role. Raises TokenizerError if there is none."""
        token_id = self.role(name)
        if token_id is None:
            raise TokenizerError(
                f"the tokenizer has no {name} token; looked for: {', '.join(ROLES[name])}"
            )
        return token_id

    def token_id(self, token: str) -> int | None:
        """Return the id of a token by its exact name, or None."""
        token_id = self.backend.token_to_id(token)
        return None if token_id in self._unusable else token_id

    def token(self, token_id: int) -> str | None:
        """Return the exact name of a token by its id, or None."""
        return self.backend.id_to_token(token_id)

    def special_tokens(self) -> dict[str, int]:
        """Return the ids of special tokens by name."""
        added = self.backend.get_added_tokens_decoder().items()
        usable = ((i, token) for i, token in added if i not in self._unusable)
        return {token.content: token_id for token_id, token in usable if token.special}

    def encode(self, text: str) -> list[int]:
        """Encode a text, without special tokens around it."""
        with self._text_errors():
            return self._replace_out_of_vocabulary(
                self.backend.encode(text, add_special_tokens=False).ids
            )

    def encode_with_offsets(self, text: str) -> OffsetEncoding:
        """Encode a text; return the ids, and the characters of it that each stands for."""
        with self._text_errors():
            encoding = self.backend.encode(text, add_special_tokens=False)
        ids = self._replace_out_of_vocabulary(encoding.ids)
        return OffsetEncoding(ids, token_ranges(text, encoding.tokens, encoding.offsets))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode many texts in parallel, on all cores."""
        with self._text_errors():
            rows = self.backend.encode_batch_fast(texts, add_special_tokens=False)
        return [self._replace_out_of_vocabulary(row.ids) for row in rows]

    def encode_with_specials(
        self, text: str, *, ordinary_indices: Collection[int] = ()
    ) -> list[int]:
        """Encode a text in which special tokens spelled out are recognized.

        Those with a character at one of `ordinary_indices` in the text are ordinary text.
        """
        with self._text_errors():
            return self._replace_out_of_vocabulary(
                self._special_encoder.encode(text, ordinary_indices)
            )

    @cached_property
    def _special_encoder(self) -> SpecialTokenEncoder:
        return SpecialTokenEncoder(self.backend)

    @cached_property
    def unknown_id(self) -> int | None:
        """The id of the token that stands for unknown text, or None if no text has any."""
        if self._known_ids is not None:
            return self.require_role("unknown")
        return unknown_token_id(self.backend)

    def unknown_characters(
        self, texts: Sequence[str], rows: Sequence[Sequence[int]] | None = None
    ) -> list[str]:
        """Return, for each text, those of its characters that are unknown, in order.

        `rows` are the texts' ids, if they have been encoded: a text is encoded once more only if
        its row has the unknown token. All characters of an unknown word count.
        """
        detector = self._unknown_characters
        if detector.may_drop:
            with self._text_errors():
                return [detector.in_text(text) for text in texts]
        if self.unknown_id is None:
            return [""] * len(texts)
        rows = self.encode_batch(texts) if rows is None else rows
        with self._text_errors():
            return [
                detector.in_text(text) if self.unknown_id in row else ""
                for text, row in zip(texts, rows, strict=True)
            ]

    @cached_property
    def _unknown_characters(self) -> UnknownCharacters:
        return UnknownCharacters(self.backend, self.unknown_id, self._known_ids)

    def _replace_out_of_vocabulary(self, ids: list[int]) -> list[int]:
        """Replace ids of pieces that the model has not learnt by the unknown token's.

        Raises TokenizerError for an added token that the model has no embedding of.
        """
        if self._unusable and (unusable := self._unusable.keys() & set(ids)):
            raise TokenizerError(
                f"the text has the token {self._unusable[min(unusable)]!r}, which the tokenizer "
                "has and the model lacks: take it out"
            )
        if self._known_ids is None:
            return ids
        unknown = self.require_role("unknown")
        return [token_id if token_id < self._known_ids else unknown for token_id in ids]

    @contextmanager
    def _text_errors(self) -> Iterator[None]:
        """Convert the library's errors about a text to TokenizerError."""
        with backend_errors("the tokenizer cannot be used with this text"):
            if not self._may_panic:
                yield
                return
            with stderr_lock, discard_stderr():
                yield

    def special_affixes(self) -> SpecialAffixes:
        """Return the ids that belong before and after a single text."""
        with self._text_errors():
            encoding = self.backend.encode("a", add_special_tokens=True)
        special_mask = encoding.special_tokens_mask
        if 0 not in special_mask:  # nothing of the text is left
            return [], []
        last = len(special_mask) - special_mask[::-1].index(0)
        return encoding.ids[: special_mask.index(0)], encoding.ids[last:]

    def special_infix(self) -> tuple[list[int], int]:
        """Return the ids that belong between the texts of a pair, and the second one's token type.

        The type is BERT's, 0 or 1.
        """
        with self._text_errors():
            encoding = self.backend.encode("a", "a", add_special_tokens=True)
        first, second = ([i for i, s in enumerate(encoding.sequence_ids) if s == n] for n in (0, 1))
        if not (first and second):  # nothing of a text is left
            return [], 0
        return encoding.ids[first[-1] + 1 : second[0]], min(1, encoding.type_ids[second[0]])

    def pieces(self, text: str) -> list[str]:
        """Return the tokens of a text by name."""
        with self._text_errors():
            return self.backend.encode(text, add_special_tokens=False).tokens

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """Decode ids; special tokens are skipped, or come by name."""
        with self._text_errors():
            return self.backend.decode(list(ids), skip_special_tokens=skip_special)

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Decode many rows of ids."""
        with self._text_errors():
            return self.backend.decode_batch([list(row) for row in rows], skip_special_tokens=True)

    def stream(self, before: Sequence[int] = ()) -> IncrementalDetokenizer:
        """Return a decoder for one id at a time; `before` are the ids that were shown already."""
        return IncrementalDetokenizer(self.backend, self.decode, before)

    def describe(self) -> dict[str, Any]:
        """Return a summary: the kind of model, the vocabulary's size and the special tokens."""
        data = json.loads(self.backend.to_str())
        special = {t["content"]: t["id"] for t in data["added_tokens"]}
        kind = data["model"]["type"]
        if kind == "BPE" and not data["model"]["merges"]:  # as `tokenizer train --kind char` makes
            kind = "char"
        return {"kind": kind, "vocabulary": self.vocab_size, "special": special}
