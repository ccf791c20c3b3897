"""Jinja2 as we let it run: plain data, no calls, nothing that grows without bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from tastyops.errors import did_you_mean, shown
from tastyops.templates.filters import (
    FILTERS,
    TESTS,
    as_text,
    bounded,
    for_shell,
    require_readable,
)

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
}
_LARGEST = 10**18


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class _Generator(CodeGenerator):
    """Has ``~`` go through the environment, where its result is bounded."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.concatenated((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Sandbox(SandboxedEnvironment):
    """Values are JSON: a field is a mapping's key, never an attribute, and nothing is called."""

    code_generator_class = _Generator
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))
    intercepted_unops = frozenset(("+", "-"))

    def __init__(self, finalize: Callable[[Any], Any]) -> None:
        @pass_context  # so that Jinja cannot fold constants before we see them
        def finish(context: Context, value: Any) -> Any:
            return finalize(value)

        super().__init__(
            undefined=StrictUndefined,
            finalize=finish,
            optimized=False,
            keep_trailing_newline=True,
            autoescape=False,
            comment_start_string="{%#",  # '{#' is the shell's, as in ${#name}
            comment_end_string="#%}",
        )
        self.globals = {}
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``obj.attribute``."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[argument]``."""
        require_readable(obj)
        require_readable(argument)
        if isinstance(obj, Mapping):
            if isinstance(argument, (str, int)) and argument in obj:
                return obj[argument]
            hint = did_you_mean(str(argument), [str(key) for key in obj])
            tail = f" ({hint})" if hint else ""
            return self.undefined(hint=f"there is no field {shown(str(argument))}{tail}")
        if isinstance(obj, (list, tuple, str)) and isinstance(argument, int):
            if -len(obj) <= argument < len(obj):
                return obj[argument]
            return self.undefined(hint=f"there is no item {argument} in a list of {len(obj)}")
        return self.undefined(hint=f"a value has no field {shown(str(argument))}")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator: numbers, and ``+`` for two texts or two lists."""
        left, right = require_readable(left), require_readable(right)
        numbers = _is_number(left) and _is_number(right)
        alike = any(isinstance(left, k) and isinstance(right, k) for k in (str, list, tuple))
        if operator not in _OPERATORS or not (numbers or (operator == "+" and alike)):
            raise TypeError(f"'{operator}' does not work with these values; `| int` makes a number")
        result = bounded(_OPERATORS[operator](left, right))
        if _is_number(result) and abs(result) > _LARGEST:
            raise ValueError("a number is too large")
        return result

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        """A sign."""
        if not _is_number(require_readable(arg)):
            raise TypeError(f"'{operator}' needs a number; `| int` makes one")
        return -arg if operator == "-" else arg

    def concatenated(self, values: tuple[Any, ...]) -> str:
        """What ``~`` gives."""
        text = ""
        for value in values:
            text = bounded(text + as_text(value))
        return text

    def call(self, *_: Any, **__: Any) -> Any:
        """Nothing is called; the check refuses it first."""
        raise TypeError("nothing can be called in a template")


TEXT = Sandbox(as_text)
SHELL = Sandbox(for_shell)


def is_undefined(value: Any) -> bool:
    """Whether a result is Jinja's placeholder for a name that has no value."""
    return isinstance(value, Undefined)
