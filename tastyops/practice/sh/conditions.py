"""test(1): one condition about words, numbers or files."""

from __future__ import annotations

import operator
from collections.abc import Callable

from tastyops.practice.calls import Call
from tastyops.practice.files import Files, NotModelled

_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-lt": operator.lt,
    "-le": operator.le,
    "-gt": operator.gt,
    "-ge": operator.ge,
}


def holds(words: list[str], files: Files, call: Call) -> int:
    """Exit status of a test: 0 for true, 1 for false, 2 for a malformed test."""
    if words[:1] == ["!"] and len(words) > 1:
        inner = holds(words[1:], files, call)
        return inner if inner > 1 else 1 - inner
    try:
        return 0 if _true(words, files, call) else 1
    except ValueError:
        call.complain(f"{call.argv[0]}: Illegal number: {words[0]} or {words[2]}")
        return 2


def _true(words: list[str], files: Files, call: Call) -> bool:
    true: bool
    match words:
        case [] | [""]:
            true = False
        case [_]:
            true = True
        case ["-z", word]:
            true = not word
        case ["-n", word]:
            true = bool(word)
        case [("-e" | "-f" | "-d" | "-s" | "-r" | "-w" | "-x" | "-L" | "-h") as kind, path]:
            true = _file(kind, call.path(path), files)
        case [left, "=" | "==", right]:
            true = left == right
        case [left, "!=", right]:
            true = left != right
        case [left, number, right] if number in _NUMBERS:
            true = _NUMBERS[number](int(left), int(right))
        case _:
            raise NotModelled(f"the test {' '.join(words)}")
    return true


def _file(kind: str, path: str, files: Files) -> bool:
    if kind in ("-L", "-h"):
        return False
    if kind == "-d":
        return files.is_directory(path)
    if kind == "-f":
        return files.is_file(path) and not path.startswith("/dev/")
    if kind == "-x" and not path.startswith("/usr/sbin/"):
        raise NotModelled(f"test -x {path}")
    if kind == "-s":
        return files.exists(path) and files.size(path) > 0
    return files.exists(path)
