"""jinja2's sandbox, in which templates reach nothing but data, and all work is paid for."""

from typing import Any

import jinja2
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from .filters import FILTERS
from .functions import FUNCTIONS, TESTS
from .meter import SLOT, Meter, meter_of
from .operations import LOOP, METHODS, OPERATORS, Method, binary
from .rewriting import Generation, metered


class Sandbox(ImmutableSandboxedEnvironment):
    """Templates as transformers reads them: what of Python's they reach is in tables, and every
    operation is paid for."""

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing is computed before there is a meter
            extensions=[Generation, "jinja2.ext.loopcontrols"],
        )
        self.filters, self.tests = dict(FILTERS), dict(TESTS)
        self.globals = dict(FUNCTIONS)

    def prepare(self, text: str) -> jinja2.Template:
        """Compile a template. Raises TemplateError, and whatever Python's compiler does."""
        code = self.compile(metered(self.parse(text)))
        return self.template_class.from_code(self, code, self.make_globals(None))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """See jinja2."""
        return binary(meter_of(context), operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """See jinja2. A method gets the meter first; nobody needs the variables around a call,
        which jinja would copy for it."""
        for variables in ("_loop_vars", "_block_vars"):
            kwargs.pop(variables, None)
        meter = meter_of(context)
        meter.spend(SLOT * (len(args) + len(kwargs)))
        if isinstance(obj, _Method):
            return obj(meter, *args, **kwargs)
        return context.call(obj, *args, **kwargs)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """See jinja2: `obj.attribute`, a method or else an entry."""
        found = _attribute(obj, attribute)
        if found is _NOTHING and isinstance(obj, dict):
            found = _entry(obj, attribute)
        return self.undefined(obj=obj, name=attribute) if found is _NOTHING else found

    def getitem(self, obj: Any, argument: Any) -> Any:
        """See jinja2: `obj[argument]`, an entry or else a method."""
        found = _entry(obj, argument)
        if found is _NOTHING and isinstance(argument, str):
            found = _attribute(obj, argument)
        return self.undefined(obj=obj, name=argument) if found is _NOTHING else found


class _Method:
    """A method that was looked up, and is paid for when it is called."""

    def __init__(self, run: Method, name: str, obj: Any) -> None:
        self._run, self._name, self._obj = run, name, obj

    def __call__(self, meter: Meter, *args: Any, **kwargs: Any) -> Any:
        return self._run(meter, self._name, self._obj, *args, **kwargs)


_NOTHING = object()


def _entry(obj: Any, key: Any) -> Any:
    holds = isinstance(obj, str | list | tuple | range | dict | jinja2.Undefined)
    if not holds or not isinstance(key, str | int | float | None):
        return _NOTHING
    try:
        return obj[key]
    except (TypeError, LookupError):
        return _NOTHING


def _attribute(obj: Any, name: str) -> Any:
    if isinstance(obj, jinja2.Undefined):
        return obj[name]  # which says that it is undefined
    if isinstance(obj, LoopContext):
        return getattr(obj, name) if name in LOOP else _NOTHING
    if isinstance(obj, Namespace):
        return _NOTHING if name.startswith("_") else getattr(obj, name, _NOTHING)
    names, run = METHODS.get(type(obj), (None, None))
    return _Method(run, name, obj) if names and run and name in names else _NOTHING
