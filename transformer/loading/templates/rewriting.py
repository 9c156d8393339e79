"""A template's tree with a meter at every place where work is done or memory taken.

Operators, calls and attributes pass through the sandbox anyway. What jinja compiles into Python's
own loops, displays, slices, comparisons and writing is led through filters whose names no template
can spell.
"""

from collections.abc import Callable
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer

# What conversations are written with. Others reach for other templates.
_NAMES = """Add And Assign AssignBlock Break Call CallBlock Compare Concat CondExpr Const
    Continue Dict Div ExprStmt Filter FilterBlock FloorDiv For Getattr Getitem If Keyword List
    Macro Mod Mul Name Neg Not NSRef Operand Or Output Pair Pos Pow Scope Slice Sub Template
    TemplateData Test Tuple With"""
_ALLOWED = frozenset(_NAMES.split())
MAX_PARTS = 10_000  # of a tree; a template has one for every eight characters


class Generation(Extension):
    """`{% generation %}`, which marks what a model wrote: of importance to training alone."""

    tags = {"generation"}  # noqa: RUF012  (jinja's way)

    def parse(self, parser: Parser) -> nodes.Node:
        """What is between the tags, as it is."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def metered(template: nodes.Template) -> nodes.Template:
    """A template whose work is counted. Raises TemplateSyntaxError for what has no place in it."""
    found = _Metering().visit(template)
    assert isinstance(found, nodes.Template)
    return found


def _through(name: str, node: nodes.Expr, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, f"\0{name}", list(args), [], None, None, lineno=node.lineno)


class _Metering(NodeTransformer):
    def __init__(self) -> None:
        self._parts = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """A part, once those inside it are metered."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise TemplateSyntaxError(f"it has more than {MAX_PARTS:,} parts", node.lineno)
        name = type(node).__name__
        if name not in _ALLOWED:
            raise TemplateSyntaxError(f"{name.lower()} has no place in it", node.lineno)
        self.generic_visit(node)
        rewrite = _REWRITE.get(type(node))
        return node if rewrite is None else rewrite(node)


def _output(node: nodes.Output) -> nodes.Node:
    node.nodes = [_through("say", _expression(each)) for each in node.nodes]
    return node


def _expression(node: nodes.Expr) -> nodes.Expr:
    """Text of a template's own as a constant, which can be led through a filter."""
    return (
        nodes.Const(node.data, lineno=node.lineno) if isinstance(node, nodes.TemplateData) else node
    )


def _loop(node: nodes.For) -> nodes.Node:
    step = _through("tick", nodes.Const("", lineno=node.lineno))
    node.body = [nodes.ExprStmt(step, lineno=node.lineno), *node.body]
    if isinstance(node.test, nodes.Expr):
        node.test = _through("tick", node.test)
    return node


def _made(node: nodes.Expr) -> nodes.Node:
    return _through("made", node)


def _tuple(node: nodes.Tuple) -> nodes.Node:
    return _made(node) if node.ctx == "load" else node


def _item(node: nodes.Getitem) -> nodes.Node:
    return _made(node) if isinstance(node.arg, nodes.Slice) else node


def _reference(node: nodes.NSRef) -> nodes.Node:
    if node.attr.startswith("_"):
        raise TemplateSyntaxError(f"no value may be called {node.attr}", node.lineno)
    return node


def _pair(node: nodes.Pair) -> nodes.Node:
    node.key = _through("key", node.key)
    return node


def _concatenation(node: nodes.Concat) -> nodes.Node:
    values = nodes.List(node.nodes, lineno=node.lineno)
    return nodes.Filter(values, "join", [], [], None, None, lineno=node.lineno)


def _comparison(node: nodes.Compare) -> nodes.Node:
    values = [node.expr, *(operand.expr for operand in node.ops)]
    names = nodes.Const(tuple(operand.op for operand in node.ops), lineno=node.lineno)
    return _through("compare", nodes.List(values, lineno=node.lineno), names)


_REWRITE: dict[type[nodes.Node], Callable[[Any], nodes.Node]] = {
    nodes.Compare: _comparison,
    nodes.Concat: _concatenation,
    nodes.Dict: _made,
    nodes.For: _loop,
    nodes.Getitem: _item,
    nodes.List: _made,
    nodes.NSRef: _reference,
    nodes.Output: _output,
    nodes.Pair: _pair,
    nodes.Tuple: _tuple,
}
