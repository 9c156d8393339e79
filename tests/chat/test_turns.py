"""Conversations to train on: the ids before each answer are those that `generate` reads for it."""

import pytest

from tests.chat.styles import CHATML, STYLES
from tests.chat.test_template import conversations, dicts, of, ours, template, theirs
from tokenizer import is_blank
from transformer.chat.encoding import encode_chat
from transformer.chat.template import Message
from transformer.chat.turns import ChatExample, encode_completion, encode_turns, turn_end
from transformer.errors import ConfigError

TALK = [
    Message("user", "The quick fox"),
    Message("assistant", "jumps over"),
    Message("user", "the dogs"),
    Message("assistant", "<think>hm</think>\n\nso"),
]


def spans(example: ChatExample) -> list[tuple[int, int]]:
    """Where the answers of an example begin and end."""
    marks = [False, *example.is_predicted, False]
    borders = [n for n in range(len(marks) - 1) if marks[n] != marks[n + 1]]
    return list(zip(borders[::2], borders[1::2], strict=True))


@pytest.mark.parametrize("name", STYLES)
def test_what_stands_before_an_answer_is_what_generate_reads(name: str) -> None:
    tokenizer, style = ours(name), of(name)
    end = tokenizer.token_id(STYLES[name].special["eos_token"])
    assert end is not None
    checked = 0
    for messages in [*conversations(), TALK]:
        answers = [n for n, m in enumerate(messages) if n and m.role == "assistant"]
        answers = [n for n in answers if not is_blank(messages[n].content)]
        try:
            prompts = [encode_chat(style, tokenizer, messages[:n]).ids for n in answers]
        except ConfigError:  # the template refuses it: zephyr's has no empty messages, and so on
            continue
        examples = encode_turns(style, tokenizer, messages, (end,))
        placed = [(example.ids, *span) for example in examples for span in spans(example)]
        assert [ids[:first] for ids, first, _ in placed] == prompts
        for (ids, first, last), number in zip(placed, answers, strict=True):
            assert ids[last - 1] == end
            assert end not in ids[first : last - 1]
            said = messages[number].content.split("</think>")[-1].split()
            written = "".join(tokenizer.decode(ids[first:last]).split())
            assert all(word in written for word in said if word.isascii() and word.isalpha()), said
            checked += 1
    assert checked > 3


def test_a_conversation_is_one_example_as_transformers_writes_it() -> None:
    """All but what follows the last end token, which is not predicted."""
    name = "chatml"
    tokenizer = ours(name)
    end = tokenizer.token_id("<|im_end|>")
    (example,) = encode_turns(of(name), tokenizer, TALK, (end,))
    whole = theirs(name).apply_chat_template(dicts(TALK), tokenize=True)
    whole = list(whole["input_ids"]) if not isinstance(whole, list) else whole
    assert example.ids == whole[: len(example.ids)]
    assert len(whole) - len(example.ids) == len(tokenizer.encode("\n"))
    texts = [tokenizer.decode(example.ids[first:last]) for first, last in spans(example)]
    assert texts == [TALK[1].content, TALK[3].content]
    assert example.is_predicted.count(True) == sum(
        len(tokenizer.encode(TALK[n].content)) + 1 for n in (1, 3)
    )


def test_a_template_that_forgets_gives_each_answer_an_example_of_its_own() -> None:
    """The number of messages stands in the first one's header, so no prompt begins the next."""
    counted = CHATML.replace("'system' ~", "'system' ~ messages | length ~")
    tokenizer = ours("chatml")
    end = tokenizer.token_id("<|im_end|>")
    examples = encode_turns(template(counted), tokenizer, TALK, (end,))
    assert [len(spans(example)) for example in examples] == [1, 1]
    prompts = [encode_chat(template(counted), tokenizer, TALK[:n]).ids for n in (1, 3)]
    assert [example.ids[: len(p)] for example, p in zip(examples, prompts, strict=True)] == prompts


def test_an_answer_without_an_end_token_gets_the_models() -> None:
    bare = template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    tokenizer = ours("chatml")
    end = tokenizer.token_id("<|im_end|>")
    for example in encode_turns(bare, tokenizer, TALK, (end,)):
        assert example.ids[-1] == end
        assert example.is_predicted[-1]
    assert turn_end(bare, tokenizer) is None
    assert turn_end(of("chatml"), tokenizer) == end
    assert turn_end(of("llama 3"), ours("llama 3")) == ours("llama 3").token_id("<|eot_id|>")


def test_nothing_is_learnt_where_nothing_is_answered() -> None:
    tokenizer = ours("chatml")
    said = [Message("assistant", "Hello"), Message("user", "the fox"), Message("assistant", " ")]
    assert encode_turns(of("chatml"), tokenizer, said, (1,)) == []


def test_a_completion_follows_its_prompt() -> None:
    tokenizer = ours("llama 2")
    prompt, both = tokenizer.encode("The quick"), tokenizer.encode("The quick fox")
    example = encode_completion(tokenizer, [1], "The quick", " fox", 2)
    assert example.ids == [1, *both, 2]
    assert example.is_predicted == [False] * (1 + len(prompt)) + [True] * (
        len(both) - len(prompt) + 1
    )
    empty = encode_completion(tokenizer, [], "", "fox", 2)
    assert empty.ids == [2, *tokenizer.encode("fox"), 2]
