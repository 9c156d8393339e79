"""What was said comes up in the prompt: as a text, as parts, or not at all, which is an error."""

import time

import pytest

from tests.chat.test_template import ours, template
from transformer.chat.encoding import ChatPrompt, encode_chat
from transformer.chat.presence import words_left_out
from transformer.chat.template import Message
from transformer.errors import ConfigError

TALK = [
    Message("system", "Be brief."),
    Message("user", "Anna sees the boat"),
    Message("assistant", "Which boat?"),
    Message("user", "The old one!"),
]
OVER = "{% for m in messages %}BODY{% endfor %}"
PARTS = (
    "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
)
TEXT = "{{ m.content }}"


def prompt(text: str, messages: list[Message] = TALK) -> tuple[str, ChatPrompt]:
    tokenizer = ours("chatml")
    encoded = encode_chat(template(text), tokenizer, messages)
    return tokenizer.backend.decode(encoded.ids, skip_special_tokens=False), encoded


@pytest.mark.parametrize(
    "body",
    [
        PARTS,
        f"{{{{ m.role }}}}: {PARTS}\n",
        "{{ m.content[0].text }} ",
        "{{ m['content'][0]['text'] | trim }}",
        f"{{% if m.role == 'user' %}}{PARTS}{{% else %}}{TEXT}{{% endif %}}",
        f"{{% if m.role != 'user' %}}{PARTS}{{% else %}}{TEXT}{{% endif %}}",
        f"{{% if m.content is string %}}{TEXT}{{% else %}}{PARTS}{{% endif %}}",
        "{% if m.content is string %}{{ raise_exception('parts!') }}{% endif %}" + PARTS,
        "{{ (m.content | selectattr('type', 'equalto', 'text') | first).text }}",
        "{{ m.content | map(attribute='text') | join }}",
        "{% if m.content is string %}{{ 1 // 0 }}{% endif %}" + PARTS,
    ],
)
def test_a_template_that_wants_parts_gets_them(body: str) -> None:
    text, encoded = prompt(OVER.replace("BODY", body))
    ends = [text.find(message.content) for message in TALK]
    assert -1 not in ends and ends == sorted(ends)
    assert "type" not in text  # no part is spelled
    assert not encoded.left_out


@pytest.mark.parametrize(
    "body",
    [
        "{{ m.content | trim }}",
        "{{ m.content | upper }}",
        "{{ m.content | tojson }}",
        "{{ m.content | tojson(ensure_ascii=true) }}",
        "{{ m.content | e }}",
        "{{ m.content | replace('\n', ' ') }}",
        "{{ m.content.split('</think>')[-1] }}",
    ],
)
def test_what_a_template_writes_otherwise_is_not_left_out(body: str) -> None:
    said = [
        Message("user", "  Größe\n & <b>Maß</b> "),
        Message("assistant", "<think>who?</think>So."),
        Message("user", "日本 …"),
    ]
    assert not prompt(OVER.replace("BODY", body), said)[1].left_out


@pytest.mark.parametrize(
    ("text", "role"),
    [
        (OVER.replace("BODY", "{{ m.role }}"), "system, user, assistant"),
        (OVER.replace("BODY", "{% if m.role != 'system' %}" + TEXT + "{% endif %}"), "system"),
        (
            OVER.replace("BODY", "{% if m.role == 'human' %}" + TEXT + "{% endif %}"),
            "system, user, assistant",
        ),
        (
            OVER.replace("BODY", "{% if m.role != 'assistant' %}" + TEXT + "{% endif %}"),
            "assistant",
        ),
        ("{{ messages[-1].content }}", "system, user, assistant"),
        ("{{ messages[0].content }}{{ messages[1].content }}", "assistant, user"),
        (OVER.replace("BODY", "{{ m.content[:4] }}"), "system, user, assistant"),
        (OVER.replace("BODY", "{{ m.text }}"), "system, user, assistant"),
        ("You are of use.", "system, user, assistant"),
        ("", "system, user, assistant"),
    ],
)
def test_a_message_that_does_not_come_up_is_an_error(text: str, role: str) -> None:
    with pytest.raises(ConfigError, match=rf"leaves out what was said .role: {role}."):
        prompt(text)


def test_a_word_that_others_say_does_not_stand_for_a_message() -> None:
    with pytest.raises(ConfigError, match="leaves out"):
        prompt(OVER.replace("BODY", "{{ m.role }}"), [Message("user", "user")])


def test_words_that_a_template_leaves_out_are_named() -> None:
    said = [Message("user", "a wooden boat"), Message("assistant", "oh"), Message("user", "green")]
    text = OVER.replace("BODY", "{{ m.content | replace('wooden', '') }}")
    assert prompt(text, said)[1].left_out == {0: ["wooden"]}


@pytest.mark.parametrize("word", ["a", "oat", "wood", "boatman"])
def test_a_word_inside_of_another_does_not_stand_for_it(word: str) -> None:
    said = [Message("user", f"one wooden boat {word} here")]
    text = OVER.replace("BODY", f"{{{{ m.content | replace(' {word} ', ' ') }}}}")
    assert prompt(text, said)[1].left_out == {0: [word]}


@pytest.mark.parametrize("body", ["user{{ m.content }}end", "{{ (m.content ~ 'end') | tojson }}"])
def test_words_without_a_space_around_them_are_there(body: str) -> None:
    for said in ("a wooden\nboat", "a", "a boat"):
        assert not prompt(OVER.replace("BODY", body), [Message("user", said)])[1].left_out


def test_many_words_take_no_time_for_each_other() -> None:
    """All pairs of these would take seconds."""
    words = " ".join(f"w{number}" for number in range(40_000))
    said = [Message("user", f"zero {words} end")]
    start = time.process_time()
    left_out = words_left_out(f"<s>zero {words}", said)
    assert left_out == {0: ["end"]}
    assert time.process_time() - start < 0.5


def test_a_prompt_of_nothing_is_an_error() -> None:
    with pytest.raises(ConfigError, match="empty prompt"):
        prompt("{{ messages[0].content | trim }}", [Message("user", " ")])
