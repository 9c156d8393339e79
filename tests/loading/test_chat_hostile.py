"""What strangers put into chat templates: each is one line, soon, in little memory."""

import resource
import time
from pathlib import Path

import pytest

from checkpoints import CheckpointError
from transformer.errors import ConfigError
from transformer.loading import Message
from transformer.loading.chat import ChatTemplate

SECONDS, MEBIBYTES = 2.0, 300
HELLO = [Message("user", "hello"), Message("assistant", "a" * 10_000)]

MANY = "{% for a in range(100000) %}"
NESTED = MANY + "{% for b in range(100000) %}"
ENDS = "{% endfor %}{% endfor %}"
DOUBLE = "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}"
LAUGHS = (
    "{% set ns = namespace(x=('ha',), y=('ha',)) %}{% for i in range(60) %}"
    "{% set ns.x = (ns.x, ns.x) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}"
)
LONG = "{% set a, b = 'a' * 500000, 'b' ~ 'a' * 250000 %}"

WORK = {  # more of it than is allowed
    "loops": NESTED + ENDS,
    "loops that go on": NESTED + "{% continue %}" + ENDS,
    "loops of nothing": MANY + "{% for b in range(100000) if false %}" + ENDS,
    "text": MANY + "a" * 60_000 + "{% endfor %}",
    "text kept": "{% set x %}" + MANY + "a" * 60_000 + "{% endfor %}{% endset %}",
    "text in a filter": "{% filter upper %}" + MANY + "a" * 6000 + "{% endfor %}{% endfilter %}",
    "multiplied": "{{ 'a' * 10**9 }}",
    "multiplied the other way": "{{ 10**9 * 'a' }}",
    "a multiplied list": "{{ [1] * 10**9 }}",
    "a multiplied default": "{% macro f(a='a' * 10**9) %}{% endmacro %}{{ f() }}",
    "doubled by ~": DOUBLE + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "doubled by +": DOUBLE + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "doubled by join": DOUBLE + "{% set ns.x = [ns.x, ns.x] | join %}{% endfor %}",
    "doubled by format": DOUBLE + "{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
    "doubled by replace": DOUBLE + "{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
    "doubled as it is kept": DOUBLE
    + "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}",
    "a billion laughs": LAUGHS + "{{ ns.x }}",
    "laughs as JSON": LAUGHS + "{{ ns.x | tojson }}",
    "laughs as text": LAUGHS + "{{ ns.x | string | length }}",
    "laughs compared": LAUGHS + "{{ ns.x == ns.y }}",
    "laughs in order": LAUGHS + "{{ [ns.x, ns.y] | sort | length }}",
    "laughs sought": LAUGHS + "{{ ns.x in [ns.y] }}",
    "laughs hashed": LAUGHS + "{{ {ns.x: 1} }}",
    "laughs as a key": LAUGHS + "{{ {}.get(ns.x) }}",
    "laughs once each": LAUGHS + "{{ [ns.x] | unique | list | length }}",
    "laughs tested": LAUGHS + "{{ ns.x is eq ns.y }}",
    "macros": "{% macro f(n) %}"
    "{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "indented": "{{ 'a\nb' | indent(10**9) }}",
    "indented by a text": "{{ ('a\n' * 9000) | indent('x' * 50000) }}",
    "deep JSON": "{% set ns = namespace(x=[1] * 30000) %}{% for i in range(90) %}"
    "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson(indent=32) }}",
    "replaced": "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "replaced between": "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
    "joined": "{{ range(100000) | join('a' * 100000) }}",
    "joined by a method": "{{ ('a' * 100000).join(['a'] * 100000) }}",
    "formatted": "{{ ('%s' * 30000) % ('a' * 100000) }}",
    "formatted by name": "{{ ('%(a)s' * 9000) % {'a': 'a' * 100000} }}",
    "formatted in braces": "{{ ('{0}' * 9000).format('a' * 100000) }}",
    "split": "{{ ('a ' * 3000000).split() | length }}",
    "split into lines": "{{ ('a\n' * 3000000).splitlines() | length }}",
    "characters": "{{ ('a' * 3000000) | list | length }}",
    "sought from the end": LONG + "{{ a.rfind(b) }}",
    "split from the end": LONG + "{{ a.rsplit(b) | length }}",
    "stripped": LONG + "{{ a.strip(b) }}",
    "trimmed": LONG + "{{ a | trim(b) }}",
    "sums of lists": "{{ ([[1] * 100] * 10000) | sum(start=[]) | length }}",
    "sums of texts": "{{ (['a' * 1000] * 1000) | sum(start='') | length }}",
    "attributes of attributes": "{% set n = 'a.' * 50000 %}"
    "{{ ([{}] * 100000) | map(attribute=n) | list | length }}",
    "mapped": MANY + "{% set x = range(100000) | map('string') | list %}{% endfor %}",
    "picked": MANY + "{% set x = range(100000) | select | list %}{% endfor %}",
    "sought in a range": MANY + "{{ 'x' in range(100000) }}{% endfor %}",
    "sought in a list": "{% set b = 'a' * 100000 ~ 'c' %}"
    "{{ ('a' * 100000 ~ 'd') in [b] * 100000 }}",
    "long texts compared": "{% set x, y = 'a' * 1000000 ~ 'b', 'a' * 1000000 ~ 'c' %}"
    + MANY
    + "{{ x == y }}{% endfor %}",
    "long texts in order": "{% set a, b = 'a' * 99999 ~ 'b', 'a' * 99999 ~ 'c' %}"
    "{{ ([a, b] * 5000) | sort | length }}",
    "slices": "{% set x = 'a' * 1000000 %}" + MANY + "{% set b = x[1:] %}{% endfor %}",
    "kept in many places": "".join(f"{{% set a{i} = '🦀' * 999999 %}}" for i in range(60)),
    "many arguments": "{% macro f() %}{{ varargs | length }}{% endmacro %}"
    "{% set x = [1] * 100000 %}" + MANY + "{{ f(*x) }}{% endfor %}",
    "large numbers as text": "{% set x = [10**1000] * 50000 %}{{ x }}",
}
NUMBERS = {  # too large
    "power": "{{ 10**(10**8) }}",
    "negative power": "{{ 2**-100000000 }}",
    "squares": "{% set ns = namespace(x=99999) %}{% for i in range(60) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "sums": "{% set ns = namespace(x=99999) %}{% for i in range(99999) %}"
    "{% set ns.x = ns.x + ns.x %}{% endfor %}",
}
FORMATS = {  # that are not allowed
    "wide": "{{ '%1000000000d' % 1 }}",
    "as wide as is given": "{{ '%*d' % (1000000000, 1) }}",
    "precise": "{{ '%.1000000000f' | format(1.0) }}",
    "wide, by name": "{{ '%(a(b))1000000000d' % {'a(b)': 1} }}",
    "wide, as a remainder": "{{ '%1000000000d' is odd }}",
    "wide, as another": "{{ '%1000000000d' is divisibleby 3 }}",
    "wide, in braces": "{{ '{:1000000000}'.format(1) }}",
    "as wide as is given, in braces": "{{ '{:{w}}'.format(1, w=1000000000) }}",
    "of attributes": "{{ '{0.__class__.__mro__}'.format(1) }}",
}
OTHERS = {
    "float": ("{{ 10.0**400 }}", "Numerical result out of range"),
    "deep": (
        (
            "{% set ns = namespace(x=[1]) %}{% for i in range(50000) %}{% set ns.x = [ns.x] %}"
            "{% endfor %}{{ ns.x }}"
        ),
        "more than 100 deep",
    ),
    "itself": ("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x }}", "takes a Namespace"),
    "a macro that calls itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "JSON, indented": ("{{ [1] | tojson(indent=10**9) }}", "more than 32 characters"),
    "JSON, far between": ("{{ [1] | tojson(separators=('x' * 99, ':')) }}", "more than 32"),
    "rounded": ("{{ 1 | round(-1000000000) }}", "too many digits"),
    "a rounded text": ("{{ 'a' | round(9, 'ceil') }}", "no number"),
    "a long number": ("{{ ('f' * 1000000) | int(0, 16) }}", "1,000,000 digits"),
    "a range": ("{{ range(10**9) }}", "Range too big"),
    "a wide date": ("{{ strftime_now('%010000000Y') }}", "date"),
    "a method": ("{{ ''.strip }}", "takes a _Method"),
    "a function": ("{{ range }}", "takes a function"),
    "import": ("{% import 'os' as x %}", "import has no place"),
    "include": ("{% include '/etc/passwd' %}", "include has no place"),
    "extends": ("{% extends '/etc/passwd' %}", "extends has no place"),
    "block": ("{% block a %}{{ self.a() }}{% endblock %}", "block has no place"),
    "autoescape": ("{% autoescape true %}{% endautoescape %}", "has no place"),
    "classes": ("{{ ''.__class__.__mro__ }}", "no attribute '__class__'"),
    "classes of nothing": ("{{ nothing.__class__ }}", "'nothing' is undefined"),
    "globals": ("{{ cycler.__init__.__globals__ }}", "'cycler' is undefined"),
    "attributes by a filter": ("{{ '' | attr('__class__') }}", "No filter named 'attr'"),
    "lorem ipsum": ("{{ lipsum(1000000) }}", "'lipsum' is undefined"),
    "centred": ("{{ 'a' | center(1000000000) }}", "No filter named 'center'"),
    "adjusted": ("{{ 'a'.ljust(1000000000) }}", "no attribute 'ljust'"),
    "appended": ("{{ [].append(1) }}", "no attribute 'append'"),
    "names of Python's": ("{% set ns = namespace() %}{% set ns.__call__ = 1 %}", "__call__"),
    "names of Python's given": ("{{ namespace(__call__=1) }}", "Python's own"),
    "half a character": (r"{{ '\ud800' }}", "surrogates"),
    "brackets": ("{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}", "recursion"),
    "a long sum": ("{{ 1" + "+1" * 20_000 + " }}", ""),
    "a long negation": ("{{ " + "not " * 10_000 + "1 }}", "recursion"),
    "ifs in ifs": ("{% if a %}" * 3000 + "{% endif %}" * 3000, "recursion"),
    "loops in loops": ("{% for a in b %}" * 50 + "{% endfor %}" * 50, "nested"),
    "parts": ("{{a}}" * 13_000, "more than 10,000 parts"),
    "a large mapping": ("{{ {" + "1:1," * 15_000 + "} }}", "more than 10,000 parts"),
    "a literal": ("{{ " + "9" * 60_000 + " }}", "4300 digits"),
    "an open comment": ("{#" * 30_000, "Missing end of comment"),
}
CORPUS = {
    **{f"work: {name}": (text, "more work than") for name, text in WORK.items()},
    **{f"numbers: {name}": (text, "4,096 bits") for name, text in NUMBERS.items()},
    **{f"formats: {name}": (text, "not allowed") for name, text in FORMATS.items()},
    **OTHERS,
}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@pytest.fixture(scope="module")
def before() -> int:
    return peak()


def run(text: str) -> str:
    return ChatTemplate(Path("model"), text, {}).render(HELLO)


@pytest.mark.parametrize("name", CORPUS)
def test_a_hostile_template_is_one_line(before: int, name: str) -> None:
    text, reason = CORPUS[name]
    began = time.process_time()
    with pytest.raises(CheckpointError) as caught:
        run(text)
    assert time.process_time() - began < SECONDS
    assert peak() - before < MEBIBYTES
    line = str(caught.value)
    assert line.startswith("model: its chat template ")
    assert reason in line
    assert line.isprintable()
    assert len(line) < 300


SILENT = [
    "{{ ''['__class__'] }}{{ range.__globals__ }}{{ ''.join.__self__ }}",
    "{{ self._TemplateReference__context }}{{ self['__init__'] }}",
    "{{ namespace(a=1)._Namespace__attrs }}{{ namespace(a=1).__class__ }}",
    "{% for i in [1] %}{{ loop._iterator }}{{ loop.__class__ }}{% endfor %}",
    "{% macro f() %}{% endmacro %}{{ f._func }}{{ f.__globals__ }}",
    "{{ ([1] | map('string')).gi_frame }}{{ {}[[1]] }}",
    "{{ [''] | map(attribute='__class__') | join }}",
]


@pytest.mark.parametrize("text", SILENT)
def test_what_is_pythons_is_not_there(text: str) -> None:
    assert run(text) == ""


def test_work_that_is_allowed_is_soon_done() -> None:
    """As much as can be done, of the kinds that take longest for what they cost."""
    for text in (
        MANY + "{% endfor %}",
        "".join(f"{{% set a{i} = 1 %}}" for i in range(2000))
        + MANY
        + "{% set b = range(1) %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(13) }}",
        "{{ ('a' * 500000).find('a' * 100000 ~ 'b') }}",
        "{{ ('a' * 99999 ~ 'b') in 'a' * 999999 }}",
    ):
        began = time.process_time()
        run(text)
        assert time.process_time() - began < SECONDS


def test_what_a_template_says_can_be_printed() -> None:
    with pytest.raises(ConfigError) as caught:
        run(r"{{ raise_exception('no\n\x1b[31m\u202e\x00 way' ~ 'a' * 100000) }}")
    assert "conversation: no [31m way" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_a_long_conversation_is_no_hostile_template() -> None:
    text = (
        "{% for message in messages %}{% set content = message.content | trim %}"
        "{% if content.startswith('x') or '</think>' in content %}!{% endif %}"
        "{{ '<|' + message.role + '|>' + content + '\n' }}{% endfor %}"
    )
    template = ChatTemplate(Path("model"), text, {})
    template.render([Message("user", "ä" * 2_000_000)])
    template.render([Message("user", "ä" * 1000)] * 5000)
