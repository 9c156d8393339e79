"""Chat templates: what they write, which ids that becomes, and that transformers agrees."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from transformers import PreTrainedTokenizerFast

from checkpoints import CheckpointError
from tests.convert.owned import own, small
from tests.convert.published import VOCABULARY
from tests.loading.chats import STYLES, backend, contents
from tokenizer import Tokenizer, TrainingOptions, train_tokenizer
from transformer.config import ConfigError
from transformer.loading import Message, convert_model, encode_chat, read_chat_template
from transformer.loading.chat import ChatTemplate, write_chat_template

HELLO = [Message("user", "Hello"), Message("assistant", " Hi! "), Message("user", "Bye\n")]


def ours(name: str) -> Tokenizer:
    return Tokenizer.from_json(backend(name).to_str())


def theirs(name: str) -> Any:
    style = STYLES[name]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(backend(name).to_str()),
        chat_template=style.template,
        clean_up_tokenization_spaces=False,
        **style.special,
    )


def template(text: str, **names: str) -> ChatTemplate:
    return ChatTemplate(Path("model"), text, names)


def of(name: str) -> ChatTemplate:
    return template(STYLES[name].template, **STYLES[name].special)


def dicts(messages: list[Message]) -> list[dict[str, str]]:
    return [message._asdict() for message in messages]


def conversations() -> list[list[Message]]:
    """With a system's message and without, one turn and several."""
    found = []
    for seed in range(8):
        roles = ["user", "assistant", "user", "assistant"][: 1 + 2 * (seed % 2)]
        roles = ["system", *roles] if seed % 3 else roles
        said = contents(seed)
        found.append([Message(role, text) for role, text in zip(roles, said, strict=False)])
    return found


@pytest.mark.parametrize("prompted", [True, False])
@pytest.mark.parametrize("name", STYLES)
def test_conversations_become_what_transformers_makes_of_them(name: str, prompted: bool) -> None:
    mine, tokenizer, reference = of(name), ours(name), theirs(name)
    for messages in conversations():
        wanted: dict[str, Any] = {"add_generation_prompt": prompted}
        text = reference.apply_chat_template(dicts(messages), tokenize=False, **wanted)
        ids = reference.apply_chat_template(dicts(messages), return_dict=False, **wanted)
        assert mine.render(messages, **wanted) == text
        assert encode_chat(mine, tokenizer, messages, **wanted) == ids


def names(tokenizer: Tokenizer, ids: list[int]) -> list[str | None]:
    """The special tokens among some ids."""
    special = {*tokenizer.special_tokens().values()}
    return [tokenizer.token(i) for i in ids if i in special]


@pytest.mark.parametrize("name", STYLES)
def test_a_message_cannot_spell_special_tokens(name: str) -> None:
    """The special tokens are those of a harmless conversation, and the text is all there."""
    mine, tokenizer = of(name), ours(name)
    for spelled in tokenizer.special_tokens():
        for text in (f"a {spelled} b", spelled, f"  {spelled}{spelled}", f"{spelled}assistant\n"):
            messages = [Message("user", "x"), Message("assistant", text), Message("user", text)]
            harmless = [message._replace(content="x") for message in messages]
            ids = encode_chat(mine, tokenizer, messages)
            plain = encode_chat(mine, tokenizer, harmless)
            assert names(tokenizer, ids) == names(tokenizer, plain)
            if STYLES[name].cuts == "bytes":  # which loses nothing
                decoded = tokenizer.backend.decode(ids, skip_special_tokens=False)
                assert decoded == mine.render(messages)


def test_the_rest_of_a_text_with_spelled_tokens_is_cut_as_ever() -> None:
    """`[INST] a</s>b[/INST]`: only the first part of a text begins with a blank of its own."""
    tokenizer, mine = ours("mistral"), of("mistral")
    ids = encode_chat(mine, tokenizer, [Message("user", "a</s>b")])
    begin, start, end = (tokenizer.token_id(each) for each in ("<s>", "[INST]", "[/INST]"))
    assert ids[:2] == [begin, start]
    assert ids[-1] == end
    middle = tokenizer.backend.encode("q a</s>b", add_special_tokens=False)
    assert ids[2:-1] == middle.ids[middle.tokens.index("q") + 1 :]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ messages[0].content | replace('-', '') }}", "<|im-_end|>"),
        ("{{ messages[0].content | replace('<b>', '') }}", "<|im<b>_end|>"),
        ("{{ messages[0].content.split('<b>') | join }}", "<|im<b>_end|>"),
        ("{{ messages[0].content[1:] }}", "-<|im_end|>"),
        ("{{ messages[0].content | lower }}", "<|IM_END|>"),
        ("{% if '<|im_end|>' in messages[0].content %}!{% endif %}{{ messages[0].content }}", None),
        ("{% if '<' in messages[0].content %}{{ messages[0].content }}{% endif %}", None),
        (
            (
                "{% if '<b>' not in messages[0].content %}{{ raise_exception('no') }}{% endif %}"
                "{{ messages[0].content }}"
            ),
            "<b> <|im_end|>",
        ),
    ],
)
def test_what_a_template_makes_of_a_message_is_still_the_messages(
    text: str, said: str | None
) -> None:
    tokenizer = ours("chatml")
    mine = template(text + "{{ '<|im_start|>' }}")
    ids = encode_chat(mine, tokenizer, [Message("user", said or "a <|im_end|>")])
    assert names(tokenizer, ids) == ["<|im_start|>"]


def test_characters_that_stand_for_others_may_be_in_a_message() -> None:
    tokenizer, mine = ours("chatml"), of("chatml")
    private = "".join(map(chr, range(0xE000, 0xE010))) + "".join(map(chr, range(0xF0000, 0xF0010)))
    ids = encode_chat(mine, tokenizer, [Message("user", f"<|im_end|>{private}")])
    assert f"user\n<|im_end|>{private}<|im_end|>" in tokenizer.backend.decode(
        ids, skip_special_tokens=False
    )
    assert names(tokenizer, ids).count("<|im_end|>") == 2


RENDERED = {
    "a block's line leaves nothing": ("  {% if 1 %}\n  a\n  {% endif %}\nb\n", "  a\nb"),
    "json": ("{{ {'ä': ['<', none, true]} | tojson }}", '{"ä": ["<", null, true]}'),
    "json, ascii": ("{{ 'ä' | tojson(ensure_ascii=true) }}", '"\\u00e4"'),
    "loop controls": (
        (
            "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}"
            "{% if i > 3 %}{% break %}{% endif %}{{ i }}{% endfor %}"
        ),
        "013",
    ),
    "calls in loops": ("{% for i in 'ab' %}{{ i.upper().split(',')[0] }}{% endfor %}", "AB"),
    "recursion": (
        (
            "{% for x in [1, [2, [3]]] recursive %}"
            "{% if x is number %}{{ x }}{% else %}({{ loop(x) }}){% endif %}{% endfor %}"
        ),
        "1(2(3))",
    ),
    "callers": (
        (
            "{% macro m(a, b='-') %}{{ a }}{{ b }}{{ caller() }}{% endmacro %}"
            "{% call m(1) %}x{% endcall %}"
        ),
        "1-x",
    ),
    "filter blocks": ("{% filter upper %}a{{ 1 }}b{% endfilter %}", "A1B"),
    "set blocks": ("{% set x | trim %} a {% endset %}{{ x ~ '|' }}", "a|"),
    "with": ("{% with a = 1, b = [2] %}{{ a + b[0] }}{% endwith %}", "3"),
    "arithmetic": ("{{ 7 // 2 }} {{ 7 % 4 }} {{ 2 ** 5 }} {{ -3 }} {{ 1 / 2 }}", "3 3 32 -3 0.5"),
    "repetition": ("{{ 'ab' * 2 ~ 2 * 'c' }} {{ [1] * 2 + [3] }}", "ababcc [1, 1, 3]"),
    "comparisons": ("{{ 1 < 2 <= 2 < 3 }} {{ 1 < 3 < 2 }} {{ 2 not in [1] }}", "True False True"),
    "undefined": ("{{ x }}{{ 'no' if x is not defined or x.y }}", "no"),
    "none": ("{% set ns = namespace(a=none) %}{{ ns.a is none }}{{ tools is none }}", "TrueTrue"),
    "formats": ("{{ '%s-%03d%%' % ('a', 5) }} {{ '{:>3}{x}'.format(1, x=2) }}", "a-005%   12"),
    "mappings": (
        (
            "{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}"
            "{% for k, v in {'c': 3}.items() %}{{ k }}{{ v }}{% endfor %}{{ dict(a=1)['a'] }}"
        ),
        "a2b1c31",
    ),
    "sorting": ("{{ ['b', 'C', 'a'] | sort }} {{ [3, 1] | max }}", "['a', 'b', 'C'] 3"),
    "picking": (
        (
            "{{ messages | map(attribute='role') | unique | join(', ') }} "
            "{{ messages | map(attribute='content') | map('trim') | map('length') | sum }}"
        ),
        "user, assistant 11",
    ),
    "a generator is true": ("{{ 1 if [] | select else 2 }}", "1"),
    "texts": ("{{ 'abc'[::-1] }}{{ 'abc' | reverse }}{{ ' a' | indent(2, true) }}", "cbacba   a"),
    "a method is no entry": ("{{ {'items': 1}['items'] }}{{ {'x': 2}.get('y', 3) }}", "13"),
    "loops": (
        (
            "{% for m in messages %}{{ loop.index }}{{ loop.previtem.role if not loop.first }}"
            "{{ loop.cycle('a', 'b') }}{% if loop.last %}{{ loop.length }}{% endif %}{% endfor %}"
        ),
        "1a2userb3assistanta3",
    ),
}


@pytest.mark.parametrize("name", RENDERED)
def test_templates_write_what_jinja_writes(name: str) -> None:
    text, wanted = RENDERED[name]
    assert template(text).render(HELLO) == wanted
    reference = theirs("chatml")
    reference.chat_template = text
    assert reference.apply_chat_template(dicts(HELLO), tokenize=False) == wanted


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


def test_a_conversation_that_a_template_refuses_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match=r"^model: its chat template refuses .*: user and assis"):
        of("llama 2").render([Message("assistant", "a")])


def test_the_command_line_starts_without_jinja() -> None:
    code = "import sys, cli.app; assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys, transformer.loading.chat as c; assert 'templates' not in str([*sys.modules])"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
