"""Growth of a tokenizer: characters and merges that it learns from a text beside its own."""

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..errors import TokenizerError, TokenizerOptionError
from ..kinds import split_at_unknown
from ..limits import check_added_token
from ..pretrained.from_json import split_special_token_names
from ..special import OUT_OF_VOCABULARY
from ..tokenizer import Tokenizer
from .merging import learn_merges
from .vocabularies import VOCABULARIES, GrowingVocabulary
from .words import Lines, TextToLearn, count_words

_PREFERRED = 0.01  # nats by which a new piece of a unigram model beats its two parts


@dataclass(frozen=True, kw_only=True)
class GrowthOptions:
    """The tokens that a tokenizer is to have beside its own."""

    size: int = 0  # at most, learned from a text
    special: tuple[str, ...] = ()  # further ones, recognized in texts
    min_frequency: int = 2
    max_bytes: int = 2_000_000_000  # text beyond is not read


@dataclass(frozen=True, kw_only=True)
class Growth:
    """A tokenizer with further tokens, whose ids follow those that there were."""

    tokenizer: Tokenizer
    first_id: int  # of the further tokens
    spellings: dict[int, tuple[int, ...]]  # of each: the former ids of its text; () if none
    characters: int = 0  # of the text that was read
    unknown: int = 0  # of those: the ones that the tokenizer did not know
    tokens: int = 0  # of the text, as it was
    tokens_left: int = 0  # of it, as it is now

    @property
    def added(self) -> int:
        """The number of further tokens."""
        return len(self.spellings)


def grow_tokenizer(tokenizer: Tokenizer, lines: Lines, options: GrowthOptions) -> Growth:
    """Return a tokenizer with the further tokens that a text has most use for.

    `lines` gives the text anew each time: it is read for characters that the tokenizer does not
    know, for pairs of its tokens that are often neighbours (arXiv 1508.07909) in words that it
    spells badly, and to count its tokens. A text keeps its ids unless one of the further tokens
    occurs in it; those of BPE stand for runs of its former tokens. Raises TokenizerError for a
    tokenizer that cannot grow, with the reason.
    """
    state = json.loads(tokenizer.to_json())
    vocabulary = _vocabulary(tokenizer, state)
    first_id = vocabulary.first_id
    spellings: dict[int, tuple[int, ...]] = {}
    for name in dict.fromkeys(options.special):
        token_id = _add_special(state, vocabulary, name)
        if token_id >= first_id:
            spellings[token_id] = ()
    if not options.size:
        return Growth(tokenizer=_rebuilt(state), first_id=first_id, spellings=spellings)
    whole = [token["content"] for token in state["added_tokens"] if not token["special"]]
    text = TextToLearn(tokenizer, lines, options.max_bytes, whole=whole)
    learner = _Learner(vocabulary, options)
    spellings |= learner.learn_characters(text)
    _update_splitter(tokenizer, state)
    spellings |= learner.learn_merges(text, _rebuilt(state))
    grown = _rebuilt(state)
    return Growth(
        tokenizer=grown,
        first_id=first_id,
        spellings=spellings,
        characters=text.characters.total(),
        unknown=text.unknown,
        tokens=text.tokens,
        tokens_left=text.count_tokens(grown),
    )


def check_growth(tokenizer: Tokenizer) -> None:
    """Raise TokenizerError for a tokenizer that cannot grow, with the reason."""
    _vocabulary(tokenizer, json.loads(tokenizer.to_json()))


def _vocabulary(tokenizer: Tokenizer, state: dict[str, Any]) -> GrowingVocabulary:
    kind = state["model"]["type"]
    if kind not in VOCABULARIES:
        raise TokenizerError(
            f"the tokenizer cannot grow: its model is {kind}; {', '.join(VOCABULARIES)} can"
        )
    if tokenizer.token_id(OUT_OF_VOCABULARY) is not None:
        raise TokenizerError(
            "the tokenizer cannot grow: it has pieces that its model has not learnt, whose ids are "
            "above all others"
        )
    try:
        return VOCABULARIES[kind](state)
    except TokenizerError as error:
        raise TokenizerError(f"the tokenizer cannot grow: {error}") from None


def _rebuilt(state: dict[str, Any]) -> Tokenizer:
    tokenizer = Tokenizer.from_json(json.dumps(state), name="the grown tokenizer")
    split_special_token_names(tokenizer)  # added ones are in the model now
    return tokenizer


def _add_special(state: dict[str, Any], vocabulary: GrowingVocabulary, name: str) -> int:
    """Have a token recognized in texts; return its id, which it may have had before."""
    try:
        check_added_token(name)
    except ValueError as error:
        raise TokenizerOptionError(f"a special token is too long: {error}") from None
    if not name.strip():
        raise TokenizerOptionError(f"{name!r} cannot be a special token: nothing of it is visible")
    token_id = vocabulary.ids.get(name)
    if token_id is None:
        token_id = vocabulary.add(name)
    if all(token["id"] != token_id for token in state["added_tokens"]):
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        state["added_tokens"].append({"id": token_id, "content": name, **flags})
        state["added_tokens"].sort(key=lambda token: token["id"])
    return token_id


def _update_splitter(tokenizer: Tokenizer, state: dict[str, Any]) -> None:
    """Let a splitter at unknown characters, such as those trained here have, know the new ones."""
    backend = tokenizer.backend
    if state["model"]["type"] != "WordPiece" or backend.pre_tokenizer is None:
        return
    own = split_at_unknown(backend.get_vocab(with_added_tokens=False))
    if json.loads(own.__getstate__()) == state["pre_tokenizer"]:
        grown = split_at_unknown(state["model"]["vocab"])
        state["pre_tokenizer"] = json.loads(grown.__getstate__())


@dataclass
class _Learner:
    """A learner of tokens for a vocabulary."""

    vocabulary: GrowingVocabulary
    options: GrowthOptions
    _spellings: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def learn_characters(self, text: TextToLearn) -> dict[int, tuple[int, ...]]:
        """Add the most frequent unknown characters, on half of the room if there are merges, too.

        Returns the former spelling of each of their tokens.
        """
        vocabulary, total = self.vocabulary, text.characters.total()
        room = self.options.size // 2 if vocabulary.joins_pieces else self.options.size
        for character, count in _ranked(text.characters):
            if count < self.options.min_frequency:
                break
            if not vocabulary.lacks(character):
                continue
            names = vocabulary.forms_of(character)
            if len(names) > room:
                break
            spelling = vocabulary.spelling_of(character)
            for name in names:
                token_id = vocabulary.add(name, score=math.log(count / total))
                self._spellings[token_id] = spelling
            room -= len(names)
        return self._spellings

    def learn_merges(self, text: TextToLearn, tokenizer: Tokenizer) -> dict[int, tuple[int, ...]]:
        """Add tokens that join two others; return the former spelling of each."""
        vocabulary = self.vocabulary
        words, total = count_words(text, tokenizer, vocabulary)
        room = self.options.size - len(self._spellings)
        names = dict(vocabulary.names)

        def join(left: int, right: int, merged: int) -> bool:
            name = vocabulary.joined(names[left], names[right])
            if name in vocabulary.learned or not vocabulary.is_in_words(name):
                return False
            names[merged] = name
            return True

        merges = learn_merges(
            words,
            join=join,
            first_id=vocabulary.next_id,
            limit=room if vocabulary.joins_pieces else 0,
            min_count=max(2, self.options.min_frequency),
        )
        for left, right, merged, count in merges:
            parts = [names[left], names[right]]
            score = max(
                math.log(count / max(1, total)), sum(map(vocabulary.score, parts)) + _PREFERRED
            )
            vocabulary.add(names[merged], score=score)
            vocabulary.add_merge(*parts)
            self._spellings[merged] = self._spelling(left) + self._spelling(right)
        return self._spellings

    def _spelling(self, token_id: int) -> tuple[int, ...]:
        return self._spellings.get(token_id, (token_id,))


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return characters with their counts, the most frequent first, equal ones by their code."""
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
