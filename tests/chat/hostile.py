"""Templates that strangers might write, by what becomes of them. Imports nothing: a small process
measures some."""

MANY = "{% for a in range(100000) %}"
NESTED = MANY + "{% for b in range(100000) %}"
ENDS = "{% endfor %}{% endfor %}"
DOUBLE = "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(60) %}"
LAUGHS = (
    "{% set ns = namespace(x=('ha',), y=('ha',)) %}{% for i in range(60) %}"
    "{% set ns.x = (ns.x, ns.x) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}"
)

ENDLESS = {  # all that the CPU does in a second, in Python's loop or in one call of C
    "loops": NESTED + ENDS,
    "laughs compared": LAUGHS + "{{ ns.x == ns.y }}",
}
ENDLESS_TOO = {  # ended in the same way
    "power": "{{ 10**(10**8) }}",
    "loops that go on": NESTED + "{% continue %}" + ENDS,
    "loops of nothing": MANY + "{% for b in range(100000) if false %}" + ENDS,
    "a billion laughs": LAUGHS + "{{ ns.x }}",
    "laughs as JSON": LAUGHS + "{{ ns.x | tojson }}",
    "laughs as text": LAUGHS + "{{ ns.x | string | length }}",
    "laughs in order": LAUGHS + "{{ [ns.x, ns.y] | sort | length }}",
    "laughs sought": LAUGHS + "{{ ns.x in [ns.y] }}",
    "laughs hashed": LAUGHS + "{{ {ns.x: 1} }}",
    "laughs as a key": LAUGHS + "{{ {}.get(ns.x) }}",
    "laughs once each": LAUGHS + "{{ [ns.x] | unique | list | length }}",
    "laughs tested": LAUGHS + "{{ ns.x is eq ns.y }}",
    "macros": "{% macro f(n) %}"
    "{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "mapped": MANY + "{% set x = range(100000) | map('string') | list %}{% endfor %}",
    "picked": MANY + "{% set x = range(100000) | select | list %}{% endfor %}",
    "sought in a range": MANY + "{{ 'x' in range(100000) }}{% endfor %}",
    "many arguments": "{% macro f() %}{{ varargs | length }}{% endmacro %}"
    "{% set x = [1] * 100000 %}" + MANY + "{{ f(*x) }}{% endfor %}",
    "squares": "{% set ns = namespace(x=99999) %}{% for i in range(60) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "lorem ipsum": "{{ lipsum(10000000) }}",
}
LONG = {  # some seconds, or fewer on a fast machine: they end or are ended
    "sums of lists": "{{ ([[1] * 100] * 10000) | sum(start=[]) | length }}",
    "sums of numbers": "{% set ns = namespace(x=99999) %}{% for i in range(99999) %}"
    "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "rounded": "{{ 1 | round(-1000000000) }}",
    "doubled by replace": DOUBLE + "{% set ns.x = ns.x.replace('a', 'aa') %}{% endfor %}",
    "long texts compared": "{% set x, y = 'a' * 1000000 ~ 'b', 'a' * 1000000 ~ 'c' %}"
    + MANY
    + "{{ x == y }}{% endfor %}",
    "slices": "{% set x = 'a' * 1000000 %}" + MANY + "{% set b = x[1:] %}{% endfor %}",
    "large numbers as text": "{% set x = [10**1000] * 50000 %}{{ x }}",
    "parts": "{{a}}" * 13_000,
    "a large mapping": "{{ {" + "1:1," * 15_000 + "} }}",
}
LARGE = {  # more memory than there is
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
    "doubled as it is kept": DOUBLE
    + "{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}",
    "indented": "{{ 'a\nb' | indent(10**9) }}",
    "indented by a text": "{{ ('a\n' * 9000) | indent('x' * 50000) }}",
    "indented JSON": "{{ [1] | tojson(indent=10**9) }}",
    "replaced": "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
    "replaced between": "{{ ('a' * 100000).replace('', 'b' * 100000) }}",
    "joined": "{{ range(100000) | join('a' * 100000) }}",
    "joined by a method": "{{ ('a' * 100000).join(['a'] * 100000) }}",
    "formatted": "{{ ('%s' * 9000) % (('a' * 100000,) * 9000) }}",
    "formatted by name": "{{ ('%(a)s' * 9000) % {'a': 'a' * 100000} }}",
    "formatted in braces": "{{ ('{0}' * 9000).format('a' * 100000) }}",
    "wide": "{{ '%1000000000d' % 1 }}",
    "as wide as is given": "{{ '%*d' % (1000000000, 1) }}",
    "precise": "{{ '%.1000000000f' | format(1.0) }}",
    "wide, by name": "{{ '%(a(b))1000000000d' % {'a(b)': 1} }}",
    "wide, as a remainder": "{{ '%1000000000d' is odd }}",
    "wide, as another": "{{ '%1000000000d' is divisibleby 3 }}",
    "wide, in braces": "{{ '{:1000000000}'.format(1) }}",
    "as wide as is given, in braces": "{{ '{:{w}}'.format(1, w=1000000000) }}",
    "long texts in order": "{% set a, b = 'a' * 99999 ~ 'b', 'a' * 99999 ~ 'c' %}"
    "{{ ([a, b] * 5000) | sort | join | length }}",
    "kept in many places": "".join(f"{{% set a{i} = '🦀' * 999999 %}}" for i in range(90)),
    "centred": "{{ 'a' | center(1000000000) }}",
    "adjusted": "{{ 'a'.ljust(1000000000) }}",
}
REFUSED = {  # each with the reason
    "deep JSON": (
        (
            "{% set ns = namespace(x=[1] * 30000) %}{% for i in range(90) %}"
            "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson(indent=32) }}"
        ),
        "writes more than 4,200,100 characters",
    ),
    "arguments": ("{{ ('%s' * 30000) % ('a' * 100000) }}", "not enough arguments"),
    "sums of texts": ("{{ (['a' * 1000] * 1000) | sum(start='') | length }}", "sum strings"),
    "attributes of attributes": (
        "{% set n = 'a.' * 50000 %}{{ ([{}] * 100000) | map(attribute=n) | list | length }}",
        "no attribute 'a'",
    ),
    "float": ("{{ 10.0**400 }}", "Numerical result out of range"),
    "deep": (
        (
            "{% set ns = namespace(x=[1]) %}{% for i in range(50000) %}{% set ns.x = [ns.x] %}"
            "{% endfor %}{{ ns.x }}"
        ),
        "recursion",
    ),
    "a macro that calls itself": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    "a block that calls itself": ("{% block a %}{{ self.a() }}{% endblock %}", "recursion"),
    "a long number": ("{{ ('f' * 1000000) | int(0, 16) }}", "4300 digits"),
    "a range": ("{{ range(10**9) }}", "Range too big"),
    "import": ("{% import 'os' as x %}", "no loader"),
    "include": ("{% include '/etc/passwd' %}", "no loader"),
    "extends": ("{% extends '/etc/passwd' %}", "no loader"),
    "classes": ("{{ ''.__class__.__mro__ }}", "'__class__' of 'str' object is unsafe"),
    "classes, formatted": ("{{ '{0.__class__.__mro__}'.format(1) }}", "'__class__' of 'int'"),
    "classes, by a filter": ("{{ ('' | attr('__class__')).__mro__ }}", "'__class__' of 'str'"),
    "classes, by a filter and formatted": (
        "{{ ('{0.__class__.__mro__}' | attr('format'))(1) }}",
        "'__class__' of 'int'",
    ),
    "classes, formatted of a mapping": (
        "{{ '{a.__class__.__mro__}'.format_map({'a': 1}) }}",
        "'__class__' of 'int'",
    ),
    "globals": ("{{ cycler.__init__.__globals__ }}", "'__init__' of 'type' object is unsafe"),
    "globals of ours": ("{{ strftime_now.__globals__.os }}", "'__globals__' of 'function'"),
    "appended": ("{{ messages.append(1) }}", "'append' of 'list' object is unsafe"),
    "names of Python's": ("{% set ns = namespace() %}{% set ns.__call__ = 1 %}", "__call__"),
    "names of Python's given": ("{{ namespace(__call__=1) }}", "__call__"),
    "half a character": (r"{{ '\ud800' }}", "surrogates"),
    "brackets": ("{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}", "recursion"),
    "a long sum": ("{{ 1" + "+1" * 20_000 + " }}", "cannot be read"),
    "a long negation": ("{{ " + "not " * 10_000 + "1 }}", "recursion"),
    "ifs in ifs": ("{% if a %}" * 3000 + "{% endif %}" * 3000, "recursion"),
    "loops in loops": ("{% for a in b %}" * 50 + "{% endfor %}" * 50, "nested"),
    "a literal": ("{{ " + "9" * 60_000 + " }}", "4300 digits"),
    "an open comment": ("{#" * 30_000, "Missing end of comment"),
}
HARMLESS = {  # each with its text
    "split": ("{{ ('a ' * 3000000).split() | length }}", "3000000"),
    "split into lines": ("{{ ('a\n' * 3000000).splitlines() | length }}", "3000000"),
    "characters": ("{{ ('a' * 3000000) | list | length }}", "3000000"),
    "sought from the end": ("{{ ('a' * 500000).rfind('b' ~ 'a' * 250000) }}", "-1"),
    "stripped": ("{{ ('a' * 500000).strip('b' ~ 'a' * 250000) }}", ""),
    "sought in a list": (
        "{{ ('a' * 100000 ~ 'd') in ['a' * 100000 ~ 'c'] * 100000 }}",
        "False",
    ),
    "negative power": ("{{ 2**-100000000 }}", "0.0"),
    "far between": ("{{ [1] | tojson(separators=('x' * 99, ':')) }}", "[1]"),
    "itself": ("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x | length }}", "1"),
    "autoescape": ("{% autoescape true %}{{ '<' }}{% endautoescape %}", "&lt;"),
    "what Python has": ("{{ ''['__class__'] }}{{ range.__globals__ }}{{ ''.join.__self__ }}", ""),
    "what jinja2 has": ("{{ self._TemplateReference__context }}{{ self['__init__'] }}", ""),
    "a namespace's": ("{{ namespace(a=1)._Namespace__attrs }}{{ namespace(a=1).__class__ }}", ""),
    "a loop's": ("{% for i in [1] %}{{ loop._iterator }}{{ loop.__class__ }}{% endfor %}", ""),
    "a macro's": ("{% macro f() %}{% endmacro %}{{ f._func }}{{ f.__globals__ }}", ""),
    "a generator's": ("{{ ([1] | map('string')).gi_frame }}{{ {}[[1]] }}", ""),
    "of each": ("{{ [''] | map(attribute='__class__') | join }}", ""),
    "of nothing": ("{{ nothing.__class__ }}", ""),
    "by a filter": ("{{ '' | attr('__class__') }}", ""),
}
