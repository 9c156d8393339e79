"""Abilities of models, by shape and head: the commands that each can do."""

from typing import NamedTuple

from .config import TransformerConfig
from .errors import ConfigError
from .registry import Registry

# Kinds of models by their shape, in users' words.
KINDS = {
    "encoder": "encoder",
    "decoder": "language model (decoder)",
    "encoder-decoder": "translator (encoder-decoder)",
}
# By their head, where that says what they are.
_KINDS_BY_HEAD = {"classification": "classifier of texts", "tagging": "tagger of words"}
_WITH_DECODER = "a model with a decoder, and no head over labels"
_TEXT = " --text FILE"
_CLASSIFIER = "a classifier (a model with a head over labels, as train --labelled makes it)"
_TAGGER = "a tagger (a model with a head over the tags of words, as train --tagged makes it)"
_OF_WORDS = ("linear", "masked", "none")  # heads whose outputs are tokens


class Ability(NamedTuple):
    """A command, and the shapes and heads of models that can do it."""

    verb: str  # completes "cannot"
    shapes: dict[str, str]  # to what follows the command for a model of that shape
    needs: str
    heads: tuple[str, ...] = ()  # none: whatever the head
    encoder_heads: tuple[str, ...] = ()  # of encoders, where they are others

    def is_of(self, config: TransformerConfig) -> bool:
        """Return True for a configuration of a model that can do it."""
        heads = (config.shape == "encoder" and self.encoder_heads) or self.heads
        return config.shape in self.shapes and (not heads or config.head in heads)


ABILITIES: Registry[Ability] = Registry(
    "ability",
    {
        "translate": Ability(
            "translate", {"encoder-decoder": ""}, f"a {KINDS['encoder-decoder']}", heads=_OF_WORDS
        ),
        "generate": Ability(
            "generate text", {"decoder": ""}, f"a {KINDS['decoder']}", heads=_OF_WORDS
        ),
        "score": Ability(
            "score texts", {"decoder": "", "encoder-decoder": ""}, _WITH_DECODER, heads=_OF_WORDS
        ),
        "classify": Ability(
            "classify",
            {"encoder": "", "decoder": ""},
            _CLASSIFIER,
            heads=("classification",),
        ),
        "tag": Ability(
            "tag",
            {"encoder": "", "decoder": ""},
            _TAGGER,
            heads=("tagging",),
        ),
        "fill": Ability(
            "fill in masks",
            {"encoder": ""},
            "a masked language model (an encoder with the head that predicts masked tokens)",
            heads=("masked",),
        ),
        "embed": Ability(
            "embed", {"encoder": "", "encoder-decoder": ""}, "a model with an encoder"
        ),
        "evaluate": Ability(
            "be evaluated",
            {
                **dict.fromkeys(("decoder", "encoder"), " --text FILE"),
                "encoder-decoder": " --pairs FILE",
            },
            _WITH_DECODER,
            heads=_OF_WORDS,
            encoder_heads=("masked",),
        ),
        "evaluate --labelled": Ability(
            "classify",
            dict.fromkeys(("encoder", "decoder"), " FILE"),
            _CLASSIFIER,
            heads=("classification",),
        ),
        "evaluate --tagged": Ability(
            "tag", dict.fromkeys(("encoder", "decoder"), " FILE"), _TAGGER, heads=("tagging",)
        ),
        "evaluate --text": Ability(
            "predict running text",
            {"decoder": ""},
            f"a {KINDS['decoder']}, or an encoder that predicts masked tokens",
            heads=_OF_WORDS,
        ),
    },
)
COMMANDS = (
    *("translate", "generate", "score", "classify", "tag", "fill", "embed"),
    *("evaluate", "evaluate --labelled", "evaluate --tagged"),
)


def commands_of(config: TransformerConfig) -> list[str]:
    """Return what a model can do, as commands without the model's name, the first one first.

    >>> from .presets import preset_config
    >>> commands_of(preset_config("write-tiny", vocab_size=100))
    ['generate', 'score', 'evaluate --text FILE']
    """
    abilities = {name: ABILITIES[name] for name in COMMANDS}
    return [
        f"{name}{ability.shapes[config.shape]}"
        for name, ability in abilities.items()
        if ability.is_of(config)
    ]


def require_ability(config: TransformerConfig, name: str, folder: object) -> None:
    """Raise ConfigError, naming what the model can do, unless it has an ability."""
    ability = ABILITIES[name]
    if ability.is_of(config):
        return
    command = name.split(maxsplit=1)[0]  # another form of it, if there is one, comes first
    first, *others = sorted(commands_of(config), key=lambda each: each.split()[0] != command)
    also = f" (also {', '.join(others)})" if others else ""
    kind = _KINDS_BY_HEAD.get(config.head, KINDS[config.shape])
    raise ConfigError(
        f"the {kind} in {folder} cannot {ability.verb}, which needs {ability.needs}; "
        f"it can do this: transduce {first} -m {folder}{also}"
    )
