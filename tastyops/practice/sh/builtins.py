"""The commands a shell runs itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tastyops.practice.files import Files, NotModelled
from tastyops.practice.processes import Processes, signal_number
from tastyops.practice.sh.grammar import SYNTAX_STATUS
from tastyops.practice.sh.printing import escapes
from tastyops.practice.sh.state import Exit, Shell, Streams

Builtin = Callable[[Shell, Streams, list[str]], int]


class Builtins:
    """sh's builtins; ``knows`` says whether there is a program of that name."""

    def __init__(self, files: Files, processes: Processes, knows: Callable[[str], bool]) -> None:
        self._files = files
        self._processes = processes
        self._knows = knows

    def table(self) -> Mapping[str, Builtin]:
        """The builtins by name."""
        return {
            ":": lambda *_: 0,
            "exit": _exit,
            "cd": self._cd,
            "export": _export,
            "unset": _unset,
            "set": _set,
            "wait": self._wait,
            "trap": _trap,
            "read": _read,
            "umask": _umask,
            "echo": _echo,
            "shift": _shift,
            "pwd": _pwd,
            "command": self._command,
        }

    def _cd(self, shell: Shell, streams: Streams, words: list[str]) -> int:
        path = shell.path(words[0] if words else "/root")
        if not self._files.is_directory(path):
            streams.err(f"{shell.name}: 1: cd: can't cd to {words[0]}\n".encode())
            return 2
        shell.directory = path
        return 0

    def _wait(self, shell: Shell, _: Streams, words: list[str]) -> int:
        pids = [int(word) for word in words if word.isdigit()] or list(shell.background)
        self._processes.wait_for(
            shell.process, lambda: all(shell.background.get(pid, 0) is not None for pid in pids)
        )
        return (shell.background.get(pids[-1], 127) or 0) if words and pids else 0

    def _command(self, shell: Shell, streams: Streams, words: list[str]) -> int:
        if len(words) != 2 or words[0] != "-v":
            raise NotModelled("the shell's `command` but for -v", SYNTAX_STATUS)
        if words[1] in self.table():
            streams.out(f"{words[1]}\n".encode())
        elif self._knows(words[1]):
            streams.out(f"/usr/bin/{words[1]}\n".encode())
        else:
            raise NotModelled(f"whether there is a command {words[1]!r}")
        return 0


def _exit(shell: Shell, streams: Streams, words: list[str]) -> int:
    if words and not words[0].isdigit():
        streams.err(f"{shell.name}: 1: exit: Illegal number: {words[0]}\n".encode())
        raise Exit(2)
    raise Exit(int(words[0]) & 0xFF if words else shell.status)


def _pwd(shell: Shell, streams: Streams, _: list[str]) -> int:
    streams.out(f"{shell.directory}\n".encode())
    return 0


def _export(shell: Shell, _: Streams, words: list[str]) -> int:
    for word in words:
        name, given, value = word.partition("=")
        shell.exported.add(name)
        if given:
            shell.variables[name] = value
    return 0


def _unset(shell: Shell, _: Streams, words: list[str]) -> int:
    for word in words:
        shell.variables.pop(word, None)
    return 0


def _set(shell: Shell, _: Streams, words: list[str]) -> int:
    for word in words:
        if not re.fullmatch(r"[-+][eu]+", word):
            raise NotModelled(f"the shell's `set {word}`", SYNTAX_STATUS)
        shell.errexit = word[0] == "-" if "e" in word else shell.errexit
        shell.nounset = word[0] == "-" if "u" in word else shell.nounset
    return 0


def _shift(shell: Shell, streams: Streams, words: list[str]) -> int:
    count = int(words[0]) if words and words[0].isdigit() else 1
    if count > len(shell.positional):
        streams.err(f"{shell.name}: 1: shift: can't shift that many\n".encode())
        raise Exit(2)
    del shell.positional[:count]
    return 0


def _umask(_: Shell, streams: Streams, words: list[str]) -> int:
    """Modes are not modelled, so setting it changes nothing that can be seen."""
    if not words:
        streams.out(b"0022\n")
    return 0


def _trap(shell: Shell, _: Streams, words: list[str]) -> int:
    numbers = [signal_number(word) for word in words[1:]]
    if not numbers or None in numbers or words[0] not in ("", "-"):
        raise NotModelled("the shell's `trap`, except to ignore signals", SYNTAX_STATUS)
    for number in numbers:
        if number is not None:
            (shell.process.ignored.discard if words[0] else shell.process.ignored.add)(number)
    return 0


def _read(shell: Shell, streams: Streams, words: list[str]) -> int:
    names = [word for word in words if word != "-r"]
    line = streams.stdin.line()
    text = (line or b"").decode("utf-8", "surrogateescape").strip()
    pieces = text.split(maxsplit=max(0, len(names) - 1))
    for index, name in enumerate(names):
        shell.variables[name] = pieces[index] if index < len(pieces) else ""
    return 0 if line and line.endswith(b"\n") else 1


def _echo(_: Shell, streams: Streams, words: list[str]) -> int:
    """dash's echo, which reads escapes and knows -n alone."""
    end = b"\n"
    if words[:1] == ["-n"]:
        words, end = words[1:], b""
    streams.out(escapes(" ".join(words)) + end)
    return 0
