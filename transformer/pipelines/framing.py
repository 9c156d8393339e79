"""The ids around the texts of a model's pairs: for training and scoring, as decoding has them."""

from ..data import Framing
from ..loading import TextProperties
from .languages import TranslationPrompt, translation_prompt


def pair_framing(
    texts: TextProperties, source_language: str | None = None, target_language: str | None = None
) -> Framing:
    """Return the framing of a model's pairs. Raises what `translation_prompt` raises.

    Of mBART's first version it is that of decoding, which stops at the end token: in training,
    `transformers` has the language once more after it.
    """
    prompt = translation_prompt(texts, source_language, target_language)
    return Framing(
        start=prompt.decoder_start_id,
        source_before=tuple(prompt.source_prefix),
        source_after=tuple(prompt.source_suffix),
        target_before=_target_before(texts, prompt),
        target_after=(texts.generation.end_id,),
    )


def _target_before(texts: TextProperties, prompt: TranslationPrompt) -> tuple[int, ...]:
    """Return the token before each target: a forced one, or the begin token that BART writes.

    A model whose tokenizer puts its begin token before each text, and which starts from another
    one, has learnt to write it first.
    """
    if prompt.forced_first is not None:
        return (prompt.forced_first,)
    tokenizer = texts.target_tokenizer
    begin = {texts.generation.bos_token_id, tokenizer.role("begin")} - {prompt.decoder_start_id}
    return tuple(i for i in tokenizer.special_affixes()[0] if i in begin)
