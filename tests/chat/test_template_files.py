"""Where chat templates are read from, what is refused, and that they go where models go."""

import json
from pathlib import Path
from typing import Any

import pytest

from checkpoints import CheckpointError
from tests.chat.styles import backend
from tests.families.published import VOCABULARY
from tests.loading.owned import own, small
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer
from transformer.chat.template import Message, read_chat_template, write_chat_template
from transformer.export.convert import convert_model

HELLO = [Message("user", "Hello")]


def ours(name: str) -> Tokenizer:
    return Tokenizer.from_json(backend(name).to_str())


def put(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


NAMES = {"bos_token": {"content": "<b>", "lstrip": False}, "eos_token": "<e>", "pad_token": None}
SHOW = "{{ bos_token }},{{ eos_token }},{{ unk_token }},{{ pad_token }}"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"chat_template__jinja": "a", "tokenizer_config__json": {"chat_template": "b"}}, "a"),
        ({"tokenizer_config__json": {"chat_template": "b"}}, "b"),
        (
            {
                "tokenizer_config__json": {
                    "chat_template": [
                        {"name": "tool_use", "template": "a"},
                        {"name": "default", "template": "b"},
                    ]
                }
            },
            "b",
        ),
        ({"chat_template__json": {"chat_template": "c"}, "tokenizer_config__json": {}}, "c"),
        ({"tokenizer_config__json": {**NAMES, "chat_template": SHOW}}, "<b>,<e>,,"),
        (
            {
                "chat_template__jinja": SHOW,
                "tokenizer_config__json": NAMES,
                "special_tokens_map__json": {"unk_token": "<u>", "pad_token": "<p>"},
            },
            "<b>,<e>,<u>,",
        ),
        ({"chat_template__jinja": SHOW}, "<s>,</s>,<unk>,"),
        ({"tokenizer_config__json": {"chat_template": None}}, None),
        ({}, None),
    ],
)
def test_where_a_template_is_read_from(
    tmp_path: Path, files: dict[str, Any], wanted: str | None
) -> None:
    found = read_chat_template(put(tmp_path, **files), ours("llama 2"))
    assert (None if found is None else found.render(HELLO).replace("None", "")) == wanted


def test_a_template_that_is_written_is_read_again(tmp_path: Path) -> None:
    write_chat_template(tmp_path, "a\r\n{{ 'é' }}\n")
    found = read_chat_template(tmp_path, ours("llama 2"))
    assert found is not None
    assert found.text == "a\r\n{{ 'é' }}\n"


@pytest.mark.parametrize("to", ["transduce", "huggingface"])
def test_a_template_goes_where_its_model_goes(tmp_path: Path, to: str) -> None:
    options = TrainingOptions(kind="char", vocab_size=VOCABULARY, normalization="none")
    tokenizer = train_tokenizer(["the quick brown fox jumps over a lazy dog 0123456789"], options)
    own(tmp_path / "model", small("write-tiny"), tokenizer)
    names = {"bos_token": "</s>", "eos_token": {"content": "<s>"}}  # not what their roles are
    put(tmp_path / "model", tokenizer_config__json=names, chat_template__jinja=SHOW)
    (tmp_path / "model" / "manifest.json").unlink()
    convert_model(tmp_path / "model", tmp_path / "other", to=to)
    found = read_chat_template(tmp_path / "other", tokenizer)
    assert found is not None
    assert found.render(HELLO) == "</s>,<s>,,"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"chat_template__jinja": "a" * 300_000}, "more than 65,536 characters"),
        ({"chat_template__jinja": "a" * 70_000}, "has 70,000 characters; at most 65,536"),
        ({"chat_template__jinja": "{% if %}"}, "cannot be read: Expected an expression"),
        ({"tokenizer_config__json": {"chat_template": 3}}, "is no text"),
        ({"tokenizer_config__json": {"chat_template": [{"name": "a"}]}}, "is called default"),
        ({"tokenizer_config__json": "["}, "tokenizer_config.json cannot be read"),
    ],
)
def test_what_is_no_template_is_refused(tmp_path: Path, files: dict[str, Any], reason: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_chat_template(put(tmp_path, **files), ours("llama 2"))
    assert reason in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).isprintable()


def test_links_and_folders_are_no_templates(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    folder = put(tmp_path / "model")
    (folder / "chat_template.jinja").symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match="leads out of the folder"):
        read_chat_template(folder, ours("llama 2"))
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.jinja").mkdir()
    with pytest.raises(CheckpointError, match="is no file"):
        read_chat_template(folder, ours("llama 2"))
