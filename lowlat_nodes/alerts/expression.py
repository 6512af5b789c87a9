# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Conditions on the fields of a record, written like Python: `p["SN Ia"] > 0.8 and detections >= 4`.

Python parses the text, and a function is put together from the few parts that are allowed in it; the text is
never run. Names and types are checked as that happens, so that nothing is left that could fail on an alert.

Null makes every comparison false, and whatever is computed of it is null, as is what is divided by 0;
`mjd is None` finds it.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from lowlat_nodes.stream.errors import ConfigurationError

Condition = Callable[[Mapping[str, Any]], bool]

MAX_LENGTH = 1000
"""Characters of an expression."""

_MAX_DEPTH = 20
_TRUTH, _NUMBER, _TEXT = "truth", "number", "text"
_KINDS: Mapping[type, str] = {bool: _TRUTH, int: _NUMBER, float: _NUMBER, str: _TEXT}
_ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_CALLS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (abs, 1, 1),
    "min": (min, 2, 10),
    "max": (max, 2, 10),
}
"""Functions with the least and the largest number of their arguments."""


def condition(text: str, fields: Mapping[str, Any], choices: Mapping[str, Collection[str]]) -> Condition:
    """Return the function of a record's fields that an expression stands for; it raises nothing.

    Args:
        text: One comparison, or several joined by `and`, `or`, `not`. Comparisons are chains of < <= > >= ==
            !=, `in [...]` and `is None` over fields, entries such as `p["SN Ia"]`, numbers, text, + - * / and
            abs(), min(), max().
        fields: The type of each field, bool, int, float or str, or a mapping of such types.
        choices: The only words that some of the fields may hold.

    Raises:
        ConfigurationError: If it is not such an expression, has more than 1000 characters or more than 20
            levels, names what is not there, or compares what never can be equal.
    """
    return _Compiler(text.replace("\n", " ").strip(), fields, choices).condition()


@dataclass(frozen=True)
class _Part:
    """A piece of an expression.

    Attributes:
        kind: Of its value.
        value: Computes it; None stands for null, except that truth is never null.
        choices: What text may be, empty where it may be anything.
    """

    kind: str
    value: Callable[[Mapping[str, Any]], Any]
    choices: Collection[str] = ()


class _Compiler:
    def __init__(self, text: str, fields: Mapping[str, Any], choices: Mapping[str, Collection[str]]) -> None:
        self._text = text
        self._fields = fields
        self._choices = choices
        self._left = _MAX_DEPTH
        self._parts: Mapping[type[ast.expr], Callable[[Any], _Part]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Subscript: self._entry,
            ast.BoolOp: self._logic,
            ast.UnaryOp: self._unary,
            ast.BinOp: self._arithmetic,
            ast.Compare: self._comparison,
            ast.Call: self._call,
        }

    def condition(self) -> Condition:
        if len(self._text) > MAX_LENGTH:
            self._refuse(f"expected at most {MAX_LENGTH} characters, got {len(self._text)}")
        try:
            tree = ast.parse(self._text, mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self._refuse(f"expected an expression: {getattr(error, 'msg', error)}")
        return self._part(tree.body, _TRUTH).value

    def _part(self, node: ast.expr, *kinds: str) -> _Part:
        """Return what a node stands for, of one of these kinds, or of any where none is given."""
        make = self._parts.get(type(node))
        if make is None:
            self._refuse("expected fields, numbers, text, comparisons, and, or, not, + - * /", node)
        if not self._left:
            self._refuse(f"expected at most {_MAX_DEPTH} levels", node)
        self._left -= 1
        part = make(node)
        self._left += 1
        if kinds and part.kind not in kinds:
            self._refuse(f"expected a {' or '.join(kinds)}, got a {part.kind}", node)
        return part

    def _constant(self, node: ast.Constant) -> _Part:
        value = node.value
        kind = _KINDS.get(type(value))
        if kind is None:
            self._refuse("expected a number, text, True or False", node)
        return _Part(kind, lambda _: value)

    def _name(self, node: ast.Name) -> _Part:
        kind = self._fields[self._known(node.id, self._fields, node)]
        if isinstance(kind, Mapping):
            self._refuse(f"expected {node.id}[...] with one of: {_quoted(kind)}", node)
        return self._field(kind, operator.itemgetter(node.id), self._choices.get(node.id, ()))

    def _entry(self, node: ast.Subscript) -> _Part:
        groups = [name for name, kind in self._fields.items() if isinstance(kind, Mapping)]
        if not isinstance(node.value, ast.Name):
            self._refuse(f"expected brackets only after one of: {', '.join(groups)}", node)
        name = self._known(node.value.id, groups, node.value)
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if not isinstance(key, str):
            self._refuse(f"expected in the brackets one of: {_quoted(self._fields[name])}", node.slice)
        kind = self._fields[name][self._known(key, self._fields[name], node.slice)]
        return self._field(kind, lambda fields: fields[name][key])

    @staticmethod
    def _field(kind: type, value: Callable[[Mapping[str, Any]], Any], choices: Collection[str] = ()) -> _Part:
        if kind is bool:
            return _Part(_TRUTH, lambda fields: value(fields) is True)
        return _Part(_KINDS[kind], value, choices)

    def _logic(self, node: ast.BoolOp) -> _Part:
        values = [self._part(item, _TRUTH).value for item in node.values]
        return _Part(_TRUTH, _all(values) if isinstance(node.op, ast.And) else _any(values))

    def _unary(self, node: ast.UnaryOp) -> _Part:
        if isinstance(node.op, ast.Not):
            value = self._part(node.operand, _TRUTH).value
            return _Part(_TRUTH, lambda fields: not value(fields))
        if not isinstance(node.op, ast.USub):
            self._refuse("expected a minus or not", node)
        return self._computed(operator.neg, [node.operand])

    def _arithmetic(self, node: ast.BinOp) -> _Part:
        compute = _ARITHMETIC.get(type(node.op))
        if compute is None:
            self._refuse("expected + - * or /", node)
        return self._computed(compute, [node.left, node.right])

    def _call(self, node: ast.Call) -> _Part:
        if not isinstance(node.func, ast.Name):
            self._refuse(f"expected a call of one of: {', '.join(_CALLS)}", node)
        call, least, most = _CALLS[self._known(node.func.id, _CALLS, node.func)]
        if node.keywords or not least <= len(node.args) <= most:
            self._refuse(f"expected {least} to {most} arguments of {node.func.id}", node)
        return self._computed(call, node.args)

    def _computed(self, compute: Callable[..., Any], operands: Iterable[ast.expr]) -> _Part:
        values = [self._part(operand, _NUMBER).value for operand in operands]

        def value(fields: Mapping[str, Any]) -> Any:
            given = [each(fields) for each in values]
            if None in given:
                return None
            try:
                return compute(*given)
            except ArithmeticError:  # a division by 0, or a whole number too large for a fraction
                return None

        return _Part(_NUMBER, value)

    def _comparison(self, node: ast.Compare) -> _Part:
        lefts = [node.left, *node.comparators]
        links = [self._link(*link) for link in zip(lefts, node.ops, node.comparators, strict=False)]
        return _Part(_TRUTH, links[0] if len(links) == 1 else _all(links))

    def _link(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(op, ast.Is | ast.IsNot):
            return self._nullness(left, right, wanted=isinstance(op, ast.Is))
        if isinstance(op, ast.In | ast.NotIn):
            return self._membership(left, right, wanted=isinstance(op, ast.In))
        compare = _ORDER.get(type(op))
        if compare is not None:
            first, second = self._part(left, _NUMBER), self._part(right, _NUMBER)
        else:
            compare = _EQUALITY[type(op)]
            first = self._part(left)
            second = self._part(right, first.kind)
            self._check_word(first, right)
            self._check_word(second, left)
        one, other = first.value, second.value

        def holds(fields: Mapping[str, Any]) -> bool:
            value, limit = one(fields), other(fields)
            return value is not None and limit is not None and compare(value, limit)

        return holds

    def _nullness(self, left: ast.expr, right: ast.expr, *, wanted: bool) -> Condition:
        if not isinstance(right, ast.Constant) or right.value is not None:
            self._refuse("expected is None, or is not None", right)
        value = self._part(left, _NUMBER, _TEXT).value
        return lambda fields: (value(fields) is None) is wanted

    def _membership(self, left: ast.expr, right: ast.expr, *, wanted: bool) -> Condition:
        if not isinstance(right, ast.List | ast.Tuple | ast.Set) or not all(
            isinstance(item, ast.Constant) for item in right.elts
        ):
            self._refuse("expected a list of numbers or text after in", right)
        part = self._part(left, _NUMBER, _TEXT)
        for item in right.elts:
            self._part(item, part.kind)
            self._check_word(part, item)
        members = frozenset(item.value for item in right.elts if isinstance(item, ast.Constant))

        def holds(fields: Mapping[str, Any]) -> bool:
            value = part.value(fields)
            return value is not None and (value in members) is wanted

        return holds

    def _check_word(self, part: _Part, node: ast.expr) -> None:
        """Refuse a word that a field never holds."""
        if part.choices and isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._known(node.value, part.choices, node)

    def _known(self, name: str, known: Collection[str], node: ast.expr) -> str:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"expected one of: {_quoted(known)}"
            self._refuse(f"{name!r} is unknown; {hint}", node)
        return name

    def _refuse(self, reason: str, node: ast.expr | None = None) -> NoReturn:
        place = ""
        if node is not None:
            place = f" at {ast.get_source_segment(self._text, node)!r:.80}"
        raise ConfigurationError(f"expression {self._text!r:.200}{place}: {reason}")


def _all(conditions: Iterable[Condition]) -> Condition:
    def holds(fields: Mapping[str, Any]) -> bool:
        for each in conditions:  # noqa: SIM110 # half the time of a generator in all()
            if not each(fields):
                return False
        return True

    return holds


def _any(conditions: Iterable[Condition]) -> Condition:
    def holds(fields: Mapping[str, Any]) -> bool:
        for each in conditions:  # noqa: SIM110
            if each(fields):
                return True
        return False

    return holds


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
