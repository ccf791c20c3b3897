"""Small programs for looking at text and files: head, tail, wc, grep, seq, ls, rm, …"""

from __future__ import annotations

import itertools
import re

from tastyops.practice.calls import Call, Command, Commands
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.protocol.serial_mux import cksum

_GREP = {"--no-messages": "s", "--with-filename": "H", "--quiet": "q", "--count": "c"}
"""Long names of grep's options."""


class TextTools:
    """The programs, over the files of the machine."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def commands(self) -> Commands:
        """The programs."""
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
