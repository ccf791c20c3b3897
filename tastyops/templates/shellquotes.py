"""Which quotes of a shell command a template's values would land in.

A value is quoted when it is put into a command, and quotes around it would undo that: in
``echo "{{ x }}"`` the quotes we add are letters like any other. Found before anything runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_QUOTED = "values are quoted already: remove the quotes around it"
_HEREDOC = re.compile(r"<<(-?)[ \t]*(?:'([\w.-]+)'|\"([\w.-]+)\"|\\?([\w.-]+))", re.ASCII)

_SAYINGS = {
    "'": ("a value inside quotes", _QUOTED),
    '"': ("a value inside quotes", _QUOTED),
    "`": ("a value inside backticks", "use $( ) instead"),
    "#": ("a value in a comment", "a value of two lines would end the comment"),
    "{": ("a value inside ${ }", "put it into a variable first"),
    "a": ("a value inside $(( ))", "put it into a variable first"),
    "<": ("a value inside a here-document", "nothing is quoted there; use printf"),
    "$": ("a value straight after '$'", "the '$' would change what the quotes mean"),
    "?": ("a value after $'…'", "shells differ in reading that; use plain quotes"),
    "\\": ("a value straight after '\\'", "the backslash would undo the quoting"),
}


@dataclass(frozen=True, slots=True)
class ShellState:
    """Where a shell is after some text.

    ``stack`` has what is open, outermost first: ``'`` ``"`` a backtick, ``(`` a substitution,
    ``{`` a parameter, ``a`` arithmetic, ``?`` what we cannot follow. ``word`` says that a word has
    begun, so that ``#`` begins no comment. ``heredocs`` await their text, the first
    of them being read when ``body``.
    """

    stack: str = ""
    word: bool = False
    comment: bool = False
    last: str = ""
    heredocs: tuple[tuple[str, bool], ...] = ()
    body: bool = False
    line: str = ""

    def after_value(self) -> ShellState:
        """The state once a value stands here."""
        return replace(self, word=True, last="", line=self.line + "\0")

    def refusal(self) -> tuple[str, str] | None:
        """Why a value cannot stand here, and what to do, if it cannot."""
        if self.body:
            return _SAYINGS["<"]
        if self.comment:
            return _SAYINGS["#"]
        if self.last in ("$", "\\", "<"):
            return _SAYINGS[self.last]
        # Inside backticks everything is read twice, so no quoting in them holds.
        opened = next((char for char in self.stack if char in "`?"), self.stack[-1:])
        return _SAYINGS.get(opened)

    def same_quotes(self, other: ShellState) -> bool:
        """Whether text that follows would be read alike after both."""
        return (self.stack, self.comment, self.last, self.heredocs, self.body) == (
            other.stack, other.comment, other.last, other.heredocs, other.body
        )  # fmt: skip


def advance(state: ShellState, text: str) -> ShellState:
    """The state after a further piece of a command."""
    reader = _Reader(state, text)
    while reader.at < len(text):
        reader.step()
    return reader.state()


class _Reader:
    """Reads one piece, a character or a digraph at a time."""

    def __init__(self, state: ShellState, text: str) -> None:
        self.text = text
        self.at = 0
        self.stack = list(state.stack)
        self.word, self.comment, self.last = state.word, state.comment, state.last
        self.heredocs = list(state.heredocs)
        self.body, self.line = state.body, state.line

    def state(self) -> ShellState:
        return ShellState(
            "".join(self.stack), self.word, self.comment, self.last, tuple(self.heredocs),
            self.body, self.line if self.body else "",
        )  # fmt: skip

    def step(self) -> None:
        char = self.text[self.at]
        self.at += 1
        if self.body:
            self._in_heredoc(char)
        elif self.comment:
            if char == "\n":
                self.comment = False
                self._line_end()
        elif self.last == "\\":
            self.last, self.word = "", self.word or char != "\n"
        else:
            self._in_command(char)

    def _in_heredoc(self, char: str) -> None:
        if char != "\n":
            self.line += char
            return
        word, dashed = self.heredocs[0]
        if (self.line.lstrip("\t") if dashed else self.line) == word and word:
            self.heredocs.pop(0)
            self.body = bool(self.heredocs)
            self.last = ""
        self.line = ""

    def _line_end(self) -> None:
        self.word = False
        self.body = bool(self.heredocs)
        self.line = ""

    def _in_command(self, char: str) -> None:
        last, self.last = self.last, ""
        top = self.stack[-1] if self.stack else ""
        if top == "?":
            return
        if top == "'":
            if char == "'":
                self.stack.pop()
        elif char == "\\":
            self.last = "\\"
        elif last == "$" and char in "({":
            self._substitution(char)
        elif top == '"':
            self._in_double(char)
        elif top == "{":
            self._in_braces(char)
        else:
            self._in_plain(char, last, top)

    def _substitution(self, char: str) -> None:
        if char == "(" and self.text.startswith("(", self.at):
            self.at += 1
            self.stack.append("a")
        else:
            self.stack.append(char)
        self.word = char == "{"

    def _in_double(self, char: str) -> None:
        if char == '"':
            self.stack.pop()
        elif char == "`":
            self._backtick()
        elif char == "$":
            self.last = "$"

    def _backtick(self) -> None:
        if "`" in self.stack:  # nested ones are escaped, so this ends whatever is open in it
            del self.stack[self.stack.index("`") :]
        else:
            self.stack.append("`")
        self.word = False

    def _in_braces(self, char: str) -> None:
        if char == "}":
            self.stack.pop()
            self.word = True
        elif char == '"' or (char == "'" and '"' not in self.stack):
            self.stack.append(char)
        elif char == "`":
            self._backtick()
        elif char == "$":
            self.last = "$"

    def _in_plain(self, char: str, last: str, top: str) -> None:
        if char in "'\"":
            self.stack.append("?" if last == "$" and char == "'" else char)
            self.word = True
        elif char == "`":
            self._backtick()
        elif char == "$":
            self.last, self.word = "$", True
        elif char == "#" and not self.word and top != "a":
            self.comment = True
        elif char == "<" and top != "a":
            self._less_than(last)
        elif char in "()":
            self._parenthesis(char, top)
        elif char == "\n":
            self._line_end()
        else:
            self.word = char not in " \t\r;&|>"

    def _less_than(self, last: str) -> None:
        self.word = False
        match = _HEREDOC.match(self.text, self.at - 1)
        if self.text.startswith("<<", self.at):  # a here-string: one ordinary word follows
            self.at += 2
        elif match:
            self.at = match.end()
            self.heredocs.append((match[2] or match[3] or match[4], bool(match[1])))
        elif self.text.startswith("<", self.at):
            self.at += 1
            self.heredocs.append(("", False))  # an end we cannot read: nothing below is safe
            self.last = "<"

    def _parenthesis(self, char: str, top: str) -> None:
        self.word = False
        if top == "a":
            self._in_arithmetic(char)
        elif char == "(" and top == "(":
            self.stack.append("(")
        elif char == ")" and top == "(":
            self.stack.pop()
            self.word = True

    def _in_arithmetic(self, char: str) -> None:
        if char == "(":
            self.stack.append("a")
        elif self.stack[-2:] != ["a", "a"] and self.text.startswith(")", self.at):
            self.at += 1
            self.stack.pop()
        else:
            self.stack.pop()
