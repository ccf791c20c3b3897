"""A small file system in memory: what the modelled machine has on its disks and in /proc."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field


class FileProblem(Exception):
    """What a system call on a path says when it fails, in strerror's words."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class NotModelled(Exception):
    """Something a real machine could do and this one does not; ``status`` is how it ends."""

    def __init__(self, what: str, status: int = 127) -> None:
        super().__init__(what)
        self.status = status


@dataclass
class File:
    """A file: bytes, or what a function makes of the moment (``/proc``), or only a size."""

    data: bytearray = field(default_factory=bytearray)
    make: Callable[[], bytes] | None = None
    opaque: int | None = None
    """The size of a file whose bytes are not modelled, such as a kernel image.

    Its first ones may be, in ``data``.
    """

    def size(self) -> int:
        """Its size; the kernel says 0 for the files it makes."""
        if self.make is not None:
            return 0
        return len(self.data) if self.opaque is None else self.opaque

    def write(self, data: bytes) -> None:
        """Appends."""
        if self.opaque is not None:
            self.opaque += len(data)
        else:
            self.data += data


class _Null(File):
    def write(self, data: bytes) -> None:
        """Discards."""


class _Switch(File):
    """A file of sysfs that does something when it is written to."""

    def __init__(self, flip: Callable[[bytes], None]) -> None:
        super().__init__()
        self._flip = flip

    def write(self, data: bytes) -> None:
        """Does it."""
        self._flip(data)


class Files:
    """Files by absolute path. No links, no owners, no modes: root sees everything."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {"/dev/null": _Null()}
        self._directories: set[str] = {"/"}
        self.add_directory("/dev/shm")  # noqa: S108  the model's, not ours

    # -- what the machine's maker uses ------------------------------------------------------

    def add(self, path: str, content: str | bytes | Callable[[], bytes]) -> None:
        """Puts a file there, with its directories."""
        self.add_directory(posixpath.dirname(path))
        if callable(content):
            self._files[path] = File(make=content)
        else:
            data = content.encode() if isinstance(content, str) else content
            self._files[path] = File(bytearray(data))

    def add_switch(self, path: str, flip: Callable[[bytes], None]) -> None:
        """Puts a file there that passes on what is written to it."""
        self.add_directory(posixpath.dirname(path))
        self._files[path] = _Switch(flip)

    def add_opaque(self, path: str, size: int, head: bytes = b"") -> None:
        """Puts a file there of which only the size and the first bytes are modelled."""
        self.add_directory(posixpath.dirname(path))
        self._files[path] = File(bytearray(head), opaque=size)

    def head(self, path: str, count: int) -> bytes:
        """Its first bytes; zeros where they are not modelled. Raises FileProblem."""
        file = self.file(path)
        if file.opaque is None:
            return self.read(path)[:count]
        count = min(count, file.opaque)
        return bytes(file.data[:count]).ljust(count, b"\0")

    def add_directory(self, path: str) -> None:
        """Makes a directory and those above it."""
        while path not in self._directories:
            self._directories.add(path)
            path = posixpath.dirname(path)

    def clear(self, directory: str) -> None:
        """Empties a directory, as a boot does with a tmpfs."""
        inside = directory + "/"
        for path in [p for p in self._files if p.startswith(inside)]:
            del self._files[path]
        self._directories -= {p for p in self._directories if p.startswith(inside)}

    # -- what programs use ------------------------------------------------------------------

    def is_directory(self, path: str) -> bool:
        """Whether it is one."""
        return path in self._directories

    def is_file(self, path: str) -> bool:
        """Whether there is a file of that name."""
        return path in self._files

    def exists(self, path: str) -> bool:
        """Whether there is anything of that name."""
        return path in self._files or path in self._directories

    def file(self, path: str) -> File:
        """The file. Raises FileProblem."""
        if path in self._directories:
            raise FileProblem(path, "Is a directory")
        if path not in self._files:
            raise FileProblem(path, "No such file or directory")
        return self._files[path]

    def read(self, path: str) -> bytes:
        """Its content. Raises FileProblem, NotModelled."""
        file = self.file(path)
        if file.opaque is not None:
            raise NotModelled(f"the content of {path} (only its size is)")
        return file.make() if file.make else bytes(file.data)

    def text(self, path: str) -> str:
        """Its content as text, empty when it is not there."""
        return self.read(path).decode("utf-8", "replace") if path in self._files else ""

    def size(self, path: str) -> int:
        """Its size. Raises FileProblem."""
        return 4096 if path in self._directories else self.file(path).size()

    def open(self, path: str, *, append: bool = False, fresh: bool = False) -> File:
        """The file, for writing; made, emptied or, with ``fresh``, refused if it is there."""
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
        """One directory. Raises FileProblem."""
        if self.exists(path):
            raise FileProblem(path, "File exists")
        if posixpath.dirname(path) not in self._directories:
            raise FileProblem(path, "No such file or directory")
        self._directories.add(path)

    def remove(self, path: str) -> None:
        """Unlinks a file; whoever has it open keeps it. Raises FileProblem."""
        if self.file(path).make is not None or path.startswith(("/dev/", "/proc/")):
            raise FileProblem(path, "Operation not permitted")
        del self._files[path]

    def remove_directory(self, path: str) -> None:
        """A directory with everything in it. Raises FileProblem."""
        if path not in self._directories:
            raise FileProblem(path, "No such file or directory")
        self.clear(path)
        self._directories.discard(path)

    def names(self, directory: str) -> list[str]:
        """What is in a directory, sorted. Raises FileProblem."""
        if directory not in self._directories:
            raise FileProblem(directory, "No such file or directory")
        paths = {*self._files, *self._directories} - {"/"}
        return sorted(posixpath.basename(p) for p in paths if posixpath.dirname(p) == directory)
