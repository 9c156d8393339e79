"""A user's mistake is one line on stderr, with what was got and what is allowed, and a code."""

import shlex

import pytest

from checkpoints.atomic_folder import MANIFEST
from tokenizer import TrainingOptions, train_tokenizer

pytestmark = pytest.mark.integration

FAILURE, USAGE, UNLOADABLE, BAD_DATA = 1, 2, 3, 4
TRAIN = "train -q -o {run}"
PAIRS = f"{TRAIN} {{tiny}} --pairs {{pairs}}"
TEXT = f"{TRAIN} {{tiny}} --objective language-model --text {{text}}"

# What the program is told to do, and words that its one line must have; in braces: see `places`.
TRAINING_MISTAKES = {
    f"{PAIRS} --set training.stepz=5": ["training.stepz", "did you mean training.steps?"],
    f"{PAIRS} --set trainin.steps=5": ["trainin", "did you mean training?"],
    f"{PAIRS} --set validation=5": ["validation", "section"],
    f"{PAIRS} --set training.steps": ["key=value", "'training.steps'"],
    f"{PAIRS} --set training.warmup=many": ["training.warmup", "whole number"],
    f"{PAIRS} --set training.learning_rate=nan": ["training.learning_rate", "nan", "above 0"],
    f"{PAIRS} --set training.schedule=cosin": ["cosin", "did you mean cosine?"],
    f"{PAIRS} --set training.optimizer=adamv": ["adamv", "did you mean adamw?"],
    f"{PAIRS} --set model=5": ["model", "section"],
    f"{PAIRS} --set model.d_model=wide": ["d_model", "whole number"],
    f"{PAIRS} --set model.vocab_size=many": ["vocab_size", "whole number"],
    f"{PAIRS} --set model.max_positions=many": ["max_positions", "whole number"],
    f"{PAIRS} --set model.max_positions=8": ["model.max_positions is 8", "256"],
    f"{PAIRS} --set model.preset=5": ["preset", "5"],
    f"{PAIRS} --set model.positions=rotry": ["rotry", "did you mean rotary?"],
    f"{PAIRS} --set objective=[1]": ["objective", "allowed: classification", "masked-lm"],
    f"{PAIRS} --set tokenizer.kind=bppe": ["'bppe'", "allowed", "byte-bpe"],
    f"{PAIRS} --preset huge": ["'huge'", "allowed", "translate-tiny"],
    f"{PAIRS} --preset gpt2": ["translation", "encoder-decoder", "gpt2 is decoder"],
    f"{PAIRS} --objective translate": ["'translate'", "did you mean translation?"],
    f"{PAIRS} --columns 1": ["columns", "two"],
    f"{PAIRS} --learning-rate fast": ["--learning-rate", "'fast'"],
    f"{PAIRS} --steps 0": ["training.steps is 0", "at least 1"],
    f"{PAIRS} --device cuda:99": ["cuda:99", "CUDA devices"],
    f"{PAIRS} --device tpu": ["'tpu'", "allowed: auto, cpu, cuda"],
    f"{TEXT} --valid-fraction 0.1 --set validation.metric=bleu": ["metric", "bleu", "loss"],
    f"{TRAIN} {{unknown_key}}": ["training.stepz", "did you mean training.steps?"],
    f"{TRAIN} {{no_toml}}": ["no_toml.toml", "not TOML"],
    f"{TRAIN} {{text}}": ["text.txt is no recipe", "--text", "--pairs"],
    TRAIN: ["--source", "--target", "--pairs"],
}
OTHER_USAGE = {
    "train -q --pairs {pairs}": ["-o"],
    "train -q -o {translator} --pairs {pairs}": ["holds a run already", "--resume"],
    "bogus": ["'bogus'", "--help"],
    "translate --bogus": ["--bogus", "translate --help"],
    "translate": ["--model", "translate --help"],
    "translate -m {translator} --beam 0": ["--beam", "0", "1"],
    "translate -m {translator} --beam x": ["--beam", "'x'", "whole number"],
    "translate -m {translator} --top-p 2": ["top-p is 2", "at most 1"],
    "translate -m {translator} --device cuda:99": ["cuda:99", "CUDA devices"],
    "translate -m {translator} --dtype int3": ["'int3'", "bfloat16, float16, float32"],
    "translate -m {writer}": ["language model", "encoder-decoder", "transduce generate -m /"],
    "generate a -m {translator}": ["language model", "transduce translate -m /", "embed"],
    "embed -m {writer}": [
        "an encoder,",
        "--pooling",
        "transduce generate -m /",
        "evaluate --text FILE",
    ],
    "generate --chat a -m {writer}": ["no chat template", "transduce generate -m /"],
    "generate a -m {writer} --top-p 2": ["top-p is 2", "at most 1"],
    "generate a -m {writer} -t 0 --top-p 2": ["top-p is 2", "at most 1"],
    "generate a -m {writer} --top-k 0.5": ["--top-k", "'0.5'", "whole number"],
    "generate a -m {writer} --beam 3 --top-k 5": ["top-k", "beam"],
    "evaluate -m {writer}": ["no validation text", "--pairs", "--source", "--text"],
    "evaluate -m {writer} --source {two}": ["--source", "--reference"],
    "evaluate -m {writer} --pairs {two} --text {text}": ["--pairs and --text", "one text"],
    "evaluate -m {translator} --columns 1,2": ["--columns", "--pairs"],
    "evaluate -m {translator} --pairs {two} --columns 1": ["--columns", "two columns"],
    "evaluate -m {translator} --column 1": ["--column", "--text"],
    "evaluate -m {translator} --pairs {two} --save-outputs -": ["--save-outputs", "stdout"],
    "evaluate -m {translator} --pairs {two} --save-outputs x.npy": [
        "--save-outputs x.npy",
        "array",
    ],
    "evaluate -m {nowhere} --beam 0": ["--beam", "0"],
    "translate -m {translator} --glossary {two} --beam 1": ["--glossary", "beam search", "greedy"],
    "translate -m {translator} --coverage-penalty 1 -t 1": ["--coverage-penalty", "sample"],
    "translate -m {translator} --mbr 4 --n-best 2": ["--mbr", "--n-best"],
    "translate -m {translator} --lookup": ["greedy or samples", "'beam'", "say --beam 1"],
    "translate -m {translator} --lookup --draft {translator} --beam 1": ["--draft", "only one"],
    "translate -m {translator} --draft {writer} --beam 1": ["decoder"],
    "translate -m {translator} -m {writer}": ["shape", "decoder"],
    "translate -m {translator} --contrastive 0.5 --beam 3": ["--contrastive", "--beam"],
    "translate -m {translator} --contrastive 0.5 --top-p 0.5": ["--contrastive", "--top-p"],
    "translate -m {translator} --beam 4 --beam-groups 3": ["--beam-groups is 3;", "is 4"],
    "translate -m {translator} --early-stopping maybe": ["'maybe'", "never, no, yes"],
    "translate -m {translator} --length-penalty-kind gnm": ["'gnm'", "did you mean gnmt?"],
    "translate -m {translator} --regex a --choice b": ["--regex", "only one"],
    "translate -m {translator} --regex ((": ["regular expression", "(("],
    "translate -m {translator} --choice ''": ["choices", "empty"],
    "translate -m {translator} --json-schema true5": ["JSON schema"],
    "translate -m {translator} --stop ''": ["stop strings", "empty"],
    "translate -m {translator} --suppress nosuch": ["no token 'nosuch'"],
    "translate -m {translator} --bias dog": ["'dog'", "TOKEN=NUMBER"],
    "translate -m {translator} --repetition-penalty 0": ["repetition-penalty is 0", "above 0"],
    "generate a -m {writer} --lines": ["--lines", "PROMPT"],
    "generate a -m {writer} --system b": ["--system", "--chat"],
    "generate a -m {writer} --chat --beam 3": ["--chat", "--beam"],
    "generate a -m {writer} --overflow slide --beam 3": ["slide", "beams", "leave out --beam"],
    "generate a -m {writer} -t inf": ["--temperature", "inf", "1000"],
    "generate a -m {writer} -t nan": ["--temperature is nan", "between"],
    "generate a -m {writer} --must b": ["--must", "sample"],
    "generate a -m {nowhere} --must b": ["--must", "sample"],  # before the model is looked for
    "translate -m {nowhere} --must b --beam 1": ["--must", "greedy"],
    "generate a -m {writer} --mbr 3 --chat": ["--chat"],
    "translate -m {translator} --split --alignments": ["--alignments", "--split"],
    "translate -m {translator} --split --regex a": ["--split", "grammar"],
    "translate -m {translator} --diversity 1": ["--diversity", "--beam-groups"],
    "translate -m {translator} --beam 1 --early-stopping yes": ["--early-stopping", "greedy"],
    "translate -m {translator} --draft-tokens 3": ["--draft-tokens", "--lookup"],
    "translate -m {translator} --contrastive 0.5 --lookup": ["contrastive", "--lookup"],
    "translate -m {translator} --mbr 4 -t 0": ["--mbr", "temperature"],
    "translate -m {translator} --length-penalty 1000": ["--length-penalty", "1000", "-10", "10"],
    "evaluate -m {translator} --source {two} --reference {two} --length-penalty 11": [
        "--length-penalty is 11",
        "between -10 and 10",
    ],
    "translate -m {translator} --max-ratio nan": ["ratio is nan", "between"],
    "translate -m {translator} --bias one=nan": ["--bias one is nan; it must be a finite number"],
    "translate -m {translator} --bias one=2e9": ["--bias one is 2000000000.0; it must be between"],
    "translate -m {translator} --bias one=x": ["TOKEN=NUMBER"],
    "translate -m {translator} --bias =1": ["TOKEN=NUMBER"],
    "translate -m {translator} --bad-word ''": ["--bad-word", "not a word"],
    "translate -m {translator} --beam 100000": ["--beam", "100000", "1000"],
    "translate -m {translator} --n-best 1001": ["--n-best", "1001", "1000"],
    "translate -m {translator} --mbr 1001": ["--mbr", "1001", "1000"],
    "translate -m {translator} --column 1 --plain": ["--column", "--plain"],
    "embed -m {translator} --column 1 --plain": ["--column", "--plain"],
    "tokenizer encode -t {translator} --column 1 --plain": ["--column", "--plain"],
    "translate -m {translator} --json-input --plain": ["--json-input", "--plain"],
    "generate a -m {writer} --plain": ["--plain", "--lines"],
    "evaluate -m {translator} --text {text}": ["encoder-decoder", "running text"],
    "evaluate -m {writer} --text {text} --beam 3": ["--beam", "--text"],
    "evaluate -m {writer} --text {text} --batch-tokens 9": ["--batch-tokens", "--text", "--source"],
    "evaluate -m {writer} --text {text} --tokenize char": ["--tokenize", "--text", "--source"],
    "evaluate -m {translator} --source {two} --reference {two} --column 1": [
        "--column",
        "--source",
        "--text",
    ],
    "generate a -m {writer} --batch-tokens 9": ["--batch-tokens", "--lines"],
    "generate a -m {writer} --beam 2 --seed 3": ["--seed", "beam"],
    "generate a -m {writer} --seed 18446744073709551616": ["--seed"],
    "score -m {writer} --from de --to en": ["--from and --to", "models that translate"],
    "generate a -m {writer} --overflow lef": ["'lef'", "did you mean left?"],
}
NOT_LOADABLE = {
    "translate {nowhere}/a.txt -m {translator}": ["nowhere/a.txt", "no such file"],
    "translate -m {nowhere}": ["nowhere", "no folder"],
    "translate -m {folder}": ["folder", "no model", "config.json"],
    "translate -m {larger}": ["the tokenizer has", "vocabulary", "belong together"],
    "translate -m {no_tokenizer}": ["no_tokenizer", "tokenizer.json"],
    "translate -m {damaged_tokenizer}": ["tokenizer.json", "no usable tokenizer"],
    "translate -m {truncated}": ["model.safetensors is damaged", "bytes"],
    "translate -m {truncated_unsummed}": ["model.safetensors cannot be read"],
    "translate -m {wider_config}": ["config.json asks for", "the weights hold"],
    "translate -m {other_config}": ["do not fit", "config.json"],
    "translate -m {foreign_config}": ["config.json", "'marrian'", "transduce"],
    "translate -m {translator} -o {nowhere}/out.txt": ["nowhere/out.txt", "no such file"],
    "translate {folder} -m {translator}": ["folder", "is a directory"],
    "evaluate -m {translator} --pairs {two} --save-outputs {two}": ["is an input file"],
    f"{TRAIN} {{nowhere}}/recipe.toml": ["nowhere/recipe.toml", "no such file"],
    f"{TRAIN} --pairs {{nowhere}}/a.tsv": ["nowhere/a.tsv", "no such file"],
    "tokenizer show {nowhere}": ["nowhere", "no such file"],
    "checkpoint average {folder} -o {run}": ["no model", "config.json"],
    "checkpoint average {translator} {writer} -o {run}": ["another model"],
}
UNUSABLE_TEXT = {
    f"{TRAIN} --pairs {{nothing}}": ["no line has any text"],
    f"{TRAIN} --source {{blank}} --target {{blank}}": ["no line has any text"],
    f"{TRAIN} --objective language-model --text {{nothing}}": ["no line has any text"],
    f"{TRAIN} --source {{three}} --target {{two}}": ["three.txt has 3 lines", "two.txt has 2"],
    f"{TRAIN} --source {{two}} --target {{three}}": ["three.txt has 3 lines", "two.txt has 2"],
    f"{TRAIN} --pairs {{three}}": ["three.txt, line 1", "1 column;", "pairs need two", "--text"],
    "evaluate -m {translator} --source {three} --reference {two}": ["has 3 lines", "has 2"],
    "evaluate -m {writer} --text {nothing}": ["no text"],
    "generate -m {writer} " + 50 * "7": ["prompt has 50 tokens", "context is 32", "left, or slide"],
    "generate --beam 2 -m {writer} " + 50 * "7": ["context is 32", "(--overflow left)"],
    "translate -m {translator} --column x {three}": ["no column 'x'", "has a", "numbers from 1"],
    "tokenizer train -o {run} {blank}": ["no text"],
    "tokenizer train -o {run} --column 4 {pairs}": ["line 1", "2 columns", "column 4"],
    "tokenizer decode -t {translator} {three}": ["line 1", "no list of ids", "'a'"],
}
TABLE = [
    pytest.param(code, words, command, id=command)
    for code, mistakes in (
        (USAGE, TRAINING_MISTAKES),
        (USAGE, OTHER_USAGE),
        (UNLOADABLE, NOT_LOADABLE),
        (BAD_DATA, UNUSABLE_TEXT),
    )
    for command, words in mistakes.items()
]


def larger_tokenizer(folder):
    (folder / MANIFEST).unlink()
    options = TrainingOptions(kind="byte-bpe", vocab_size=300, min_frequency=1)
    tokenizer = train_tokenizer(["the quick brown fox jumps over the lazy dog " * 9], options)
    tokenizer.save(folder / "tokenizer.json")


def rewrite(name, change, *, summed=False):
    def damage(folder):
        (folder / name).write_bytes(change((folder / name).read_bytes()))
        if not summed:
            (folder / MANIFEST).unlink()

    return damage


DAMAGES = {
    "larger": larger_tokenizer,
    "no_tokenizer": lambda f: [(f / name).unlink() for name in ("tokenizer.json", MANIFEST)],
    "damaged_tokenizer": rewrite("tokenizer.json", lambda raw: raw[:100]),
    "truncated": rewrite("model.safetensors", lambda raw: raw[:-1], summed=True),
    "truncated_unsummed": rewrite("model.safetensors", lambda raw: raw[:-1]),
    "wider_config": rewrite("config.json", lambda raw: raw.replace(b'"d_ff": 64', b'"d_ff": 65')),
    "other_config": rewrite("config.json", lambda raw: raw.replace(b'"d_ff": 64', b'"d_ff": 63')),
    "foreign_config": rewrite("config.json", lambda raw: b'{"model_type": "marrian"}'),
}


@pytest.fixture
def places(request, tmp_path):
    """Paths by the names that the tables use; made when they are asked for."""

    class Places(dict):
        def __missing__(self, name):
            if name in DAMAGES:
                return request.getfixturevalue("broken")(name, DAMAGES[name])
            return request.getfixturevalue(name)

    contents = {
        "nothing.tsv": "",
        "blank.txt": "\n \n\n",
        "two.txt": "x\ny\n",
        "three.txt": "a\nb\nc\n",
    }
    contents |= {"unknown_key.toml": "[training]\nstepz = 5\n", "no_toml.toml": "a = [\n"}
    contents["tiny.toml"] = "[training]\nsteps = 1\n[model]\nd_model = 8\nd_ff = 8\nheads = 2\n"
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "folder").mkdir()
    files = {name.partition(".")[0]: tmp_path / name for name in [*contents, "folder"]}
    return Places({**files, "run": tmp_path / "run", "nowhere": tmp_path / "nowhere"})


def words_of(command, places):
    return [word.format_map(places) for word in shlex.split(command)]


def check(ended, code, words):
    err = ended.err.decode()
    assert "Traceback" not in err
    assert (ended.code, ended.out) == (code, b""), err
    assert err.startswith("transduce: ")
    assert err.count("\n") == 1
    assert [word for word in words if word.lower() not in err.lower()] == [], err


@pytest.mark.parametrize(("code", "words", "command"), TABLE)
def test_a_mistake_is_one_line_and_an_exit_code(transduce, places, code, words, command):
    check(transduce(*words_of(command, places)), code, words)


@pytest.mark.parametrize("command", TRAINING_MISTAKES, ids=str)
def test_a_mistake_in_a_recipe_is_found_before_anything_is_written(transduce, places, command):
    assert transduce(*words_of(command, places)).code != 0
    assert not places["run"].exists()


@pytest.mark.parametrize(
    "command",
    [
        "translate --bogus",
        f"{TRAIN} --pairs {{nothing}}",
    ],
)
def test_the_program_itself_does_the_same(process, places, command):
    (code, words), *_ = [case.values[:2] for case in TABLE if case.values[2] == command]
    program = process(*words_of(command, places))
    out, err = program.communicate()
    check(type("Ended", (), {"code": program.returncode, "out": out, "err": err}), code, words)


def test_a_start_that_failed_does_not_decide_the_next_one(transduce, places):
    """The tokenizer that it left behind is not taken when another is asked for."""
    start = words_of(PAIRS, places)
    failing = ["--set=tokenizer.kind=char", "--set=model.vocab_size=5"]
    check(transduce(*start, *failing), USAGE, ["model.vocab_size is 5", "tokenizer has"])
    ended = transduce(*start, "--set", "tokenizer.kind=unigram")
    assert ended.code == 0, ended.err
    assert b"Unigram" in transduce("tokenizer", "show", places["run"]).out


def test_a_folder_that_is_no_model_is_never_replaced_by_one(transduce, places):
    (places["folder"] / "thesis.txt").write_text("years of work")
    ended = transduce("checkpoint", "average", places["translator"], "-o", places["folder"])
    assert (places["folder"] / "thesis.txt").is_file()
    check(ended, USAGE, ["folder"])


def test_debug_shows_a_traceback(transduce, monkeypatch):
    monkeypatch.setenv("TRANSDUCE_DEBUG", "")
    ended = transduce("--debug", "tokenizer", "show", "/nowhere")
    assert ended.code == UNLOADABLE
    assert b"Traceback" in ended.err
