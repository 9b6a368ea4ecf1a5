"""Texts with fields: `{{ … }}` and `{% if … %}` of a closed set of expressions, walked as a tree and never run as code.

Jinja reads the text; what its tree may hold is listed here. There are no calls, loops, arithmetic or attributes of
Python objects, so a template can do nothing but say something, and that in a length that is bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateSyntaxError
from markupsafe import Markup, escape

from tierwise.errors import BadRequest

__all__ = ["FILTERS", "MOST_CHARACTERS", "Template"]

#: No template, and nothing made from one, is longer.
MOST_CHARACTERS: Final = 20_000
_DEEPEST: Final = 20
_MOST_DOTS: Final = 4
_READER: Final = Environment(autoescape=False, keep_trailing_newline=True)
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda one, other: bool(one == other),
    "ne": lambda one, other: bool(one != other),
    "lt": lambda one, other: bool(one < other),
    "lteq": lambda one, other: bool(one <= other),
    "gt": lambda one, other: bool(one > other),
    "gteq": lambda one, other: bool(one >= other),
}


def _money(value: Any) -> str:
    return f"{Decimal(str(value)):,.2f}"


def _day(value: Any) -> str:
    return f"{value.year}年{value.month}月{value.day}日"


def _date(value: Any) -> str:
    return value.date().isoformat() if isinstance(value, datetime) else str(value.isoformat())


def _truncate(value: Any, characters: int) -> str:
    text = str(value)
    return text if len(text) <= characters else text[: max(characters - 1, 0)] + "…"


#: What can be done with a field: how many arguments it takes, and what it makes.
FILTERS: Final[Mapping[str, tuple[int, Callable[..., Any]]]] = {
    "money": (0, _money),
    "whole": (0, lambda value: f"{int(value):,}"),
    "percent": (0, lambda value: f"{value:.0%}"),
    "date": (0, _date),
    "day": (0, _day),
    "upper": (0, lambda value: str(value).upper()),
    "lower": (0, lambda value: str(value).lower()),
    "truncate": (1, _truncate),
    "default": (1, lambda value, other: other if value is None or value == "" else value),
}


class Template:
    """A text with fields; `fields` are their names, dotted ones too, and `needed` those without a default.

    Args:
        text: As it is written.
        html: Whether what is filled in is escaped, for HTML.

    Raises:
        BadRequest: The text cannot be read, or holds what a template may not have.

    Example:
        >>> template = Template("{{ person.name | default('您') }}好，您有 {{ points | whole }} 积分")
        >>> template.render({"points": 1200}), sorted(template.fields), sorted(template.needed)
        ('您好，您有 1,200 积分', ['person.name', 'points'], ['points'])
    """

    def __init__(self, text: str, *, html: bool = False) -> None:
        if len(text) > MOST_CHARACTERS:
            raise BadRequest(f"the template has {len(text):,} characters; {MOST_CHARACTERS:,} are possible")
        try:
            self._tree = _READER.parse(text)
        except (TemplateSyntaxError, RecursionError) as error:
            said = error.message if isinstance(error, TemplateSyntaxError) else "it is nested too deeply"
            line = f" (line {error.lineno})" if isinstance(error, TemplateSyntaxError) else ""
            raise BadRequest(f"the template cannot be read{line}: {said}", "write {{ field }}") from None
        self._html = html
        self.fields: set[str] = set()
        self.needed: set[str] = set()
        self._check(self._tree, 0, False)

    def render(self, values: Mapping[str, Any]) -> str:
        """Return the text with every field filled in.

        Args:
            values: The fields by their dotted names; one that is missing or None must have a default.

        Raises:
            BadRequest: A needed field is missing, or does not fit what is done with it.
        """
        found = "".join(self._said(node, values) for node in self._tree.body)
        if len(found) > MOST_CHARACTERS:
            raise BadRequest(f"the message has {len(found):,} characters; {MOST_CHARACTERS:,} are possible")
        return found

    # -- what a template may have -----------------------------------------------------------------------------------

    def _check(self, node: nodes.Node, depth: int, defaulted: bool) -> None:
        if depth > _DEEPEST:
            raise BadRequest("the template is nested too deeply")
        if isinstance(node, nodes.Name | nodes.Getattr):
            name = _dotted(node)
            self.fields.add(name)
            if not defaulted:
                self.needed.add(name)
            return
        if isinstance(node, nodes.Filter):
            _known_filter(node)
            defaulted = defaulted or node.name == "default"
        elif isinstance(node, nodes.Compare):
            if len(node.ops) != 1 or node.ops[0].op not in _COMPARED:
                raise BadRequest("a template compares two things with ==, !=, <, <=, > or >=")
        elif isinstance(node, nodes.Const):
            if not isinstance(node.value, str | int | float | bool | None):
                raise BadRequest(f"`{node.value!r}` cannot stand in a template")
            return
        elif not isinstance(node, _ALLOWED):
            raise BadRequest(f"a template has no {_spoken(node)} (line {node.lineno})", "write {{ field }}")
        for child in node.iter_child_nodes():
            # Whoever asks whether a field is there has thought of its being missing.
            asked = isinstance(node, nodes.If) and child is node.test
            self._check(child, depth + 1, defaulted or asked)

    # -- filling in -------------------------------------------------------------------------------------------------

    def _said(self, node: nodes.Node, values: Mapping[str, Any]) -> str:
        if isinstance(node, nodes.Output):
            return "".join(self._said(child, values) for child in node.nodes)
        if isinstance(node, nodes.TemplateData):
            return str(node.data)
        if isinstance(node, nodes.If):
            if self._value(node.test, values, True):
                chosen = node.body
            else:
                chosen = next((one.body for one in node.elif_ if self._value(one.test, values, True)), node.else_)
            return "".join(self._said(child, values) for child in chosen)
        value = self._value(node, values, False)
        return str(escape(_clean(value))) if self._html else _clean(value)

    def _value(self, node: nodes.Node, values: Mapping[str, Any], asked: bool) -> Any:
        if isinstance(node, nodes.Const):
            return node.value
        if isinstance(node, nodes.Name | nodes.Getattr):
            name = _dotted(node)
            value = values.get(name)
            if value is None and not asked:
                raise BadRequest(f"`{name}` is missing", "write {{ field | default('…') }} where it can be", field=name)
            return value
        if isinstance(node, nodes.Filter):
            return self._filtered(node, values, asked)
        if isinstance(node, nodes.Not):
            return not self._value(node.node, values, True)
        if isinstance(node, nodes.And):
            return self._value(node.left, values, True) and self._value(node.right, values, True)
        if isinstance(node, nodes.Or):
            return self._value(node.left, values, True) or self._value(node.right, values, True)
        assert isinstance(node, nodes.Compare), "what a template may have was checked when it was read"
        one, other = self._value(node.expr, values, asked), self._value(node.ops[0].expr, values, asked)
        if one is None or other is None:
            return (node.ops[0].op == "ne") != (one is None and other is None)
        try:
            return _COMPARED[node.ops[0].op](one, other)
        except TypeError:
            raise BadRequest(f"`{one!r}` and `{other!r}` cannot be compared") from None

    def _filtered(self, node: nodes.Filter, values: Mapping[str, Any], asked: bool) -> Any:
        assert node.node is not None, "a filter is of something"
        value = self._value(node.node, values, asked or node.name == "default")
        if value is None and node.name != "default":
            return None
        given = [self._value(argument, values, False) for argument in node.args]
        try:
            return FILTERS[node.name][1](value, *given)
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            raise BadRequest(f"`{value!r}` cannot be written as {node.name}") from None


_ALLOWED: Final = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Not, nodes.And, nodes.Or,
                   nodes.Operand)  # fmt: skip
_SPOKEN: Final = {"Call": "calls", "For": "loops", "Getitem": "`[…]`", "Assign": "variables", "Macro": "macros"}


def _spoken(node: nodes.Node) -> str:
    kind = type(node).__name__
    return _SPOKEN.get(kind, f"`{kind.lower()}`")


def _known_filter(node: nodes.Filter) -> None:
    if node.name not in FILTERS:
        raise BadRequest(f"there is no filter `{node.name}`", f"known: {', '.join(FILTERS)}")
    if node.node is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise BadRequest(f"the filter `{node.name}` is written {{{{ field | {node.name} }}}}")
    if len(node.args) != FILTERS[node.name][0] or not all(isinstance(one, nodes.Const) for one in node.args):
        raise BadRequest(f"the filter `{node.name}` takes {FILTERS[node.name][0]} plain values")
    if node.name == "truncate" and not isinstance(getattr(node.args[0], "value", None), int):
        raise BadRequest("the filter `truncate` takes a number of characters")


def _dotted(node: nodes.Node) -> str:
    names: list[str] = []
    while isinstance(node, nodes.Getattr) and len(names) < _MOST_DOTS:
        names.append(node.attr)
        node = node.node
    if not isinstance(node, nodes.Name):
        raise BadRequest("a field is a name, or a few names with dots between them")
    return ".".join([node.name, *reversed(names)])


def _clean(value: Any) -> str:
    """Return a value as text without what would change the text around it: controls and marks of direction."""
    if isinstance(value, Markup):
        value = str(value)
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, date | datetime):
        return _date(value)
    text = re.sub(r"\s+", " ", value) if isinstance(value, str) else str(value)
    return "".join(one for one in text if unicodedata.category(one) not in ("Cc", "Cf") or one == "\u200d")
