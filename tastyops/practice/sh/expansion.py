"""What a shell's words become: variables, ``$( … )``, and the splitting of what is unquoted."""

from __future__ import annotations

import re
from collections.abc import Callable

from tastyops.practice.files import NotModelled
from tastyops.practice.sh import grammar as tree
from tastyops.practice.sh.state import Exit, Shell

Substitute = Callable[[Shell, tree.Script], str]
"""Runs the body of a ``$( … )`` and gives what it wrote."""


def joined(shell: Shell, word: tree.Word, substitute: Substitute) -> str:
    """A word as one text, as in an assignment."""
    return "".join(_value(shell, part, substitute) for part in word)


def fields(shell: Shell, word: tree.Word, substitute: Substitute) -> list[str]:
    """A word as a command's arguments: unquoted values are split at blanks."""
    if any(isinstance(part, tree.Variable) and part.name == "@" for part in word):
        return _arguments(shell, word)
    plain = "".join(p.text for p in word if isinstance(p, tree.Text) and not p.quoted)
    if re.search(r"[*?]|\[.+\]", plain) or plain.startswith("~"):
        raise NotModelled(f"the shell's pattern {plain}", tree.SYNTAX_STATUS)
    found: list[str] = []
    joins = False  # whether the next text continues the last field
    for part in word:
        value = _value(shell, part, substitute)
        whole = part.quoted or isinstance(part, tree.Text)
        pieces = [value] if whole else value.split()
        joins = joins and (whole or not value[:1].isspace())
        for piece in pieces:
            if joins:
                found[-1] += piece
            else:
                found.append(piece)
            joins = piece is pieces[-1]
        joins = joins and (whole or not value[-1:].isspace())
    return found


def _arguments(shell: Shell, word: tree.Word) -> list[str]:
    if len([part for part in word if part != tree.Text("", quoted=True)]) > 1:
        raise NotModelled('the shell\'s "$@" inside a longer word', tree.SYNTAX_STATUS)
    return list(shell.positional)


def _value(
    shell: Shell, part: tree.Text | tree.Variable | tree.Substitution, substitute: Substitute
) -> str:
    if isinstance(part, tree.Text):
        return part.text
    if isinstance(part, tree.Substitution):
        return substitute(shell, part.body).replace("\0", "").rstrip("\n")
    return _variable(shell, part.name)


def _variable(shell: Shell, name: str) -> str:
    special = {
        "?": str(shell.status),
        "$": str(shell.process.pid),
        "#": str(len(shell.positional)),
        "!": "" if shell.last is None else str(shell.last),
        "0": shell.name,
        "*": " ".join(shell.positional),
    }
    if name in special:
        return special[name]
    if name.isdigit():
        value = next(iter(shell.positional[int(name) - 1 : int(name)]), None)
    else:
        value = shell.variables.get(name)
    if value is None and shell.nounset:
        shell.streams.err(f"{shell.name}: 1: {name}: parameter not set\n".encode())
        raise Exit(2)
    return value or ""
