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
    pooled_shapes: tuple[str, ...] = ()  # those that can if it is said how states are pooled

    def is_of(self, config: TransformerConfig, *, is_pooled: bool = False) -> bool:
        """Return True for a configuration of a model that can do it.

        `is_pooled` says that a decoder's folder, or a user, names a pooling of its states.
        """
        heads = (config.shape == "encoder" and self.encoder_heads) or self.heads
        fits = is_pooled or config.shape not in self.pooled_shapes
        return config.shape in self.shapes and fits and (not heads or config.head in heads)


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
            "embed",
            {"encoder": "", "encoder-decoder": "", "decoder": ""},
            "a model with an encoder, or a decoder whose folder says how its states are pooled "
            "(modules.json), or --pooling",
            pooled_shapes=("decoder",),
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


def commands_of(config: TransformerConfig, *, is_pooled: bool = False) -> list[str]:
    """Return what a model can do, as commands without the model's name, the first one first.

    `is_pooled`: see `Ability.is_of`; such a decoder is there to embed.

    >>> from .presets import preset_config
    >>> commands_of(preset_config("write-tiny", vocab_size=100))
    ['generate', 'score', 'evaluate --text FILE']
    """
    able = [name for name in COMMANDS if ABILITIES[name].is_of(config, is_pooled=is_pooled)]
    able.sort(key=lambda name: config.shape not in ABILITIES[name].pooled_shapes)
    return [f"{name}{ABILITIES[name].shapes[config.shape]}" for name in able]


def require_ability(
    config: TransformerConfig, name: str, folder: object, *, is_pooled: bool = False
) -> None:
    """Raise ConfigError, naming what the model can do, unless it has an ability."""
    ability = ABILITIES[name]
    if ability.is_of(config, is_pooled=is_pooled):
        return
    command = name.split(maxsplit=1)[0]  # another form of it, if there is one, comes first
    first, *others = sorted(commands_of(config), key=lambda each: each.split()[0] != command)
    also = f" (also {', '.join(others)})" if others else ""
    kind = _KINDS_BY_HEAD.get(config.head, KINDS[config.shape])
    raise ConfigError(
        f"the {kind} in {folder} cannot {ability.verb}, which needs {ability.needs}; "
        f"it can do this: transduce {first} -m {folder}{also}"
    )
