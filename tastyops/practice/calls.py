"""A program running on the modelled machine: arguments, streams, process."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tastyops.practice.processes import Process

Write = Callable[[bytes], object]
"""Takes the bytes of an output stream."""

PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass
class Input:
    """A standard input: bytes, and the position reached."""

    data: bytes = b""
    at: int = 0

    def rest(self) -> bytes:
        """Reads everything that is left."""
        rest, self.at = self.data[self.at :], len(self.data)
        return rest

    def line(self) -> bytes | None:
        """Reads the next line with its newline; None at the end."""
        end = self.data.find(b"\n", self.at) + 1 or len(self.data)
        line, self.at = self.data[self.at : end], end
        return line or None


@dataclass
class Call:
    """A program's arguments (``argv[0]`` is its name), streams, environment and directory."""

    argv: tuple[str, ...]
    process: Process
    stdin: Input
    write_out: Write
    write_err: Write
    env: dict[str, str] = field(default_factory=dict)
    directory: str = "/root"

    def say(self, text: str, end: str = "\n") -> None:
        """Writes text to standard output."""
        self.write_out((text + end).encode("utf-8", "surrogateescape"))

    def complain(self, text: str) -> None:
        """Writes a line to standard error."""
        self.write_err((text + "\n").encode("utf-8", "surrogateescape"))

    def path(self, word: str) -> str:
        """The absolute path of a word, relative to the current directory."""
        path = posixpath.normpath(posixpath.join(self.directory, word))
        return path.replace("//", "/", 1)


Command = Callable[[Call], int]
"""A modelled program: does its work and gives its exit status."""

Commands = Mapping[str, Command]


def program_name(word: str) -> str:
    """``cat`` for ``/usr/bin/cat``; a path outside ``PATH`` is kept."""
    directory, name = posixpath.split(word)
    return name if directory in PATH and name else word
