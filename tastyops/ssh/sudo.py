"""Becoming root on a host: the words for it, and the password line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tastyops.errors import AuthenticationFailed
from tastyops.ssh.channel import Shell

# sudo reads the line only when it asks. Unread, it would be the command's input: so the command
# gets another.
_STDIN_FIRST = 'f=$1; shift; exec "$@" <"$f"'


class Sudo:
    """How one session becomes root. ``password`` None: sudo must not ask (``sudo -n``)."""

    def __init__(self, password: Callable[[], str] | None) -> None:
        self._password = password
        self.proven = password is None
        """Whether the password is known to be taken, or there is none."""

    def words(self, argv: Sequence[str], infile: str = "/dev/null") -> tuple[str, list[str]]:
        """The verb, ``p`` or ``P``, and the words that run ``argv`` as root with that input."""
        if self._password is None:
            return "p", ["sudo", "-n", "--", *argv]
        asked = ["sudo", "-S", "-p", "", "--", "sh", "-c", _STDIN_FIRST, "sh", infile]
        return "P", [*asked, *argv]

    def give(self, shell: Shell) -> None:
        """Hands that shell the password line, once. Raises GoneError."""
        if self._password is not None and not shell.has_password:
            shell.tell("s", self._password())
            shell.has_password = True


def refused(where: str, stderr: bytes) -> AuthenticationFailed:
    """The error for a password sudo did not take."""
    said = " ".join(stderr.decode("utf-8", "replace").split())[-300:]
    return AuthenticationFailed(
        f"sudo on {where} refused the password: {said}",
        still_true="Nothing was changed.",
        next_step="Try again with the right password, or allow sudo for this account.",
    )
