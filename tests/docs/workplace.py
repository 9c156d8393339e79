"""A folder for the pages' commands: files, small models, what makes training short."""

import re
import shutil
from pathlib import Path

from tests.adapters.sides import write_random_adapter
from tests.docs.shell import run_script
from tests.label_models import LABELS, write_classifier, write_tagger
from tests.masked_models import write_masked

# Training takes a moment: any `transduce train` loses the first and gets the second.
SIZES = re.compile(r" --(?:steps|preset|time|epochs) \S+| --set (?:training\.steps|model\.\w+)=\S+")
SMALL = ["training.steps=2", "training.batch_tokens=256", "training.warmup=1"]
SMALL += ["validation.every=2", "training.precision=float32"]
SMALL_MODEL = ["tokenizer.vocab_size=300", "model.d_model=16", "model.d_ff=16", "model.heads=2"]
SMALL_RECIPE = {
    "tokenizer": {"vocab_size": 300},
    "model": {"d_model": 16, "d_ff": 16, "heads": 2},
    "training": {"steps": 2, "batch_tokens": 256, "context": 32},
}
# A page may leave a file's name open.
OPEN_NAMES = {
    "--source …": "--source train.en",
    "--target …": "--target train.de",
    "--valid-source …": "--valid-source valid.en",
    "--valid-target …": "--valid-target valid.de",
}

ENGLISH = ["A dog runs .", "Two cats sleep .", "A man and a dog run .", "The cat runs ."]
GERMAN = ["Ein Hund läuft .", "Zwei Katzen schlafen .", "Ein Mann und ein Hund laufen ."]
LABELLED = [("A dog runs", "animal"), ("It was dark", "night"), ("Two cats sleep", "animal")]
FILES = {
    **{f"{name}.en": ENGLISH * 20 for name in ("train", "valid", "test")},
    **{f"{name}.de": [*GERMAN, "Die Katze läuft ."] * 20 for name in ("train", "valid", "test")},
    "in.txt": ["A dog runs .", "", "Two cats sleep ."],
    "book.txt": ["It was a dark night. The colour of the sky was red, or blue."] * 60,
    "other.txt": ["It was a long day."] * 3,
    "prompts.txt": ["It was a", "The colour is"],
    "sentences.txt": ENGLISH,
    "masked.txt": ["A <mask> runs .", "Two <mask> <mask> ."],
    "texts.txt": ENGLISH[:3],
    "questions.tsv": [f"{text} {n}\t{label}" for n in range(30) for text, label in LABELLED],
    "labels.tsv": [f"{text}\t{label}" for text, label in zip(ENGLISH, LABELS * 2, strict=False)],
    "names.conll": ["Ada\tB-person", "slept\tO", "", "It\tO", "rained\tO", ""] * 30,
    "words.tsv": ["dog\tHund"],
    "captions.csv": ["id,text,author", "7,A dog runs .,Ann", "8,Two cats sleep .,Bob"],
    "to-german.tsv": [f"<2de> {en}\t{de}" for en, de in zip(ENGLISH, GERMAN, strict=False)] * 20,
    "to-english.tsv": [f"<2en> {de}\t{en}" for en, de in zip(ENGLISH, GERMAN, strict=False)] * 9,
    "pairs.tsv": [f"{ENGLISH[n % 3]} {n}\t{GERMAN[n % 3]} {n}" for n in range(120)],
}
ENCODER = "sentence-transformers/all-MiniLM-L6-v2"  # as a folder, not from the hub


def rewrite(command: str) -> str:
    """Return a command of a page as it is run here."""
    for name, file in OPEN_NAMES.items():
        command = command.replace(f" {name}", f" {file}")
    if command.startswith("transduce benchmark "):
        command += " --repeats 1 --beam 1 --new-tokens 2"
    if command.startswith("transduce train "):
        small = SMALL if "--init" in command else [*SMALL, *SMALL_MODEL]
        command = SIZES.sub("", command) + "".join(f" --set {setting}" for setting in small)
        out = re.search(r"(?:-o|--output) (\S+)", command)
        if out is not None and "--resume" not in command:
            shutil.rmtree(out[1], ignore_errors=True)  # what `fill` made
    return command


def fill(folder: Path) -> None:
    """Fill the current folder with the files and models that pages name."""
    for name, lines in FILES.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    run_script(
        """
        transduce train -o runs/en-de --source train.en --target train.de
        transduce train -o runs/prose --objective language-model --text book.txt
        transduce checkpoint convert runs/en-de -o path/to/opus-mt-en-de
        transduce checkpoint convert runs/prose -o path/to/gpt2
        """,
        rewrite,
    )
    write_masked(folder / ENCODER, head="none", output_bias=False)
    write_classifier(folder / "runs/topics")
    write_tagger(folder / "runs/names")
    for name in ("runs/masked", "path/to/roberta"):
        write_masked(folder / name)
    write_random_adapter(folder / "path/to/gpt2", folder / "path/to/adapter")
