"""A YAML file's bytes as a tree in which every node knows where it stands.

Stricter than YAML on purpose: what a reader could take in two ways is refused. The tree is built
from the parser's events in a loop, so no file, however it nests, can exhaust stack or memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml

from tastyops.errors import InvalidFile, Place, Problem, did_you_mean, shown
from tastyops.runbook.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 1024 * 1024
"""Bytes in a file; a reader of files asks for one more than this and hands over what it got."""
MAX_DEPTH = 64
MAX_NODES = 100_000
"""Nodes with every alias written out; long text counts as more than one."""
MAX_PROBLEMS = 100
"""Problems told at once; nobody reads more, and a hostile file could have any number."""

_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    "\U00010000-\U0010ffff]"
)
_BIDI = "\u202a-\u202e\u2066-\u2069"
_TREACHEROUS = re.compile(f"[\0\ud800-\udfff{_BIDI}]")
"""What no text may hold, not even by an escape: no argument carries a NUL, and bidirectional
controls let a line read otherwise than it runs (https://trojansource.codes)."""
_LINE_END = re.compile(r"\r\n|\r|\n")
_TOO_DEEP_FOR_LIBYAML = "maximum nesting depth"
"""PyYAML 6.0.4's libyaml scans no more than 1,000 levels."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(data: bytes, file: str) -> Node:
    """The tree in ``data``. Raises InvalidFile with everything that is wrong with it as YAML."""
    tree, problems = scan(data, file)
    if problems or tree is None:
        raise InvalidFile(problems)
    return tree


def scan(data: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """The tree, and what is wrong with it: its reader can add problems of its own.

    The tree is None when nothing sensible can be read from the file.
    """
    builder = _Builder(file)
    try:
        return builder.build(_decoded(data, file)), builder.problems
    except _HopelessError as end:
        return None, [*builder.problems, end.problem]


class _HopelessError(Exception):
    """A problem after which nothing more can be read."""

    def __init__(self, place: Place, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(place, message, hint)


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise _HopelessError(Place(file), f"the file is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise _HopelessError(_end_of(before, file), message, "save the file as UTF-8") from None
    bad = _FORBIDDEN.search(text)
    if bad:
        place = _end_of(text[: bad.start()], file)
        raise _HopelessError(place, f"{_named(bad[0])} stands in the file", _why_refused(bad[0]))
    return text


def _named(character: str) -> str:
    return "a NUL" if character == "\0" else f"the control character U+{ord(character):04X}"


def _why_refused(character: str) -> str:
    bidi = re.fullmatch(f"[{_BIDI}]", character)
    return "it changes the order in which the text is shown; take it out" if bidi else ""


def _end_of(text: str, file: str) -> Place:
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    return Place(file, len(lines), len(lines[-1]) + 1)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet. ``key`` is the key that awaits its value."""

    place: Place
    anchor: str | None
    is_mapping: bool
    items: list[Node] = field(default_factory=list)
    entries: list[tuple[ScalarNode, Node]] = field(default_factory=list)
    keys: dict[str, Place] = field(default_factory=dict)
    key: ScalarNode | None = None
    key_refused: bool = False
    weight: int = 1
    height: int = 1

    @property
    def wants_key(self) -> bool:
        return self.is_mapping and self.key is None and not self.key_refused

    def close(self) -> Node:
        if self.is_mapping:
            return MappingNode(tuple(self.entries), self.place)
        return SequenceNode(tuple(self.items), self.place)


@dataclass(frozen=True, slots=True)
class _Sized:
    """A node with its number of nodes and its depth, every alias in it written out."""

    node: Node
    weight: int
    height: int


class _Builder:
    """Builds one tree. ``anchors`` has None for a node that is still being read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.lines: list[str] = []
        self.open: list[_Open] = []
        self.anchors: dict[str, _Sized | None] = {}
        self.root: Node | None = None
        self.documents = 0
        self.weight = 0

    def build(self, text: str) -> Node:
        self.lines = _LINE_END.split(text)
        for event in self._events(text):
            self._take(event)
        if self.root is None or (isinstance(self.root, ScalarNode) and not self.root.text.strip()):
            raise _HopelessError(Place(self.file), "the file is empty")
        return self.root

    def _events(self, text: str) -> Iterator[Any]:
        seen = 0
        try:
            try:
                for seen, event in enumerate(yaml.parse(text, Loader=_LOADER), start=1):  # noqa: B007
                    yield event
            except yaml.MarkedYAMLError as error:
                if _TOO_DEEP_FOR_LIBYAML not in str(error.problem):
                    raise
                # The scanner gave up before it told of the first level; the slower one does not.
                yield from islice(yaml.parse(text, Loader=yaml.SafeLoader), seen, None)
        except yaml.YAMLError as error:
            line, column, message, hint = in_plain_words(error, self.lines)
            raise _HopelessError(Place(self.file, line, column), message, hint) from None

    def _take(self, event: Any) -> None:
        place = Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, place)
            case yaml.AliasEvent():
                self._alias(event.anchor or "", place)
            case yaml.CollectionStartEvent():
                self._start(event, place)
            case yaml.CollectionEndEvent():
                self._end()
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise _HopelessError(place, "a second document begins here", "a file holds one")

    def _problem(self, place: Place, message: str, hint: str = "") -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            raise _HopelessError(place, "there are more problems; correct these first")
        self.problems.append(Problem(place, message, hint))

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            self._problem(place, f"the tag {shown(event.tag)} is refused", "write the value alone")

    def _count(self, weight: int, height: int, place: Place) -> None:
        self.weight += weight
        if self.weight > MAX_NODES:
            hint = "every alias counts with all it stands for"
            raise _HopelessError(place, f"the file holds more than {MAX_NODES} values", hint)
        if len(self.open) + height > MAX_DEPTH:
            raise _HopelessError(place, f"this is nested more than {MAX_DEPTH} deep")

    def _scalar(self, event: Any, place: Place) -> None:
        self._refuse_tag(event, place)
        plain = event.style in (None, "")
        bad = _TREACHEROUS.search(event.value)
        if bad:  # by an escape, since the file itself holds none
            message = f"an escape stands here for {_named(bad[0])}"
            self._problem(place, message, _why_refused(bad[0]))
        node = ScalarNode(event.value, plain, place, line_map(event, self.lines))
        sized = _Sized(node, 1 + len(event.value) // 64, 0)
        self._count(sized.weight, 0, place)
        if event.anchor:
            self.anchors[event.anchor] = sized
        self._add(sized)

    def _alias(self, anchor: str, place: Place) -> None:
        if anchor not in self.anchors:
            message = f"no anchor {shown('&' + anchor)} stands above"
            raise _HopelessError(place, message, did_you_mean(anchor, self.anchors))
        sized = self.anchors[anchor]
        if sized is None:
            message = f"the alias {shown('*' + anchor)} stands inside its own anchor"
            raise _HopelessError(place, message)
        self._count(sized.weight, sized.height, place)
        if self.open and self.open[-1].wants_key:
            self._problem(place, "a key cannot be an alias", "write it out")
            self.open[-1].key_refused = True
            return
        self._add(sized)

    def _start(self, event: Any, place: Place) -> None:
        self._refuse_tag(event, place)
        self._count(1, 1, place)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Open(place, event.anchor, isinstance(event, yaml.MappingStartEvent)))

    def _end(self) -> None:
        done = self.open.pop()
        sized = _Sized(done.close(), done.weight, done.height)
        if done.anchor:
            self.anchors[done.anchor] = sized
        self._add(sized)

    def _add(self, sized: _Sized) -> None:
        """Puts a finished node where it belongs: root, item, key or value."""
        if not self.open:
            self.root = sized.node
            return
        parent = self.open[-1]
        parent.weight += sized.weight
        parent.height = max(parent.height, sized.height + 1)
        if parent.wants_key:
            parent.key = self._key(sized.node, parent)
            parent.key_refused = parent.key is None
        elif parent.is_mapping:
            if parent.key is not None:
                parent.entries.append((parent.key, sized.node))
            parent.key, parent.key_refused = None, False
        else:
            parent.items.append(sized.node)

    def _key(self, node: Node, parent: _Open) -> ScalarNode | None:
        """The node as a key, or None with a problem noted."""
        if not isinstance(node, ScalarNode):
            self._problem(node.place, "a key must be a word", self._braces(node.place))
        elif not node.text.strip():
            self._problem(node.place, "the key is empty", "write 'key: value'")
        elif node.plain and node.text == "<<":
            self._problem(node.place, "merging with '<<' is refused", "write the keys out")
        elif node.text in parent.keys:
            first = parent.keys[node.text]
            message = f"the key {shown(node.text)} is here twice, first at {first}"
            self._problem(node.place, message, "keep one")
        else:
            parent.keys[node.text] = node.place
            return node
        return None

    def _braces(self, place: Place) -> str:
        line = self.lines[place.line - 1]
        if "{{" in line[max(0, place.column - 2) :]:
            return "quote a value that begins with '{{'"
        return ""


# -- errors of the YAML parser in plain words ----------------------------------------------------

_SAYINGS = (
    ("mapping values are not allowed", "a ':' stands where no key can be",
     "quote text that holds ': '"),
    ("could not find expected ':'", "a key without its ':'", "write 'key: value'"),
    ("did not find expected key", "this does not fit what stands above it",
     "check the indentation, quotes and brackets"),
    ("did not find expected '-' indicator", "this does not fit the list above it",
     "check the indentation"),
    ("expected ',' or ']'", "a list in [ ] lacks a ',' or its ']'", ""),
    ("expected ',' or '}'", "a mapping in { } lacks a ',' or its '}'", ""),
    ("unexpected end of stream", "a quoted text is not closed", ""),
    ("unexpected document separator", "a quoted text is not closed", ""),
    ("unknown escape character", "this backslash means nothing in double quotes",
     "double it, or use single quotes"),
    ("hexdecimal number", "this escape lacks its hexadecimal digits", ""),
    ("block sequence entries are not allowed", "a '-' stands where no list can begin",
     "put the list on the lines below its key"),
    ("expected <block end>", "this does not fit what stands above it", "check the indentation"),
    ("<document start>", "something stands after the end", "check the indentation"),
    ("expected alphabetic or numeric", "'&' or '*' must be followed by a name",
     "quote a value that begins with '&' or '*'"),
    ("cannot start any token", "a value cannot begin with this character", "quote it"),
    ("expected the node content", "a value is missing here", "check commas and brackets"),
    ("did not find expected node content", "a value is missing here", "check commas and brackets"),
)  # fmt: skip

_STARTS_WITH_BRACES = re.compile(r"\s*(?:-\s+)*(?:[^\s{}\"'#]+:\s+)?\{\{")


def in_plain_words(error: yaml.YAMLError, lines: Sequence[str]) -> tuple[int, int, str, str]:
    """Line, column, message and hint for a parser's error in a file of these ``lines``."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return 1, 1, "the file cannot be read as YAML", ""
    said = error.problem or error.context or ""
    mark = error.problem_mark or error.context_mark
    if "end of stream" in said or "document separator" in said:
        mark = error.context_mark or mark  # where it was opened helps, where the file ends does not
    if mark is None:
        return 1, 1, "the file cannot be read as YAML", ""
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or "tab character" in said:
        column = indent.find("\t") + 1 or mark.column + 1
        return mark.line + 1, column, "a tab is used for indentation", "indent with spaces"
    for known, message, hint in _SAYINGS:
        if known in said:
            braces = _STARTS_WITH_BRACES.match(line)
            advice = "quote a value that begins with '{{'" if braces else hint
            return mark.line + 1, mark.column + 1, message, advice
    return mark.line + 1, mark.column + 1, f"this is not valid YAML: {said}", ""


# -- positions of a text in the file -------------------------------------------------------------

_FAR_ENOUGH = 64 * 1024
"""Characters of one text that are mapped; templates are shorter, and nothing else is looked up."""


def line_map(event: Any, lines: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
    """(offset in the text, line, column) where each of a scalar's lines in the file begins.

    Good to the character except after an escape inside double quotes.
    """
    start, end, quoted = event.start_mark, event.end_mark, event.style in ("'", '"')
    if start.line == end.line:
        return ((0, start.line + 1, start.column + 2),) if quoted else ()
    found = []
    cursor = 0
    block = event.style in ("|", ">")
    for number in range(start.line + block, min(end.line + 1, len(lines))):
        first = start.column + quoted if number == start.line else 0
        piece = lines[number][first : end.column - quoted if number == end.line else None]
        body = piece.strip()
        while cursor < len(event.value) and event.value[cursor].isspace():
            cursor += 1
        if cursor >= min(len(event.value), _FAR_ENOUGH):
            break
        at = _find(body, event.value, cursor)
        if at >= 0:
            column = first + len(piece) - len(piece.lstrip()) + 1
            found.append((at, number + 1, column))
            cursor = at + len(body) if event.value.startswith(body, at) else at + 1
    return tuple(found)


def _find(body: str, text: str, cursor: int) -> int:
    """Where a line of the file begins in the text; only near by, to stay linear."""
    if not body:
        return -1
    if text.startswith(body, cursor):
        return cursor
    word = body.split()[0]
    return text.find(word, cursor, cursor + len(body) + len(word))
