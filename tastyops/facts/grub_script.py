"""Runs GRUB's configuration: what a ``grub.cfg`` puts into the boot menu, and its default.

A configuration is a script, so its last ``set default=`` need not be what GRUB starts: a branch
may not be taken, and a variable may come from the environment block. The script is therefore run
here, on values that are either known or unknown. If a condition is unknown, both branches run,
and every variable that differs between them is unknown afterwards.

Facts come from GRUB's source: ``grub-core/script/execute.c`` (commands, ``if``),
``commands/test.c`` (``[``), ``commands/menuentry.c`` (entries), ``kern/env.c`` (a submenu sees
exported variables only).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tastyops.facts.grub_syntax import DEEPEST, Block, Function, If, Loop, Simple, Word

Value = str | None
"""A variable's value; None if it is unknown."""

MOST_STEPS = 20_000
"""Commands that run before a configuration counts as endless."""

GRUB_DIRECTORY = "(boot)/grub"
"""The value of ``$prefix`` and ``$config_directory``: the directory of grub.cfg."""

_FEATURES = (
    "chainloader_bpb", "ntldr", "platform_search_hint", "default_font_path", "all_video_module",
    "menuentry_id", "menuentry_options", "200_final", "nativedisk_cmd", "timeout_style",
)  # fmt: skip
"""Features that every GRUB since 2.02 has (``normal/main.c``); later ones are unknown."""

_OWN: Mapping[str, Value] = {
    "prefix": GRUB_DIRECTORY,
    "config_directory": GRUB_DIRECTORY,
    **{f"feature_{name}": "y" for name in _FEATURES},
    **dict.fromkeys(
        ("root", "cmdpath", "grub_cpu", "grub_platform", "lang", "locale_dir", "biosnum",
         "lockdown", "shim_lock", "check_signatures", "feature_search_cryptodisk_only",
         "feature_tpm2_cap_pcrs", "feature_gcry_hw_accel", "net_default_interface")
    ),
}  # fmt: skip
"""Variables that GRUB sets itself; all of them are exported."""

_MAKE_ALL_UNKNOWN = frozenset(
    ("blscfg", "bli", "configfile", "normal", "source", ".", "eval", "exit", "boot", "halt",
     "reboot", "legacy_source", "legacy_configfile", "syslinux_source", "syslinux_configfile",
     "extract_entries_source", "extract_entries_configfile", "extract_legacy_entries_source",
     "extract_syslinux_entries_source", "uki", "menuentry_from_file")
)  # fmt: skip
"""Commands after which variables and entries are unknown."""

_LOADS = frozenset(("linux", "linux16", "linuxefi"))
_LOADS_FIRST = frozenset(("multiboot", "multiboot2", "xen_hypervisor"))
_LOADS_NEXT = frozenset(("module", "module2", "xen_module"))
_LOADS_OTHER = frozenset(("chainloader", "fwsetup", "ntldr", "freedos", "knetbsd", "kfreebsd",
                          "kopenbsd", "xnu_kernel64", "xnu_kernel", "efiboot", "appleloader",
                          "plan9", "truecrypt", "pxechainloader"))  # fmt: skip
_IMAGE = re.compile(r"(?:^|/)vmlinu[xz]")
KERNEL = " kernel"
"""The variable for the kernel that an entry would start; no script can use this name."""

OPTIONS = " options"
"""The variable for that kernel's command line, without the unknown words."""

_STATUS = "?"
_UNKNOWN = "\0"
"""Stands for the unknown value in a word such as ``default=…`` whose name is known."""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry or a submenu of one level of the menu.

    ``certain`` is False if an unknown condition decides whether the entry exists.
    ``many`` stands for any number of unknown entries.
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
class ScriptState:
    """A script's variables, functions and menu so far; unset variables read as ``unset``."""

    variables: dict[str, Value] = field(default_factory=lambda: dict(_OWN))
    exported: set[str] = field(default_factory=lambda: set(_OWN))
    functions: dict[str, Block | None] = field(default_factory=dict)
    menu: list[Item] = field(default_factory=list)
    unset: Value = ""

    def copy(self) -> ScriptState:
        """Return an independent copy."""
        return ScriptState(dict(self.variables), set(self.exported), dict(self.functions),
                     list(self.menu), self.unset)  # fmt: skip

    def get(self, name: str) -> Value:
        """Return a variable's value; ``unset`` if the script never set it."""
        return self.variables.get(name, self.unset)

    def submenu_state(self) -> ScriptState:
        """Return the state a submenu's script begins with: exported variables, an empty menu."""
        kept = {name: value for name, value in self.variables.items() if name in self.exported}
        return ScriptState(kept, set(self.exported), dict(self.functions), [], self.unset)

    def forget(self) -> None:
        """Make everything unknown, except the entries so far and the variables GRUB itself sets."""
        kept = (*_OWN, "menuentry_id_option")
        self.variables = {name: self.variables[name] for name in kept if name in self.variables}
        self.unset = None
        self.menu.append(_MANY)

    def merge(self, other: ScriptState) -> None:
        """Keep what both states agree on; every difference becomes unknown."""
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
class Interpreter:
    """Runs a script. ``files`` has the other scripts it may read; None for a missing one.

    ``environment`` is the environment block; None if it is unknown.
    """

    environment: Mapping[str, str] | None
    files: Mapping[str, Block | None] = field(default_factory=dict)
    block_exists: bool = True
    """Whether the host has an environment block."""
    steps: int = 0

    def run(self, block: Block, state: ScriptState, depth: int = 0) -> None:
        """Run a block and change the state accordingly."""
        for statement in block:
            self.steps += 1
            if self.steps > MOST_STEPS or depth > DEEPEST:
                state.forget()
                return
            match statement:
                case Simple():
                    self._command(statement, state, depth)
                case If(branches):
                    self._if(branches, state, depth)
                case Function(name, body):
                    state.functions[name] = body
                case Loop():
                    self._loop(statement, state, depth)

    def _if(
        self, branches: Sequence[tuple[Block | None, Block]], state: ScriptState, depth: int
    ) -> None:
        for number, (condition, body) in enumerate(branches):
            if condition is not None:
                self.run(condition, state, depth + 1)
            status = state.get(_STATUS) if condition is not None else "0"
            if status is None:
                taken = state.copy()
                self.run(body, taken, depth + 1)
                self._if(branches[number + 1 :], state, depth + 1)
                state.merge(taken)
                return
            if status == "0":
                self.run(body, state, depth + 1)
                return

    def _loop(self, loop: Loop, state: ScriptState, depth: int) -> None:
        """Run a ``for``; after a ``while`` or ``until`` everything is unknown."""
        words = expand(loop.words, state)
        if not loop.variable or None in words:
            state.forget()
            return
        for word in words:
            state.variables[loop.variable] = word
            self.run(loop.body, state, depth + 1)

    def _command(self, command: Simple, state: ScriptState, depth: int) -> None:
        words = expand(command.words, state)
        negated = words[:1] == ["!"]
        words = words[1:] if negated else words
        if not words:
            return
        name, arguments = words[0], words[1:]
        if name != "set" and not (name and name.endswith(_UNKNOWN)):
            arguments = [None if each and _UNKNOWN in each else each for each in arguments]
        status: Value = "0"
        if name is None:
            state.forget()
            status = None
        elif name in ("menuentry", "submenu"):
            state.menu.append(_item(name, arguments, command.block))
        elif name in state.functions:
            status = self._call(state.functions[name], arguments, state, depth)
        else:
            status = self._builtin(name, arguments, state, depth)
        if negated and status is not None:
            status = "1" if status == "0" else "0"
        state.variables[_STATUS] = status

    def _call(
        self, body: Block | None, arguments: Sequence[Value], state: ScriptState, depth: int
    ) -> Value:
        if body is None:
            state.forget()
            return None
        outer = {key: state.variables.get(key) for key in map(str, range(10))}
        for number in range(1, 10):
            given = arguments[number - 1] if number <= len(arguments) else ""
            state.variables[str(number)] = given
        self.run(body, state, depth + 1)
        state.variables.update({key: value or "" for key, value in outer.items()})
        return state.get(_STATUS)

    def _builtin(
        self, name: str, arguments: Sequence[Value], state: ScriptState, depth: int
    ) -> Value:
        match name:
            case "[" | "test":
                end = len(arguments) - 1 if name == "[" else len(arguments)
                found = self._test(arguments[:end], state)
                return None if found is None else "01"[not found]
            case "true" | "false":
                return "01"[name == "false"]
            case "set":
                return _set(arguments, state)
            case "unset" | "export":
                return _name(name, arguments, state)
            case "load_env":
                return self._load(arguments, state)
            case "source" | "." | "configfile" if arguments and arguments[0] in self.files:
                return self._source(str(arguments[0]), state, depth)
        if name in _MAKE_ALL_UNKNOWN:
            state.forget()
            state.variables[KERNEL] = state.variables[OPTIONS] = None
            return None
        if name in _LOADS | _LOADS_FIRST | _LOADS_NEXT | _LOADS_OTHER:
            _load_kernel(name, arguments, state)
            return "0"
        if "=" in name:
            return _set([name], state)
        _outside(name, arguments, state)
        return None

    def _source(self, path: str, state: ScriptState, depth: int) -> Value:
        script = self.files[path]
        if script is None:
            return "1"
        self.run(script, state, depth + 1)
        return state.get(_STATUS)

    def _load(self, arguments: Sequence[Value], state: ScriptState) -> Value:
        """``load_env`` of the block beside grub.cfg; after any other file everything is unknown."""
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
        beside = path in ("", f"{GRUB_DIRECTORY}/grubenv")
        if self.environment is None or not beside or None in names:
            state.variables, state.unset = dict(_OWN), None
            return None
        if not self.block_exists:
            return "1"
        for name, value in self.environment.items():
            if not names or name in names:
                state.variables[name] = value
        return "0"

    # -- conditions ------------------------------------------------------------------------------

    def _test(self, words: Sequence[Value], state: ScriptState) -> bool | None:
        """``[``: ``-a`` and ``-o`` apply in their order, without precedence (``test_parse``)."""
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
            found, used = self._condition(known, at)
            if found is None:
                return None
            both, inverted, at = both and found is not inverted, False, at + used
        return either or both

    def _condition(self, words: Sequence[str], at: int) -> tuple[bool | None, int]:
        if _is_comparison(words, at):
            return _compare(words[at], words[at + 1], words[at + 2]), 3
        if at + 1 < len(words):
            word, after = words[at], words[at + 1]
            if word in ("-n", "-z"):
                return (after != "") is (word == "-n"), 2
            if word in ("-d", "-e", "-f", "-s"):
                return self._file_test(word, after), 2
        return words[at] != "", 1

    def _file_test(self, how: str, path: str) -> bool | None:
        if path == f"{GRUB_DIRECTORY}/grubenv":
            return None if self.environment is None else self.block_exists and how != "-d"
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

def expand(words: Iterable[Word], state: ScriptState) -> list[Value]:
    """Replace variables by their values; an unquoted variable is split at blanks."""
    found: list[Value] = []
    for word in words:
        found += _expanded(word, state)
    return found


def _expanded(word: Word, state: ScriptState) -> list[Value]:
    pieces: list[str] = [""]
    there = False
    for part in word:
        value = state.get(part.text) if part.variable else part.text
        if part.variable and part.text in "#*@":
            value = None
        if value is None:
            first = "".join(piece.text for piece in word[:1] if not piece.variable)
            # the name in front of ``=`` is known even if the value is not
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


def _load_kernel(name: str, arguments: Sequence[Value], state: ScriptState) -> None:
    files = [each for each in arguments if each is None or not each.startswith("-")]
    first = files[0] if files else None
    if name in _LOADS_NEXT:
        if state.get(KERNEL) != "" or not (first is None or _IMAGE.search(first)):
            return
    elif name not in _LOADS:
        files, first = [], ""
    state.variables[KERNEL] = first
    state.variables[OPTIONS] = " ".join(each for each in files[1:] if each)


def _set(arguments: Sequence[Value], state: ScriptState) -> Value:
    for each in arguments:
        if each is None:
            state.forget()
            return None
        name, equals, value = each.partition("=")
        if equals:
            state.variables[name] = None if _UNKNOWN in value else value
    return "0"


def _name(how: str, names: Sequence[Value], state: ScriptState) -> Value:
    """``unset`` and ``export``."""
    for each in names:
        if each is None:
            state.forget()
        elif how == "unset":
            state.variables[each] = ""
        else:
            state.exported.add(each.partition("=")[0])
    return "0"


def _outside(name: str, arguments: Sequence[Value], state: ScriptState) -> None:
    """A command of GRUB's modules: the variables that it sets become unknown, no others."""
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
            state.variables[target.rpartition(":")[2]] = None
