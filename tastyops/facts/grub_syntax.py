"""The syntax of GRUB's configuration language: the text of a ``grub.cfg`` to its statements.

The grammar is that of GRUB's source: ``grub-core/script/yylex.l`` (words) and
``script/parser.y`` (statements). ``grub_script`` runs the statements.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

DEEPEST = 40
"""Levels of nested blocks and of function calls; GRUB's own configurations have five."""


class UnreadableScript(Exception):
    """A script that does not follow this grammar; the message says where."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a word: text, or a variable's name; a quoted one is never split or dropped."""

    text: str
    variable: bool = False
    quoted: bool = False


Word = tuple[Part, ...]
Block = tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Simple:
    """A command, its words, and the block that a ``menuentry`` or ``submenu`` ends with."""

    words: tuple[Word, ...]
    block: Block | None = None


@dataclass(frozen=True, slots=True)
class If:
    """Conditions with their blocks in order; an ``else`` has no condition."""

    branches: tuple[tuple[Block | None, Block], ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """``for``, ``while`` or ``until``."""

    variable: str
    words: tuple[Word, ...]
    body: Block


@dataclass(frozen=True, slots=True)
class Function:
    """A function's definition."""

    name: str
    body: Block


Statement = Simple | If | Loop | Function


_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+|\\\n|\#[^\n]*)|(?P<end>\n|;)|(?P<brace>[{}])
    |(?P<word>(?:[^{}|&$;<>\s'"\\]|"(?:\\.|[^\\"])*"|'[^']*'|\\.|\$"(?:\\.|[^\\"])*"
      |\$(?:[A-Za-z_]\w*|\d+|\{(?:[A-Za-z_]\w*|\d+|[?\#*@])\}|[?\#*@]))+)""",
    re.VERBOSE | re.DOTALL,
)
_PIECE = re.compile(
    r"""'(?P<single>[^']*)'|\$?"(?P<double>(?:\\.|[^\\"])*)"|\\(?P<escaped>.)
    |\$\{?(?P<variable>[A-Za-z_]\w*|\d+|[?\#*@])\}?|(?P<plain>[^'"$\\]+)""",
    re.VERBOSE | re.DOTALL,
)
_INSIDE = re.compile(
    r"""\\(?P<escaped>[$"\\])|(?P<joined>\\\n)|\$\{?(?P<variable>[A-Za-z_]\w*|\d+|[?\#*@])\}?
    |(?P<plain>[^$\\]+|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    word: Word = ()


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            line = text.count("\n", 0, at) + 1
            raise UnreadableScript(f"line {line} cannot be read: {text[at : at + 20]!r}")
        at = match.end()
        if match.lastgroup == "word":
            found.append(_Token("word", match[0], _word(match[0])))
        elif match.lastgroup != "blank":
            found.append(_Token("end" if match.lastgroup == "end" else match[0], match[0]))
    return [*found, _Token("end", "\n")]


def _word(text: str) -> Word:
    parts: list[Part] = []
    for match in _PIECE.finditer(text):
        if match["single"] is not None:
            parts.append(Part(match["single"], quoted=True))
        elif match["double"] is not None:
            parts += _double(match["double"])
        elif match["variable"] is not None:
            parts.append(Part(match["variable"], variable=True))
        elif match["escaped"] is not None:
            parts.append(Part("" if match["escaped"] == "\n" else match["escaped"], quoted=True))
        else:
            parts.append(Part(match["plain"]))
    return tuple(parts)


def _double(text: str) -> list[Part]:
    parts = [Part("", quoted=True)]
    for match in _INSIDE.finditer(text):
        if match["variable"] is not None:
            parts.append(Part(match["variable"], variable=True, quoted=True))
        elif match["joined"] is None:
            parts.append(Part(match["escaped"] or match["plain"], quoted=True))
    return parts


class _Reader:
    """Tokens → statements (``grub-core/script/parser.y``)."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, kind: str = "", text: str = "") -> _Token:
        token = self._peek()
        if token is None or (kind and token.kind != kind) or (text and token.text != text):
            raise UnreadableScript(f"{text or kind} is missing after token {self._at}")
        self._at += 1
        return token

    def block(self, *ends: str, depth: int = 0) -> Block:
        """Statements up to one of ``ends``, which stays there."""
        if depth > DEEPEST:
            raise UnreadableScript(f"blocks are nested more than {DEEPEST} levels deep")
        found: list[Statement] = []
        while (token := self._peek()) is not None:
            if token.kind == "end":
                self._at += 1
            elif token.text in ends and token.kind in ("word", "}"):
                return tuple(found)
            else:
                found.append(self._statement(token, depth))
        if ends:
            raise UnreadableScript(f"{' or '.join(ends)} is missing at the end")
        return tuple(found)

    def _statement(self, first: _Token, depth: int) -> Statement:
        if first.kind != "word":
            raise UnreadableScript(f"a command cannot begin with {first.text}")
        match first.text:
            case "if":
                return self._if(depth)
            case "for" | "while" | "until":
                return self._loop(first.text, depth)
            case "function":
                self._take()
                name = self._take("word").text
                return Function(name, self._braces(depth))
            case "case" | "select" | "then" | "fi" | "do" | "done" | "elif" | "else" | "esac":
                raise UnreadableScript(f"{first.text} is not expected there")
        words: list[Word] = []
        block: Block | None = None
        while (token := self._peek()) is not None and token.kind != "end":
            if token.kind == "{":
                block = self._braces(depth)
                break
            if token.kind == "}":
                break
            words.append(self._take().word)
        return Simple(tuple(words), block)

    def _braces(self, depth: int) -> Block:
        while (token := self._peek()) is not None and token.kind == "end":
            self._at += 1
        self._take("{")
        body = self.block("}", depth=depth + 1)
        self._take("}")
        return body

    def _if(self, depth: int) -> If:
        branches: list[tuple[Block | None, Block]] = []
        while self._take("word").text != "fi":
            if self._tokens[self._at - 1].text == "else":
                branches.append((None, self.block("fi", depth=depth + 1)))
                continue
            condition = self.block("then", depth=depth + 1)
            self._take("word", "then")
            branches.append((condition, self.block("elif", "else", "fi", depth=depth + 1)))
        return If(tuple(branches))

    def _loop(self, kind: str, depth: int) -> Loop:
        self._take("word", kind)
        variable, words = "", []
        if kind == "for":
            variable = self._take("word").text
            self._take("word", "in")
            while (token := self._peek()) is not None and token.kind == "word":
                words.append(self._take().word)
        else:
            self.block("do", depth=depth + 1)
        while (token := self._peek()) is not None and token.kind == "end":
            self._at += 1
        self._take("word", "do")
        body = self.block("done", depth=depth + 1)
        self._take("word", "done")
        return Loop(variable, tuple(words), body)


def parse_script(text: str) -> Block:
    """Parse a configuration into its statements. Raises UnreadableScript."""
    return _Reader(_tokens(text)).block()
