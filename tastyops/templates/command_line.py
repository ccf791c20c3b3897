"""Finds values in a shell template at places where quoting does not protect them.

A value is quoted when it is put into a command, and quotes around it would undo that: in
``echo "{{ x }}"`` the added quotes are letters like any other. The check runs before the run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jinja2 import nodes

from tastyops.templates.grammar import Fault, Reading
from tastyops.templates.reevaluation import (
    ARITHMETIC_OPERATORS,
    ARRAY,
    Saying,
    evaluated,
    fed_to_a_shell,
    own_words,
)

_HARMLESS = ("int", "length")
"""Filters whose result is a whole number, which no shell can take for anything else."""


def quote_faults(text: str, reading: Reading) -> tuple[Fault, ...]:
    """The faults of a shell template that its grammar does not show: values inside quotes."""
    return tuple(_found(text, reading, frozenset()).faults)


def evaluation_faults(text: str, reading: Reading, numbers: frozenset[str]) -> tuple[Fault, ...]:
    """Values that the shell evaluates again; ``numbers`` are names that hold whole numbers."""
    return tuple(_found(text, reading, numbers).evaluated)


def _found(text: str, reading: Reading, numbers: frozenset[str]) -> _Finder:
    finder = _Finder(text, numbers)
    if reading.tree is not None:
        finder.end(finder.body(ShellState(), reading.tree.body))
    return finder


class _Finder:
    """Follows the shell's quotes through a template's branches."""

    def __init__(self, text: str, numbers: frozenset[str]) -> None:
        self.text = text
        self.numbers = numbers
        self.cursor = 0
        self.faults: list[Fault] = []
        self.evaluated: list[Fault] = []
        self.variables: dict[str, int] = {}
        """Where each of the shell's own variables is given a value."""
        self.last_value = 0

    def end(self, state: ShellState) -> None:
        """Finds what only the whole command shows: pipes to a shell, and variables worked out."""
        self._advanced(state, state.ended())
        for name, at in self.variables.items():
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", state.ended().arithmetic, re.ASCII):
                what = f"a value in the variable {name!r} that arithmetic works out"
                self._evaluated(at, (what, "`| int` makes sure that it is a number"))

    def _advanced(self, before: ShellState, after: ShellState) -> ShellState:
        for saying in after.late[len(before.late) :]:
            self._evaluated(self.last_value, saying)
        return after

    def _evaluated(self, at: int, saying: Saying) -> None:
        what, hint = saying
        self.evaluated.append(Fault(max(0, at), f"{what} in a shell command", hint))

    def body(self, state: ShellState, body: Sequence[nodes.Node]) -> ShellState:
        """The state after these nodes."""
        for node in body:
            match node:
                case nodes.Output():
                    for part in node.nodes:
                        state = self._part(state, part)
                case nodes.If():
                    state = self._branches(state, node)
        return state

    def _part(self, state: ShellState, part: nodes.Node) -> ShellState:
        if isinstance(part, nodes.TemplateData):
            at = self.text.find(part.data, self.cursor)
            self.cursor = at + len(part.data) if at >= 0 else self.cursor
            return self._advanced(state, advance(state, part.data))
        at = self.text.find("{{", self.cursor)
        self.cursor = at + 2 if at >= 0 else self.cursor
        refusal = state.refusal()
        if refusal and not _is_raw(part):
            what, hint = refusal
            hint = f"{hint}; `| raw` puts it in unquoted"
            self.faults.append(Fault(max(0, at), f"{what} in a shell command", hint))
        if not refusal and not _is_raw(part) and not self._is_number(part):
            self._value(state, max(0, at))
        return state.after_value()

    def _value(self, state: ShellState, at: int) -> None:
        self.last_value = at
        saying = state.evaluation()
        if saying:
            self._evaluated(at, saying)
        name = state.assigned()
        if name:
            self.variables.setdefault(name, at)

    def _is_number(self, node: nodes.Node) -> bool:
        if isinstance(node, nodes.Name):
            return node.name in self.numbers
        return isinstance(node, nodes.Filter) and node.name in _HARMLESS

    def _branches(self, state: ShellState, node: nodes.If) -> ShellState:
        ends = [self.body(state, node.body)]
        for branch in node.elif_:
            ends.append(self.body(state, branch.body))
        ends.append(self.body(state, node.else_))
        if not all(end.same_quotes(ends[0]) for end in ends):
            message = "the branches of this `if` leave the shell's quotes open differently"
            at = self.text.find("{%")
            self.faults.append(Fault(max(0, at), message, "close in a branch what it opens"))
        return replace(ends[0], word=all(end.word for end in ends))


def _is_raw(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Filter) and node.name == "raw"


# -- a POSIX shell's quoting ---------------------------------------------------------------------

_QUOTED = "values are quoted already: remove the quotes around it"
_HEREDOC = re.compile(r"<<(-?)[ \t]*(?:'([\w.-]+)'|\"([\w.-]+)\"|\\?([\w.-]+))", re.ASCII)

_SAYINGS = {
    "'": ("a value inside quotes", _QUOTED),
    '"': ("a value inside quotes", _QUOTED),
    "`": ("a value inside backticks", "use $( ) instead"),
    "#": ("a value in a comment", "a value of two lines would end the comment"),
    "{": ("a value inside ${ }", "put it into a variable first"),
    "<": ("a value inside a here-document", "nothing is quoted there; use printf"),
    "$": ("a value straight after '$'", "the '$' would change what the quotes mean"),
    "?": ("a value after $'…'", "shells differ in reading that; use plain quotes"),
    "\\": ("a value straight after '\\'", "the backslash would undo the quoting"),
}


_ARITHMETIC = {
    "a": ("a value inside $(( ))", "`| int` makes sure that it is a number"),
    "b": ("a value inside (( ))", "`| int` makes sure that it is a number"),
    "[": ("a value inside $[ ]", "`| int` makes sure that it is a number"),
}

VALUE, UNKNOWN = "\0", "\1"
"""What stands in a word for a value, and for what a substitution gives."""

_BUILT_FOR = re.compile(r"([A-Za-z_]\w*)\+?=", re.ASCII)
_DECLARES = frozenset(("export", "local", "readonly", "declare", "typeset"))


@dataclass(frozen=True, slots=True)
class CommandWords:
    """The simple command so far: its whole words, without their quotes, and the one begun.

    ``is_target`` says that the next word belongs to ``<`` or ``>``, ``is_input`` that it is a
    here-string; ``fed`` that a value was printed into this pipeline, ``printed`` by an earlier
    command of the same script.
    """

    words: tuple[str, ...] = ()
    text: str = ""
    is_target: bool = False
    is_input: bool = False
    fed: bool = False
    printed: bool = False

    @property
    def prints(self) -> bool:
        """Whether what it is given is what it puts out."""
        return own_words(self.words)[:1] in (("echo",), ("printf",))


@dataclass(frozen=True, slots=True)
class ShellState:
    """Where a shell is after some text.

    ``stack`` has what is open, outermost first: ``'`` ``"`` a backtick, ``(`` a substitution,
    ``{`` a parameter, ``a`` arithmetic, ``b`` an arithmetic command, ``[`` the old ``$[ ]``, ``?``
    what we cannot follow. ``word`` says that a word has begun, so that ``#`` begins no comment.
    ``heredocs`` await their text, the first of them being read when ``body``.

    ``said`` is the command under way and ``outer`` those around it; ``late`` has what turned out
    to be wrong with a value further up, and ``arithmetic`` all text that is worked out.
    """

    stack: str = ""
    word: bool = False
    comment: bool = False
    last: str = ""
    heredocs: tuple[tuple[str, bool], ...] = ()
    body: bool = False
    line: str = ""
    said: CommandWords = CommandWords()
    outer: tuple[CommandWords, ...] = ()
    late: tuple[Saying, ...] = ()
    arithmetic: str = ""

    def after_value(self) -> ShellState:
        """The state once a value stands here."""
        fed = self.said.fed or self.said.prints
        said = replace(self.said, text=self.said.text + VALUE, fed=fed)
        return replace(self, word=True, last="", line=self.line + "\0", said=said)

    def evaluation(self) -> Saying | None:
        """Why quoting does not protect a value here, and what to do, if it does not."""
        if self.body or self.comment:
            return None
        arithmetic = _ARITHMETIC.get(self.stack[-1:])
        if arithmetic:
            return arithmetic
        if self.said.is_target:
            shell = self.said.is_input and fed_to_a_shell(self.said.words)
            return _FED if shell else None
        return evaluated(self.said.words, self.said.text) or self._printed_into()

    def _printed_into(self) -> Saying | None:
        """What evaluates the output of a command that prints the value."""
        if not self.said.prints:
            return None
        for opened in self.stack:
            if opened in _ARITHMETIC:
                return _ARITHMETIC[opened]
        for around in self.outer:
            if fed_to_a_shell(around.words) or own_words(around.words)[:1] in (("source",), (".",)):
                return _FED
            if saying := evaluated(around.words, around.text):
                return saying
        return None

    def assigned(self) -> str | None:
        """The shell's variable that a value here is put into."""
        said = self.outer[-1] if self.outer and self.said.prints else self.said
        match, words = _BUILT_FOR.match(said.text), own_words(said.words)
        return match[1] if match and (not words or words[0] in _DECLARES) else None

    def ended(self) -> ShellState:
        """The state at the end of the command."""
        return advance(self, "\n")

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


_FED: Saying = (
    "a value that a shell reads as commands",
    "write the command out; a file or `stdin:` can carry the value",
)


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
        self.said, self.outer = state.said, list(state.outer)
        self.late, self.arithmetic = list(state.late), state.arithmetic

    def state(self) -> ShellState:
        return ShellState(
            "".join(self.stack), self.word, self.comment, self.last, tuple(self.heredocs),
            self.body, self.line if self.body else "",
            self.said, tuple(self.outer), tuple(self.late), self.arithmetic,
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
            self._say("" if char == "\n" else char)
        else:
            self._in_command(char)
            self._follow()

    # -- words of the command --------------------------------------------------------------------

    def _say(self, text: str) -> None:
        """More of the word under way."""
        self.said = replace(self.said, text=self.said.text + text)

    def _follow(self) -> None:
        """Keeps the commands around this one in step with what is open."""
        depth = sum(each in "(`" for each in self.stack)
        while len(self.outer) < depth:
            self.outer.append(self.said)
            begins_array = self.stack[-1] == "(" and self.said.text.endswith("=")
            self.said = CommandWords((ARRAY,)) if begins_array else CommandWords()
        while len(self.outer) > depth:
            self._command_end()
            before = self.outer.pop()
            self.said = replace(before, text=before.text + UNKNOWN)

    def _word_end(self) -> None:
        if not self.word and not self.said.text:
            return
        said, text = self.said, self.said.text
        if said.is_target:
            self.said = replace(said, text="", is_target=False, is_input=False)
            return
        words = (*said.words, text)
        command = own_words(words)
        if command[:1] in (("let",), ("eval",)):
            self.arithmetic += f" {text}"
        elif command[:1] == ("[[",) and len(command) > 1:
            if text in ARITHMETIC_OPERATORS:
                self.arithmetic += f" {said.words[-1]}"
                if VALUE in said.words[-1]:
                    self.late.append(
                        (f"a value that [[ {text} ]] works out", "`| int`, or use [ ]")
                    )
            elif said.words[-1] in ARITHMETIC_OPERATORS:
                self.arithmetic += f" {text}"
        self.said = replace(said, words=words, text="")

    def _command_end(self, *, piped: bool = False) -> None:
        self._word_end()
        said = self.said
        if said.fed and fed_to_a_shell(said.words):
            self.late.append(_FED)
        printed = said.printed or said.fed
        grouped = said.words[:1] == ("}",)
        self.said = CommandWords(fed=piped and (said.fed or (grouped and printed)), printed=printed)

    def _in_test(self) -> bool:
        return own_words(self.said.words)[:1] == ("[[",) and "]]" not in self.said.words

    # -- quotes ----------------------------------------------------------------------------------

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
        self._command_end()
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
            else:
                self._say(char)
        elif char == "\\":
            self.last = "\\"
        elif last == "$" and char in "({[":
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
        self.word = char != "("

    def _in_double(self, char: str) -> None:
        if char == '"':
            self.stack.pop()
        elif char == "`":
            self._backtick()
        else:
            self._say(char)
            if char == "$":
                self.last = "$"

    def _backtick(self) -> None:
        if "`" in self.stack:  # nested ones are escaped, so this ends whatever is open in it
            del self.stack[self.stack.index("`") :]
        else:
            self.stack.append("`")
        self.word = False

    def _in_braces(self, char: str) -> None:
        self._say(char)
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
        counting = top in ("a", "b", "[")
        if counting:
            self.arithmetic += char
        if char in "'\"":
            self.stack.append("?" if last == "$" and char == "'" else char)
            self.word = True
        elif char == "`":
            self._backtick()
        elif char == "$":
            self.last, self.word = "$", True
            self._say(char)
        elif char in "()":
            self._parenthesis(char, top)
        elif counting:
            self._in_brackets(char, top)
        elif char == "#" and not self.word:
            self.comment = True
        elif char == "<":
            self._less_than(last)
        elif char == "\n":
            self._line_end()
        else:
            self._unquoted(char)

    def _unquoted(self, char: str) -> None:
        if char in " \t\r":
            self._word_end()
        elif char == ">":
            self._redirect()
        elif char in ";&|":
            self._separator(char)
        else:
            self._say(char)
        self.word = char not in " \t\r;&|>"

    def _separator(self, char: str) -> None:
        doubled = self.text.startswith(char, self.at)
        if char == "&" and (self.said.is_target or self.text.startswith(">", self.at)):
            return  # `2>&1`, `&>file`
        if self._in_test():
            self._word_end()
            return
        self.at += doubled or (char == "|" and self.text.startswith("&", self.at))
        self._command_end(piped=char == "|" and not doubled)

    def _redirect(self, *, is_input: bool = False) -> None:
        if self.said.text.isdigit():
            self.said = replace(self.said, text="")
            self.word = False
        if self._in_test():
            self._word_end()
            return
        self._word_end()
        self.said = replace(self.said, is_target=True, is_input=is_input)

    def _less_than(self, last: str) -> None:
        here = self.text.startswith("<<", self.at)
        self._redirect(is_input=here)
        self.word = False
        match = _HEREDOC.match(self.text, self.at - 1)
        if here:  # a here-string: one ordinary word follows
            self.at += 2
        elif match:
            self.at = match.end()
            self.heredocs.append((match[2] or match[3] or match[4], bool(match[1])))
            self.said = replace(self.said, is_target=False)
        elif self.text.startswith("<", self.at):
            self.at += 1
            self.heredocs.append(("", False))  # an end we cannot read: nothing below is safe
            self.last = "<"

    def _parenthesis(self, char: str, top: str) -> None:
        if top in ("a", "b"):
            self.word = False
            self._in_arithmetic(char, top)
        elif char == "(" and top in ("", "("):
            self._opened(top)
        elif char == ")" and top == "(":
            self.stack.pop()
            self.word = True
        elif char == ")" and not self._in_test():
            self._command_end()  # of a case's pattern, or a subshell
            self.said = replace(self.said, fed=self.said.printed)
            self.word = False

    def _opened(self, top: str) -> None:
        """A parenthesis outside of quotes: arithmetic, an array's words, a subshell."""
        said = self.said
        if self._in_test():
            self._word_end()
        elif self.text.startswith("(", self.at) and not said.text and (
            not own_words(said.words) or said.words[-1:] == ("for",)
        ):
            self.at += 1
            self.stack.append("b")
        elif top == "(" or (said.is_target and not said.text):  # of `<(…)`
            self.said = replace(said, is_target=False)
            self.stack.append("(")
        elif said.text.endswith("="):
            self.said = CommandWords((ARRAY,))
        else:
            self._command_end()
        self.word = False

    def _in_arithmetic(self, char: str, top: str) -> None:
        if char == "(":
            self.stack.append(top)
        elif self.stack[-2:] != [top, top] and self.text.startswith(")", self.at):
            self.at += 1
            self.stack.pop()
            self.word = top == "a"
        else:
            self.stack.pop()

    def _in_brackets(self, char: str, top: str) -> None:
        """Inside arithmetic, or the old ``$[ ]``, where brackets are counted."""
        if top == "[" and char in "[]":
            if char == "[":
                self.stack.append("[")
            else:
                self.stack.pop()
        self.word = True
