"""A small filesystem in memory, for the modelled machine's disks, /proc and /sys."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field


class FileProblem(Exception):
    """A failed system call on a path, with strerror's text."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class NotModelled(Exception):
    """Something a real machine can do and the model cannot; ``status`` is the exit status."""

    def __init__(self, what: str, status: int = 127) -> None:
        super().__init__(what)
        self.status = status


@dataclass
class File:
    """A file: bytes, or a function that makes them when read (/proc), or only a size."""

    data: bytearray = field(default_factory=bytearray)
    make: Callable[[], bytes] | None = None
    opaque: int | None = None
    """Size of a file whose bytes are not modelled, such as a kernel image.

    ``data`` may hold its first bytes.
    """

    def size(self) -> int:
        """Size in bytes; 0 for a file of /proc, as in the kernel."""
        if self.make is not None:
            return 0
        return len(self.data) if self.opaque is None else self.opaque

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        if self.opaque is not None:
            self.opaque += len(data)
        else:
            self.data += data


class _Null(File):
    def write(self, data: bytes) -> None:
        """Discards."""


class _Switch(File):
    """A file of sysfs with an effect when it is written."""

    def __init__(self, flip: Callable[[bytes], None]) -> None:
        super().__init__()
        self._flip = flip

    def write(self, data: bytes) -> None:
        """Passes the bytes to the function."""
        self._flip(data)


class Files:
    """Files by absolute path. No links, no owners, no modes: root sees everything."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {"/dev/null": _Null()}
        self._directories: set[str] = {"/"}
        self.add_directory("/dev/shm")  # noqa: S108  the model's, not ours

    # -- for building the machine ------------------------------------------------------------

    def add(self, path: str, content: str | bytes | Callable[[], bytes]) -> None:
        """Adds a file, and its directories."""
        self.add_directory(posixpath.dirname(path))
        if callable(content):
            self._files[path] = File(make=content)
        else:
            data = content.encode() if isinstance(content, str) else content
            self._files[path] = File(bytearray(data))

    def add_switch(self, path: str, flip: Callable[[bytes], None]) -> None:
        """Adds a file that calls ``flip`` with what is written to it."""
        self.add_directory(posixpath.dirname(path))
        self._files[path] = _Switch(flip)

    def add_opaque(self, path: str, size: int, head: bytes = b"") -> None:
        """Adds a file of which only the size and the first bytes are modelled."""
        self.add_directory(posixpath.dirname(path))
        self._files[path] = File(bytearray(head), opaque=size)

    def head(self, path: str, count: int) -> bytes:
        """First bytes of a file; zeros where they are not modelled. Raises FileProblem."""
        file = self.file(path)
        if file.opaque is None:
            return self.read(path)[:count]
        count = min(count, file.opaque)
        return bytes(file.data[:count]).ljust(count, b"\0")

    def add_directory(self, path: str) -> None:
        """Adds a directory and its parents."""
        while path not in self._directories:
            self._directories.add(path)
            path = posixpath.dirname(path)

    def clear(self, directory: str) -> None:
        """Empties a directory, as a boot empties a tmpfs."""
        inside = directory + "/"
        for path in [p for p in self._files if p.startswith(inside)]:
            del self._files[path]
        self._directories -= {p for p in self._directories if p.startswith(inside)}

    # -- for programs ------------------------------------------------------------------------

    def is_directory(self, path: str) -> bool:
        """Whether the path is a directory."""
        return path in self._directories

    def is_file(self, path: str) -> bool:
        """Whether the path is a file."""
        return path in self._files

    def exists(self, path: str) -> bool:
        """Whether the path exists."""
        return path in self._files or path in self._directories

    def file(self, path: str) -> File:
        """The file at a path. Raises FileProblem."""
        if path in self._directories:
            raise FileProblem(path, "Is a directory")
        if path not in self._files:
            raise FileProblem(path, "No such file or directory")
        return self._files[path]

    def read(self, path: str) -> bytes:
        """Content of a file. Raises FileProblem, NotModelled."""
        file = self.file(path)
        if file.opaque is not None:
            raise NotModelled(f"the content of {path} (only its size is)")
        return file.make() if file.make else bytes(file.data)

    def text(self, path: str) -> str:
        """Content of a file as text; empty where there is no such file."""
        return self.read(path).decode("utf-8", "replace") if path in self._files else ""

    def size(self, path: str) -> int:
        """Size in bytes. Raises FileProblem."""
        return 4096 if path in self._directories else self.file(path).size()

    def open(self, path: str, *, append: bool = False, fresh: bool = False) -> File:
        """Opens a file for writing: creates or empties it. ``fresh`` refuses a file that exists."""
        if path in self._directories:
            raise FileProblem(path, "Is a directory")
        if posixpath.dirname(path) not in self._directories:
            raise FileProblem(path, "No such file or directory")
        if fresh and path in self._files:
            raise FileProblem(path, "File exists")
        file = self._files.setdefault(path, File())
        if file.make is not None:
            raise FileProblem(path, "Permission denied")
        if not append:
            file.data.clear()
            file.opaque = None
        return file

    def make_directory(self, path: str) -> None:
        """Creates one directory. Raises FileProblem."""
        if self.exists(path):
            raise FileProblem(path, "File exists")
        if posixpath.dirname(path) not in self._directories:
            raise FileProblem(path, "No such file or directory")
        self._directories.add(path)

    def remove(self, path: str) -> None:
        """Unlinks a file; a program that has it open keeps it. Raises FileProblem."""
        if self.file(path).make is not None or path.startswith(("/dev/", "/proc/")):
            raise FileProblem(path, "Operation not permitted")
        del self._files[path]

    def remove_directory(self, path: str) -> None:
        """Removes a directory with everything in it. Raises FileProblem."""
        if path not in self._directories:
            raise FileProblem(path, "No such file or directory")
        self.clear(path)
        self._directories.discard(path)

    def names(self, directory: str) -> list[str]:
        """Names in a directory, sorted. Raises FileProblem."""
        if directory not in self._directories:
            raise FileProblem(directory, "No such file or directory")
        paths = {*self._files, *self._directories} - {"/"}
        return sorted(posixpath.basename(p) for p in paths if posixpath.dirname(p) == directory)
