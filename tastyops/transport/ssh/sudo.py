"""Becoming root on a host: the sudo command line and the password."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tastyops.errors import SudoRefused
from tastyops.ports import Ended, Sink
from tastyops.transport.ssh.channel import Shell

# sudo reads the line only when it asks. Unread, it would be the command's input: so the command
# gets another.
_STDIN_FIRST = 'f=$1; shift; exec "$@" <"$f"'


class Sudo:
    """How one session becomes root. ``password`` None: sudo must not ask (``sudo -n``)."""

    def __init__(self, password: Callable[[], str] | None) -> None:
        self._password = password
        self.proven = password is None
        """Whether sudo has accepted the password, or none is needed."""

    def words(self, argv: Sequence[str], infile: str = "/dev/null") -> tuple[str, list[str]]:
        """The verb, ``p`` or ``P``, and the words that run ``argv`` as root with that input."""
        if self._password is None:
            return "p", ["sudo", "-n", "--", *argv]
        asked = ["sudo", "-S", "-p", "", "--", "sh", "-c", _STDIN_FIRST, "sh", infile]
        return "P", [*asked, *argv]

    def give(self, shell: Shell) -> None:
        """Sends the password to that shell, once. Raises GoneError."""
        if self._password is not None and not shell.has_password:
            shell.tell("s", self._password())
            shell.has_password = True


_SUDO_FAILED = 1
"""What sudo ends with when it does not run the command (sudo(8), exit value)."""

_SAYS = (
    "a password is required",
    "a terminal is required to",
    "no tty present",
    "must have a tty",
    "incorrect password attempt",
    "no password was provided",
    "authentication fail",
    "account validation failure",
    "ccount or password is expired",
    "PAM account management error",
    "PAM authentication error",
    "unable to initialize PAM",
    "effective uid is not 0",
    "must be owned by uid 0",
    "no new privileges",
    "no valid sudoers sources",
    "unable to initialize policy plugin",
    "error initializing",
    "is world writable",
    "sudoers specifies that",
    "command not found",
    "unable to execute",
)
_REFUSALS = re.compile(
    rf"sudo: .*(?:{'|'.join(_SAYS)})"
    r"|Sorry, user \S+ (?:is not allowed to|may not) (?:execute|run) "
    r"|\S+ is not in the sudoers file|\S+ is not allowed to run sudo on "
)
"""The beginning of a line with which sudo (1.8 and 1.9) says that it ran nothing. Its messages are
in English, since a session has LC_ALL=C.
"""

_CALLS_SUDO = re.compile(r"(?:^|[\s;&|(`/])sudo(?:\s|$)")

_KEPT = 4096


class Refusal:
    """A sink that passes both streams on and recognises a refusal by sudo."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._said = b""
        self._more = False

    def out(self, data: bytes) -> None:
        """Passes output on. Output comes from the command, so sudo ran the command."""
        self._more = self._more or bool(data)
        self._sink.out(data)

    def err(self, data: bytes) -> None:
        """Passes errors on: sudo's, or the command's."""
        self._said += data[: _KEPT - len(self._said)]
        self._sink.err(data)

    def found(self, ended: Ended, argv: Sequence[str]) -> bytes:
        """Sudo's message, if sudo did not run ``argv``; empty if it did.

        A command that names sudo itself may say such things after it has begun.
        """
        if ended.state != "ended" or ended.status != _SUDO_FAILED or self._more:
            return b""
        if any(map(_CALLS_SUDO.search, argv)):
            return b""
        lines = self._said.decode("utf-8", "replace").splitlines()
        return self._said if any(map(_REFUSALS.match, lines)) else b""


def refused(where: str, stderr: bytes) -> SudoRefused:
    """The error for a sudo that did not run the command."""
    said = " ".join(stderr.decode("utf-8", "replace").split())[-300:]
    what = "the password" if b"incorrect" in stderr or b"Sorry, try again" in stderr else "us"
    return SudoRefused(
        f"sudo on {where} refused {what}: {said or 'it said nothing'}",
        still_true="The command was not begun; nothing was changed by it.",
        next_step="Try again with the right password, or allow sudo for this account.",
    )
