"""GRUB's configuration language: what a ``grub.cfg`` puts into the boot menu, and its default.

A configuration is a script, so its last ``set default=`` is not what GRUB starts: a branch may
not be taken, and a variable may come from the environment block. The script is therefore run
here, on values that are either known or not. Where a condition is not known both branches are
run, and whatever differs afterwards is not known either.

Facts come from GRUB's source: ``grub-core/script/yylex.l`` (words), ``script/execute.c``
(commands, ``if``), ``commands/test.c`` (``[``), ``commands/menuentry.c`` (entries),
``kern/env.c`` (a submenu sees exported variables only).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

Value = str | None
"""A variable's value; None where it cannot be known."""

MOST_STEPS = 20_000
"""Commands run before a configuration counts as one that does not end."""

DEEPEST = 40
"""Levels of blocks and function calls; GRUB's own configurations have five."""


class NotUnderstood(Exception):
    """A script this module cannot read."""


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


# -- reading -------------------------------------------------------------------------------------

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
            raise NotUnderstood(f"line {line} cannot be read: {text[at : at + 20]!r}")
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
            raise NotUnderstood(f"{text or kind} is missing after token {self._at}")
        self._at += 1
        return token

    def block(self, *ends: str, depth: int = 0) -> Block:
        """Statements up to one of ``ends``, which stays there."""
        if depth > DEEPEST:
            raise NotUnderstood("it is nested too deeply")
        found: list[Statement] = []
        while (token := self._peek()) is not None:
            if token.kind == "end":
                self._at += 1
            elif token.text in ends and token.kind in ("word", "}"):
                return tuple(found)
            else:
                found.append(self._statement(token, depth))
        if ends:
            raise NotUnderstood(f"{' or '.join(ends)} is missing at the end")
        return tuple(found)

    def _statement(self, first: _Token, depth: int) -> Statement:
        if first.kind != "word":
            raise NotUnderstood(f"a command cannot begin with {first.text}")
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
                raise NotUnderstood(f"{first.text} is not expected there")
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


def read(text: str) -> Block:
    """A configuration's statements. Raises NotUnderstood."""
    return _Reader(_tokens(text)).block()


# -- running -------------------------------------------------------------------------------------

HERE = "(boot)/grub"
"""Where ``$prefix`` and ``$config_directory`` point: the directory grub.cfg was read from."""

_FEATURES = (
    "chainloader_bpb", "ntldr", "platform_search_hint", "default_font_path", "all_video_module",
    "menuentry_id", "menuentry_options", "200_final", "nativedisk_cmd", "timeout_style",
)  # fmt: skip
"""What every GRUB since 2.02 has (``normal/main.c``); later ones are not known."""

_OWN: Mapping[str, Value] = {
    "prefix": HERE,
    "config_directory": HERE,
    **{f"feature_{name}": "y" for name in _FEATURES},
    **dict.fromkeys(
        ("root", "cmdpath", "grub_cpu", "grub_platform", "lang", "locale_dir", "biosnum",
         "lockdown", "shim_lock", "check_signatures", "feature_search_cryptodisk_only",
         "feature_tpm2_cap_pcrs", "feature_gcry_hw_accel", "net_default_interface")
    ),
}  # fmt: skip
"""Variables GRUB sets itself, all of them exported."""

_ANYTHING = frozenset(
    ("blscfg", "bli", "configfile", "normal", "source", ".", "eval", "exit", "boot", "halt",
     "reboot", "legacy_source", "legacy_configfile", "syslinux_source", "syslinux_configfile",
     "extract_entries_source", "extract_entries_configfile", "extract_legacy_entries_source",
     "extract_syslinux_entries_source", "uki", "menuentry_from_file")
)  # fmt: skip
"""Commands after which neither variables nor entries are known."""

_LOADS = frozenset(("linux", "linux16", "linuxefi"))
_LOADS_FIRST = frozenset(("multiboot", "multiboot2", "xen_hypervisor"))
_LOADS_NEXT = frozenset(("module", "module2", "xen_module"))
_LOADS_OTHER = frozenset(("chainloader", "fwsetup", "ntldr", "freedos", "knetbsd", "kfreebsd",
                          "kopenbsd", "xnu_kernel64", "xnu_kernel", "efiboot", "appleloader",
                          "plan9", "truecrypt", "pxechainloader"))  # fmt: skip
_IMAGE = re.compile(r"(?:^|/)vmlinu[xz]")
KERNEL = " kernel"
"""The variable that keeps what an entry would start; no script can name it."""

OPTIONS = " options"
"""Likewise that kernel's command line, without the words that cannot be known."""

_STATUS = "?"
_UNKNOWN = "\0"
"""Stands for a value in a word such as ``default=…`` whose name is known."""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry or a submenu of one level of the menu.

    ``certain`` is False where a condition that is not known decides whether it is there.
    ``many`` stands for any number of entries of which nothing is known.
    """

    id: Value
    title: Value
    submenu: bool = False
    body: Block = ()
    words: tuple[Value, ...] = ()
    open: bool = True
    certain: bool = True
    many: bool = False


_MANY = Item(None, None, certain=False, many=True)


@dataclass
class World:
    """Everything a script has made so far; ``unset`` is what a variable without a value has."""

    variables: dict[str, Value] = field(default_factory=lambda: dict(_OWN))
    exported: set[str] = field(default_factory=lambda: set(_OWN))
    functions: dict[str, Block | None] = field(default_factory=dict)
    menu: list[Item] = field(default_factory=list)
    unset: Value = ""

    def copy(self) -> World:
        """The same, to be changed apart."""
        return World(dict(self.variables), set(self.exported), dict(self.functions),
                     list(self.menu), self.unset)  # fmt: skip

    def get(self, name: str) -> Value:
        """A variable's value, empty where it has none."""
        return self.variables.get(name, self.unset)

    def inside(self) -> World:
        """What a submenu's script begins with: exported variables, an empty menu."""
        kept = {name: value for name, value in self.variables.items() if name in self.exported}
        return World(kept, set(self.exported), dict(self.functions), [], self.unset)

    def forget(self) -> None:
        """Nothing is known any more but the entries so far and the names GRUB itself uses."""
        kept = (*_OWN, "menuentry_id_option")
        self.variables = {name: self.variables[name] for name in kept if name in self.variables}
        self.unset = None
        self.menu.append(_MANY)

    def merge(self, other: World) -> None:
        """What both have in common; the rest is not known."""
        names = self.variables.keys() | other.variables.keys()
        values = {name: (self.get(name), other.get(name)) for name in names}
        self.variables = {name: one if one == two else None for name, (one, two) in values.items()}
        self.unset = self.unset if self.unset == other.unset else None
        self.exported |= other.exported
        for name in self.functions.keys() | other.functions.keys():
            if self.functions.get(name) != other.functions.get(name):
                self.functions[name] = None
        same = 0
        while same < min(len(self.menu), len(other.menu)) and (
            self.menu[same] == other.menu[same]
        ):
            same += 1
        doubtful = [*self.menu[same:], *other.menu[same:]]
        self.menu[same:] = [replace(item, certain=False) for item in doubtful]


@dataclass
class Run:
    """Runs a script. ``files`` has the other scripts it may read, None for those not there.

    ``environment`` is the environment block; None where it cannot be known.
    """

    environment: Mapping[str, str] | None
    files: Mapping[str, Block | None] = field(default_factory=dict)
    block_there: bool = True
    """Whether there is an environment block."""
    steps: int = 0

    def run(self, block: Block, world: World, depth: int = 0) -> None:
        """Runs a block in a world, which it changes."""
        for statement in block:
            self.steps += 1
            if self.steps > MOST_STEPS or depth > DEEPEST:
                world.forget()
                return
            match statement:
                case Simple():
                    self._simple(statement, world, depth)
                case If(branches):
                    self._if(branches, world, depth)
                case Function(name, body):
                    world.functions[name] = body
                case Loop():
                    self._loop(statement, world, depth)

    def _if(
        self, branches: Sequence[tuple[Block | None, Block]], world: World, depth: int
    ) -> None:
        for number, (condition, body) in enumerate(branches):
            if condition is not None:
                self.run(condition, world, depth + 1)
            status = world.get(_STATUS) if condition is not None else "0"
            if status is None:
                taken = world.copy()
                self.run(body, taken, depth + 1)
                self._if(branches[number + 1 :], world, depth + 1)
                world.merge(taken)
                return
            if status == "0":
                self.run(body, world, depth + 1)
                return

    def _loop(self, loop: Loop, world: World, depth: int) -> None:
        """A ``for`` is run; what a ``while`` or ``until`` does is not known."""
        words = expand(loop.words, world)
        if not loop.variable or None in words:
            world.forget()
            return
        for word in words:
            world.variables[loop.variable] = word
            self.run(loop.body, world, depth + 1)

    def _simple(self, command: Simple, world: World, depth: int) -> None:
        words = expand(command.words, world)
        negated = words[:1] == ["!"]
        words = words[1:] if negated else words
        if not words:
            return
        name, arguments = words[0], words[1:]
        if name != "set" and not (name and name.endswith(_UNKNOWN)):
            arguments = [None if each and _UNKNOWN in each else each for each in arguments]
        status: Value = "0"
        if name is None:
            world.forget()
            status = None
        elif name in ("menuentry", "submenu"):
            world.menu.append(_item(name, arguments, command.block))
        elif name in world.functions:
            status = self._call(world.functions[name], arguments, world, depth)
        else:
            status = self._builtin(name, arguments, world, depth)
        if negated and status is not None:
            status = "1" if status == "0" else "0"
        world.variables[_STATUS] = status

    def _call(
        self, body: Block | None, arguments: Sequence[Value], world: World, depth: int
    ) -> Value:
        if body is None:
            world.forget()
            return None
        outer = {key: world.variables.get(key) for key in map(str, range(10))}
        for number in range(1, 10):
            given = arguments[number - 1] if number <= len(arguments) else ""
            world.variables[str(number)] = given
        self.run(body, world, depth + 1)
        world.variables.update({key: value or "" for key, value in outer.items()})
        return world.get(_STATUS)

    def _builtin(
        self, name: str, arguments: Sequence[Value], world: World, depth: int
    ) -> Value:
        match name:
            case "[" | "test":
                end = len(arguments) - 1 if name == "[" else len(arguments)
                found = self._test(arguments[:end], world)
                return None if found is None else "01"[not found]
            case "true" | "false":
                return "01"[name == "false"]
            case "set":
                return _set(arguments, world)
            case "unset" | "export":
                return _name(name, arguments, world)
            case "load_env":
                return self._load(arguments, world)
            case "source" | "." | "configfile" if arguments and arguments[0] in self.files:
                return self._source(str(arguments[0]), world, depth)
        if name in _ANYTHING:
            world.forget()
            world.variables[KERNEL] = world.variables[OPTIONS] = None
            return None
        if name in _LOADS | _LOADS_FIRST | _LOADS_NEXT | _LOADS_OTHER:
            _load_kernel(name, arguments, world)
            return "0"
        if "=" in name:
            return _set([name], world)
        _outside(name, arguments, world)
        return None

    def _source(self, path: str, world: World, depth: int) -> Value:
        script = self.files[path]
        if script is None:
            return "1"
        self.run(script, world, depth + 1)
        return world.get(_STATUS)

    def _load(self, arguments: Sequence[Value], world: World) -> Value:
        """``load_env``, of the block beside grub.cfg; of any other nothing is known."""
        path: Value = ""
        names: list[Value] = []
        words = list(arguments)
        while words:
            word = words.pop(0)
            if word in ("-f", "--file"):
                path = words.pop(0) if words else None
            elif word is not None and word.startswith("--file="):
                path = word.partition("=")[2]
            elif word is None or not word.startswith("-"):
                names.append(word)
        if self.environment is None or path not in ("", f"{HERE}/grubenv") or None in names:
            world.variables, world.unset = dict(_OWN), None
            return None
        if not self.block_there:
            return "1"
        for name, value in self.environment.items():
            if not names or name in names:
                world.variables[name] = value
        return "0"

    # -- conditions ------------------------------------------------------------------------------

    def _test(self, words: Sequence[Value], world: World) -> bool | None:
        """``[``, whose ``-a`` and ``-o`` have no precedence but order (``test_parse``)."""
        known = [word for word in words if word is not None]
        if len(known) < len(words):
            return None
        both, either, inverted, at = True, False, False, 0
        while at < len(known):
            if known[at] in ("(", ")"):
                return None
            if known[at] == "!" and not _is_comparison(known, at):
                inverted, at = not inverted, at + 1
                continue
            if known[at] in ("-a", "-o") and not _is_comparison(known, at):
                if known[at] == "-o":
                    either, both = either or both, True
                at += 1
                continue
            found, used = self._one(known, at)
            if found is None:
                return None
            both, inverted, at = both and found is not inverted, False, at + used
        return either or both

    def _one(self, words: Sequence[str], at: int) -> tuple[bool | None, int]:
        if _is_comparison(words, at):
            return _compare(words[at], words[at + 1], words[at + 2]), 3
        if at + 1 < len(words):
            word, after = words[at], words[at + 1]
            if word in ("-n", "-z"):
                return (after != "") is (word == "-n"), 2
            if word in ("-d", "-e", "-f", "-s"):
                return self._there(word, after), 2
        return words[at] != "", 1

    def _there(self, how: str, path: str) -> bool | None:
        if path == f"{HERE}/grubenv":
            return None if self.environment is None else self.block_there and how != "-d"
        if path in self.files:
            return self.files[path] is not None and how != "-d"
        return None


_NUMERIC = {"-eq": "==", "-ne": "!=", "-ge": ">=", "-gt": ">", "-le": "<=", "-lt": "<"}


def _is_comparison(words: Sequence[str], at: int) -> bool:
    return at + 2 < len(words) and (
        words[at + 1] in ("=", "==", "!=", "<", "<=", ">", ">=", "-pgt", "-plt")
        or words[at + 1] in _NUMERIC
        or words[at + 1][:3] in ("-nt", "-ot")
    )


def _compare(one: str, how: str, two: str) -> bool | None:
    if how in _NUMERIC:
        if not (re.fullmatch(r"-?[1-9]\d*|0", one) and re.fullmatch(r"-?[1-9]\d*|0", two)):
            return None
        return _ordered(int(one), _NUMERIC[how], int(two))
    return None if how.startswith("-") else _ordered(one, "==" if how == "=" else how, two)


def _ordered(one: int | str, how: str, two: int | str) -> bool:
    less = one < two  # type: ignore[operator]
    return {"==": one == two, "!=": one != two, "<": less, "<=": less or one == two,
            ">": not less and one != two, ">=": not less}[how]  # fmt: skip


# -- words ---------------------------------------------------------------------------------------

def expand(words: Iterable[Word], world: World) -> list[Value]:
    """The words with their variables' values; an unquoted one is split at blanks."""
    found: list[Value] = []
    for word in words:
        found += _expanded(word, world)
    return found


def _expanded(word: Word, world: World) -> list[Value]:
    pieces: list[str] = [""]
    there = False
    for part in word:
        value = world.get(part.text) if part.variable else part.text
        if part.variable and part.text in "#*@":
            value = None
        if value is None:
            first = "".join(piece.text for piece in word[:1] if not piece.variable)
            # what is assigned to is known where only the value is not
            name = re.match(r"[A-Za-z_]\w*=", first)
            return [name[0] + _UNKNOWN] if name else [None]
        if part.variable and not part.quoted:
            split = value.split()
            there = there or bool(split)
            if split:
                pieces[-1] += split[0]
                pieces += split[1:]
        else:
            there = True
            pieces[-1] += value
    return list(pieces) if there else []


# -- commands ------------------------------------------------------------------------------------

_WITH_VALUE = ("class", "users", "hotkey", "source", "id")


def _item(kind: str, arguments: Sequence[Value], block: Block | None) -> Item:
    """An entry from its words: options anywhere, the title first of the rest (``menuentry.c``)."""
    options: dict[str, Value] = {}
    rest: list[Value] = []
    words = list(arguments)
    doubtful = False
    while words:
        word = words.pop(0)
        if word is None or not word.startswith("--"):
            doubtful = doubtful or word is None
            rest.append(word)
            continue
        if word == "--":
            rest += words
            break
        name, equals, value = word[2:].partition("=")
        if name in _WITH_VALUE:
            options[name] = value if equals else (words.pop(0) if words else "")
        elif name == "unrestricted":
            options[name] = ""
        else:
            rest.append(word)
    title = rest[0] if rest else None
    identity = options.get("id", None if doubtful else title)
    open_ = "unrestricted" in options and "users" not in options
    return Item(identity, title, kind == "submenu", block or (), tuple(rest), open_)


def _load_kernel(name: str, arguments: Sequence[Value], world: World) -> None:
    files = [each for each in arguments if each is None or not each.startswith("-")]
    first = files[0] if files else None
    if name in _LOADS_NEXT:
        if world.get(KERNEL) != "" or not (first is None or _IMAGE.search(first)):
            return
    elif name not in _LOADS:
        files, first = [], ""
    world.variables[KERNEL] = first
    world.variables[OPTIONS] = " ".join(each for each in files[1:] if each)


def _set(arguments: Sequence[Value], world: World) -> Value:
    for each in arguments:
        if each is None:
            world.forget()
            return None
        name, equals, value = each.partition("=")
        if equals:
            world.variables[name] = None if _UNKNOWN in value else value
    return "0"


def _name(how: str, names: Sequence[Value], world: World) -> Value:
    """``unset`` and ``export``."""
    for each in names:
        if each is None:
            world.forget()
        elif how == "unset":
            world.variables[each] = ""
        else:
            world.exported.add(each.partition("=")[0])
    return "0"


def _outside(name: str, arguments: Sequence[Value], world: World) -> None:
    """A command of GRUB's modules: only the variables it is told to set are not known then."""
    targets: list[Value] = []
    for number, each in enumerate(arguments):
        after = arguments[number + 1] if number + 1 < len(arguments) else None
        if each in ("--set", "-s"):
            targets.append(after)
        elif each is not None and each.startswith("--set="):
            targets.append(each.partition("=")[2])
    if name == "read":
        targets += arguments
    for target in targets:
        if target is not None:
            world.variables[target.rpartition(":")[2]] = None
