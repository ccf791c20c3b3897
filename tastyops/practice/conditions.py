"""test(1): one condition about words, numbers or files."""

from __future__ import annotations

import operator
from collections.abc import Callable

from tastyops.practice.calls import Call
from tastyops.practice.files import Files, NotModelled

_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": operator.eq, "-ne": operator.ne, "-lt": operator.lt, "-le": operator.le,
    "-gt": operator.gt, "-ge": operator.ge,
}


def holds(words: list[str], files: Files, call: Call) -> int:
    """The status of a test: 0 it holds, 1 it does not, 2 it is wrong."""
    if words[:1] == ["!"] and len(words) > 1:
        inner = holds(words[1:], files, call)
        return inner if inner > 1 else 1 - inner
    match words:
        case []:
            return 1
        case [word]:
            return int(not word)
        case ["-z" | "-n" as kind, word]:
            return int((word == "") != (kind == "-z"))
        case [("-e" | "-f" | "-d" | "-s" | "-r" | "-w" | "-L" | "-h") as kind, path]:
            return int(not _file(kind, call.path(path), files))
        case [left, "=" | "==", right]:
            return int(left != right)
        case [left, "!=", right]:
            return int(left == right)
        case [left, number, right] if number in _NUMBERS:
            try:
                return int(not _NUMBERS[number](int(left), int(right)))
            except ValueError:
                call.complain(f"{call.argv[0]}: Illegal number: {left} or {right}")
                return 2
    raise NotModelled(f"the test {' '.join(words)}")


def _file(kind: str, path: str, files: Files) -> bool:
    if kind in ("-L", "-h"):
        return False
    if kind == "-d":
        return files.is_directory(path)
    if kind == "-f":
        return files.is_file(path) and not path.startswith("/dev/")
    if kind == "-s":
        return files.exists(path) and files.size(path) > 0
    return files.exists(path)
