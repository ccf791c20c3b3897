"""Programs that work with files, text and processes: cat, grep, cp, stat, kill, env, sleep, …"""

from __future__ import annotations

import itertools
import re

from tastyops.practice.calls import Call, Command, Commands, Input
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.filesystems import Mounts
from tastyops.practice.processes import Killed, Processes, signal_number
from tastyops.practice.sh.conditions import holds
from tastyops.practice.sh.printing import encode, escapes, printf
from tastyops.protocol.serial_mux import cksum

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(words: tuple[str, ...]) -> float:
    """Seconds of a duration as sleep(1) and timeout(1) read it. Raises ValueError."""
    total = 0.0
    for word in words:
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)([smhd]?)", word)
        if not match:
            raise ValueError(word)
        total += float(match[1]) * _UNITS[match[2]]
    return total


class ProcessTools:
    """Programs over processes and streams; ``dispatch`` runs the program env or setsid names."""

    def __init__(self, files: Files, processes: Processes, dispatch: Command) -> None:
        self._files = files
        self._processes = processes
        self._dispatch = dispatch

    def commands(self) -> Commands:
        """The programs by name."""
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
        """sudo(8): root needs no password; other accounts are not modelled."""
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
        # The streams stay open, so that output of a background program reaches the same files.
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
    """coreutils' echo, which interprets escapes only with -e."""
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


_GREP = {"--no-messages": "s", "--with-filename": "H", "--quiet": "q", "--count": "c"}
"""Long names of grep's options."""


class TextTools:
    """Programs that read, list, copy and remove files."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def commands(self) -> Commands:
        """The programs by name."""
        return {
            "head": self._ends(first=True),
            "tail": self._ends(first=False),
            "wc": self._wc,
            "cksum": self._cksum,
            "grep": self._grep,
            "seq": _seq,
            "ls": self._ls,
            "rm": self._rm,
            "mkdir": self._mkdir,
            "touch": self._touch,
            "tee": self._tee,
            "cp": self._cp,
            "mv": self._mv,
        }

    def _input(self, call: Call, paths: list[str]) -> bytes:
        if not paths:
            return call.stdin.rest()
        return b"".join(self._files.read(call.path(path)) for path in paths)

    def _ends(self, *, first: bool) -> Command:
        def run(call: Call) -> int:
            text = " ".join(call.argv[1:])
            match = re.match(r"(?:-(n|c) ?(\d+)|-(\d+))(?: |$)", text)
            words = list(call.argv[1:])
            unit, count = "n", 10
            if match:
                unit, count = match[1] or "n", int(match[2] or match[3])
                words = text[match.end() :].split()
            if any(word.startswith("-") for word in words):
                raise NotModelled(" ".join(call.argv))
            if words == ["/dev/zero"] and first and unit == "c":
                call.write_out(bytes(count))
                return 0
            if first and unit == "c" and len(words) == 1:
                call.write_out(self._files.head(call.path(words[0]), count))
                return 0
            call.write_out(_end(self._input(call, words), unit, count, first=first))
            return 0

        return run

    def _wc(self, call: Call) -> int:
        options = [word for word in call.argv[1:] if word.startswith("-")]
        paths = [word for word in call.argv[1:] if not word.startswith("-")]
        data = self._input(call, paths)
        counts = {"-l": data.count(b"\n"), "-w": len(data.split()), "-c": len(data)}
        if set(options) - set(counts) or len(options) != 1 or len(paths) > 1:
            raise NotModelled(" ".join(call.argv))
        call.say(" ".join([str(counts[options[0]]), *paths]))
        return 0

    def _cksum(self, call: Call) -> int:
        if len(call.argv) > 1:
            raise NotModelled(" ".join(call.argv))
        data = call.stdin.rest()
        call.say(f"{cksum(data)} {len(data)}")
        return 0

    def _grep(self, call: Call) -> int:
        options = "".join(
            _GREP.get(word, word.removeprefix("-"))
            for word in call.argv[1:]
            if word.startswith("-")
        )
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        several = options.count("e")
        if set(options) - set("qcviFEsHhe") or len(words) <= max(0, several - 1):
            raise NotModelled(" ".join(call.argv))
        if several:  # each comes right behind its -e
            given = [b for a, b in itertools.pairwise(call.argv) if a.startswith("-") and "e" in a]
            if several != len(given) or words[:several] != given or "F" in options:
                raise NotModelled(" ".join(call.argv))
            words = ["|".join(given), *words[several:]]
        pattern = words[0]
        if "F" in options:
            pattern = re.escape(pattern)
        elif re.search(r"[\\(){}+?]" if several else r"[\\(){}|+?]", pattern):
            raise NotModelled(f"grep's pattern {pattern}")
        found = re.compile(pattern.encode(), re.IGNORECASE if "i" in options else 0)
        named = "H" in options or (len(words) > 2 and "h" not in options)
        hits: list[bytes] = []
        missing = False
        for path in words[1:] or [""]:
            try:
                lines = self._input(call, [path] if path else []).splitlines()
            except FileProblem as problem:
                missing = True
                if "s" not in options:
                    call.complain(f"grep: {path}: {problem.why}")
                continue
            head = f"{path}:".encode() if named else b""
            hits += [head + ln for ln in lines if bool(found.search(ln)) != ("v" in options)]
        if "c" in options:
            call.say(str(len(hits)))
        elif "q" not in options:
            call.write_out(b"".join(line + b"\n" for line in hits))
        return 2 if missing else 0 if hits else 1

    def _ls(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if word not in ("-1", "-a", "-A", "--")]
        if any(word.startswith("-") for word in words):
            raise NotModelled(" ".join(call.argv))
        status = 0
        for word in words or ["."]:
            path = call.path(word)
            if self._files.is_directory(path):
                names = self._files.names(path)
                call.say("".join(f"{name}\n" for name in names), end="")
            elif self._files.exists(path):
                call.say(word)
            else:
                call.complain(f"ls: cannot access '{word}': No such file or directory")
                status = 2
        return status

    def _rm(self, call: Call) -> int:
        options = "".join(word[1:] for word in call.argv[1:] if re.fullmatch(r"-[rRf]+", word))
        words = [w for w in call.argv[1:] if not re.fullmatch(r"-[rRf]+|--", w)]
        if any(word.startswith("-") for word in words):
            raise NotModelled(" ".join(call.argv))
        status = 0
        for word in words:
            path = call.path(word)
            try:
                if self._files.is_directory(path) and options.lower().count("r"):
                    self._files.remove_directory(path)
                else:
                    self._files.remove(path)
            except FileProblem as problem:
                if "f" not in options or self._files.exists(path):
                    call.complain(f"rm: cannot remove '{word}': {problem.why}")
                    status = 1
        return status

    def _mkdir(self, call: Call) -> int:
        parents = "-p" in call.argv
        for word in (word for word in call.argv[1:] if word not in ("-p", "--")):
            if word.startswith("-"):
                raise NotModelled(f"mkdir {word}")
            if parents and not self._files.is_file(call.path(word)):
                self._files.add_directory(call.path(word))
                continue
            try:
                self._files.make_directory(call.path(word))
            except FileProblem as problem:
                call.complain(f"mkdir: cannot create directory '{word}': {problem.why}")
                return 1
        return 0

    def _touch(self, call: Call) -> int:
        for word in call.argv[1:]:
            if word.startswith("-"):
                raise NotModelled(f"touch {word}")
            if not self._files.exists(call.path(word)):
                self._files.open(call.path(word))
        return 0

    def _tee(self, call: Call) -> int:
        appends = "-a" in call.argv
        data = call.stdin.rest()
        call.write_out(data)
        for word in (word for word in call.argv[1:] if word != "-a"):
            self._files.open(call.path(word), append=appends).write(data)
        return 0

    def _cp(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if word not in ("-p", "-a", "-f", "--")]
        if len(words) != 2 or any(word.startswith("-") for word in words):
            raise NotModelled(" ".join(call.argv))
        source, target = call.path(words[0]), call.path(words[1])
        if self._files.is_directory(target):
            target = f"{target}/{source.rpartition('/')[2]}"
        file = self._files.file(source)
        if file.opaque is not None:
            self._files.add_opaque(target, file.opaque, bytes(file.data))
        else:
            data = self._files.read(source)
            self._files.open(target).write(data)
        return 0

    def _mv(self, call: Call) -> int:
        status = self._cp(call)
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        self._files.remove(call.path(words[0]))
        return status


def _end(data: bytes, unit: str, count: int, *, first: bool) -> bytes:
    """The first or the last ``count`` bytes or lines."""
    if unit == "c":
        return data[:count] if first else data[max(0, len(data) - count) :]
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:count] if first else lines[max(0, len(lines) - count) :])


def _seq(call: Call) -> int:
    numbers = [int(word) for word in call.argv[1:] if re.fullmatch(r"-?\d+", word)]
    if len(numbers) != len(call.argv) - 1 or not 1 <= len(numbers) <= 2:
        raise NotModelled(" ".join(call.argv))
    first, last = (1, numbers[0]) if len(numbers) == 1 else numbers
    call.say("".join(f"{n}\n" for n in range(first, last + 1)), end="")
    return 0


class FileTools:
    """df, mktemp, chmod, sync, cmp. Files have no modes, and every write is on disk at once."""

    def __init__(self, files: Files, mounts: Mounts) -> None:
        self._files, self._mounts = files, mounts
        self._made = 0

    def commands(self) -> Commands:
        """The programs by name."""
        return {
            "df": self._df,
            "mktemp": self._mktemp,
            "chmod": self._chmod,
            "sync": self._sync,
            "cmp": self._cmp,
        }

    def _df(self, call: Call) -> int:
        """df(1): free bytes of a filesystem, by its mount point."""
        match call.argv[1:]:
            case ["--output=avail", "-B1", place] if place.startswith("/"):
                found = self._mounts.at(place) or self._mounts.at("/")
            case _:
                raise NotModelled(" ".join(call.argv))
        if found is None:
            raise NotModelled(" ".join(call.argv))
        call.say(f"     Avail\n{found.filesystem.size - found.filesystem.used}")
        return 0

    def _mktemp(self, call: Call) -> int:
        if len(call.argv) != 2 or not call.argv[1].endswith("XXXXXX"):
            raise NotModelled(" ".join(call.argv))
        self._made += 1
        path = call.path(f"{call.argv[1][:-6]}{self._made:06}")
        self._files.open(path, fresh=True)
        call.say(path)
        return 0

    def _chmod(self, call: Call) -> int:
        mode, *names = call.argv[1:]
        if not re.fullmatch(r"[0-7]{3,4}|[augo]*[-+=][rwxX]+", mode) or not names:
            raise NotModelled(" ".join(call.argv))
        return self._require_all(call, names)

    def _sync(self, call: Call) -> int:
        return self._require_all(call, [word for word in call.argv[1:] if word not in ("-f", "-d")])

    def _require_all(self, call: Call, names: list[str]) -> int:
        missing = [name for name in names if not self._files.exists(call.path(name))]
        for name in missing:
            call.complain(f"{call.argv[0]}: cannot access '{name}': No such file or directory")
        return 1 if missing else 0

    def _cmp(self, call: Call) -> int:
        if call.argv[1:2] != ("-s",) or len(call.argv) != 4:
            raise NotModelled(" ".join(call.argv))
        try:
            left, right = (self._files.file(call.path(name)) for name in call.argv[2:])
        except FileProblem as problem:
            call.complain(f"cmp: {problem}")
            return 2
        same = (left.data, left.opaque) == (right.data, right.opaque)
        return 0 if same and left.make is None and right.make is None else 1
