"""sh of the modelled machine: runs the trees of ``script``, nothing of it on this machine."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tastyops.practice.calls import Call, Command, Commands, Input, Write, program_name
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.processes import Killed, Process, Processes
from tastyops.practice.sh import grammar as tree
from tastyops.practice.sh.builtins import Builtins
from tastyops.practice.sh.expansion import fields, joined
from tastyops.practice.sh.globs import expanded, pattern_of
from tastyops.practice.sh.state import Exit, Shell, Streams

_SAID = {
    1: "Hangup",
    3: "Quit",
    9: "Killed",
    10: "User defined signal 1",
    12: "User defined signal 2",
    14: "Alarm clock",
    15: "Terminated",
}
"""What a shell says of a child that a signal ended; of SIGINT and SIGPIPE it says nothing."""


class Interpreter:
    """sh(1) as far as it is modelled; ``dispatch`` runs every program that is no builtin.

    ``whole`` are scripts of tastyops' own that are answered as one program, by their text.

    A program that is not modelled ends the whole script: what would have followed on a real
    machine cannot be known.
    """

    def __init__(
        self,
        files: Files,
        processes: Processes,
        dispatch: Command,
        knows: Callable[[str], bool],
        whole: Commands | None = None,
    ) -> None:
        self._files = files
        self._processes = processes
        self._dispatch = dispatch
        self._whole = whole or {}
        self._builtins = Builtins(files, processes, knows).table()

    def commands(self) -> Commands:
        """The programs."""
        return dict.fromkeys(("sh", "dash", "bash"), self._sh)

    def _sh(self, call: Call) -> int:
        words, options = list(call.argv[1:]), ""
        while words and re.fullmatch(r"-[ceu]+", words[0]):
            options += words.pop(0)[1:]
        if "c" not in options or not words:
            raise NotModelled(f"{' '.join(call.argv[:2])}, a shell without -c SCRIPT,")
        if words[0] in self._whole:
            return self._whole[words[0]](replace(call, argv=tuple(words[1:])))
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
        """A whole shell or subshell, to its status."""
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
        """``… &``: a process of its own in the same group; its standard input is empty."""
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
        """Runs the commands one after the other, each on all of the output before it."""
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
            target = joined(shell, redirect.target, self._substitute)
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
        """What ``>``, ``>>`` or ``>&`` and its target stand for."""
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
        pattern = pattern_of(word)
        if pattern is not None:
            return expanded(self._files, shell.directory, pattern)
        return fields(shell, word, self._substitute)

    def _values(self, shell: Shell, simple: tree.Simple, before: int) -> dict[str, str]:
        """The assignments of a command. With no words, the last ``$( … )`` gives the status."""
        values: dict[str, str] = {}
        for name, word in simple.assignments:
            if any(isinstance(part, tree.Variable) and part.name == "?" for part in word):
                shell.status = before
            values[name] = joined(shell, word, self._substitute)
            if not any(isinstance(part, tree.Substitution) for part in word) and not simple.words:
                shell.status = 0
        return values

    def _program(
        self, shell: Shell, words: list[str], streams: Streams, values: dict[str, str]
    ) -> int:
        """A program as a child of the shell."""
        shell.process.check()
        process = self._processes.begin(program_name(words[0]), shell.process)
        try:
            status = self._replaced(shell, process, words, streams, values)
        except Killed as killed:
            status = 128 + killed.signal
            shell.process.check()
            if killed.signal in _SAID:
                shell.streams.err(f"{_SAID[killed.signal]}\n".encode())
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
        """A program in a process there is already."""
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
