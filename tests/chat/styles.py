"""Chat templates in the styles of published models, and tiny tokenizers that know their tokens."""

import functools
import random
from typing import Any, NamedTuple

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from tests.tokenizer.pretrained.folders import TEXTS, sentences

CHATML = """
{%- set open = '<|im_start|>' %}{% set close = '<|im_end|>' %}
{%- if messages[0].role != 'system' %}
    {{- open ~ 'system' ~ '\\nBe of use.' ~ close ~ '\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- open + message['role'] + '\\n' + message['content'] + close + '\\n' }}
{%- endfor %}
{% if add_generation_prompt %}
{{ open + 'assistant\\n' }}
{%- endif %}"""

LLAMA2 = """
{%- if messages[0]['role'] == 'system' %}
    {%- set rest, system = messages[1:], messages[0]['content'] %}
{%- else %}
    {%- set rest, system = messages, false %}
{%- endif %}
{%- for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('user and assistant take turns') }}
    {%- endif %}
    {%- if loop.first and system is not false %}
        {%- set said = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + message.content %}
    {%- else %}
        {%- set said = message.content %}
    {%- endif %}
    {%- if message.role == 'user' %}
        {{- bos_token + '[INST] ' + said.strip() + ' [/INST]' }}
    {%- elif message.role == 'assistant' %}
        {{- ' ' + said | trim + ' ' + eos_token }}
    {%- endif %}
{%- endfor %}"""

LLAMA3 = """
{{- bos_token }}
{%- set date = '26 Jul 2024' if strftime_now is not defined else strftime_now('%d %b %Y') %}
{%- macro header(role) -%}
    {{ '<|start_header_id|>' ~ role ~ '<|end_header_id|>' ~ '\\n\\n' }}
{%- endmacro %}
{%- if messages[0]['role'] == 'system' %}
    {%- set before = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}{% set before = '' %}{% endif %}
{{- header('system') }}
{{- 'Today is ' + date + '\\n\\n' + before + '<|eot_id|>' }}
{%- for message in messages %}
    {%- generation %}
    {{- header(message.role) + message.content | trim + '<|eot_id|>' }}
    {%- endgeneration %}
{%- endfor %}
{%- if add_generation_prompt %}{{ header('assistant') }}{% endif %}"""

MISTRAL = """
{{- bos_token }}
{%- set ns = namespace(turn=0, last=none) %}
{%- for message in messages | selectattr('role', 'ne', 'system') %}
    {%- if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
{%- set system = (messages | selectattr('role', 'equalto', 'system') | list | first) %}
{%- for message in messages | rejectattr('role', 'equalto', 'system') %}
    {%- if message.role not in ['user', 'assistant'] %}{% continue %}{% endif %}
    {%- if message['role'] == 'user' %}
        {%- if system is defined and system and loop.index0 == ns.last %}
            {{- '[INST] ' + system.content + '\\n\\n' + message['content'] + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message['content'] + '[/INST]' }}
        {%- endif %}
    {%- else %}
        {{- ' ' + message['content'] + eos_token }}
    {%- endif %}
{%- endfor %}"""

GEMMA = """{{ bos_token }}{% for message in messages %}
{% if message['role'] == 'assistant' %}
{% set role = 'model' %}
{% else %}
{% set role = message['role'] %}
{% endif %}
{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}
{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

ZEPHYR = """
{%- for message in messages -%}
{% if message['content'] is string and message['content'] %}
{{ '<|' ~ message.role ~ '|>\\n' ~ message.get('content', '') ~ eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""

REASONING = """
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>%s\\n%s<|im_end|>\\n' | format(message.role, content) }}
{%- endfor %}"""

TOOLS = """
{%- for message in messages %}
    {{- '<|im_start|>' ~ {'n': loop.index, 'message': message} | tojson(indent=2) ~ '<|im_end|>' }}
{%- endfor %}"""


class Style(NamedTuple):
    """A kind of model: its template, and how its tokenizer cuts texts."""

    template: str
    cuts: str
    special: dict[str, str]  # by role
    others: tuple[str, ...] = ()


_BARE = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
_ML = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
_GEMMA = {**_BARE, "bos_token": "<bos>", "eos_token": "<eos>"}
STYLES = {
    "chatml": Style(CHATML, "bytes", _ML, ("<|im_start|>",)),
    "llama 2": Style(LLAMA2, "prepended", _BARE),
    "llama 2, first": Style(LLAMA2, "first", _BARE),
    "llama 3": Style(
        LLAMA3,
        "bytes",
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
        ("<|start_header_id|>", "<|end_header_id|>"),
    ),
    "mistral": Style(MISTRAL, "first", _BARE, ("[INST]", "[/INST]")),
    "mistral, words": Style(MISTRAL, "always", _BARE, ("[INST]", "[/INST]")),
    "gemma": Style(GEMMA, "replaced", _GEMMA, ("<start_of_turn>", "<end_of_turn>")),
    "zephyr": Style(ZEPHYR, "first", _BARE),
    "zephyr, known": Style(ZEPHYR, "prepended", _BARE, ("<|user|>", "<|assistant|>")),
    "reasoning": Style(REASONING, "bytes", _ML, ("<|im_start|>",)),
    "tools": Style(TOOLS, "bytes", _ML, ("<|im_start|>",)),
}


def _cut(backend: tokenizers.Tokenizer, cuts: str) -> None:
    """Set up the cutting of texts: of bytes, or of words that spaces begin."""
    if cuts == "bytes":
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
    elif cuts == "prepended":
        backend.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    elif cuts == "replaced":
        backend.normalizer = normalizers.Replace(" ", "▁")
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(
            prepend_scheme=cuts, split=cuts == "always"
        )


@functools.cache
def backend(name: str) -> tokenizers.Tokenizer:
    """A tokenizer for a style, trained on a few words."""
    style = STYLES[name]
    special = [*dict.fromkeys([*style.special.values(), *style.others])]
    made = tokenizers.Tokenizer(
        models.BPE() if style.cuts == "bytes" else models.BPE(unk_token="<unk>", fuse_unk=True)
    )
    _cut(made, style.cuts)
    options: dict[str, Any] = {"vocab_size": 500, "special_tokens": special, "show_progress": False}
    if style.cuts == "bytes":
        options["initial_alphabet"] = sorted(pre_tokenizers.ByteLevel.alphabet())
    learnt = [*sentences(), *TEXTS, "<|im_end|> <s> </s> [INST] user\nassistant\n\nsystem: [ ]"]
    made.train_from_iterator(learnt, trainers.BpeTrainer(**options))
    return made


def contents(seed: int) -> list[str]:
    """What a conversation might say: words, and texts that are hard to cut."""
    chance = random.Random(seed)
    odd = ["a < b", "<think>hm</think>\n\nso", "x[0] = [1]", "</", "  in blanks\n", "<|", "[INST"]
    return [chance.choice([*TEXTS, *sentences(seed=seed)[:9], *odd]) or "-" for _ in range(5)]
