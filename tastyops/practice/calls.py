"""One program being run on the modelled machine: its words, its streams, its process."""

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
    """A standard input: bytes, and how far they have been read."""

    data: bytes = b""
    at: int = 0

    def rest(self) -> bytes:
        """Everything not yet read."""
        rest, self.at = self.data[self.at :], len(self.data)
        return rest

    def line(self) -> bytes | None:
        """The next line with its newline, None at the end."""
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
        """Text on standard output."""
        self.write_out((text + end).encode("utf-8", "surrogateescape"))

    def complain(self, text: str) -> None:
        """A line on standard error."""
        self.write_err((text + "\n").encode("utf-8", "surrogateescape"))

    def path(self, word: str) -> str:
        """The absolute path a word stands for."""
        path = posixpath.normpath(posixpath.join(self.directory, word))
        return path.replace("//", "/", 1)


Command = Callable[[Call], int]
"""A modelled program: does its work and gives its exit status."""

Commands = Mapping[str, Command]


def program_name(word: str) -> str:
    """``/usr/bin/cat`` is ``cat``; a path outside of ``PATH`` stays what it is."""
    directory, name = posixpath.split(word)
    return name if directory in PATH and name else word
