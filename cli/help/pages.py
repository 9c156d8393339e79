"""For each command, two examples and the options that are used daily.

`-h` shows the daily ones and `--help` all, in groups: a group is the `panel` of the option. A new
option needs nothing here, unless it is used daily: then add its long name.
"""

from typing import NamedTuple


class Page(NamedTuple):
    """The part of a command's help that its parameters do not hold."""

    examples: tuple[str, ...] = ()  # which a test runs
    daily: tuple[str, ...] = ()  # long names of options, in their order on the page


# The text on -h of the options and arguments whose help begins so: commands have options of one
# name that do different things.
SHORT = {
    "Train nothing: print the complete": "Show the complete recipe, the memory and the time; train "
    "nothing.",
    "Train for this time at": "Train for this time, such as 2h. Without a recipe: 20m.",
    "Settings: a TOML file,": "Settings: a TOML file, or the name of a recipe that comes along.",
    "Files to read,": "Files to read; - is stdin. Default: stdin.",
    "Model: a folder,": "Model: a folder, a run's folder, or a name on the Hugging Face hub.",
    "Device to compute on:": "Device: auto (a GPU if there is one), cpu, cuda or cuda:N.",
    "Write no progress and no summary to stderr,": "Write no progress and no summary.",
    "Write a JSON object for each line:": "Write a JSON object for each line.",
    "Write a JSON object for each prompt:": "Write a JSON object for each prompt.",
    "Write one JSON object: each": "Write one JSON object.",
    "Write what is scored to this file,": "Write what is scored to this file: translations, labels "
    "with their texts, or words with their tags.",
    "File of texts with labels, or of pairs": "File of texts with labels: a table, JSON, or lines "
    "of a label and a text.",
    "File of words with tags, for a tagger:": "File of words with tags: columns, as CoNLL has "
    "them, or JSON.",
    "File of running text for a language model to predict;": "File of running text to predict. - "
    "is stdin.",
    "Translate with this model, too,": "Translate with this model, too, and test the difference.",
    "Column of the text:": "Column or field of the text, by name or number.",
    "Columns of the text,": "Columns or fields of the text, by names or numbers.",
    "Columns of tables,": "Columns of tables, by names or numbers: 1,2 or en,de.",
    "With --pairs, its two columns;": "Columns of --pairs, --labelled or --tagged, by names or "
    "numbers.",
    "TSV file of phrases": "TSV file of phrases and their translations; needs beam search.",
    "Write each answer's score": "Write each answer's score and a tab before it.",
    "File of running text, one document;": "File of running text, one document.",
    "Without validation files, validate": "Validate on this share of the training text, such as "
    "0.05.",
    "Size of the model.": "Size of the model; --presets lists them.",
    "Start from the weights": "Start from the weights and the tokenizer of this model.",
    "TSV, CSV, JSONL or JSON file with source and translation": "TSV, CSV or JSON file with source "
    "and translation as columns.",
    "TSV, CSV, JSONL or JSON file with source and reference": "TSV, CSV or JSON file with source "
    "and reference as columns.",
    "Set any key of the recipe,": "Set any key of the recipe; --keys lists them.",
    "Read each line as a JSON object,": "Read each line as a JSON object, as --json writes them.",
    "Language of the source,": "Language of the source, such as de, for multilingual models.",
    "Language to translate into,": "Language to translate into, such as de, for multilingual "
    "models.",
    "Of translations, sacreBLEU's tokenization": "sacreBLEU's tokenization; auto: by the script of "
    "the references.",
    "transduce, ctranslate2, or a family": "Format: transduce, ctranslate2, huggingface, or a "
    "family such as gpt2.",
}
_LINES = ("--json", "--output", "--quiet")

PAGES: dict[str, Page] = {
    "": Page(
        (
            "transduce train --pairs pairs.tsv -o runs/new",
            "transduce translate -m runs/en-de < in.txt > out.txt",
        ),
        ("--version", "--help"),
    ),
    "train": Page(
        (
            "transduce train --pairs pairs.tsv -o runs/new",
            "transduce train --text book.txt -o runs/new",
        ),
        (
            *("--output", "--pairs", "--source", "--target", "--text", "--columns"),
            *("--valid-fraction", "--preset", "--time", "--steps", "--set"),
            *("--plan", "--init", "--resume", "--presets", "--keys"),
        ),
    ),
    "translate": Page(
        (
            "transduce translate -m runs/en-de < in.txt > out.txt",
            "transduce translate -m runs/en-de in.txt --n-best 3 --scores",
        ),
        (
            *("--model", "--from", "--to", "--beam", "--n-best", "--max-tokens", "--split"),
            *("--glossary", "--column", "--scores", *_LINES, "--device"),
        ),
    ),
    "generate": Page(
        (
            'transduce generate -m runs/prose "It was a" -n 40',
            "transduce generate -m runs/prose --lines -f prompts.txt --json",
        ),
        (
            *("--model", "--file", "--lines", "--chat", "--max-tokens", "--temperature"),
            *("--top-p", "--seed", "--beam", "--n-best", "--stop", *_LINES, "--device"),
        ),
    ),
    "score": Page(
        (
            "transduce score -m runs/prose book.txt > scores.txt",
            """\
transduce translate -m runs/en-de in.txt --json |
    transduce score -m runs/en-de --json-input""",
        ),
        (*("--model", "--column", "--json-input"), *_LINES, "--device"),
    ),
    "embed": Page(
        (
            "transduce embed -m sentence-transformers/all-MiniLM-L6-v2 in.txt > v.jsonl",
            "transduce embed -m sentence-transformers/all-MiniLM-L6-v2 in.txt -o v.npy",
        ),
        (
            *("--model", "--column", "--pooling", "--normalize", "--prompt-name", "--json"),
            "--output",
            "--quiet",
            "--device",
        ),
    ),
    "classify": Page(
        (
            "echo 'What is the tallest mountain?' | transduce classify -m runs/topics",
            "transduce classify -m runs/topics texts.txt --top-k 2 --json",
        ),
        ("--model", "--top-k", "--column", *_LINES, "--device"),
    ),
    "tag": Page(
        (
            "echo 'Ada Lovelace was born in London.' | transduce tag -m runs/names",
            "transduce tag -m runs/names texts.txt --json > spans.jsonl",
        ),
        ("--model", "--threshold", "--column", *_LINES, "--device"),
    ),
    "fill": Page(
        (
            "echo 'one <mask> three' | transduce fill -m runs/masked",
            "transduce fill -m runs/masked masked.txt --top-k 3 --json",
        ),
        ("--model", "--top-k", "--column", *_LINES, "--device"),
    ),
    "evaluate": Page(
        (
            "transduce evaluate -m runs/en-de --source test.en --reference test.de",
            "transduce evaluate -m runs/topics --labelled labels.tsv",
        ),
        (
            *("--model", "--source", "--reference", "--pairs", "--labelled", "--tagged"),
            *("--columns", "--text", "--versus", "--tokenize", "--beam", "--save-outputs"),
            *("--json", "--quiet", "--device"),
        ),
    ),
    "benchmark": Page(
        (
            "transduce benchmark -m runs/en-de",
            "transduce benchmark -m runs/en-de in.txt --dtype float32,float16 --json",
        ),
        (
            *("--model", "--dtype", "--batch-size", "--beam", "--prompt-tokens", "--new-tokens"),
            *("--repeats", "--json", "--quiet", "--device"),
        ),
    ),
    "tokenizer": Page(
        (
            "transduce tokenizer train book.txt --vocab-size 300 -o tokenizer.json",
            "transduce tokenizer show runs/en-de",
        )
    ),
    "tokenizer train": Page(
        (
            "transduce tokenizer train train.en train.de --vocab-size 300",
            "transduce tokenizer train book.txt --kind char -o book.json",
        ),
        ("--output", "--kind", "--vocab-size", "--lowercase", "--special", "--column", "--quiet"),
    ),
    "tokenizer encode": Page(
        (
            "transduce tokenizer encode -t runs/en-de in.txt > ids.txt",
            'echo "A dog runs ." | transduce tokenizer encode -t runs/en-de --pieces',
        ),
        ("--tokenizer", "--pieces", "--column", "--output", "--quiet"),
    ),
    "tokenizer decode": Page(
        (
            'echo "5 6 7" | transduce tokenizer decode -t runs/en-de',
            """\
transduce tokenizer encode -t runs/en-de in.txt |
    transduce tokenizer decode -t runs/en-de""",
        ),
        ("--tokenizer", "--output", "--quiet"),
    ),
    "tokenizer show": Page(
        ("transduce tokenizer show tokenizer.json", "transduce tokenizer show runs/en-de")
    ),
    "checkpoint": Page(
        (
            "transduce checkpoint show runs/en-de",
            "transduce checkpoint average runs/en-de -o averaged",
        )
    ),
    "checkpoint show": Page(
        (
            "transduce checkpoint show runs/en-de",
            "transduce checkpoint show sentence-transformers/all-MiniLM-L6-v2",
        )
    ),
    "checkpoint verify": Page(
        (
            "transduce checkpoint verify runs/en-de path/to/opus-mt-en-de",
            "transduce checkpoint verify runs/en-de path/to/opus-mt-en-de --text in.txt",
        ),
        ("--text", "--tolerance", "--device"),
    ),
    "checkpoint convert": Page(
        (
            "transduce checkpoint convert runs/en-de -o exported",
            "transduce checkpoint convert runs/en-de -o en-de-int8 --dtype int8",
        ),
        ("--output", "--to", "--dtype", "--quiet"),
    ),
    "checkpoint average": Page(
        (
            "transduce checkpoint average runs/en-de -o averaged",
            "transduce checkpoint average runs/en-de --last 2 -o averaged",
        ),
        ("--output", "--last", "--quiet"),
    ),
    "checkpoint list": Page(
        ("transduce checkpoint list", "transduce checkpoint list path --json"), ("--json",)
    ),
    "runs": Page(("transduce runs list", "transduce runs list runs --json")),
    "runs list": Page(("transduce runs list", "transduce runs list runs --json"), ("--json",)),
}
