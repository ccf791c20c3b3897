"""Programs that work with files and processes: cat, echo, stat, test, kill, env, sleep, …"""

from __future__ import annotations

import re

from tastyops.practice.calls import Call, Command, Commands, Input
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.processes import Killed, Processes, signal_number
from tastyops.practice.sh.conditions import holds
from tastyops.practice.sh.printing import encode, escapes, printf

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(words: tuple[str, ...]) -> float:
    """What sleep(1) and timeout(1) take. Raises ValueError."""
    total = 0.0
    for word in words:
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)([smhd]?)", word)
        if not match:
            raise ValueError(word)
        total += float(match[1]) * _UNITS[match[2]]
    return total


class Tools:
    """The programs; ``dispatch`` runs what env, setsid and the like are asked to run."""

    def __init__(self, files: Files, processes: Processes, dispatch: Command) -> None:
        self._files = files
        self._processes = processes
        self._dispatch = dispatch

    def commands(self) -> Commands:
        """The programs."""
        return {
            "cat": self._cat,
            "echo": _echo,
            "printf": _printf,
            "sleep": self._sleep,
            "stat": self._stat,
            "test": self._test,
            "[": self._test,
            "kill": self._kill,
            "env": self._env,
            "setsid": self._setsid,
            "nohup": self._nohup,
            "sudo": self._sudo,
        }

    def _cat(self, call: Call) -> int:
        status = 0
        for word in call.argv[1:] or ("-",):
            if word == "-":
                call.write_out(call.stdin.rest())
            elif word.startswith("-"):
                raise NotModelled(f"cat {word}")
            else:
                try:
                    call.write_out(self._files.read(call.path(word)))
                except FileProblem as problem:
                    call.complain(f"cat: {word}: {problem.why}")
                    status = 1
        return status

    def _sleep(self, call: Call) -> int:
        try:
            seconds = seconds_of(call.argv[1:])
        except ValueError as wrong:
            call.complain(f"sleep: invalid time interval '{wrong}'")
            return 1
        self._processes.sleep(call.process, seconds)
        return 0

    def _stat(self, call: Call) -> int:
        form, paths, plain = "", [], False
        for word in call.argv[1:]:
            if plain or not word.startswith("-"):
                paths.append(word)
            elif word == "--":
                plain = True
            elif word.startswith("--printf="):
                form = word.partition("=")[2]
            elif word.startswith("--format="):
                form = word.partition("=")[2] + "\\n"
            else:
                raise NotModelled(f"stat {word}")
        if set(re.findall(r"%(.)", form)) - {"s", "n", "%"} or not form:
            raise NotModelled("stat without --printf of %s and %n")
        status = 0
        for path in paths:
            try:
                values = {"s": str(self._files.size(call.path(path))), "n": path, "%": "%"}
            except FileProblem as problem:
                call.complain(f"stat: cannot statx '{path}': {problem.why}")
                status = 1
                continue
            call.write_out(escapes(re.sub(r"%(.)", lambda m, v=values: v[m[1]], form)))  # type: ignore[misc]
        return status

    def _test(self, call: Call) -> int:
        words = list(call.argv[1:])
        if call.argv[0].endswith("["):
            if words[-1:] != ["]"]:
                call.complain("[: missing ]")
                return 2
            words.pop()
        return holds(words, self._files, call)

    def _kill(self, call: Call) -> int:
        words, name = list(call.argv[1:]), "TERM"
        if words[:1] == ["-s"]:
            name, words = "".join(words[1:2]), words[2:]
        elif words and re.fullmatch(r"-[A-Z0-9]+", words[0]):
            name = words.pop(0)[1:]
        words = words[1:] if words[:1] == ["--"] else words
        number = signal_number(name)
        if number is None:
            raise NotModelled(f"the signal {name}")
        status = 0
        for word in words:
            if not re.fullmatch(r"-?\d+", word):
                raise NotModelled(f"kill {word}")
            target = int(word)
            if target == 0:
                found = self._processes.signal(number, group=call.process.group)
            elif target < 0:
                found = self._processes.signal(number, group=-target)
            else:
                found = self._processes.signal(number, pid=target)
            if not found:
                call.complain("kill: No such process")
                status = 1
        call.process.check()
        return status

    # -- programs that run another one -------------------------------------------------------

    def _other(self, call: Call, words: list[str], env: dict[str, str] | None = None) -> int:
        return self._dispatch(
            Call(
                tuple(words),
                call.process,
                call.stdin,
                call.write_out,
                call.write_err,
                call.env if env is None else env,
                call.directory,
            )
        )

    def _env(self, call: Call) -> int:
        words, env = list(call.argv[1:]), dict(call.env)
        while words:
            name, given, value = words[0].partition("=")
            if words[0] in ("-i", "-"):
                env.clear()
            elif words[0] == "-u" and len(words) > 1:
                words.pop(0)
                env.pop(words[0], None)
            elif name.startswith("-"):
                raise NotModelled(f"env {words[0]}")
            elif given:
                env[name] = value
            else:
                return self._other(call, words, env)
            words.pop(0)
        for name, value in env.items():
            call.say(f"{name}={value}")
        return 0

    def _nohup(self, call: Call) -> int:
        call.process.ignored.add(1)
        return self._other(call, list(call.argv[1:]))

    def _sudo(self, call: Call) -> int:
        """root needs no password; other accounts are not modelled."""
        words = list(call.argv[1:])
        while words and words[0].startswith("-"):
            option = words.pop(0)
            if option in ("-p", "--prompt") and words:
                words.pop(0)
            elif option == "--":
                break
            elif option not in ("-n", "-S", "-k", "-H", "-p", "--non-interactive", "--stdin"):
                raise NotModelled(f"sudo {option}")
        if not words or call.process.uid != 0:
            raise NotModelled(" ".join(call.argv))
        return self._other(call, words)

    def _setsid(self, call: Call) -> int:
        words = list(call.argv[1:])
        fork = words[:1] in (["-f"], ["--fork"])
        words = words[1:] if fork else words
        process = self._processes.begin("setsid", call.process, leader=True)
        # The streams stay the files they are, so that late output lands where it would.
        inner = Call(
            tuple(words),
            process,
            Input() if fork else call.stdin,
            call.write_out,
            call.write_err,
            call.env,
            call.directory,
        )
        if fork:
            self._processes.spawn(process, lambda: self._quietly(inner))
            return 0
        try:
            return self._dispatch(inner)
        except Killed as killed:
            call.process.check()
            return 128 + killed.signal
        finally:
            self._processes.end(process)

    def _quietly(self, call: Call) -> None:
        try:
            self._dispatch(call)
        except NotModelled as missing:
            call.complain(f"PRACTICE HOST: {missing} is not modelled.")


def _echo(call: Call) -> int:
    """coreutils' echo, which reads escapes with -e alone."""
    words, end, reads = list(call.argv[1:]), b"\n", False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        option = words.pop(0)
        end = b"" if "n" in option else end
        reads = "e" in option
    text = " ".join(words)
    call.write_out((escapes(text) if reads else encode(text)) + end)
    return 0


def _printf(call: Call) -> int:
    words = list(call.argv[1:])
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        call.complain("printf: missing operand")
        return 1
    try:
        call.write_out(printf(words[0], words[1:]))
    except ValueError as wrong:
        call.complain(f"printf: {wrong}: invalid conversion specification")
        return 1
    return 0
