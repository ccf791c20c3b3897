"""A shell's pathname expansion: ``md*/md/level`` becomes the files there are."""

from __future__ import annotations

import fnmatch
import posixpath

from tastyops.practice.files import Files
from tastyops.practice.sh import grammar as tree


def pattern_of(word: tree.Word) -> str | None:
    """A word that is nothing but a pattern of ``*`` and ``?``; None for any other."""
    if any(not isinstance(part, tree.Text) or part.quoted for part in word):
        return None
    text = "".join(part.text for part in word if isinstance(part, tree.Text))
    return text if ("*" in text or "?" in text) and "[" not in text else None


def expanded(files: Files, directory: str, pattern: str) -> list[str]:
    """The paths that fit, sorted, as they were asked for; the pattern itself when none does."""
    absolute = pattern.startswith("/")
    found = ["/" if absolute else ""]
    for part in pattern.strip("/").split("/"):
        found = [
            posixpath.join(base, name)
            for base in found
            for name in _names(files, posixpath.join(directory, base), part)
        ]
    return sorted(found) or [pattern]


def _names(files: Files, directory: str, part: str) -> list[str]:
    directory = posixpath.normpath(directory)
    if "*" not in part and "?" not in part:
        return [part] if files.exists(posixpath.join(directory, part)) else []
    if not files.is_directory(directory):
        return []
    names = (n for n in files.names(directory) if not n.startswith(".") or part.startswith("."))
    return [name for name in names if fnmatch.fnmatchcase(name, part)]
