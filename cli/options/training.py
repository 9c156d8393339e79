"""Options of `train`: settings of a recipe, each with the key that it sets."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from transformer.registry import either

from .groups import option_field
from .names import OBJECTIVE_NAMES, PRESET_NAMES

_COLUMNS, _ADAPTER = "data.columns", "adapter.kind"
_LORA = "lora"


def _setting(key: str, names: str, help: str, **settings: Any) -> Any:  # noqa: A002
    """Return a field that is an option for a key of recipes, such as `training.steps`."""
    return option_field(None, names, help, key=key, **settings)


@dataclass(kw_only=True)
class RecipeOptions:
    """Options in place of a recipe, or over it."""

    objective: str | None = _setting(
        "objective",
        "--objective NAME",
        f"{either(OBJECTIVE_NAMES)}; if not given, what the texts and --preset are for: running "
        "text is for a language model.",
        panel="Model",
        choices=OBJECTIVE_NAMES,
    )
    lora: bool | None = _setting(
        "adapter.kind",
        "--lora",
        "With --init: train a LoRA adapter beside the model, which stays as it is; the run keeps "
        "the adapter alone, as a PEFT folder. --set adapter.KEY=VALUE changes it (--keys).",
        panel="Model",
    )
    lora_rank: int | None = _setting(
        "adapter.rank",
        "--lora-rank N",
        "Rank of the adapter, which its size grows with; implies --lora.",
        panel="Model",
    )
    source: list[str] | None = _setting(
        "data.source",
        "--source FILE",
        "File of source lines; needs --target. May be repeated.",
        panel="Pairs",
    )
    target: list[str] | None = _setting(
        "data.target",
        "--target FILE",
        "File of translations: line n is that of line n of --source. May be repeated.",
        panel="Pairs",
    )
    pairs: list[str] | None = _setting(
        "data.pairs",
        "--pairs FILE",
        "TSV, CSV, JSONL or JSON file with source and translation as columns; see --columns. "
        "May be repeated.",
        panel="Pairs",
    )
    source_language: str | None = _setting(
        "data.source_language",
        "--from NAME",
        "With --init: language of the source, such as de or deu_Latn, for models with language "
        "tokens. The trained model reads it unless told otherwise.",
        panel="Pairs",
    )
    target_language: str | None = _setting(
        "data.target_language",
        "--to NAME",
        "With --init: language to translate into, for multilingual models.",
        panel="Pairs",
    )
    source_prefix: str | None = _setting(
        "data.source_prefix",
        "--source-prefix TEXT",
        "With --init: text before each source, such as 'summarize: ' for T5. The trained model "
        "adds it by itself.",
        panel="Pairs",
    )
    task: str | None = _setting(
        "data.task",
        "--task NAME",
        "With --init: a task that the model names (task_specific_params), such as summarization: "
        "its prefix and its settings of decoding.",
        panel="Pairs",
    )
    text: list[str] | None = _setting(
        "data.text",
        "--text FILE",
        "File of running text, one document; each record of a TSV, CSV, JSONL or JSON file is "
        "one. May be repeated.",
        panel="Running text",
    )
    conversations: list[str] | None = _setting(
        "data.conversations",
        "--conversations FILE",
        "JSONL or JSON file of messages, of prompt and completion, or of instruction, input and "
        "output; the answers are learnt, as the model's chat template has them. May be repeated.",
        panel="Running text",
    )
    labelled: list[str] | None = _setting(
        "data.labelled",
        "--labelled FILE",
        "File of texts with labels, to train a classifier on: TSV, CSV, JSONL or JSON, or lines of "
        "a label, a space and a text; see --columns. May be repeated.",
        panel="Labels",
    )
    tagged: list[str] | None = _setting(
        "data.tagged",
        "--tagged FILE",
        "File of words with tags, such as named entities, to train a tagger on: columns of word "
        "and tag with a blank line after each sentence (CoNLL), or JSONL or JSON with tokens and "
        "tags, or text and spans. May be repeated.",
        panel="Labels",
    )
    label_kind: str | None = _setting(
        "data.label_kind",
        "--label-kind NAME",
        "single (each text has one label), multi (any number of them) or number (a score is "
        "learnt). Default: as the labels look.",
        panel="Labels",
        choices=("single", "multi", "number"),
    )
    label_separator: str | None = _setting(
        "data.label_separator",
        "--label-separator TEXT",
        "What stands between the labels of a text in a table, such as ','. Default: it has one.",
        panel="Labels",
    )
    chat_template: str | None = _setting(
        "data.chat_template",
        "--chat-template FILE",
        "With --init: a chat template (Jinja) for conversations, in place of the model's.",
        panel="Running text",
    )
    valid_source: list[str] | None = _setting(
        "data.valid_source",
        "--valid-source FILE",
        "Like --source, to validate on; needs --valid-target.",
        panel="Pairs",
    )
    valid_target: list[str] | None = _setting(
        "data.valid_target", "--valid-target FILE", "Like --target, to validate on.", panel="Pairs"
    )
    valid_pairs: list[str] | None = _setting(
        "data.valid_pairs", "--valid-pairs FILE", "Like --pairs, to validate on.", panel="Pairs"
    )
    valid_text: list[str] | None = _setting(
        "data.valid_text", "--valid-text FILE", "Like --text, to validate on.", panel="Running text"
    )
    valid_conversations: list[str] | None = _setting(
        "data.valid_conversations",
        "--valid-conversations FILE",
        "Like --conversations, to validate on.",
        panel="Running text",
    )
    valid_labelled: list[str] | None = _setting(
        "data.valid_labelled",
        "--valid-labelled FILE",
        "Like --labelled, to validate on.",
        panel="Labels",
    )
    valid_tagged: list[str] | None = _setting(
        "data.valid_tagged",
        "--valid-tagged FILE",
        "Like --tagged, to validate on.",
        panel="Labels",
    )
    valid_fraction: float | None = _setting(
        "data.valid_fraction",
        "--valid-fraction X",
        "Without validation files, validate on this share of the training text: examples drawn by "
        "--seed, equal ones together, or the end of running text (0 to below 1, such as 0.05; 0: "
        "no validation). Default: chosen; with a recipe, 0.",
        panel="Input",
    )
    columns: str | None = _setting(
        _COLUMNS,
        "--columns NAMES",
        "Columns of tables, by number, or by a name that is a field of JSON or stands in a first "
        "line: two of --pairs, one of --text, of --labelled a text or two, then the label, of "
        "--tagged word and tag. Default: as the text looks.",
        panel="Input",
    )
    tokenizer: str | None = _setting(
        "tokenizer.path",
        "--tokenizer FILE",
        "A tokenizer.json. Default: one is trained on the training text.",
        panel="Model",
    )
    grow_vocabulary: int | None = _setting(
        "tokenizer.grow",
        "--grow-vocabulary N",
        "With --init: up to N tokens more, for a language or a script that the model's tokenizer "
        "spells badly or does not know; they are learned from the training text. Other text keeps "
        "its tokens.",
        panel="Model",
    )
    special: list[str] | None = _setting(
        "tokenizer.special",
        "--special TOKEN",
        "A token kept whole wherever a text has it, such as <2fr>; with --init, added to the "
        "model's vocabulary. May be repeated.",
        panel="Model",
    )
    preset: str | None = _setting(
        "model.preset",
        "--preset NAME",
        "Size of the model. Translation: translate-small, translate-student (decodes fast), "
        "translate-tiny, base, big; to pre-train "
        "first: t5-tiny, t5-base, bart-tiny, bart-base. Language model: write-small, write-tiny, "
        "gpt2, gpt2-medium, gpt2-large, gpt2-xl, gpt3-175b. Masked language model, classifier, "
        "tagger: "
        "bert-tiny, bert-base. Default: chosen; with a recipe, its objective's (--presets).",
        panel="Model",
        choices=PRESET_NAMES,
    )
    time: str | None = _setting(
        "training.time",
        "--time TIME",
        "Train for this time at most, such as 20m: size and steps are chosen for it. Pairs are "
        "read at most 40 times, other text 20 (--epochs). --resume with the same goes on with what "
        "is left. "
        "Default without a recipe, --steps and --epochs: 20m.",
        panel="Training",
    )
    epochs: float | None = _setting(
        "training.epochs",
        "--epochs X",
        "Read the training text so often; with --time, whichever is less.",
        panel="Training",
    )
    steps: int | None = _setting(
        "training.steps",
        "--steps N",
        "Updates of the weights in all, in place of --time and --epochs, as a recipe without "
        "these has it. Default: 10000.",
        panel="Training",
    )
    batch_tokens: int | None = _setting(
        "training.batch_tokens",
        "--batch-tokens N",
        "Most tokens of a batch, padding counted: its rows times the longest source or "
        "target, or windows times --context. Chosen without a recipe. Default: 4096.",
        panel="Training",
    )
    context: int | None = _setting(
        "training.context",
        "--context N",
        "Tokens of each window of text, and the most that the model can read. Default: 256.",
        panel="Running text",
    )
    learning_rate: float | None = _setting(
        "training.learning_rate",
        "--learning-rate X",
        "Learning rate at its peak, after the warm-up. Chosen without a recipe. Default: 0.001.",
        panel="Training",
    )
    save_every: str | None = _setting(
        "training.save_every",
        "--save-every TIME",
        "Save to resume from after this time, such as 10m or 90s, or after a number of steps, "
        "besides at validations. Default: 10m.",
        panel="Training",
    )
    seed: int | None = _setting(
        "seed",
        "--seed N",
        "Seed of the first weights, the order of the data and dropout (0 to 2147483647). "
        "Default: 1.",
        panel="Training",
    )
    settings: list[str] | None = option_field(
        None,
        "--set KEY=VALUE",
        "Set any key of the recipe, such as training.warmup=500. May be repeated.",
        panel="Training",
    )

    def fields(self) -> dict[str, Any]:
        """Return the settings that are given, as nested fields of a recipe."""
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            key, value = field.metadata["key"], getattr(self, field.name)
            if key is None or value is None:
                continue
            if key == _COLUMNS:
                value = value.split(",") if value else []
            elif key == _ADAPTER:
                value = _LORA if value else "none"
            section, _, name = key.rpartition(".")
            (fields.setdefault(section, {}) if section else fields)[name] = value
        if self.lora_rank is not None:
            fields["adapter"].setdefault("kind", _LORA)
        return fields
