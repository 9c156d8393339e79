"""Files beside the weights: they travel with a conversion, or are named as left behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import transformers

from checkpoints import CheckpointError
from tests.families.random_folders import draw, write_folder
from tests.loading.owned import own, small
from tests.models import tiny_config
from tokenizer import Tokenizer
from tokenizer.special import OUT_OF_VOCABULARY
from transformer.config import TransformerConfig
from transformer.errors import ConfigError
from transformer.export import average_models, convert_model
from transformer.loading import load_model

SETTINGS = {"num_beams": 2, "temperature": 0.6, "top_k": 7, "do_sample": True, "max_length": 15}


def drawn(family: str, folder: Path, **settings: Any) -> Path:
    """A published folder of a family, with these settings of decoding."""
    write_folder(draw(family, 0)._replace(settings=settings or SETTINGS), folder)
    return folder


def fields(folder: Path, name: str = "generation_config.json") -> dict[str, Any]:
    return json.loads((folder / name).read_text())


@pytest.mark.parametrize("family", ["gpt2", "marian", "m2m_100", "t5"])
def test_tokenizer_files_come_back_byte_for_byte(family: str, tmp_path: Path) -> None:
    theirs = drawn(family, tmp_path / "theirs")
    convert_model(theirs, tmp_path / "ours", to="transduce")
    convert_model(tmp_path / "ours", tmp_path / "ours-again", to="transduce")
    convert_model(tmp_path / "ours-again", tmp_path / "again", to=family)
    written = {"config.json", "generation_config.json", "model.safetensors"}
    names = {path.name for path in theirs.iterdir()} - written
    names = {name for name in names if not name.startswith(("model", "pytorch_model"))}
    assert names
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (theirs / name).read_bytes(), name
    assert {path.name for path in (tmp_path / "again").iterdir()} - names == {
        *written,
        "README.md",
        "manifest.json",
    }


def test_settings_that_are_left_to_the_user_travel_too(tmp_path: Path) -> None:
    theirs = drawn("marian", tmp_path / "theirs")
    convert_model(theirs, tmp_path / "ours", to="transduce")
    convert_model(tmp_path / "ours", tmp_path / "again", to="marian")
    for name in ("ours", "again"):
        assert fields(tmp_path / name).items() >= SETTINGS.items()


def test_options_that_say_nothing_of_the_network_travel_too(tmp_path: Path) -> None:
    theirs = drawn("t5", tmp_path / "theirs")
    path = theirs / "config.json"
    labels = {"task_specific_params": {"translation": {"prefix": "translate: "}}}
    path.write_text(json.dumps({**fields(theirs, "config.json"), **labels}))
    convert_model(theirs, tmp_path / "ours", to="transduce")
    for source in ("theirs", "ours"):
        convert_model(tmp_path / source, tmp_path / f"{source}-again", to="t5")
        assert fields(tmp_path / f"{source}-again", "config.json").items() >= labels.items()


def test_a_card_travels_and_what_does_not_is_named(tmp_path: Path) -> None:
    theirs = drawn("gpt2", tmp_path / "theirs")
    (theirs / "README.md").write_text("---\nlicense: mit\n---\nA model.\n")
    (theirs / "chat_template.jinja").write_text("{{ messages }}")
    (theirs / "tf_model.h5").write_bytes(b"weights")
    (theirs / "adapter_config.json").write_text("{}")
    (theirs / "onnx").mkdir()
    for name in ("model.onnx", "config.json"):
        (theirs / "onnx" / name).write_text("{}")
    notices: list[str] = []
    convert_model(theirs, tmp_path / "ours", to="transduce", notices=notices)
    assert notices == [
        f"not carried over from {theirs}: adapter_config.json, tf_model.h5, onnx/ (2 files)"
    ]
    notices.clear()
    convert_model(tmp_path / "ours", tmp_path / "again", to="gpt2", notices=notices)
    assert notices == []
    for name in ("README.md", "chat_template.jinja"):
        assert (tmp_path / "again" / name).read_text() == (theirs / name).read_text()
    (tmp_path / "ours" / "README.md").write_text("Written since.\n")
    (tmp_path / "ours" / "manifest.json").unlink()
    convert_model(tmp_path / "ours", tmp_path / "later", to="gpt2")
    assert (tmp_path / "later" / "README.md").read_text() == "Written since.\n"


def test_ctranslate2s_format_has_no_place_for_some(tmp_path: Path, tokenizer: Tokenizer) -> None:
    own(tmp_path / "ours", small("translate-tiny"), tokenizer)
    path = tmp_path / "ours" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_beams": 3}))
    (tmp_path / "ours" / "manifest.json").unlink()
    (tmp_path / "ours" / "chat_template.jinja").write_text("{{ messages }}")
    notices: list[str] = []
    convert_model(tmp_path / "ours", tmp_path / "out", to="ctranslate2", notices=notices)
    (notice,) = notices
    settings = [f"generation_config.json: {name}" for name in ("num_beams", "suppress_tokens")]
    assert notice.endswith(f": {', '.join(['chat_template.jinja', *settings])}")


BESIDE = {
    "README.md": "# A model of ours\n\n```\ntransduce translate -m .\n```\n",
    "chat_template.jinja": "{{ messages }}",
    "chat_template.json": '{"chat_template": "{{ messages }}"}',
    "special_tokens_map.json": "{}",
    "modules.json": "[]",
    "1_Pooling/config.json": "{}",
    "sentence_bert_config.json": "{}",
    "config_sentence_transformers.json": "{}",
    "tf_model.h5": "weights",
    "notes.txt": "a note",
    "optimizer.pt": "",
    "checkpoint-500/model.safetensors": "weights",
    "checkpoint-500/config.json": "{}",
}
# Of these, the new folder has the contents in files of its own.
WRITTEN_ANEW = {"config.json", "generation_config.json", "manifest.json", "tokenizer.json"}
WRITTEN_ANEW |= {"vocab.json", "merges.txt"}


@pytest.mark.parametrize("to", ["transduce", "gpt2", "ctranslate2", "mean"])
def test_each_file_is_kept_or_named(to: str, tmp_path: Path) -> None:
    theirs, out = drawn("gpt2", tmp_path / "theirs"), tmp_path / "out"
    for name, contents in BESIDE.items():
        (theirs / name).parent.mkdir(exist_ok=True)
        (theirs / name).write_text(contents)
    notices: list[str] = []
    if to == "mean":
        average_models([theirs, theirs], out, notices=notices)
    else:
        convert_model(theirs, out, to=to, notices=notices)
    named = notices[0].partition(f"not carried over from {theirs}: ")[2].split(", ")
    left = {
        name for name in BESIDE if name in named or f"{name.partition('/')[0]}/ (" in notices[0]
    }
    kept = {
        path.name if path.parent.name == "published" else path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file()
    }
    for path in (path for path in theirs.rglob("*") if path.is_file()):
        name = path.relative_to(theirs).as_posix()
        if name not in WRITTEN_ANEW and not name.startswith("model"):
            assert (name in kept and path.name not in left) or name in left | {*named}, name
    assert left >= {"tf_model.h5", "notes.txt", "optimizer.pt", "checkpoint-500/config.json"}
    assert not [name for name in kept if name.startswith(("tf_", "notes", "optim", "checkpoint"))]


EDITED = [
    lambda text: text.replace("| shape |", "| trained on | our logs |\n| shape |"),
    lambda text: f"---\nlicense: mit\n---\n{text}",
    lambda text: f"{text}\nMore of it.\n",
    lambda text: text.partition("<!--")[0],
    lambda text: "# A translator for us\n\nRun it as\n\ntransduce translate -m .\n",
]


@pytest.mark.parametrize("edit", EDITED)
def test_a_card_that_somebody_wrote_or_edited_is_kept(
    edit: Callable[[str], str], tmp_path: Path, tokenizer: Tokenizer
) -> None:
    own(tmp_path / "ours", small("write-tiny"), tokenizer)
    (tmp_path / "ours" / "manifest.json").unlink()
    path, outs = tmp_path / "ours" / "README.md", ("published", "native", "mean")
    path.write_text(card := edit(path.read_text()))
    convert_model(tmp_path / "ours", tmp_path / "published", to="huggingface")
    convert_model(tmp_path / "ours", tmp_path / "native", to="transduce")
    average_models([tmp_path / "ours"] * 2, tmp_path / "mean")
    assert [(tmp_path / out / "README.md").read_text() == card for out in outs] == [True] * 3


def test_a_card_of_ours_says_how_the_model_was_made(tmp_path: Path, tokenizer: Tokenizer) -> None:
    own(tmp_path / "ours", small("write-tiny"), tokenizer)
    average_models([tmp_path / "ours"] * 2, tmp_path / "mean")
    convert_model(tmp_path / "mean", tmp_path / "published", to="huggingface")
    assert "| averaged | ours, ours |" in (tmp_path / "mean" / "README.md").read_text()
    assert "| converted from | mean |" in (tmp_path / "published" / "README.md").read_text()


MARIAN = {"vocab_size": 37, "positions": "sinusoidal-halves", "feedforward": "silu"}


@pytest.mark.parametrize(
    ("config", "to"),
    [
        (tiny_config("encoder-decoder", **MARIAN), "marian"),
        (small("write-tiny"), "huggingface"),
    ],
)
def test_no_id_is_left_to_the_defaults_of_transformers(
    config: TransformerConfig, to: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """Marian's own padding would be row 58,100."""
    own(tmp_path / "ours", config, tokenizer)
    settings = tmp_path / "ours" / "generation_config.json"
    settings.write_text(json.dumps({"bos_token_id": 2, "eos_token_id": 3}))
    (tmp_path / "ours" / "manifest.json").unlink()
    convert_model(tmp_path / "ours", tmp_path / "theirs", to=to)
    model = transformers.AutoModel.from_pretrained(tmp_path / "theirs")
    rows, config = len(model.get_input_embeddings().weight), model.config.to_dict()
    ids = {n: v for n, v in config.items() if n.endswith("_token_id") and v is not None}
    assert {*ids.values()} <= {*range(rows)}
    assert (ids["bos_token_id"], ids["eos_token_id"]) == (2, 3)


def test_a_bare_encoder_is_published_as_one(tmp_path: Path, tokenizer: Tokenizer) -> None:
    sizes = {"positions": "learned", "embedding_norm": True, "token_types": 1, "vocab_size": 37}
    more = {"head": "none", "feedforward": "gelu", "embedding_scale": False, "norm_eps": 1e-12}
    own(tmp_path / "ours", tiny_config("encoder", **sizes, **more), tokenizer)
    convert_model(tmp_path / "ours", tmp_path / "theirs", to="bert")
    assert fields(tmp_path / "theirs", "config.json")["architectures"] == ["BertModel"]


@pytest.mark.parametrize("family", ["marian", "m2m_100"])
@pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
@torch.inference_mode()
def test_no_text_gets_an_id_beyond_the_embedding(family: str, tmp_path: Path) -> None:
    """Pieces of SentencePiece's model that the vocabulary lacks are unknown, there and back."""
    theirs = drawn(family, tmp_path / "theirs")
    ids = fields(theirs, "vocab.json")
    kept = [
        name
        for number, name in enumerate(sorted(ids, key=ids.__getitem__))
        if number % 7 or number < 7
    ]
    kept = [*dict.fromkeys([*kept, *ids])][: len(kept)]
    (theirs / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(kept)}))
    (theirs / "config.json").write_text(
        json.dumps({**fields(theirs, "config.json"), "pad_token_id": kept.index("<pad>")})
    )
    convert_model(theirs, tmp_path / "ours", to="transduce")
    convert_model(tmp_path / "ours", tmp_path / "again", to=family)
    again, known = load_model(tmp_path / "again", device="cpu"), load_model(theirs, device="cpu")
    pieces = transformers.AutoTokenizer.from_pretrained(tmp_path / "again")
    text = "The quick brown fox jumps over the lazy dog, Zwölf Boxkämpfer 1234 日本語"
    encoded = [*known.special_affixes[0], *known.tokenizer.encode(text), *known.special_affixes[1]]
    assert pieces(text)["input_ids"] == encoded
    assert again.tokenizer.encode(text) == known.tokenizer.encode(text)
    assert max(encoded) < again.config.source_vocabulary
    assert known.tokenizer.token_id(OUT_OF_VOCABULARY) is not None


@pytest.mark.parametrize(("family", "told"), [("qwen2", 1), ("qwen3", 0)])
def test_a_tokenizer_that_transformers_takes_for_another_is_told(
    family: str, told: int, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """One that is published is of the class that transformers takes."""
    write_folder(draw(family, 1), tmp_path / "theirs")
    notices: list[str] = []
    convert_model(tmp_path / "theirs", tmp_path / "ours", to="transduce", notices=notices)
    convert_model(tmp_path / "ours", tmp_path / "again", to=family, notices=notices)
    assert notices == []
    norms = {"qwen2": {"attention_output_bias": False}, "qwen3": {"qk_norm": "per-head"}}[family]
    config = msgspec.structs.replace(
        small("write-tiny"), bias=False, attention_bias=family == "qwen2", **norms
    )
    own(tmp_path / "trained", config, tokenizer)
    convert_model(tmp_path / "trained", tmp_path / "out", to=family, notices=notices)
    assert len(notices) == told
    assert all("PreTrainedTokenizerFast.from_pretrained" in notice for notice in notices)
    pieces = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path / "out")
    assert pieces("the fox")["input_ids"] == tokenizer.encode("the fox")


def test_unlearnt_pieces_alone_are_refused(tmp_path: Path) -> None:
    """Without the files that they come from, other programs would give them ids."""
    theirs = drawn("marian", tmp_path / "theirs")
    ids = {name: n for n, name in enumerate(n for n in fields(theirs, "vocab.json") if n != "▁the")}
    (theirs / "vocab.json").write_text(json.dumps(ids))
    convert_model(theirs, tmp_path / "ours", to="transduce")
    for path in (tmp_path / "ours" / "published").iterdir():
        path.unlink()
    (tmp_path / "ours" / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="pieces that the model has not learnt"):
        convert_model(tmp_path / "ours", tmp_path / "again", to="marian")


def bare(folder: Path, tokenizer: Tokenizer, family: str = "bart") -> Path:
    """A published folder whose tokenizer puts nothing around a text, such as KoBART's."""
    drawn(family, folder)
    for path in folder.glob("*"):
        if path.name in {"vocab.json", "merges.txt", "vocab.txt"}:
            path.unlink()
    names = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer.save(folder / "tokenizer.json")
    return folder


@torch.inference_mode()
def test_a_source_without_an_end_token_has_none_there_and_back(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    theirs = bare(tmp_path / "theirs", tokenizer)
    convert_model(theirs, tmp_path / "ours", to="transduce")
    (tmp_path / "ours" / "tokenizer_config.json").unlink()
    (tmp_path / "ours" / "manifest.json").unlink()
    convert_model(tmp_path / "ours", tmp_path / "again", to="bart")
    for name in ("theirs", "ours", "again"):
        loaded = load_model(tmp_path / name, device="cpu")
        assert loaded.special_affixes == ([], []), name
    for name in ("theirs", "again"):
        pieces = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        assert pieces("the fox")["input_ids"] == tokenizer.encode("the fox")
    own(tmp_path / "trained", small("translate-tiny"), tokenizer)
    end = tokenizer.require_role("end")
    assert load_model(tmp_path / "trained", device="cpu").special_affixes == ([], [end])


@pytest.mark.parametrize(
    ("affixes", "words"), [([[1], [99]], "the vocabulary has 37"), ("</s>", "source_affixes")]
)
def test_affixes_that_are_no_ids_are_refused(
    affixes: Any, words: str, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    own(tmp_path, small("translate-tiny"), tokenizer)
    (tmp_path / "manifest.json").unlink()
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "source_affixes": [[2], [3, 3]]}))
    assert load_model(tmp_path, device="cpu").special_affixes == ([2], [3, 3])
    path.write_text(json.dumps({**json.loads(path.read_text()), "source_affixes": affixes}))
    with pytest.raises(CheckpointError, match=words):
        load_model(tmp_path, device="cpu")
