"""sh of the modelled machine: runs the trees of ``grammar``; no process of the real machine.

Expansion of words and patterns, the builtins, and the interpreter itself.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tastyops.practice.calls import Call, Command, Commands, Input, Write, program_name
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.processes import Killed, Process, Processes, signal_number
from tastyops.practice.sh import grammar as tree
from tastyops.practice.sh.grammar import SYNTAX_STATUS
from tastyops.practice.sh.printing import escapes


class Exit(Exception):
    """Raised to end the shell or subshell with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Streams:
    """Where a command's standard streams go."""

    stdin: Input
    out: Write
    err: Write


@dataclass
class Shell:
    """One shell's state; a subshell works on a copy of it."""

    process: Process
    streams: Streams
    variables: dict[str, str]
    directory: str
    name: str
    positional: list[str]
    exported: set[str]
    status: int = 0
    last: int | None = None
    """The last process put in the background."""
    errexit: bool = False
    nounset: bool = False
    background: dict[int, int | None] = field(default_factory=dict)
    """Background processes, each with its status once it has ended."""

    def copy(self, streams: Streams) -> Shell:
        """A subshell; its changes are lost when it ends."""
        return replace(
            self,
            streams=streams,
            variables=dict(self.variables),
            exported=set(self.exported),
            positional=list(self.positional),
            background={},
        )

    def environment(self) -> dict[str, str]:
        """Environment of the programs the shell runs."""
        return {n: self.variables[n] for n in sorted(self.exported) if n in self.variables}

    def path(self, word: str) -> str:
        """The absolute path a word stands for."""
        return posixpath.normpath(posixpath.join(self.directory, word)).replace("//", "/", 1)


Substitute = Callable[[Shell, tree.Script], str]
"""Runs the body of a ``$( … )`` and gives its output."""


def expand_to_text(shell: Shell, word: tree.Word, substitute: Substitute) -> str:
    """Expands a word to one text, as in an assignment."""
    return "".join(_value(shell, part, substitute) for part in word)


def expand_to_fields(shell: Shell, word: tree.Word, substitute: Substitute) -> list[str]:
    """Expands a word to arguments: unquoted values are split at blanks."""
    if any(isinstance(part, tree.Variable) and part.name == "@" for part in word):
        return _positional_arguments(shell, word)
    plain = "".join(p.text for p in word if isinstance(p, tree.Text) and not p.quoted)
    if re.search(r"[*?]|\[.+\]", plain) or plain.startswith("~"):
        raise NotModelled(f"the shell's pattern {plain}", tree.SYNTAX_STATUS)
    found: list[str] = []
    joins = False  # whether the next text continues the last field
    for part in word:
        value = _value(shell, part, substitute)
        whole = part.quoted or isinstance(part, tree.Text)
        pieces = [value] if whole else value.split()
        joins = joins and (whole or not value[:1].isspace())
        for piece in pieces:
            if joins:
                found[-1] += piece
            else:
                found.append(piece)
            joins = piece is pieces[-1]
        joins = joins and (whole or not value[-1:].isspace())
    return found


def _positional_arguments(shell: Shell, word: tree.Word) -> list[str]:
    if len([part for part in word if part != tree.Text("", quoted=True)]) > 1:
        raise NotModelled('the shell\'s "$@" inside a longer word', tree.SYNTAX_STATUS)
    return list(shell.positional)


def _value(
    shell: Shell, part: tree.Text | tree.Variable | tree.Substitution, substitute: Substitute
) -> str:
    if isinstance(part, tree.Text):
        return part.text
    if isinstance(part, tree.Substitution):
        return substitute(shell, part.body).replace("\0", "").rstrip("\n")
    return _variable(shell, part.name)


def _variable(shell: Shell, name: str) -> str:
    special = {
        "?": str(shell.status),
        "$": str(shell.process.pid),
        "#": str(len(shell.positional)),
        "!": "" if shell.last is None else str(shell.last),
        "0": shell.name,
        "*": " ".join(shell.positional),
    }
    if name in special:
        return special[name]
    if name.isdigit():
        value = next(iter(shell.positional[int(name) - 1 : int(name)]), None)
    else:
        value = shell.variables.get(name)
    if value is None and shell.nounset:
        shell.streams.err(f"{shell.name}: 1: {name}: parameter not set\n".encode())
        raise Exit(2)
    return value or ""


def glob_pattern(word: tree.Word) -> str | None:
    """The text of a word that is only a pattern of ``*`` and ``?``; None for any other."""
    if any(not isinstance(part, tree.Text) or part.quoted for part in word):
        return None
    text = "".join(part.text for part in word if isinstance(part, tree.Text))
    return text if ("*" in text or "?" in text) and "[" not in text else None


def expand_pattern(files: Files, directory: str, pattern: str) -> list[str]:
    """Paths that match, sorted, relative if the pattern is; the pattern itself without a match."""
    absolute = pattern.startswith("/")
    found = ["/" if absolute else ""]
    for part in pattern.strip("/").split("/"):
        found = [
            posixpath.join(base, name)
            for base in found
            for name in _names(files, posixpath.join(directory, base), part)
        ]
    return sorted(found) or [pattern]


def _names(files: Files, directory: str, part: str) -> list[str]:
    directory = posixpath.normpath(directory)
    if "*" not in part and "?" not in part:
        return [part] if files.exists(posixpath.join(directory, part)) else []
    if not files.is_directory(directory):
        return []
    names = (n for n in files.names(directory) if not n.startswith(".") or part.startswith("."))
    return [name for name in names if fnmatch.fnmatchcase(name, part)]


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
    """umask: modes are not modelled, so setting one has no effect."""
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
    """dash's echo, which interprets escapes and knows only -n."""
    end = b"\n"
    if words[:1] == ["-n"]:
        words, end = words[1:], b""
    streams.out(escapes(" ".join(words)) + end)
    return 0


_SIGNAL_MESSAGES = {
    1: "Hangup",
    3: "Quit",
    9: "Killed",
    10: "User defined signal 1",
    12: "User defined signal 2",
    14: "Alarm clock",
    15: "Terminated",
}
"""Messages about a child that a signal ended; for SIGINT and SIGPIPE a shell prints none."""


class Interpreter:
    """sh(1) as far as it is modelled; ``dispatch`` runs every program that is not a builtin.

    ``scripts`` maps the text of a script of tastyops to the program that answers it.

    A program that is not modelled ends the script: what a real machine would do next is unknown.
    """

    def __init__(
        self,
        files: Files,
        processes: Processes,
        dispatch: Command,
        knows: Callable[[str], bool],
        scripts: Commands | None = None,
    ) -> None:
        self._files = files
        self._processes = processes
        self._dispatch = dispatch
        self._scripts = scripts or {}
        self._builtins = Builtins(files, processes, knows).table()

    def commands(self) -> Commands:
        """The programs by name."""
        return dict.fromkeys(("sh", "dash", "bash"), self._sh)

    def _sh(self, call: Call) -> int:
        words, options = list(call.argv[1:]), ""
        while words and re.fullmatch(r"-[ceu]+", words[0]):
            options += words.pop(0)[1:]
        if "c" not in options or not words:
            raise NotModelled(f"{' '.join(call.argv[:2])}, a shell without -c SCRIPT,")
        if words[0] in self._scripts:
            return self._scripts[words[0]](replace(call, argv=tuple(words[1:])))
        shell = Shell(
            process=call.process,
            streams=Streams(call.stdin, call.write_out, call.write_err),
            variables=dict(call.env),
            directory=call.directory,
            name=words[1] if len(words) > 1 else call.argv[0],
            positional=words[2:],
            exported=set(call.env),
            errexit="e" in options,
            nounset="u" in options,
        )
        try:
            return self._top(shell, tree.parse(words[0]))
        except tree.SyntaxProblem as problem:
            call.complain(f"{shell.name}: 1: Syntax error: {problem}")
            return tree.SYNTAX_STATUS

    # -- control -----------------------------------------------------------------------------

    def _top(self, shell: Shell, script: tree.Script) -> int:
        """Runs a whole shell or subshell, and gives its exit status."""
        try:
            self._script(shell, script)
        except Exit as end:
            return end.status
        return shell.status

    def _script(self, shell: Shell, script: tree.Script) -> None:
        for item in script.items:
            if item.background:
                self._start(shell, item)
                continue
            for index, (operator, pipeline) in enumerate(item.parts):
                if (operator == "&&" and shell.status) or (operator == "||" and not shell.status):
                    continue
                shell.status = self._pipeline(shell, pipeline)
                last = index == len(item.parts) - 1
                if shell.status and shell.errexit and last and not pipeline.negated:
                    raise Exit(shell.status)

    def _start(self, shell: Shell, item: tree.Item) -> None:
        """``… &``: a process in the same group with an empty standard input."""
        process = self._processes.begin("sh", shell.process)
        child = shell.copy(replace(shell.streams, stdin=Input()))
        child.process = process
        shell.last, shell.background[process.pid] = process.pid, None
        body = tree.Script([tree.Item(item.parts)])

        def work() -> None:
            status = 127
            try:
                status = self._top(child, body)
            except NotModelled as missing:
                child.streams.err(f"PRACTICE HOST: {missing} is not modelled.\n".encode())
            except Killed as killed:
                status = 128 + killed.signal
                raise
            finally:
                shell.background[process.pid] = status

        self._processes.spawn(process, work)
        shell.status = 0

    def _pipeline(self, shell: Shell, pipeline: tree.Pipeline) -> int:
        """Runs the commands in order, each on the whole output of the one before."""
        stdin, *left = shell.streams.stdin, *pipeline.commands
        while len(left) > 1:
            piped = bytearray()
            inner = shell.copy(replace(shell.streams, stdin=stdin, out=piped.extend))
            self._command(inner, left.pop(0))
            stdin = Input(bytes(piped))
        inner = shell
        if len(pipeline.commands) > 1:
            inner = shell.copy(replace(shell.streams, stdin=stdin))
        status = self._command(inner, left[0])
        return int(not status) if pipeline.negated else status

    def _command(self, shell: Shell, command: tree.Command) -> int:
        try:
            streams = self._redirected(shell, command.redirects)
        except FileProblem as problem:
            shell.streams.err(f"{shell.name}: 1: cannot open {problem}\n".encode())
            return 2
        if isinstance(command, tree.Simple):
            return self._simple(shell, command, streams)
        if isinstance(command, tree.Group) and command.subshell:
            return self._top(shell.copy(streams), command.body)
        outer, shell.streams = shell.streams, streams
        try:
            if isinstance(command, tree.Loop):
                self._loop(shell, command)
            else:
                self._script(shell, command.body)
        finally:
            shell.streams = outer
        return shell.status

    def _loop(self, shell: Shell, loop: tree.Loop) -> None:
        words = [text for word in loop.words or () for text in self._fields(shell, word)]
        shell.status = 0
        for word in shell.positional if loop.words is None else words:
            shell.process.check()
            shell.variables[loop.name] = word
            self._script(shell, loop.body)

    def _substitute(self, shell: Shell, body: tree.Script) -> str:
        out = bytearray()
        inner = shell.copy(replace(shell.streams, out=out.extend))
        shell.status = self._top(inner, body)
        return out.decode("utf-8", "surrogateescape")

    # -- redirections ------------------------------------------------------------------------

    def _redirected(self, shell: Shell, redirects: list[tree.Redirect]) -> Streams:
        streams = replace(shell.streams)
        for redirect in redirects:
            target = expand_to_text(shell, redirect.target, self._substitute)
            if redirect.operator == "<":
                streams.stdin = Input(self._files.read(shell.path(target)))
                continue
            write = self._writer(shell, streams, redirect.operator, target)
            if redirect.fd == 1:
                streams.out = write
            else:
                streams.err = write
        return streams

    def _writer(self, shell: Shell, streams: Streams, operator: str, target: str) -> Write:
        """Opens the target of ``>``, ``>>`` or ``>&``."""
        if operator in (">", ">>") and target not in ("/dev/stdout", "/dev/stderr"):
            return self._files.open(shell.path(target), append=operator == ">>").write
        if target in ("1", "/dev/stdout"):
            return streams.out
        if target in ("2", "/dev/stderr"):
            return streams.err
        raise NotModelled(f"the shell's {operator}{target}", tree.SYNTAX_STATUS)

    # -- one command -------------------------------------------------------------------------

    def _simple(self, shell: Shell, simple: tree.Simple, streams: Streams) -> int:
        words = [text for word in simple.words for text in self._fields(shell, word)]
        if not words:
            before, shell.status = shell.status, 0
            values = self._values(shell, simple, before)
            shell.variables.update(values)
            return shell.status
        values = self._values(shell, simple, shell.status)
        builtin = self._builtins.get(words[0])
        if words[0] == "exec":
            return self._exec(shell, words[1:], streams)
        if builtin:
            shell.variables.update(values)
            return builtin(shell, streams, words[1:])
        return self._program(shell, words, streams, values)

    def _fields(self, shell: Shell, word: tree.Word) -> list[str]:
        pattern = glob_pattern(word)
        if pattern is not None:
            return expand_pattern(self._files, shell.directory, pattern)
        return expand_to_fields(shell, word, self._substitute)

    def _values(self, shell: Shell, simple: tree.Simple, before: int) -> dict[str, str]:
        """Makes a command's assignments. Without words the last ``$( … )`` gives the status."""
        values: dict[str, str] = {}
        for name, word in simple.assignments:
            if any(isinstance(part, tree.Variable) and part.name == "?" for part in word):
                shell.status = before
            values[name] = expand_to_text(shell, word, self._substitute)
            if not any(isinstance(part, tree.Substitution) for part in word) and not simple.words:
                shell.status = 0
        return values

    def _program(
        self, shell: Shell, words: list[str], streams: Streams, values: dict[str, str]
    ) -> int:
        """Runs a program as a child of the shell."""
        shell.process.check()
        process = self._processes.begin(program_name(words[0]), shell.process)
        try:
            status = self._replaced(shell, process, words, streams, values)
        except Killed as killed:
            status = 128 + killed.signal
            shell.process.check()
            if killed.signal in _SIGNAL_MESSAGES:
                shell.streams.err(f"{_SIGNAL_MESSAGES[killed.signal]}\n".encode())
        finally:
            self._processes.end(process)
        shell.process.check()
        return status

    def _replaced(
        self,
        shell: Shell,
        process: Process,
        words: list[str],
        streams: Streams,
        values: dict[str, str],
    ) -> int:
        """Runs a program in an existing process."""
        env = {**shell.environment(), **values}
        call = Call(
            tuple(words),
            process,
            streams.stdin,
            streams.out,
            streams.err,
            env,
            shell.directory,
        )
        try:
            return self._dispatch(call)
        except FileProblem as problem:
            call.complain(f"{words[0]}: {problem}")
            return 1

    def _exec(self, shell: Shell, words: list[str], streams: Streams) -> int:
        if not words:
            shell.streams = streams
            return 0
        raise Exit(self._replaced(shell, shell.process, words, streams, {}))
