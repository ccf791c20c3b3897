"""The part of the shell's language the practice host understands, as a tree.

Lists with ``;`` ``&`` ``&&`` ``||`` and newlines, pipelines, ``( … )`` and ``{ …; }``,
``for … do … done``, words with quotes, variables and ``$( … )``, assignments, redirections,
comments. The whole script is parsed before any of it runs: a construct outside this part raises
NotModelled, and no command has run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tastyops.practice.files import NotModelled

SYNTAX_STATUS = 2
_DEEPEST = 40
_BLANK = " \t"
_META = " \t\n;&|<>()"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class SyntaxProblem(Exception):
    """The script is wrong in every shell."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain characters of a word."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; ``name`` may be a special parameter."""

    name: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Substitution:
    """``$( … )``."""

    body: Script
    quoted: bool


_RESERVED = tuple(
    Text(word, quoted=False)
    for word in (
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "while",
        "until",
        "for",
        "do",
        "done",
        "case",
        "esac",
        "function",
        "select",
        "[[",
        "in",
    )
)

Word = tuple[Text | Variable | Substitution, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    """``fd operator target``; the operators are ``<`` ``>`` ``>>`` ``>&`` ``<&``."""

    fd: int
    operator: str
    target: Word


@dataclass
class Simple:
    """Assignments, a program's words, redirections; any of them may be missing."""

    assignments: list[tuple[str, Word]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Group:
    """``( … )`` or ``{ …; }``."""

    body: Script
    subshell: bool
    redirects: list[Redirect] = field(default_factory=list)


@dataclass
class Loop:
    """``for name in words; do body; done``; ``words`` is None for the positional parameters."""

    name: str
    words: list[Word] | None
    body: Script
    redirects: list[Redirect] = field(default_factory=list)


Command = Simple | Group | Loop


@dataclass
class Pipeline:
    """Commands whose outputs feed the next one's input."""

    commands: list[Command]
    negated: bool = False


@dataclass
class Item:
    """Pipelines joined by ``&&`` and ``||``; each comes with the operator before it."""

    parts: list[tuple[str, Pipeline]]
    background: bool = False


@dataclass
class Script:
    """Items one after the other."""

    items: list[Item] = field(default_factory=list)


def parse(text: str) -> Script:
    """Reads a script. Raises SyntaxProblem, NotModelled."""
    parser = _Parser(text)
    script = parser.script("")
    if parser.at < len(text):
        raise SyntaxProblem(f'"{text[parser.at]}" unexpected')
    return script


def _unmodelled(what: str) -> NotModelled:
    return NotModelled(f"the shell's {what}", SYNTAX_STATUS)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._depth = 0

    def _ahead(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    def _take(self, text: str) -> bool:
        found = self._ahead(text)
        self.at += len(text) if found else 0
        return found

    def _skip(self, newlines: bool = False) -> None:
        """Blanks, comments and continued lines."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self._ahead("\\\n"):
                self.at += 2
            elif char in _BLANK or (newlines and char == "\n"):
                self.at += 1
            else:
                return

    # -- lists -------------------------------------------------------------------------------

    def script(self, until: str) -> Script:
        """Items up to ``until``, which stays unread."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _unmodelled("nesting this deep")
        script = Script()
        while True:
            self._skip(newlines=True)
            if self.at >= len(self.text) or (until and self._ends(until)):
                break
            if self.text[self.at] in ";&|)":
                raise SyntaxProblem(f'"{self.text[self.at]}" unexpected')
            item = self._item()
            script.items.append(item)
            self._skip()
            if self._ahead(";;"):
                raise _unmodelled("`case`")
            if self._take("&"):
                item.background = True
            elif not self._take(";") and not self._take("\n"):
                break
        self._depth -= 1
        return script

    def _ends(self, until: str) -> bool:
        """Whether what ends the list stands here: a sign, or a whole word."""
        if not until.isalpha():
            return self._ahead(until)
        return bool(re.compile(rf"{until}(?![^ \t\n;&|<>()])").match(self.text, self.at))

    def _word_is(self, word: str) -> bool:
        """Takes a reserved word, if it is the one that stands here."""
        found = self._ends(word)
        self.at += len(word) if found else 0
        return found

    def _item(self) -> Item:
        item = Item([("", self._pipeline())])
        while True:
            self._skip()
            operator = "&&" if self._take("&&") else "||" if self._take("||") else ""
            if not operator:
                return item
            self._skip(newlines=True)
            item.parts.append((operator, self._pipeline()))

    def _pipeline(self) -> Pipeline:
        self._skip()
        negated = bool(re.compile(r"![ \t]").match(self.text, self.at))
        self.at += 1 if negated else 0
        pipeline = Pipeline([self._command()], negated)
        while True:
            self._skip()
            if self._ahead("||") or not self._take("|"):
                return pipeline
            self._skip(newlines=True)
            pipeline.commands.append(self._command())

    def _command(self) -> Command:
        self._skip()
        if self._word_is("for"):
            return self._loop()
        if self._take("("):
            return self._group(")", subshell=True)
        if re.compile(r"\{[ \t\n]").match(self.text, self.at):
            self.at += 1
            return self._group("}", subshell=False)
        return self._simple()

    def _group(self, close: str, *, subshell: bool) -> Group:
        body = self.script(close)
        if not self._take(close):
            raise SyntaxProblem(f'end of file unexpected (expecting "{close}")')
        return Group(body, subshell, self._redirects())

    def _loop(self) -> Loop:
        self._skip()
        name = re.compile(_NAME.pattern).match(self.text, self.at)
        if name is None:
            raise SyntaxProblem("Bad for loop variable")
        self.at = name.end()
        self._skip(newlines=True)
        words: list[Word] | None = None
        if self._word_is("in"):
            words = []
            self._skip()
            while self.at < len(self.text) and self.text[self.at] not in "\n;&|<>()":
                words.append(self._word())
                self._skip()
        self._take(";")
        self._skip(newlines=True)
        if not self._word_is("do"):
            raise SyntaxProblem('"do" expected')
        body = self.script("done")
        if not self._word_is("done"):
            raise SyntaxProblem('end of file unexpected (expecting "done")')
        return Loop(name[0], words, body, self._redirects())

    def _redirects(self) -> list[Redirect]:
        """Those behind a group or a loop."""
        found: list[Redirect] = []
        while True:
            self._skip()
            redirect = self._redirect()
            if redirect is None:
                return found
            found.append(redirect)

    def _simple(self) -> Simple:
        simple = Simple()
        while True:
            self._skip()
            redirect = self._redirect()
            if redirect:
                simple.redirects.append(redirect)
                continue
            if self.at >= len(self.text) or self.text[self.at] in "\n;&|)":
                break
            if self.text[self.at] == "(":
                raise _unmodelled("functions and arrays")
            self._word_of(simple)
        if not (simple.words or simple.assignments or simple.redirects):
            raise SyntaxProblem("a command is missing")
        return simple

    def _word_of(self, simple: Simple) -> None:
        assigned = re.compile(rf"({_NAME.pattern})=").match(self.text, self.at)
        if assigned and not simple.words:
            self.at = assigned.end()
            simple.assignments.append((assigned[1], self._word()))
            return
        start, word = self.at, self._word()
        if not simple.words and len(word) == 1 and word[0] in _RESERVED:
            raise _unmodelled(f"`{self.text[start : self.at]}`")
        simple.words.append(word)

    def _redirect(self) -> Redirect | None:
        match = re.compile(r"(\d?)(<<|<&|<|>>|>&|>\||>)").match(self.text, self.at)
        if match is None:
            return None
        if match[2] == "<<":
            raise _unmodelled("here-documents")
        self.at = match.end()
        self._skip()
        fd = int(match[1] or ("0" if match[2].startswith("<") else "1"))
        if fd > 2:
            raise _unmodelled("file descriptors above 2")
        return Redirect(fd, match[2].replace(">|", ">"), self._word())

    # -- words -------------------------------------------------------------------------------

    def _word(self) -> Word:
        parts: list[Text | Variable | Substitution] = []
        while self.at < len(self.text) and self.text[self.at] not in _META:
            char = self.text[self.at]
            if char == "'":
                parts.append(Text(self._until_quote(), quoted=True))
            elif char == '"':
                self.at += 1
                self._double_quoted(parts)
            elif char == "\\":
                if not self._take("\\\n"):
                    parts.append(Text(self.text[self.at + 1 : self.at + 2], quoted=True))
                    self.at += 2
            elif char == "`":
                raise _unmodelled("backquotes (write $( … ))")
            elif char == "$":
                parts.append(self._dollar(quoted=False))
            else:
                end = re.compile(r"[^ \t\n;&|<>()'\"\\`$]+").match(self.text, self.at)
                assert end  # noqa: S101  the characters it cannot match are dealt with above
                parts.append(Text(end[0], quoted=False))
                self.at = end.end()
        return tuple(parts)

    def _until_quote(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise SyntaxProblem("Unterminated quoted string")
        text, self.at = self.text[self.at + 1 : end], end + 1
        return text

    def _double_quoted(self, parts: list[Text | Variable | Substitution]) -> None:
        parts.append(Text("", quoted=True))
        while not self._take('"'):
            if self.at >= len(self.text):
                raise SyntaxProblem("Unterminated quoted string")
            char = self.text[self.at]
            if char == "$":
                parts.append(self._dollar(quoted=True))
            elif char == "`":
                raise _unmodelled("backquotes (write $( … ))")
            elif char == "\\" and self.text[self.at + 1 : self.at + 2] in tuple('$`"\\\n'):
                escaped = self.text[self.at + 1]
                parts.append(Text("" if escaped == "\n" else escaped, quoted=True))
                self.at += 2
            else:
                parts.append(Text(char, quoted=True))
                self.at += 1

    def _dollar(self, *, quoted: bool) -> Text | Variable | Substitution:
        if self._ahead("$(("):
            raise _unmodelled("arithmetic")
        if self._take("$("):
            body = self.script(")")
            if not self._take(")"):
                raise SyntaxProblem('end of file unexpected (expecting ")")')
            return Substitution(body, quoted)
        match = re.compile(rf"\$({_NAME.pattern}|[0-9?$!#@*])").match(self.text, self.at)
        braced = re.compile(rf"\$\{{({_NAME.pattern}|[0-9?$!#@*])\}}").match(self.text, self.at)
        found = match or braced
        if found:
            self.at = found.end()
            return Variable(found[1], quoted)
        if self._ahead("${"):
            raise _unmodelled("${…} with anything but a name")
        self.at += 1
        return Text("$", quoted)
