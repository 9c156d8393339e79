"""Tokenizers of the hostile kind."""

from typing import Any

from tests.loading.damage import (
    GENERATION,
    LFS,
    TOKENIZER,
    TOKENIZER_CONFIG,
    Case,
    Damage,
    both,
    case,
    change,
    edit,
    link,
    link_out,
    options,
    put,
    remove,
    unreadable,
)
from tests.loading.hostile_configs import ANY_JSON

MERGES = b'{"version":"1.0","model":{"type":"BPE","vocab":{},"merges":['


def large() -> bytes:
    """A vocabulary of 200,000."""
    tokens = b",".join(b'"a%d":%d' % (i, i) for i in range(200_000))
    return MERGES.replace(b'},"merges":[', tokens + b'},"merges":[') + b"]}}"


FILES = {
    **{
        f"tokenizer: {name}": case(put(TOKENIZER, text), TOKENIZER)
        for name, (text,) in ANY_JSON.items()
    },
    "tokenizer: none": case(remove(TOKENIZER), "holds no tokenizer"),
    "tokenizer: a pointer": case(put(TOKENIZER, LFS), TOKENIZER, "git lfs pull"),
    **unreadable("tokenizer", TOKENIZER, "tokenizer"),
    "tokenizer: a link to a secret vocabulary": case(
        both(remove(TOKENIZER), link("vocab.txt", "/etc/passwd")), "vocab.txt", "leads out"
    ),
    "tokenizer: as many merges as may be": case(
        put(TOKENIZER, lambda: MERGES + b"[]," * 1_390_000 + b"[]]}}"), TOKENIZER
    ),
    "tokenizer: as many merges as may be, of two": case(
        put(TOKENIZER, lambda: MERGES + b'["a","b"],' * 410_000 + b'["a","b"]]}}'), TOKENIZER
    ),
    "tokenizer: as many added tokens as may be": case(
        put(TOKENIZER, lambda: b'{"version":"1.0","added_tokens":[' + b"{}," * 1_390_000 + b"{}]}"),
        TOKENIZER,
    ),
    "tokenizer: as large a vocabulary as may be": case(put(TOKENIZER, large), "vocabulary"),
    "settings: a link out": case(
        both(put(TOKENIZER_CONFIG, "{}"), link_out(TOKENIZER_CONFIG)), TOKENIZER_CONFIG
    ),
    "settings: deep": case(put(TOKENIZER_CONFIG, "[" * 1_000_000), TOKENIZER_CONFIG),
    "settings: a list": case(put(TOKENIZER_CONFIG, []), TOKENIZER_CONFIG),
    "settings: a number for a token": case(
        options(TOKENIZER_CONFIG, bos_token=5), TOKENIZER_CONFIG, "bos_token"
    ),
    "settings: a token of megabytes": case(
        options(TOKENIZER_CONFIG, added_tokens_decoder={"99": {"content": "x" * 3_000_000}}),
        "characters",
    ),
    "settings: a token of 10^30": case(
        options(TOKENIZER_CONFIG, added_tokens_decoder={str(10**30): {"content": "x"}}),
        TOKENIZER_CONFIG,
    ),
    "settings: a token of another alphabet's number": case(
        options(TOKENIZER_CONFIG, added_tokens_decoder={"²": {"content": "x"}}),
        TOKENIZER_CONFIG,
    ),
    "settings: a token of 10,000 digits": case(
        options(TOKENIZER_CONFIG, added_tokens_decoder={"9" * 10_000: {"content": "x"}}),
        TOKENIZER_CONFIG,
    ),
}


def model(**changes: Any) -> Damage:
    return edit(TOKENIZER, lambda fields: fields["model"].update(changes))


def part(name: str, value: Any) -> Damage:
    return edit(TOKENIZER, lambda fields: fields.update({name: value}))


def split(pattern: str) -> Any:
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


def token(content: str, token_id: int, *, special: bool = True) -> Any:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": content, **flags, "special": special}


def add(*tokens: Any) -> Damage:
    return edit(TOKENIZER, lambda fields: fields["added_tokens"].extend(tokens))


def shift(how: Any) -> Damage:
    """Other ids for all tokens."""

    def moved(fields: Any) -> None:
        vocab = fields["model"]["vocab"]
        vocab.update({name: how(token_id) for name, token_id in vocab.items()})
        for entry in fields["added_tokens"]:
            entry["id"] = how(entry["id"])

    return edit(TOKENIZER, moved)


WORDS = {"type": "WordLevel", "vocab": {"<s>": 2, "</s>": 3}, "unk_token": "<none>"}
PIECES = {"type": "Unigram", "unk_id": 0}
FRAME = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}] * 3000
    + [{"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [2], "tokens": ["<s>"]}},
}
STRANGER = {
    **FRAME,
    "single": [FRAME["single"][0], FRAME["single"][-1]],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [4_000_000_000], "tokens": ["<s>"]}},
}


def without_roles(fields: Any) -> None:
    for name in ("<s>", "</s>"):
        del fields["model"]["vocab"][name]


CONTENTS = {
    "tokenizer: no model": case(edit(TOKENIZER, lambda f: f.pop("model") and None), TOKENIZER),
    "tokenizer: an unknown kind": case(model(type="Evil"), TOKENIZER),
    "tokenizer: ids of four billion": case(shift(lambda i: 4_000_000_000 + i), "vocabulary"),
    "tokenizer: ids with a hole": case(shift(lambda i: 10 * i), "vocabulary"),
    "tokenizer: one id of a million": case(
        edit(TOKENIZER, lambda f: f["model"]["vocab"].update(a=1_000_000)), "vocabulary"
    ),
    "tokenizer: ids below zero": case(shift(lambda i: -i), TOKENIZER),
    "tokenizer: ids of 10^30": case(shift(lambda i: 10**30 + i), TOKENIZER),
    "tokenizer: all the same id": case(shift(lambda i: 3), ""),
    "tokenizer: a vocabulary larger than the model's": case(
        edit(TOKENIZER, lambda f: f["model"]["vocab"].update({f"x{i}": 37 + i for i in range(9)})),
        "vocabulary",
    ),
    "tokenizer: no vocabulary": case(model(vocab={}), "no usable tokenizer"),
    "tokenizer: merges of the unknown": case(model(merges=[["q", "never"]]), TOKENIZER),
    "tokenizer: panics at its table": case(
        part("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}), TOKENIZER
    ),
    "tokenizer: panics at a backward reference": case(
        part("pre_tokenizer", split("(?<=(a+)")), TOKENIZER
    ),
    "tokenizer: a pattern that never ends": case(
        both(
            part("pre_tokenizer", split(r"(\w+\w+)+\w+$|(a|aa)+$")),
            add(token("a" * 60 + "!", 36)),
        ),
        "tokenizer",
    ),
    "tokenizer: a pattern that backtracks": case(
        part("pre_tokenizer", split(r"(.*)*.*.*(.*)*x\b")), ""
    ),
    "tokenizer: a pattern that panics at the text": case(
        part("pre_tokenizer", split(r"(?:(?:\w|\s)+(?:\w|\s)+)+(?!.|$)")),
        "cannot be used with this text",
    ),
    "tokenizer: a pattern of three megabytes": case(
        part("pre_tokenizer", split("(a|b)" * 600_000)), TOKENIZER
    ),
    "tokenizer: a pattern that repeats 10^9 times": case(
        part("pre_tokenizer", split("((a{1,1000}){1,1000}){1,1000}")), ""
    ),
    "tokenizer: normalizers in normalizers": case(
        change(
            TOKENIZER,
            lambda raw: raw.replace(
                b'"normalizer": null',
                b'"normalizer": ' + b'{"type":"Sequence","normalizers":[' * 5000 + b"]}" * 5000,
            ),
        ),
        TOKENIZER,
    ),
    "tokenizer: a prefix of three megabytes": case(
        part("normalizer", {"type": "Prepend", "prepend": "x" * 3_000_000}), ""
    ),
    "tokenizer: doubles a text thirty times": case(
        part(
            "normalizer",
            {
                "type": "Sequence",
                "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}]
                * 30,
            },
        ),
        "",
    ),
    "tokenizer: a frame of thousands": case(part("post_processor", FRAME), "post_processor"),
    "tokenizer: a frame of a stranger": case(part("post_processor", STRANGER), "vocabulary"),
    "tokenizer: words without the unknown": case(part("model", WORDS), "tokenizer"),
    "tokenizer: pieces without one": case(part("model", {**PIECES, "vocab": []}), TOKENIZER),
    "tokenizer: pieces of ∞": case(
        change(
            TOKENIZER,
            lambda raw: (
                b'{"version":"1.0","added_tokens":[],"model":{"type":"Unigram",'
                b'"unk_id":0,"vocab":[["<unk>",1e999],["a",-1e999]]}}'
            ),
        ),
        TOKENIZER,
    ),
    "tokenizer: pieces whose unknown is none of them": case(
        part("model", {"type": "Unigram", "unk_id": 99, "vocab": [["a", 0.0]]}), TOKENIZER
    ),
    "tokenizer: an empty piece": case(
        part("model", {**PIECES, "vocab": [["<unk>", 0.0], ["", 0.0], ["a", -1.0]]}), ""
    ),
    "tokenizer: padded to 10^12": case(
        part(
            "padding",
            {
                "strategy": {"Fixed": 10**12},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "<pad>",
            },
        ),
        "",
    ),
    "tokenizer: no roles": case(
        both(
            edit(TOKENIZER, lambda f: f.update(added_tokens=[])),
            edit(TOKENIZER, without_roles),
            put(GENERATION, "{}"),
            options("config.json", eos_token_id=None),
        ),
        "eos_token_id",
    ),
}
CASES: dict[str, Case] = {**FILES, **CONTENTS}
