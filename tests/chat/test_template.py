"""Chat templates: what they write, which ids that becomes, and that transformers agrees."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from transformers import PreTrainedTokenizerFast

from tests.chat.styles import STYLES, backend, contents
from tokenizer import Tokenizer
from transformer.chat.encoding import encode_chat
from transformer.chat.template import ChatTemplate, Message
from transformer.errors import ConfigError

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
        assert encode_chat(mine, tokenizer, messages, **wanted).ids == ids


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
            ids = encode_chat(mine, tokenizer, messages).ids
            plain = encode_chat(mine, tokenizer, harmless).ids
            assert names(tokenizer, ids) == names(tokenizer, plain)
            if STYLES[name].cuts == "bytes":  # which loses nothing
                decoded = tokenizer.backend.decode(ids, skip_special_tokens=False)
                assert decoded == mine.render(messages)


def test_the_rest_of_a_text_with_spelled_tokens_is_cut_as_ever() -> None:
    """`[INST] a</s>b[/INST]`: only the first part of a text begins with a blank of its own."""
    tokenizer, mine = ours("mistral"), of("mistral")
    ids = encode_chat(mine, tokenizer, [Message("user", "a</s>b")]).ids
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
    ids = encode_chat(mine, tokenizer, [Message("user", said or "a <|im_end|>")]).ids
    assert names(tokenizer, ids) == ["<|im_start|>"]


def test_characters_that_stand_for_others_may_be_in_a_message() -> None:
    tokenizer, mine = ours("chatml"), of("chatml")
    private = "".join(map(chr, range(0xE000, 0xE010))) + "".join(map(chr, range(0xF0000, 0xF0010)))
    ids = encode_chat(mine, tokenizer, [Message("user", f"<|im_end|>{private}")]).ids
    assert f"user\n<|im_end|>{private}<|im_end|>" in tokenizer.backend.decode(
        ids, skip_special_tokens=False
    )
    assert names(tokenizer, ids).count("<|im_end|>") == 2


def test_a_template_may_read_on_from_the_first_character_of_a_special_token() -> None:
    """`</think>` begins like `<|im_end|>`."""
    tokenizer, mine = ours("reasoning"), of("reasoning")
    said = ["x", "<think>hm</think>\n\nso", "<|im_end|>"]
    roles = ["user", "assistant", "user"]
    messages = [Message(role, text) for role, text in zip(roles, said, strict=True)]
    decoded = tokenizer.backend.decode(
        encode_chat(mine, tokenizer, messages).ids, skip_special_tokens=False
    )
    assert decoded == mine.render(messages)
    assert "hm" not in decoded


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


def test_a_conversation_that_a_template_refuses_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match=r"^model: its chat template refuses .*: user and assis"):
        of("llama 2").render([Message("assistant", "a")])


def test_the_command_line_starts_without_jinja() -> None:
    code = "import sys, cli.app; assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys, transformer.chat.encoding; assert 'jinja2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
