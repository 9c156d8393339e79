"""Refusal of text of which a tokenizer does not know most."""

from tokenizer import CorpusError

from ..loading import LoadedModel
from .data_recipe import has_validation_files
from .data_report import DataReport, UnknownText
from .recipe import Recipe
from .vocabulary import way_to_grow


def check_known(report: DataReport, recipe: Recipe, initial: LoadedModel | None) -> None:
    """Raise CorpusError if the tokenizer does not know most of a text that was prepared.

    It is that of the `initial` model, if there is one. What was drawn from the training text for
    validation is not looked at: of few pairs, it may have letters that no other has.
    """
    named = has_validation_files(recipe.data)
    for part in (report.training, report.validation if named else None):
        for side, text in part.unknown.items() if part is not None else ():
            if text.share > recipe.data.max_unknown:
                name = "training" if part is report.training else "validation"
                raise CorpusError(_message(f"{name} {side}", text, _way_out(recipe, initial)))


def _way_out(recipe: Recipe, initial: LoadedModel | None) -> str:
    if initial is not None:
        return way_to_grow(initial, recipe)
    if recipe.tokenizer.path:
        return "leave --tokenizer out, so that one is trained on this text"
    return "set tokenizer.kind to byte-bpe, which knows all text, or raise tokenizer.vocab_size"


def _message(name: str, text: UnknownText, way: str) -> str:
    return (
        f"the tokenizer does not know {text.share:.0%} of the characters in the {name} text "
        f"({' '.join(text.most_frequent)} …): {way}; to train nevertheless, set "
        "data.max_unknown=1"
    )
