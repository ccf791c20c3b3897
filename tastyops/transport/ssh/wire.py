"""What a link's shells are spoken to over: a channel of an SSH connection, or something like it.

The seam between the client of ``tastyops.protocol`` and the way to the host: over SSH here,
over a root shell on the host's console in ``tastyops.transport.console.carrier``.
"""

from __future__ import annotations

import threading
from typing import Protocol

READ_BYTES = 1 << 18

NOISE_BYTES = 4096
"""The last bytes of a shell's standard error that a wire keeps."""


class GoneError(Exception):
    """The channel or the whole connection is gone."""


class Bell(threading.Event):
    """Rung when any channel it hangs on has something new, or by ``stop``.

    paramiko clears the event whenever *one* buffer is empty; only its owner may silence it.
    """

    def clear(self) -> None:
        """Deliberately nothing."""

    def silence(self) -> None:
        """To be called before looking, so that nothing that comes while looking is missed."""
        super().clear()


class Wire(Protocol):
    """The standard streams of one shell on the host."""

    noise: bytes
    """The last of what came on its standard error: what a login shell complains of."""

    def send(self, data: bytes) -> None:
        """Writes to its standard input. Raises GoneError."""

    def receive(self) -> bytes | None:
        """What has arrived of its output: None for nothing yet, b"" once it is over.

        Raises GoneError.
        """

    def status(self) -> int:
        """The shell's exit status after the end of its output; -1 when nobody knows."""

    def expect(self, waiting: bool) -> None:
        """Whether an answer is awaited; a wire that has to ask for one asks only then."""

    def close(self) -> None:
        """Ends the shell by ending its input; never raises."""


class Carrier(Protocol):
    """A way to one host that carries several shells at a time."""

    @property
    def where(self) -> str:
        """The far end as messages name it."""

    @property
    def active(self) -> bool:
        """Whether it still stands."""

    def bell(self) -> Bell:
        """A new bell that the wires of this carrier can ring."""

    def open(self) -> None:
        """Raises Unreachable and its kinds; nothing is left open then."""

    def wire(self, command: str, bell: Bell) -> Wire:
        """Starts a shell command; ``bell`` rings when something arrives from it. Raises GoneError
        and HostUnsuitable.
        """

    def need_two(self) -> None:
        """Raises HostUnsuitable unless a second shell can be had while the first is busy."""

    def close(self) -> None:
        """Ends it and all its shells; never raises."""
