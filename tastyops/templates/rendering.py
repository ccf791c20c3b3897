"""Templates: values put into a shell command, an entry in the log, or any other text.

``check`` finds what is wrong with one before anything runs; ``render`` and its kin work it out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal, NoReturn, TypeVar

import jinja2
from jinja2 import nodes

from tastyops.errors import Problem, TemplateError, did_you_mean, shown
from tastyops.model.public_text import PublicText
from tastyops.model.runbook import Marked
from tastyops.templates.command_line import evaluation_faults, quote_faults
from tastyops.templates.filters import require_readable
from tastyops.templates.grammar import Fault, Reading, Use, read, read_expression
from tastyops.templates.sandbox import SHELL, TEXT, is_undefined

Form = Literal["text", "shell", "public", "expression"]
"""What a template is for: ``public`` text may be published, ``shell`` has its values quoted."""

Names = Mapping[str, frozenset[str] | None]
"""The names a template may use, each with the fields it has; None where they are not known."""

LONGEST_RESULT = 64 * 1024

_T = TypeVar("_T")

_FAILURES = (
    jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError,
    RecursionError, MemoryError,
)  # fmt: skip


def has_template(text: str) -> bool:
    """Whether a text holds anything to be filled in."""
    return "{{" in text or "{%" in text


def check(
    marked: Marked,
    names: Names,
    form: Form,
    private: Mapping[str, frozenset[str]] | None = None,
    secret: frozenset[str] = frozenset(),
    numbers: frozenset[str] = frozenset(),
) -> list[Problem]:
    """Everything wrong with a template that shows without running it.

    ``private`` has, for a ``public`` one, the fields of a name that may not be published, and
    ``secret`` the names that never may; ``numbers`` are the names that hold whole numbers.
    """
    faults = [*_faults(marked.text, form)]
    if form == "shell" and not faults:
        faults += evaluation_faults(marked.text, _reading(marked.text, form), numbers)
    for use in _reading(marked.text, form).uses:
        faults.extend(_use_faults(use, names, form, private or {}))
        if form == "public" and use.name in secret and not use.printed:
            message = f"{shown(use.name)} is a secret and this text is public"
            faults.append(Fault(use.offset, message, "nothing publishes a secret"))
    return [Problem(marked.at(each.offset), each.message, each.hint) for each in faults]


def render(marked: Marked, names: Mapping[str, Any], form: Literal["text", "shell"]) -> str:
    """The template filled in. Raises TemplateError, or CannotKnow in a dry run."""
    return _guarded(marked, form, lambda: _run(marked.text, form, names))


def render_public(
    marked: Marked,
    names: Mapping[str, Any],
    private: Mapping[str, frozenset[str] | None],
) -> PublicText:
    """A sentence for the log.

    ``private`` names what may not be published: fields of a value, or with None all of it.
    Raises TemplateError where the sentence uses one in any way, so nothing of it can leak.
    """
    visible = {name: _without_private(name, value, private) for name, value in names.items()}
    text = _guarded(marked, "public", lambda: _run(marked.text, "public", visible))
    return PublicText.fixed(text)


def evaluate(marked: Marked, names: Mapping[str, Any]) -> Any:
    """What an expression (``when:``, ``until:``) gives; its braces may be left out."""
    return _guarded(marked, "expression", lambda: _value(marked.text, "expression", names))


def holds(marked: Marked, names: Mapping[str, Any]) -> bool:
    """Whether a condition (``when:``, ``until:``) holds. Raises TemplateError.

    A text that says yes or no is refused: it would be true whatever it says.
    """
    value = evaluate(marked, names)
    if isinstance(value, str) and value.strip().lower() in _WORDS_FOR_BOOLEANS:
        at = _reading(marked.text, "expression").first
        message = f"the condition gives the text {shown(value)}, and every text is true"
        raise TemplateError(Problem(marked.at(at), message, "compare it, as in answer == 'yes'"))
    return bool(value)


_WORDS_FOR_BOOLEANS = frozenset(("yes", "no", "on", "off", "true", "false", "y", "n", "0"))


def conditions_of(marked: Marked) -> list[tuple[str, int]]:
    """The names whose own truth a condition asks for, with where each stands."""
    reading = _reading(marked.text, "expression")
    waiting: list[nodes.Node] = [reading.expression] if reading.expression else []
    asked: set[str] = set()
    while waiting:
        match waiting.pop():
            case nodes.Name(name=name):
                asked.add(name)
            case nodes.Not(node=inner):
                waiting.append(inner)
            case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
                waiting += [left, right]
            case nodes.CondExpr(test=test, expr1=first, expr2=second):
                waiting += [test, first, *([second] if second else [])]
    return [
        (use.name, use.offset)
        for use in reading.uses
        if use.name in asked and not use.field and not use.printed
    ]


def render_value(value: Any, names: Mapping[str, Any]) -> Any:
    """A value with every template in it filled in, however deep.

    A template that is nothing but one ``{{ … }}`` gives the very value of that: a number stays a
    number, and a value not yet known in a dry run passes through. Only a text keeps the blanks
    around it: a newline after a password belongs to what a program reads.
    """
    match value:
        case Marked():
            if _reading(value.text, "text").expression is None:
                return render(value, names, "text")
            found = _guarded(value, "text", lambda: _value(value.text, "text", names))
            blanks = value.text != value.text.strip()
            return render(value, names, "text") if blanks and isinstance(found, str) else found
        case Mapping():
            return {key: render_value(item, names) for key, item in value.items()}
        case list() | tuple():
            return [render_value(item, names) for item in value]
    return value


def names_used(value: Any, form: Form = "text") -> set[str]:
    """The names that the templates in a value use; ``form`` says what its texts are."""
    match value:
        case Marked():
            return {use.name for use in _reading(value.text, form).uses}
        case Mapping():
            return names_used(list(value.values()), form)
        case list() | tuple():
            return {name for item in value for name in names_used(item, form)}
    return set()


class PrivateUsedError(Exception):
    """A public sentence uses a value that may not be published."""


class Private:
    """Stands for a value that may not be published; using it in any way raises."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise PrivateUsedError(object.__getattribute__(self, "_path"))

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse()

    __str__ = __bool__ = __iter__ = __len__ = __getitem__ = __contains__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __int__ = __float__ = __index__ = __add__ = __radd__ = __mul__ = __format__ = _refuse

    def __repr__(self) -> str:
        return "<private>"


def _without_private(name: str, value: Any, private: Mapping[str, frozenset[str] | None]) -> Any:
    if name not in private:
        return value
    fields = private[name]
    if fields is None:
        return Private(name)
    if not isinstance(value, Mapping):
        return value
    return {key: Private(f"{name}.{key}") if key in fields else value[key] for key in value}


def _reading(text: str, form: Form) -> Reading:
    return read_expression(text) if form == "expression" else read(text)


@lru_cache(maxsize=2048)
def _faults(text: str, form: Form) -> tuple[Fault, ...]:
    reading = _reading(text, form)
    if form == "shell" and not reading.faults:
        return quote_faults(text, reading)
    return reading.faults


def _use_faults(
    use: Use, names: Names, form: Form, private: Mapping[str, frozenset[str]]
) -> Iterator[Fault]:
    if use.name not in names:
        if use.field is None and not use.printed:  # said once for each name
            hint = did_you_mean(use.name, names) or _known(names)
            yield Fault(use.offset, f"{shown(use.name)} is not defined here", hint)
        return
    fields = names[use.name]
    if use.printed and fields is not None and form in ("public", "shell"):
        hint = "name one of its fields: " + ", ".join(sorted(fields)) if fields else ""
        yield Fault(use.offset, f"{shown(use.name)} is a whole result, not a value", hint)
    if use.field is None or fields is None:
        return
    if use.field not in fields:
        hint = did_you_mean(use.field, fields) or _known(fields)
        yield Fault(use.offset, f"{shown(use.name)} has no field {shown(use.field)}", hint)
    elif form == "public" and use.field in private.get(use.name, ()):
        message = f"{shown(f'{use.name}.{use.field}')} is private and this text is public"
        yield Fault(use.offset, message, "`publish: true` on this step would publish it")


def _known(words: Mapping[str, Any] | frozenset[str]) -> str:
    return "there are: " + ", ".join(sorted(words)) if 0 < len(words) <= 12 else ""


@lru_cache(maxsize=2048)
def _template(text: str, form: Form) -> jinja2.Template:
    """The template as a program that gives pieces of text."""
    return (SHELL if form == "shell" else TEXT).from_string(_sound_tree(text, form))


_RESULT = "value_of_the_expression"


@lru_cache(maxsize=2048)
def _expression(text: str, form: Form) -> jinja2.Template:
    """The template's only expression as a program that leaves its value behind."""
    _sound_tree(text, form)
    expression = _reading(text, form).expression
    if expression is None:
        raise _FaultyError(Fault(0, "this is not one expression"))
    target = nodes.Name(_RESULT, "store", lineno=1)
    body: list[nodes.Node] = [nodes.Assign(target, expression, lineno=1)]
    return TEXT.from_string(nodes.Template(body, lineno=1))


class _FaultyError(Exception):
    """A template that ``check`` would have refused."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def _sound_tree(text: str, form: Form) -> nodes.Template:
    for fault in _faults(text, form):
        raise _FaultyError(fault)
    tree = _reading(text, form).tree
    if tree is None:
        raise _FaultyError(Fault(0, "this template cannot be read"))
    return tree


def _run(text: str, form: Form, names: Mapping[str, Any]) -> str:
    template = _template(text, form)
    pieces: list[str] = []
    length = 0
    for piece in template.root_render_func(template.new_context(dict(names))):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST_RESULT:
            raise ValueError(f"the result is longer than {LONGEST_RESULT // 1024} KiB")
    return "".join(pieces)


def _value(text: str, form: Form, names: Mapping[str, Any]) -> Any:
    template = _expression(text, form)
    context = template.new_context(dict(names))
    for _ in template.root_render_func(context):
        pass
    return _settled(context.vars[_RESULT])


def _settled(value: Any) -> Any:
    """The value, once no undefined one hides in it."""
    if is_undefined(value):
        require_readable(value)
    if type(value) in (list, tuple):
        return [_settled(item) for item in value]
    return value


def _guarded(marked: Marked, form: Form, work: Callable[[], _T]) -> _T:
    """Runs the work; whatever goes wrong in a template becomes a TemplateError with its place."""
    try:
        return work()
    except _FaultyError as error:
        fault = error.fault
    except PrivateUsedError as error:
        message = f"{shown(str(error))} is private and this text is public"
        fault = Fault(_reading(marked.text, form).first, message, "see `publish: true`")
    except jinja2.UndefinedError as error:
        fault = Fault(_reading(marked.text, form).first, error.message or "a value is undefined")
    except _FAILURES as error:
        message = f"this cannot be worked out: {str(error) or type(error).__name__}"
        fault = Fault(_reading(marked.text, form).first, message)
    raise TemplateError(Problem(marked.at(fault.offset), fault.message, fault.hint))
